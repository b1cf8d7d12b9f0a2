#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value};

use super::SCHEMA;
use crate::spec::Spec;

/// Other words for a key that files may use, as the types have them.
fn aliases(properties: &Map<String, Value>, key: &str) -> Vec<String> {
    let words: &[&str] = match key {
        "networks" if properties.contains_key("nodes") => &["switches"],
        "networks" => &["network", "legs", "switch", "switches"],
        "subnets" => &["subnet", "cidr"],
        "routes" => &["route"],
        "addresses" => &["address"],
        _ => &[],
    };
    // Those of networks are read with dashes too.
    let dashes = properties.contains_key("gateway_guard") && key.contains('_');
    let dashed = dashes.then(|| key.replace('_', "-"));
    words.iter().map(|word| (*word).to_owned()).chain(dashed).collect()
}

/// What the schema has is read: no key of a network is unknown, however it is written.
#[test]
fn keys_of_networks_are_read_with_dashes() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let keys = schema["$defs"]["Network"]["properties"].as_object().unwrap().keys();
    let dashed: Vec<_> = keys.filter(|key| key.contains('-')).collect();
    assert!(dashed.len() > 15, "{dashed:?}");
    for key in dashed {
        let text = format!("networks: {{a: {{{key}: }}}}\nnodes: {{h: {{network: a}}}}\n");
        let told = crate::file::parse(&text, crate::file::Format::Yaml);
        assert!(!told.err().is_some_and(|why| why.text.contains("unknown")), "{key}");
    }
}

/// Puts them in wherever a key has them.
fn with_aliases(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(with_aliases),
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                let known: Vec<_> = properties.keys().cloned().collect();
                for key in known {
                    for alias in aliases(properties, &key) {
                        let mut own = properties[&key].clone();
                        own["description"] = format!("The same as `{key}`.").into();
                        properties.insert(alias, own);
                    }
                }
            }
            object.values_mut().for_each(with_aliases);
        }
        _ => {}
    }
}

#[test]
fn the_schema_is_what_the_types_say() {
    let mut schema = serde_json::to_value(schemars::schema_for!(Spec)).unwrap();
    with_aliases(&mut schema);
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if std::env::var_os("BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/lab.schema.json");
        std::fs::write(path, &text).unwrap();
        return;
    }
    assert_eq!(SCHEMA, text, "lab.schema.json is not what the types say: run with BLESS=1");
}

#[test]
fn the_schema_is_of_the_draft_that_editors_know() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    for key in ["networks", "nodes", "links", "ports", "uplink", "publish", "nat", "switches"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

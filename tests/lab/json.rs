//! What verbs print with `-j` is what `uswitch schema VERB` says of it: each real output is held against its
//! schema, and has no field that the schema does not describe.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lab;
use crate::support::{Sandbox, rooted};

/// A line of shell that prints JSON, by the verb whose schema it has.
const LINES: &[(&str, &str)] = &[
    ("run", "run --check -j --name other"),
    ("run", "run pair --check -j --name other"),
    ("up", "up -j --name other"),
    ("ls", "ls -j"),
    ("doctor", "doctor -j"),
    ("ping", "ping --json net1 net2 -c 2 -i 0.05"),
    ("ping", "ping --json -D net1 8.8.8.8 -c 1 --split"),
    ("ping", "ping --json net1 10.100.0.99 -c 1 -W 4"),
    ("ping", "ping --json net1 8.8.8.8 -c 1 -t 1"),
    ("ping", "ping --json net1 8.8.8.8 -c 1 -M do -s 2000"),
    ("ping --all", "ping --all --json"),
    ("iperf", "iperf -j net1 net2 -t 1"),
    ("show", "show -j"),
    ("show topology", "show topology -j"),
    ("show topology --file", "show topology --file -j"),
    ("show ports", "show ports -j"),
    ("show fdb", "show fdb -j"),
    ("show flows", "show flows -j"),
    ("show vlan", "show vlan -j"),
    ("show mdb", "show mdb -j"),
    ("show tunnel", "show tunnel -j"),
    ("show hosts", "show hosts -j"),
    ("tunnel check", "tunnel check -j"),
    ("show nat", "show nat -j"),
    ("show published", "show published -j"),
    ("show neigh", "show neigh -j"),
    ("show routes", "show routes -j"),
    ("show names", "show names -j"),
    ("show counters", "show counters -j"),
    ("explain", "explain -j net1 8.8.8.8:443"),
    ("add", "add -j web"),
    ("network ls", "network ls -j"),
    ("port", "port -j"),
    ("neigh ls", "neigh ls -j"),
];

/// Verbs that go on until they are stopped, and what is done meanwhile.
const STREAMS: &[(&str, &str)] = &[
    ("capture", "capture -j net1 icmp -c 2"),
    ("trace", "trace -j net1 icmp -c 2"),
    ("monitor", "monitor -j"),
    ("web", "web -j"),
];

#[test]
fn what_is_printed_is_what_the_schema_says() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3", "-p", "8080:net1:80"]);
        // Something for every table.
        for line in [
            "network set lan --mcast-snooping on",
            "network set lan --vlan-filtering on",
            "mdb add net1 239.1.2.3",
            "port net2 --storm 100 --isolated on",
            "neigh add 10.100.0.77 02:00:00:00:00:77",
            "fdb add 02:00:00:00:00:99 net1 --static",
            "ping -q net1 8.8.8.8 -c 1",
        ] {
            sandbox.shell(&format!("uswitch {line}")).ok();
        }
        let mut seen = BTreeSet::new();
        for (verb, line) in LINES {
            let said = sandbox.shell(&format!("uswitch {line}")).out;
            held(sandbox, verb, line, &said);
            seen.insert(*verb);
        }
        sandbox.shell("uswitch down --name other").ok();
        for (verb, line) in STREAMS {
            let command = format!("exec uswitch {line}");
            let stream = sandbox.start_shell(&command);
            let mut said = String::new();
            // Until it has begun to listen nothing is seen: again until something is.
            crate::door::until("a line", || {
                sandbox.shell("uswitch ping -q net1 net2 -c 1").ok();
                said = stream.out();
                said.contains('\n').then_some(())
            });
            stream.signal(nix::sys::signal::Signal::SIGINT);
            let all = stream.ended().out;
            held(sandbox, verb, line, if all.ends_with('\n') { &all } else { &said });
            seen.insert(*verb);
        }
        let listed = sandbox.uswitch(&["schema", "--list"]).ok().out;
        let listed: BTreeSet<_> = listed.lines().collect();
        assert_eq!(seen, listed, "each verb with JSON is tried here");
    });
}

/// As a file, a lab with all that has a form of its own there: also as the schema of files says it.
#[test]
fn a_lab_of_wires_is_what_the_schema_says() {
    const LAB: &str = r#"
networks:
  lan: {subnet: 10.1.0.0/24, vlan_filtering: true, vlans: {10: {subnet: 10.10.0.0/24}}}
  dc: {subnets: [10.2.0.0/24, "fd00:2::/64"], gateway: 10.2.0.9, routed: [lan]}
nodes:
  a: {networks: {lan: , dc: 10.2.0.5}, routes: ["10.8.0.0/16 via b"], exec: "true"}
  b: {network: dc, kind: router}
links: [[a, b], ["a:out", {node: b, address: 10.5.0.1/30}], {endpoints: [lan, dc], mtu: 1400}]
ports: {a:lan: {vlans: [1 pvid untagged, 10-12]}, link1: {loop_protect: true}}
publish: ["8080:b:80"]
neigh: {10.7.0.1: "02:00:00:00:00:07"}
storm: {broadcast: 100}
"#;
    rooted(|sandbox| {
        let path = crate::file::write(sandbox, "wires.yaml", LAB);
        let _lab = lab(sandbox, &["run", &path]);
        let line = "show topology --file -j";
        let said = sandbox.shell(&format!("uswitch {line}")).ok().out;
        held(sandbox, "show topology --file", line, &said);
        held(sandbox, "", line, &said);
        let line = "show topology -j";
        held(sandbox, "show topology", line, &sandbox.shell(&format!("uswitch {line}")).ok().out);
    });
}

#[test]
fn what_is_not_so_is_noticed() {
    let schema = serde_json::json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "integer", "minimum": 0}, "b": {"anyOf": [{"const": "x"}, {"type": "null"}]}}});
    for (value, good) in [
        (serde_json::json!({"a": 1}), true),
        (serde_json::json!({"a": 1, "b": "x"}), true),
        (serde_json::json!({"a": 1, "b": null}), true),
        (serde_json::json!({"a": 1, "b": "y"}), false),
        (serde_json::json!({"a": -1}), false),
        (serde_json::json!({"a": 1.5}), false),
        (serde_json::json!({"b": "x"}), false),
        (serde_json::json!({"a": 1, "c": 1}), false),
    ] {
        let root = Schema(&schema);
        assert_eq!(root.whole(&schema, &value).is_ok(), good, "{value}");
    }
}

pub(crate) fn held(sandbox: &Sandbox, verb: &str, line: &str, said: &str) {
    let schema = sandbox.shell(&format!("uswitch schema {verb}")).ok().out;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert!(said.ends_with('\n'), "{line} said nothing: {said:?}");
    for text in said.lines() {
        let value: Value =
            serde_json::from_str(text).unwrap_or_else(|e| panic!("{line}: {e}: {text}"));
        if let Err(why) = Schema(&schema).whole(&schema, &value) {
            panic!("{line}: {why}:\n{text}");
        }
    }
}

/// A schema with what it refers to: the words of JSON Schema (draft 2020-12) that ours use.
struct Schema<'a>(&'a Value);

type Fields = BTreeSet<String>;

impl Schema<'_> {
    /// A value, and no field of it that is not described.
    fn whole(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let described = self.check(schema, value)?;
        let fields = value.as_object().into_iter().flatten();
        match fields.map(|(name, _)| name).find(|name| !described.contains(*name)) {
            Some(name) => Err(format!("{name} is not described")),
            None => Ok(()),
        }
    }

    /// The fields that are described.
    fn check(&self, schema: &Value, value: &Value) -> Result<Fields, String> {
        let mut described = Fields::new();
        let Some(words) = schema.as_object() else { return Ok(described) };
        for (word, said) in words {
            match word.as_str() {
                "$ref" => {
                    let pointer = said.as_str().unwrap().strip_prefix('#').unwrap();
                    described.extend(self.check(self.0.pointer(pointer).unwrap(), value)?);
                }
                "type" => {
                    let kinds = said.as_array().map_or(vec![said], |all| all.iter().collect());
                    let fits = kinds.iter().any(|kind| is(kind.as_str().unwrap(), value));
                    fits.then_some(()).ok_or_else(|| format!("{value} is no {said}"))?;
                }
                "const" => {
                    (said == value).then_some(()).ok_or_else(|| format!("{value} is not {said}"))?
                }
                "enum" => {
                    let any = said.as_array().unwrap().contains(value);
                    any.then_some(()).ok_or_else(|| format!("{value} is none of {said}"))?;
                }
                "minimum" | "maximum" => {
                    let (number, limit) = (value.as_f64(), said.as_f64().unwrap());
                    let good = |n: f64| if word == "minimum" { n >= limit } else { n <= limit };
                    number
                        .is_none_or(good)
                        .then_some(())
                        .ok_or_else(|| format!("{value}: {word} {limit}"))?;
                }
                "required" => {
                    for name in said.as_array().unwrap().iter().filter(|_| value.is_object()) {
                        let there = value.get(name.as_str().unwrap()).is_some();
                        there.then_some(()).ok_or_else(|| format!("{name} is missing"))?;
                    }
                }
                "properties" => {
                    for (name, schema) in said.as_object().unwrap() {
                        if let Some(field) = value.get(name) {
                            self.whole(schema, field).map_err(|why| format!("{name}: {why}"))?;
                            described.insert(name.clone());
                        }
                    }
                }
                // Ours know one pattern: a number.
                "patternProperties" => {
                    for (pattern, said) in said.as_object().unwrap() {
                        assert_eq!(pattern, NUMBER);
                        for (name, field) in value.as_object().into_iter().flatten() {
                            if is_number(name) {
                                self.whole(said, field).map_err(|why| format!("{name}: {why}"))?;
                                described.insert(name.clone());
                            }
                        }
                    }
                }
                "additionalProperties" => {
                    let known = &schema["properties"];
                    let numbers = schema.get("patternProperties").is_some();
                    for (name, field) in value.as_object().into_iter().flatten() {
                        if numbers && is_number(name) {
                            continue;
                        }
                        if known.get(name).is_none() && *said != Value::Bool(false) {
                            self.whole(said, field).map_err(|why| format!("{name}: {why}"))?;
                            described.insert(name.clone());
                        }
                    }
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.whole(said, item).map_err(|why| format!("[{at}]: {why}"))?;
                    }
                }
                "minItems" | "maxItems" => {
                    let limit = usize::try_from(said.as_u64().unwrap()).unwrap();
                    let count = value.as_array().map(Vec::len);
                    let good = |n: usize| if word == "minItems" { n >= limit } else { n <= limit };
                    count
                        .is_none_or(good)
                        .then_some(())
                        .ok_or_else(|| format!("{word} {limit}"))?;
                }
                "allOf" => {
                    for schema in said.as_array().unwrap() {
                        described.extend(self.check(schema, value)?);
                    }
                }
                "anyOf" | "oneOf" => {
                    let tried: Vec<_> =
                        said.as_array().unwrap().iter().map(|one| self.check(one, value)).collect();
                    if !tried.iter().any(Result::is_ok) {
                        let why: Vec<_> = tried.into_iter().filter_map(Result::err).collect();
                        return Err(format!("none fits: {}", why.join(" / ")));
                    }
                    described.extend(tried.into_iter().flatten().flatten());
                }
                "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
                other => panic!("this test does not know {other}"),
            }
        }
        Ok(described)
    }
}

/// The keys of a map by numbers.
const NUMBER: &str = r"^\d+$";

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no type {other}"),
    }
}

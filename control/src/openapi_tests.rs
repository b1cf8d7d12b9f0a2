//! Holds `openapi.json` against the server: it is made from the table of routes and the types the
//! handlers use, and must equal the file. `BLESS=1 cargo test -p uswitch-control openapi` writes it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::*;
use crate::server::{OPENAPI, ROUTES};

/// What a route takes and gives: body, status, content type, schema of the answer.
struct Shape {
    body: Option<Value>,
    status: &'static str,
    kind: &'static str,
    answer: Option<Value>,
}

fn shape(generator: &mut SchemaGenerator, method: &str, path: &str) -> Shape {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Option<Value> {
        Some(generator.subschema_for::<T>().to_value())
    }
    let g = generator;
    let json = |answer| Shape { body: None, status: "200", kind: "application/json", answer };
    match (method, path) {
        ("get", "/v1/version") => json(of::<Version>(g)),
        ("get", "/v1/openapi.json") => json(Some(json!({ "type": "object" }))),
        ("get", "/v1/topology") => json(of::<Topology>(g)),
        ("get", "/v1/nodes/{name}/home") => json(of::<Home>(g)),
        ("get", "/v1/spec") => json(of::<Spec>(g)),
        ("get", "/v1/ports") => json(of::<Page<Port>>(g)),
        ("patch", "/v1/ports/{name}") => Shape { body: of::<SetPort>(g), ..json(of::<Port>(g)) },
        ("post", "/v1/ports/{name}/network") => {
            Shape { body: of::<MovePort>(g), ..json(of::<Port>(g)) }
        }
        ("post", "/v1/ports/{name}/vlans") => {
            Shape { body: of::<AddVlan>(g), status: "204", ..json(None) }
        }
        ("get", "/v1/networks") => json(of::<Vec<Network>>(g)),
        ("post", "/v1/networks") => {
            Shape { body: of::<AddNetwork>(g), status: "201", ..json(of::<Network>(g)) }
        }
        ("patch", "/v1/networks/{name}") => {
            Shape { body: of::<SetNetwork>(g), ..json(of::<Network>(g)) }
        }
        ("post", "/v1/fdb/set") => Shape { body: of::<SetFdb>(g), status: "204", ..json(None) },
        ("post", "/v1/fdb/del") => Shape { body: of::<DelFdb>(g), ..json(of::<Flushed>(g)) },
        ("get", "/v1/fdb") => json(of::<Page<FdbEntry>>(g)),
        ("get", "/v1/fast-path/flows") => json(of::<Page<FastFlow>>(g)),
        ("post", "/v1/fdb/flush") => Shape { body: of::<FlushFdb>(g), ..json(of::<Flushed>(g)) },
        ("get", "/v1/mdb") => json(of::<Mdb>(g)),
        ("post", "/v1/mdb/set" | "/v1/mdb/del") => {
            Shape { body: of::<SetMdb>(g), status: "204", ..json(None) }
        }
        ("get", "/v1/neigh/known") => json(of::<Vec<Known>>(g)),
        ("post", "/v1/neigh/set") => Shape { body: of::<Known>(g), status: "204", ..json(None) },
        ("get", "/v1/tunnels") => json(of::<Vec<Tunnel>>(g)),
        ("get", "/v1/hosts") => json(of::<Vec<Hosts>>(g)),
        ("post", "/v1/tunnels") => {
            Shape { body: of::<AddTunnel>(g), status: "201", ..json(of::<Tunnel>(g)) }
        }
        ("patch", "/v1/gateway") => Shape { body: of::<SetGateway>(g), ..json(of::<Routing>(g)) },
        ("patch", "/v1/nodes/{name}/link") => {
            Shape { body: of::<SetLink>(g), status: "204", ..json(None) }
        }
        ("get", "/v1/neigh") => json(of::<Page<Neighbour>>(g)),
        ("get", "/v1/routes") => json(of::<Vec<Route>>(g)),
        ("get", "/v1/nat") => json(of::<Page<Session>>(g)),
        ("post", "/v1/nat/flush") => Shape { body: of::<FlushNat>(g), ..json(of::<Flushed>(g)) },
        ("get", "/v1/names") => json(of::<Page<Name>>(g)),
        ("get", "/v1/counters") => json(of::<Counters>(g)),
        ("get", "/v1/published") => json(of::<Vec<Published>>(g)),
        ("post", "/v1/published") => Shape { body: of::<Publish>(g), ..json(of::<Published>(g)) },
        ("post", "/v1/nodes") => {
            Shape { body: of::<AddNode>(g), status: "201", ..json(of::<Node>(g)) }
        }
        (
            "delete",
            "/v1/published/{protocol}/{port}"
            | "/v1/nodes/{name}"
            | "/v1/networks/{name}"
            | "/v1/tunnels/{vni}"
            | "/v1/flows/{id}"
            | "/v1/ports/{name}/vlans/{first}/{last}",
        ) => Shape { status: "204", ..json(None) },
        ("get", "/v1/events") => Shape { kind: "application/x-ndjson", ..json(of::<Event>(g)) },
        ("post", "/v1/capture") => Shape {
            body: of::<CaptureAsk>(g),
            kind: "application/x-pcapng",
            ..json(Some(json!({ "type": "string", "format": "binary" })))
        },
        ("post", "/v1/trace") => Shape {
            body: of::<TraceAsk>(g),
            kind: "application/x-ndjson",
            ..json(of::<TraceLine>(g))
        },
        ("post", "/v1/explain") => Shape { body: of::<ExplainAsk>(g), ..json(of::<Walk>(g)) },
        ("get", "/v1/metrics") => {
            Shape { kind: crate::metrics::CONTENT_TYPE, ..json(Some(json!({ "type": "string" }))) }
        }
        _ => panic!("{method} {path} has no shape here: say what it takes and gives"),
    }
}

fn parameters(method: &str, path: &str) -> Vec<Value> {
    let mut all: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let kind = if ["port", "id", "first", "last", "vni"].contains(&name) {
                "integer"
            } else {
                "string"
            };
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
        })
        .collect();
    let mut query = |name: &str, kind: &str, description: &str| {
        all.push(json!({
            "name": name, "in": "query", "description": description, "schema": { "type": kind }
        }));
    };
    if method == "get"
        && matches!(
            path,
            "/v1/ports" | "/v1/fdb" | "/v1/fast-path/flows" | "/v1/neigh" | "/v1/nat" | "/v1/names"
        )
    {
        query("cursor", "integer", "`next` of the page before");
        query(
            "limit",
            "integer",
            &format!("items at most; {PAGE_DEFAULT} unless given, {PAGE_MAX} at most"),
        );
    }
    all
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths = Map::new();
    for route in ROUTES {
        let shape = shape(&mut generator, route.method, route.path);
        let mut done = json!({ "description": "Done" });
        if let Some(schema) = shape.answer {
            done["content"] = json!({ shape.kind: { "schema": schema } });
        }
        let refused = json!({
            "description": "Refused: one line says what, on which object, why, and the mend",
            "content": { "application/json": { "schema": problem } }
        });
        let mut operation = json!({
            "summary": route.summary,
            "parameters": parameters(route.method, route.path),
            "responses": { shape.status: done, "default": refused }
        });
        if let Some(schema) = shape.body {
            operation["requestBody"] =
                json!({ "content": { "application/json": { "schema": schema } } });
        }
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let methods = path.as_object_mut().unwrap();
        assert!(methods.insert(route.method.into(), operation).is_none(), "{} twice", route.path);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "uswitch: the door of a running lab",
            "version": "v1",
            "description": "HTTP/1.1 over the Unix socket RUN_DIR/LAB/control.sock, which only the lab's owner can open. Lists come in pages: follow `next`.",
            "license": { "name": "MIT OR Apache-2.0" }
        },
        "servers": [{ "url": "http://uswitch" }],
        "paths": paths,
        "components": { "schemas": schemas }
    })
}

#[test]
fn the_openapi_document_is_the_servers() {
    let made = format!("{:#}\n", document());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &made).unwrap();
        return;
    }
    assert!(made == OPENAPI, "openapi.json is not what the server does: run with BLESS=1");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut found = 0;
    let mut rest = vec![&document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                    found += 1;
                }
                rest.extend(fields.values());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    assert!(found > 20, "only {found} references: is the document whole?");
}

/// The schemas that a schema leads to, itself among them, each with how one comes by it.
fn reached(document: &Value, schema: &Value, by: &str, all: &mut Vec<(String, Value)>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/components/schemas/");
        if !all.iter().any(|(by, _)| by.ends_with(name)) {
            let own = &document["components"]["schemas"][name];
            reached(document, own, &format!("{by} > {name}"), all);
        }
        return;
    }
    all.push((by.to_owned(), schema.clone()));
    let parts = schema.as_object().into_iter().flatten().flat_map(|(_, part)| match part {
        Value::Array(parts) => parts.iter().collect(),
        Value::Object(parts) => parts.values().chain([part]).collect(),
        _ => Vec::new(),
    });
    for part in parts.filter(|part| part.is_object()) {
        reached(document, part, by, all);
    }
}

/// A word that is misspelt would be as if it had not been said, and widen what is done.
#[test]
fn nothing_that_is_asked_for_may_have_fields_that_are_not_known() {
    let document = document();
    let mut bodies = 0;
    for route in ROUTES {
        let said = &document["paths"][route.path][route.method]["requestBody"];
        let schema = &said["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        bodies += 1;
        let mut all = Vec::new();
        reached(&document, schema, route.path, &mut all);
        for (by, schema) in all.iter().filter(|(_, schema)| schema["properties"].is_object()) {
            assert_eq!(schema["additionalProperties"], json!(false), "{by}");
        }
    }
    assert!(bodies > 15, "{bodies} routes take a body");
}

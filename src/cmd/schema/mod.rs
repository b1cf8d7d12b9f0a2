//! `uswitch schema`: what a lab's file may say, and what the verbs say in JSON, for programs.
//!
//! What the door answers has its schema in the API's document; `outputs.json` names where, and has the
//! schemas of what the command makes up itself.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::exit::Usage;
use crate::say;

const OUTPUTS: &str = include_str!("outputs.json");
/// Where references of the API's document lead, and where those that are printed do.
const THEIRS: &str = "#/components/schemas/";
const OURS: &str = "#/$defs/";

/// Print the JSON Schema of a lab's file, or of what a verb prints with --json
///
/// Without a verb that of a lab's file: editors check and complete by it (draft 2020-12). Put it beside
/// the file and write `# yaml-language-server: $schema=lab.schema.json` into the file's first line. With
/// a verb, as in `uswitch schema show ports`, that of the verb's JSON: of the one value, or of each line.
/// `uswitch schema --list` says which there are.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The verb and what tells its outputs apart, as in `show ports`
    #[arg(value_name = "VERB", trailing_var_arg = true, allow_hyphen_values = true, add = crate::complete::schemas())]
    verb: Vec<String>,
    /// The verbs that print JSON
    #[arg(long, conflicts_with = "verb")]
    list: bool,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let verb = args.verb.join(" ");
    if args.list {
        verbs()?.keys().for_each(|verb| say::line(verb));
    } else if verb.is_empty() {
        say::bytes(topology::SCHEMA.as_bytes());
    } else {
        let said = || Usage(format!("{verb} prints no JSON; `schema --list` says what does"));
        let schema = of(&verb)?.ok_or_else(said)?;
        say::bytes(format!("{schema:#}\n").as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

/// The verbs that print JSON, in their order.
pub(crate) fn names() -> anyhow::Result<Vec<String>> {
    Ok(verbs()?.keys().cloned().collect())
}

fn verbs() -> anyhow::Result<Map<String, Value>> {
    let mut outputs: Value = serde_json::from_str(OUTPUTS).context("reading outputs.json")?;
    Ok(std::mem::take(outputs["verbs"].as_object_mut().context("outputs.json has no verbs")?))
}

/// The schema of a verb's output, with all it refers to; None where it has no JSON.
fn of(verb: &str) -> anyhow::Result<Option<Value>> {
    let outputs: Value = serde_json::from_str(OUTPUTS).context("reading outputs.json")?;
    let api: Value = serde_json::from_str(control::OPENAPI).context("reading openapi.json")?;
    let entry = &outputs["verbs"][verb];
    let mut schema = match entry["api"].as_str() {
        None if entry.is_null() => return Ok(None),
        None => entry["schema"].clone(),
        Some(path) => answer(&api, path).with_context(|| format!("{path} has no answer"))?,
    };
    if entry["list"] == true {
        schema = json!({"type": "array", "items": schema});
    }
    let mut wanted = BTreeSet::new();
    rename(&mut schema, &mut wanted);
    let mut defs = Map::new();
    while let Some(name) = wanted.pop_first() {
        if defs.contains_key(&name) {
            continue;
        }
        let own = outputs["$defs"].get(&name);
        let found = own.or_else(|| api["components"]["schemas"].get(&name));
        let mut found = found.with_context(|| format!("{name} is nowhere"))?.clone();
        rename(&mut found, &mut wanted);
        defs.insert(name, found);
    }
    let said = if entry["lines"] == true { "each line" } else { "all of it, on one line" };
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("uswitch {verb} --json: {said}"),
    });
    if let (Some(whole), Value::Object(schema)) = (whole.as_object_mut(), schema) {
        whole.extend(schema);
        whole.insert("$defs".into(), defs.into());
    }
    Ok(Some(whole))
}

/// What the API answers there: of a list that comes in pages the whole list.
fn answer(api: &Value, path: &str) -> Option<Value> {
    let methods = api["paths"].get(path)?;
    let operation = methods.get("get").or_else(|| methods.get("post"))?;
    let done = ["200", "201"].iter().find_map(|status| operation["responses"].get(status))?;
    let schema = done["content"].as_object()?.values().next()?["schema"].clone();
    let name = schema["$ref"].as_str().and_then(|target| target.strip_prefix(THEIRS));
    let page = name.filter(|name| name.starts_with("Page"));
    Some(match page {
        Some(name) => api["components"]["schemas"][name]["properties"]["items"].clone(),
        None => schema,
    })
}

/// Has references lead to `$defs`, and notes whither.
fn rename(schema: &mut Value, wanted: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref") {
                let name = target.strip_prefix(THEIRS).or_else(|| target.strip_prefix(OURS));
                if let Some(name) = name.map(String::from) {
                    *target = format!("{OURS}{name}");
                    wanted.insert(name);
                }
            }
            fields.values_mut().for_each(|value| rename(value, wanted));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rename(value, wanted)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_that_prints_json_has_a_schema_that_is_whole() {
        let verbs = verbs().unwrap();
        assert!(verbs.len() > 25, "{verbs:?}");
        for verb in verbs.keys() {
            let schema = of(verb).unwrap().unwrap();
            let text = schema.to_string();
            assert!(!text.contains("#/components"), "{verb}");
            for target in text.split("\"$ref\":\"#").skip(1) {
                let pointer = target.split('"').next().unwrap();
                assert!(schema.pointer(pointer).is_some(), "{verb}: {pointer} leads nowhere");
            }
        }
    }

    /// A name that stood for one thing here and for another in the API's document would be taken for either.
    #[test]
    fn each_name_stands_for_one_thing() {
        let outputs: Value = serde_json::from_str(OUTPUTS).unwrap();
        let api: Value = serde_json::from_str(control::OPENAPI).unwrap();
        for name in outputs["$defs"].as_object().unwrap().keys() {
            assert!(api["components"]["schemas"].get(name).is_none(), "{name} is in both");
        }
    }

    #[test]
    fn what_tells_outputs_apart_stands_as_it_is_typed() {
        use clap::Parser;
        for line in ["show topology --file", "ping --all", "show ports"] {
            let words = "uswitch schema".split(' ').chain(line.split(' '));
            assert!(crate::cli::Cli::try_parse_from(words).is_ok(), "{line}");
        }
        assert!(crate::cli::Cli::try_parse_from(["uswitch", "schema", "--list"]).is_ok());
    }

    /// The verbs with `-j` and those with a schema are the same.
    #[test]
    fn no_verb_with_json_is_without_a_schema() {
        use clap::CommandFactory;
        let mut found = BTreeSet::new();
        let mut rest: Vec<(String, clap::Command)> =
            vec![(String::new(), crate::cli::Cli::command())];
        while let Some((line, command)) = rest.pop() {
            if command.get_arguments().any(|arg| arg.get_id() == "json") {
                found.insert(line.clone());
            }
            for verb in command.get_subcommands() {
                let line = format!("{line} {}", verb.get_name());
                rest.push((line.trim().to_owned(), verb.clone()));
            }
        }
        let have: BTreeSet<String> = verbs().unwrap().keys().cloned().collect();
        let missing: Vec<_> = found.difference(&have).collect();
        assert!(missing.is_empty() && found.len() > 10, "{missing:?}");
    }
}

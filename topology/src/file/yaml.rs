//! YAML: one document, without duplicate or merge keys, with a bounded number of nodes, aliases and
//! levels.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Budget, MessageFormatter, Options, Spanned, UserMessageFormatter};

use super::place::{Kind, Tree};
use super::{Fault, Spot, one_line};
use crate::spec::Spec;

/// Deepest nesting; a lab's file needs seven levels.
const DEPTH: usize = 32;
/// Most nodes of a text: the largest lab there can be has some 300,000.
const NODES: usize = 1_000_000;
/// Most that anchors may be repeated, in nodes.
const REPEATED: usize = 100_000;

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = DEPTH;
    budget.flow_nesting_limit = DEPTH;
    budget.max_nodes = NODES;
    budget.max_events = 2 * NODES;
    budget.max_documents = 1;
    let mut alias_limits = AliasLimits::default();
    alias_limits.max_total_replayed_events = REPEATED;
    alias_limits.max_replay_stack_depth = DEPTH;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits = alias_limits;
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.reject_unsupported_tags = true;
    // As YAML 1.2 has it: `n` and `yes` are names, and words for settings alone (`switched`).
    options.strict_booleans = true;
    options.with_snippet = false;
    options.emit_comments = false;
    options
}

/// Reads a lab.
pub(super) fn parse(text: &str) -> Result<Spec, Fault> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let spot = error.location().map(spot);
        let message = UserMessageFormatter.format_message(error.without_snippet());
        Fault { spot: spot.filter(|spot| spot.line > 0), text: one_line(&message) }
    })
}

/// Where things stand; None where the text cannot be read.
pub(super) fn places(text: &str) -> Option<Tree> {
    let root: Spanned<Value> = serde_saphyr::from_str_with_options(text, options()).ok()?;
    Some(tree(root))
}

/// Writes a lab.
#[must_use]
pub fn write(spec: &Spec) -> String {
    // Nothing of a lab is beyond YAML, and a string takes what is written.
    serde_saphyr::to_string(spec).unwrap_or_default()
}

fn spot(location: serde_saphyr::Location) -> Spot {
    Spot { line: location.line(), column: location.column() }
}

/// Any value.
enum Value {
    Leaf,
    List(Vec<Spanned<Value>>),
    Map(Vec<(Spanned<String>, Spanned<Value>)>),
}

fn tree(value: Spanned<Value>) -> Tree {
    let place = Some(spot(value.referenced)).filter(|spot| spot.line > 0);
    let kind = match value.value {
        Value::Leaf => Kind::Leaf,
        Value::List(items) => Kind::List(items.into_iter().map(tree).collect()),
        Value::Map(entries) => {
            let each = |(key, value): (Spanned<String>, Spanned<Value>)| {
                (key.value, Some(spot(key.referenced)).filter(|spot| spot.line > 0), tree(value))
            };
            Kind::Map(entries.into_iter().map(each).collect())
        }
    };
    Tree { spot: place, kind }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_str<E>(self, _: &str) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Leaf)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Value::Map(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

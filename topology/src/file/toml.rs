//! TOML: the same keys, in tables. Duplicate keys are refused by the language itself.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::place::{Kind, Tree};
use super::{Fault, Spot, one_line};
use crate::spec::Spec;

/// Reads a lab.
pub(super) fn parse(text: &str) -> Result<Spec, Fault> {
    ::toml::from_str(text).map_err(|error| Fault {
        spot: error.span().map(|span| Lines::of(text).spot(span.start)),
        text: one_line(error.message()),
    })
}

/// Where things stand; None where the text cannot be read.
pub(super) fn places(text: &str) -> Option<Tree> {
    let root = DeTable::parse(text).ok()?;
    let lines = Lines::of(text);
    Some(Tree { spot: Some(lines.spot(0)), kind: map(&lines, root.get_ref()) })
}

fn map(lines: &Lines<'_>, table: &DeTable<'_>) -> Kind {
    let entries = table.iter().map(|(key, value)| {
        (key.get_ref().to_string(), Some(lines.spot(key.span().start)), tree(lines, value))
    });
    Kind::Map(entries.collect())
}

fn tree(lines: &Lines<'_>, value: &Spanned<DeValue<'_>>) -> Tree {
    let kind = match value.get_ref() {
        DeValue::Array(items) => Kind::List(items.iter().map(|item| tree(lines, item)).collect()),
        DeValue::Table(table) => map(lines, table),
        _ => Kind::Leaf,
    };
    Tree { spot: Some(lines.spot(value.span().start)), kind }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    begin: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let begin = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, begin }
    }

    /// The line and the column of a byte.
    fn spot(&self, byte: usize) -> Spot {
        let line = self.begin.partition_point(|begin| *begin <= byte).max(1);
        let begin = self.begin.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(begin..byte).unwrap_or_default().chars().count() + 1;
        Spot { line: line as u64, column: column as u64 }
    }
}

//! Names with ranges, `h[1-3]` and `r[1,3]-[01-10]`, and maps whose keys are such names: what stands
//! behind a range stands for each of its names.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::invalid::Invalid;
use crate::spec::MAX_NODES;

#[cfg(test)]
mod tests;

/// The names that a pattern stands for, in their order.
///
/// # Errors
/// One line for a bracket that is none, and for more names than a lab has nodes.
pub(crate) fn expand(pattern: &str) -> Result<Vec<String>, Invalid> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, behind) = after
            .split_once(']')
            .ok_or_else(|| Invalid(format!("{pattern:?}: the bracket is not closed")))?;
        let numbers = numbers(inside).map_err(|why| Invalid(format!("{pattern:?}: {why}")))?;
        let many = names.len().saturating_mul(numbers.len());
        if many > MAX_NODES as usize {
            return Err(Invalid(format!(
                "{pattern:?} stands for {many} names: a lab has {MAX_NODES} nodes at most"
            )));
        }
        let each = |name: &String| {
            numbers.iter().map(|number| format!("{name}{before}{number}")).collect::<Vec<_>>()
        };
        names = names.iter().flat_map(each).collect();
        rest = behind;
    }
    if rest.contains(']') {
        return Err(Invalid(format!("{pattern:?}: the bracket was not opened")));
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// What stands between brackets: numbers and ranges of them, with commas; leading zeros stay.
fn numbers(inside: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for part in inside.split(',') {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (number(first)?, number(last)?);
        if to < from {
            return Err(format!("[{part}]: the smaller number comes first"));
        }
        if to - from >= MAX_NODES {
            return Err(format!("[{part}] is longer than a lab has nodes, {MAX_NODES}"));
        }
        let width = if first.starts_with('0') { first.len() } else { 0 };
        all.extend((from..=to).map(|number| format!("{number:0width$}")));
    }
    Ok(all)
}

fn number(text: &str) -> Result<u32, String> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().ok_or_else(|| {
        format!("{text:?} is no number: brackets hold numbers and ranges, as in h[1-3]")
    })
}

/// Reads a pattern, with the names it stands for. What is wrong with it is told where it stands.
struct Pattern<'a>(&'a dyn Fn(&str) -> bool);

impl<'de> DeserializeSeed<'de> for Pattern<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        let names = expand(&pattern).map_err(D::Error::custom)?;
        match names.iter().find(|name| (self.0)(name)) {
            Some(twice) if *twice == pattern => {
                Err(D::Error::custom(format!("{twice} stands twice: once is enough")))
            }
            Some(twice) => {
                Err(D::Error::custom(format!("{twice} stands twice: {pattern} has it again")))
            }
            None => Ok(names),
        }
    }
}

/// Reads a map whose keys may be ranges. For `deserialize_with`.
pub(crate) fn map<'de, D, T>(deserializer: D) -> Result<IndexMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + Clone,
{
    struct Ranges<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Default + Clone> Visitor<'de> for Ranges<T> {
        type Value = IndexMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut all: IndexMap<String, T> = IndexMap::new();
            while let Some(names) = {
                let has = |name: &str| all.contains_key(name);
                from.next_key_seed(Pattern(&has))?
            } {
                // `name:` with nothing behind it says nothing more.
                let value: T = from.next_value::<Option<T>>()?.unwrap_or_default();
                if all.len() + names.len() > 2 * MAX_NODES as usize {
                    return Err(A::Error::custom(format!(
                        "there are more names here than a lab has nodes: {MAX_NODES} at most"
                    )));
                }
                all.extend(names.into_iter().map(|name| (name, value.clone())));
            }
            Ok(all)
        }
    }

    deserializer.deserialize_map(Ranges(PhantomData))
}

//! The name of a lab, and what else has to be such a name: a node's, a network's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::Invalid;
use crate::names;

/// Longest name of a lab. The control socket's path has to fit into 107 bytes.
pub const MAX_NAME: usize = 32;
/// Longest name of what an engine has named: as long as a host's in the DNS (RFC 1035, section 3.1). No
/// path or interface of ours is called so.
const MAX_SERVED: usize = 253;

/// The name of a lab: letters, digits, `-`, `_` and `.`, not beginning with the latter three.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct LabName(String);

impl LabName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LabName {
    fn default() -> Self {
        Self("uswitch".into())
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LabName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        shaped(text)?;
        not_taken(text)?;
        Ok(Self(text.into()))
    }
}

impl Serialize for LabName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LabName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Says what is wrong with the letters of a name, whatever it means elsewhere.
pub(crate) fn shaped(text: &str) -> Result<(), Invalid> {
    shaped_within(text, MAX_NAME)
}

fn shaped_within(text: &str, most: usize) -> Result<(), Invalid> {
    if text.len() > most {
        return Err(Invalid(format!(
            "the name is {} characters long: at most {most} fit",
            text.len()
        )));
    }
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // As a host's name the same one without it, and one that nobody can ask for.
    if text.ends_with('.') || text.contains("..") {
        return Err(Invalid(format!(
            "{text:?} is no name: dots stand between letters, digits, '-' and '_'"
        )));
    }
    if !begins || !text.chars().all(plain) {
        return Err(Invalid(format!(
            "{text:?} is no name: letters, digits, '-', '_' and '.' make one, and a letter or \
             digit begins it"
        )));
    }
    Ok(())
}

/// Whether `name` can be that of a node of `lab`.
///
/// # Errors
/// One line for what it is taken for instead.
pub fn check_node_of(name: &str, lab: &LabName) -> Result<(), Invalid> {
    check_node_name(name)?;
    not_within(name, lab)
}

/// Whether what an engine calls a container or a network can be its name in `lab`, the one that serves it.
///
/// # Errors
/// One line for what it is taken for instead.
pub fn check_served_name(name: &str, lab: &LabName) -> Result<(), Invalid> {
    shaped_within(name, MAX_SERVED)?;
    not_taken(name)?;
    not_within(name, lab)
}

fn not_taken(name: &str) -> Result<(), Invalid> {
    match names::taken(name) {
        Some(why) => Err(Invalid(format!("{name:?} is no name: {why}"))),
        None => Ok(()),
    }
}

fn not_within(name: &str, lab: &LabName) -> Result<(), Invalid> {
    if names::is_within(name, lab.as_str()) {
        return Err(Invalid(format!(
            "{name:?} is no name: those that end in .{lab} are the lab's, each node's with its domain"
        )));
    }
    Ok(())
}

/// Whether `name` can be a node's.
///
/// # Errors
/// One line for what it is taken for instead.
pub fn check_node_name(name: &str) -> Result<(), Invalid> {
    name.parse::<LabName>().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_has_named_may_be_longer() {
        let lab = LabName::default();
        let long = format!("project-{}-1", "x".repeat(60));
        assert!(check_node_name(&long).is_err());
        assert!(check_served_name(&long, &lab).is_ok());
        for wrong in ["x".repeat(254).as_str(), "veth1", "gateway", "a b", "web.uswitch"] {
            assert!(check_served_name(wrong, &lab).is_err(), "{wrong}");
        }
    }
}

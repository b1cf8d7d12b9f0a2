//! What lies behind the gateway, and which ports the NAT has there for its own.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::Invalid;
use crate::spec::MAX_INTERFACE_NAME;

/// Fewer make no NAT.
const LEAST: u16 = 64;

/// What lies behind the gateway; written `none`, `sim`, `auto`, or as an interface's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema), schemars(with = "String"))]
pub enum Uplink {
    /// Nothing.
    None,
    /// A namespace of the lab that plays the internet.
    #[default]
    Sim,
    /// An interface of the host, shared with it: this one, or the one the default route leads
    /// out of.
    Host(Option<String>),
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Sim => "sim",
            Self::Host(name) => name.as_deref().unwrap_or("auto"),
        })
    }
}

impl FromStr for Uplink {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "none" => Ok(Self::None),
            "sim" => Ok(Self::Sim),
            "auto" => Ok(Self::Host(None)),
            name => {
                let length = (1..=MAX_INTERFACE_NAME).contains(&name.len());
                if !length || name.chars().any(|c| c == '/' || c == ':' || c.is_whitespace()) {
                    return Err(Invalid(format!(
                        "{name:?} is no uplink: sim, none, auto, or an interface's name"
                    )));
                }
                Ok(Self::Host(Some(name.into())))
            }
        }
    }
}

impl Serialize for Uplink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uplink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A block of ports, and of ICMP identifiers, from 1024 up; written `FIRST-LAST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct PortBlock {
    first: u16,
    last: u16,
}

impl PortBlock {
    /// Its first port.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// Its last port.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }

    /// As a range.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// True where both have a port.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for PortBlock {
    /// Below the ports that Linux gives out by itself, above those of most services.
    fn default() -> Self {
        Self { first: 20_000, last: 29_999 }
    }
}

impl fmt::Display for PortBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortBlock {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        match ends {
            Some(block)
                if block.first >= 1024 && block.last - block.first.min(block.last) >= LEAST - 1 =>
            {
                Ok(block)
            }
            _ => Err(Invalid(format!(
                "{text:?} is no block of ports: FIRST-LAST, from 1024 up, {LEAST} ports at least"
            ))),
        }
    }
}

impl Serialize for PortBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn blocks_are_read_as_they_are_written() {
        for text in ["20000-29999", "1024-65535", "1024-1087"] {
            assert_eq!(text.parse::<PortBlock>().unwrap().to_string(), text);
        }
        for text in ["", "-", "1-2", "1023-2000", "3000-2000", "2000-2062", "2000-70000", "2000"] {
            assert!(text.parse::<PortBlock>().is_err(), "{text}");
        }
        assert!(PortBlock::default().overlaps("29999-31000".parse().unwrap()));
        assert!(!PortBlock::default().overlaps("30000-31000".parse().unwrap()));
    }

    #[test]
    fn uplinks_are_read_as_they_are_written() {
        for text in ["none", "sim", "auto", "eth0"] {
            assert_eq!(text.parse::<Uplink>().unwrap().to_string(), text);
        }
        for text in ["", "a/b", "a b", "sixteen-letters-"] {
            assert!(text.parse::<Uplink>().is_err(), "{text}");
        }
    }
}

//! Which tags tell a network's VLANs apart.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The protocol of a network's tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub enum VlanProtocol {
    /// Customer tags.
    #[default]
    #[serde(rename = "802.1Q")]
    Dot1Q,
    /// Service tags.
    #[serde(rename = "802.1ad")]
    Dot1Ad,
}

impl VlanProtocol {
    /// The tag protocol identifier (IEEE 802.1Q table 9-1).
    #[must_use]
    pub fn tpid(self) -> u16 {
        match self {
            Self::Dot1Q => 0x8100,
            Self::Dot1Ad => 0x88a8,
        }
    }
}

impl fmt::Display for VlanProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dot1Q => "802.1Q",
            Self::Dot1Ad => "802.1ad",
        })
    }
}

impl FromStr for VlanProtocol {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Dot1Q, Self::Dot1Ad]
            .into_iter()
            .find(|one| one.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| Invalid(format!("{text:?} is no VLAN protocol: 802.1Q or 802.1ad")))
    }
}

impl<'de> Deserialize<'de> for VlanProtocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

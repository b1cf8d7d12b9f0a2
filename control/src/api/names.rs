//! The names of a lab: what they stand for, and whose they are.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A name with its addresses in one place. A node of several networks is there once for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Name {
    /// The name.
    pub name: String,
    /// The same with the lab's domain.
    pub fqdn: String,
    /// What else it is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whose it is.
    pub whose: NameOf,
    /// The network its addresses are in; absent on a link, and beyond the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Its addresses there.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub addresses: Vec<IpAddr>,
}

/// Whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum NameOf {
    /// The gateway's.
    Gateway,
    /// A node's.
    Node,
    /// Somebody's beyond the gateway.
    Beyond,
}

impl std::fmt::Display for NameOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Gateway => "gateway",
            Self::Node => "node",
            Self::Beyond => "beyond",
        })
    }
}

//! A network and its settings, in the names of `ip -d -j link show type bridge`, with times in
//! seconds.

use serde::{Deserialize, Serialize};

/// A network of the lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its subnets, as `10.100.0.0/16`.
    pub subnets: Vec<String>,
    /// The gateway's address in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Its nodes have no way out by the uplink.
    #[serde(default)]
    pub internal: bool,
    /// Networks that the gateway forwards to from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routed: Vec<String>,
    /// Its largest packet, in bytes.
    #[serde(default)]
    pub mtu: u32,
    /// Its ports.
    pub ports: u32,
    /// A learned address not seen for this long is forgotten, in seconds.
    pub ageing_time: u64,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n.
    pub group_fwd_mask: u16,
    /// Addresses learned in it.
    pub fdb_n_learned: u32,
    /// Most addresses learned in it; 0 for as many as the table holds.
    pub fdb_max_learned: u32,
    /// Whether VLANs are told apart.
    pub vlan_filtering: bool,
    /// By which tags: `802.1Q` or `802.1ad`.
    pub vlan_protocol: String,
    /// The VLAN the gateway is in, where they are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_vlan: Option<u16>,
}

/// A network to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddNetwork {
    /// Its name.
    pub name: String,
    /// What it is to be; as in a topology file.
    #[serde(default)]
    pub network: ::topology::Network,
}

/// What of a network is to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetNetwork {
    /// After how many seconds an address not seen is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ageing_time: Option<u64>,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_fwd_mask: Option<u16>,
    /// Most addresses learned in it; 0 for as many as the table holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fdb_max_learned: Option<u32>,
    /// Whether VLANs are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_filtering: Option<bool>,
    /// By which tags: `802.1Q` or `802.1ad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_protocol: Option<String>,
}

//! What a bridged port is set to, and what may be set: in the names of `bridge -d -j link show` and
//! `bridge -j vlan show`.

use serde::{Deserialize, Serialize};

use super::StormLimits;

/// The settings of a bridged port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PortSettings {
    /// A frame may leave by the port it came in by.
    pub hairpin: bool,
    /// Addresses seen here are learned.
    pub learning: bool,
    /// Frames to unknown addresses are flooded to this port.
    pub flood: bool,
    /// Multicast is flooded to this port.
    pub mcast_flood: bool,
    /// Broadcast is flooded to this port.
    pub bcast_flood: bool,
    /// It does not reach the other isolated ports of its group.
    pub isolated: bool,
    /// Which group that is; absent for the one that `isolated` alone puts it into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<u8>,
    /// Frames are let in only from addresses that the table knows here.
    pub locked: bool,
    /// Most addresses learned here.
    pub learn_limit: u32,
}

/// What of a port is to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPort {
    /// Whether a frame may leave by the port it came in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hairpin: Option<bool>,
    /// Whether addresses seen here are learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning: Option<bool>,
    /// Whether frames to unknown addresses are flooded to this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flood: Option<bool>,
    /// Whether multicast is flooded to this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_flood: Option<bool>,
    /// Whether broadcast is flooded to this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bcast_flood: Option<bool>,
    /// Whether it is isolated from the other isolated ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated: Option<bool>,
    /// The group of ports, 1 to 255, that it is isolated from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<u8>,
    /// Whether frames are let in only from addresses that the table knows here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Most addresses learned here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_limit: Option<u32>,
    /// What it may have flooded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormLimits>,
}

/// VLANs of a port, in the shape of `bridge -j vlan show`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PortVlan {
    /// The VLAN, or the first of several that follow one another.
    pub vlan: u16,
    /// The last of them.
    #[serde(default, rename = "vlanEnd", skip_serializing_if = "Option::is_none")]
    pub vlan_end: Option<u16>,
    /// `PVID`, `Egress Untagged`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// VLANs that a port is to be a member of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddVlan {
    /// The VLAN, 1 to 4094, or the first of several.
    pub vlan: u16,
    /// The last of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_end: Option<u16>,
    /// Frames that come in without a tag belong to it.
    #[serde(default)]
    pub pvid: bool,
    /// Its frames leave without a tag.
    #[serde(default)]
    pub untagged: bool,
}

/// An address to be set by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetFdb {
    /// The address, as `02:00:00:00:00:01`.
    pub mac: String,
    /// The port it is behind, or its node; none for a blackhole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The VLAN, where they are told apart; without one, that of the port's frames without a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// How it behaves.
    pub kind: FdbKind,
}

/// How an address that was set behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FdbKind {
    /// It neither ages nor moves.
    Static,
    /// And frames from it are refused at any other port.
    Sticky,
    /// Frames to it are dropped.
    Blackhole,
}

/// An address to be taken out of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DelFdb {
    /// The address, as `02:00:00:00:00:01`.
    pub mac: String,
    /// Only if it is behind this port or node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The VLAN, where they are told apart; without one, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

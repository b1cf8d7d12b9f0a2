//! VLANs of a port as they are shown, and addresses set by hand: in the names of `bridge -j vlan show`
//! and `bridge -j fdb show`. What a port is set to is the topology's.

use std::net::IpAddr;

use ::topology::{FdbKind, SetPort};
use serde::{Deserialize, Serialize};

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
    /// What has passed by it, for each of the VLANs alike.
    #[serde(flatten)]
    pub stats: Option<VlanStats>,
}

/// Frames of a VLAN at a port, in the names of `bridge -s -j vlan show`. Bytes are those behind the
/// Ethernet header and the outermost tag, as the kernel's bridge counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VlanStats {
    /// Bytes that came in.
    pub rx_bytes: u64,
    /// Frames that were let in; a GSO frame is one.
    pub rx_packets: u64,
    /// Bytes that went out.
    pub tx_bytes: u64,
    /// Frames that were let out.
    pub tx_packets: u64,
}

/// A port to be moved to another network, and what else of it is to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MovePort {
    /// The network; without one the port is in no network from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// What it is set to there; what is absent stays.
    #[serde(default)]
    pub settings: SetPort,
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
    /// The VLAN, where they are told apart; without one, all that the port is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The network, where a lab has several and no port is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// How it behaves.
    pub kind: FdbKind,
    /// Behind a tunnel whose rows are set by hand: the remote end that frames to it go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpAddr>,
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
    /// Only in this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

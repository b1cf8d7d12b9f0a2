//! The switch's ports and addresses, in the shape of `ip -j -s link` and `bridge -j fdb show`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{PortSettings, PortVlan, StormLimits};

/// A port, in the field names of `ip -j -s link`; from `node` on, fields of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Port {
    /// The interface's index in the switch's namespace.
    pub ifindex: u32,
    /// The interface's name there.
    pub ifname: String,
    /// `BROADCAST`, `MULTICAST`, and `UP`, `LOWER_UP` where the link is up.
    pub flags: Vec<String>,
    /// The largest packet, in bytes, without the Ethernet header.
    pub mtu: u32,
    /// The address of that interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The bridge it belongs to: the lab's name. None for the uplink, which is not bridged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// `UP`, `DOWN` or `UNKNOWN`.
    pub operstate: String,
    /// Frames and bytes, as the switch sees them: `rx` came from the node, `tx` went to it.
    pub stats64: Stats64,
    /// The node at the other end; or the link between networks that it is an end of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The network it belongs to; absent for the uplink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Bridged, or the routed uplink.
    pub role: PortRole,
    /// Addresses learned at it.
    pub fdb_entries: u32,
    /// Addresses that were at another port before, since it was plugged in.
    #[serde(default)]
    pub fdb_n_moved: u64,
    /// Loops seen at it, since it was plugged in.
    #[serde(default)]
    pub loops: u64,
    /// Seconds for which it is shut yet because of one; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_shut: Option<u64>,
    /// Groups it is a member of.
    #[serde(default)]
    pub mcast_n_groups: u32,
    /// What it is set to; absent for the uplink, which is not bridged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<PortSettings>,
    /// Its VLANs, where they are told apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<PortVlan>,
    /// What it may have flooded; absent where nothing is limited.
    #[serde(default, skip_serializing_if = "StormLimits::is_none")]
    pub storm: StormLimits,
    /// Frames that came in by it and were dropped, by reason; only reasons that have occurred.
    pub drops: BTreeMap<String, u64>,
    /// Over the last second or so; None until two samples have been taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<PortRates>,
}

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PortRole {
    /// Part of the bridge.
    Bridged,
    /// The gateway's way out.
    Routed,
}

/// Both directions of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stats64 {
    /// From the node.
    pub rx: RxStats,
    /// To the node.
    pub tx: TxStats,
}

/// What came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RxStats {
    /// Bytes of frames, Ethernet header included.
    pub bytes: u64,
    /// Frames; a GSO frame is one.
    pub packets: u64,
    /// Malformed frames.
    pub errors: u64,
    /// Frames that were well formed and went nowhere.
    pub dropped: u64,
    /// Frames the kernel dropped because the ring was full. The ring is common to all ports, so
    /// this is 0 here and told in the counters.
    pub over_errors: u64,
    /// Frames to a group address.
    pub multicast: u64,
}

/// What went out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TxStats {
    /// Bytes of frames, Ethernet header included.
    pub bytes: u64,
    /// Frames; a GSO frame is one.
    pub packets: u64,
    /// Frames the kernel refused to take.
    pub errors: u64,
    /// Frames dropped before they were offered to the kernel.
    pub dropped: u64,
    /// Always 0: a veth has no carrier to lose while sending.
    pub carrier_errors: u64,
    /// Always 0: a veth has no collisions.
    pub collisions: u64,
}

/// How busy a port is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PortRates {
    /// From the node.
    pub rx: Rate,
    /// To the node.
    pub tx: Rate,
}

/// How busy one direction is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rate {
    /// Frames a second.
    pub packets_per_second: u64,
    /// Bits a second.
    pub bits_per_second: u64,
}

/// An address the switch knows, in the shape of `bridge -s -j fdb show`, but without its `used`: when
/// a frame was last sent to the address is not noted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FdbEntry {
    /// The address, as `02:00:00:00:00:01`.
    pub mac: String,
    /// The port it is behind.
    pub ifname: String,
    /// The node that port leads to; absent where it leads to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Behind a tunnel: the remote end that it is at, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpAddr>,
    /// The network it is known in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The VLAN; absent for untagged frames, as on a bridge without VLAN filtering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Seconds since a frame last came from it, or it was set.
    pub updated: u64,
    /// `sticky`, `blackhole`, `locked`, `extern_learn`, or none.
    pub flags: Vec<String>,
    /// The bridge: the lab's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Empty when learned, `static` when set by hand, `permanent` for the switch's own.
    pub state: String,
}

//! The fast path: whether the kernel repeats what the switch has decided, and by which flows.

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};

use super::Protocol;

/// Whether the kernel repeats what the switch has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FastPath {
    /// What the lab was asked for: `on` or `auto`.
    pub asked: String,
    /// Whether it does.
    pub runs: bool,
    /// Frames it has forwarded.
    pub packets: u64,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Frames between two addresses that the kernel forwards by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FastFlow {
    /// The port they come in by.
    pub ifname: String,
    /// The node behind that port; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Their source address.
    pub src: String,
    /// The VLAN of their tag; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Their destination address.
    pub dst: String,
    /// The port they leave by.
    pub out: String,
    /// The node behind that port; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_node: Option<String>,
    /// Of frames flooded to several ports: the others they leave by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What becomes of their tag: `keep`, `push`, `pop` or `set`.
    pub tag: String,
    /// Of packets that the gateway sends on: which, and what they become. Absent between two ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<FastRoute>,
    /// Frames the kernel has forwarded by it; a GSO frame is one.
    pub packets: u64,
    /// Their bytes, Ethernet header included, tags not.
    pub bytes: u64,
    /// Seconds since it was written.
    pub age: u64,
    /// Milliseconds since its last frame.
    pub idle_ms: u64,
}

/// Packets that the gateway has decided to send on, and what they become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FastRoute {
    /// Their protocol.
    pub protocol: Protocol,
    /// Where they come from; an echo's identifier stands for the port of whoever asked. Of TCP port 0 at
    /// both ends is all ports: to a kernel beside the gateway.
    #[cfg_attr(test, schemars(with = "String"))]
    pub src: SocketAddrV4,
    /// Where they go.
    #[cfg_attr(test, schemars(with = "String"))]
    pub dst: SocketAddrV4,
    /// Where they seem to come from when they leave.
    #[cfg_attr(test, schemars(with = "String"))]
    pub new_src: SocketAddrV4,
    /// Where they go then.
    #[cfg_attr(test, schemars(with = "String"))]
    pub new_dst: SocketAddrV4,
}

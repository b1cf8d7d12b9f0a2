//! The fast path: whether the kernel repeats what the switch has decided, and by which flows.

use serde::{Deserialize, Serialize};

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
    /// What becomes of their tag: `keep`, `push`, `pop` or `set`.
    pub tag: String,
    /// Frames the kernel has forwarded by it; a GSO frame is one.
    pub packets: u64,
    /// Their bytes, Ethernet header included, tags not.
    pub bytes: u64,
    /// Seconds since it was written.
    pub age: u64,
    /// Milliseconds since its last frame.
    pub idle_ms: u64,
}

//! What a flow is: for which ports, by which decision, and how it is shown.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bpf::{Ends, FlowId, Generation, Retag, Route};
use sys::bpf::Attached;
use wire::{MacAddr, Timestamp, VlanId};

use crate::core::{Exit, Leg, PortId, Scope};
use crate::station::{Ignored, Way};
use crate::stats::PortCells;

/// A port that the kernel forwards for.
pub(super) struct Plug {
    /// As flows have it ([`bpf::elsewhere`]).
    pub(super) ifindex: u32,
    /// It is the station's other side, and not the bridge's.
    pub(super) uplink: bool,
    /// Its link is up.
    pub(super) up: bool,
    /// Where it lies, where that is another namespace.
    pub(super) across: Option<Across>,
    /// The address of the one peer at the other end of its link.
    pub(super) behind: Option<MacAddr>,
    /// Where the kernel's frames count.
    pub(super) cells: Arc<PortCells>,
    pub(super) hook: Hook,
}

/// Another namespace, and the two ends of the crossing: here, and there.
#[derive(Clone)]
pub(super) struct Across {
    pub(super) netns: Arc<OwnedFd>,
    pub(super) ends: [u32; 2],
}

/// Whether the kernel looks at what comes in by a port, and at what comes across to it or from it.
pub(super) enum Hook {
    /// Not yet: nothing has come that might be repeated.
    Off,
    Asked,
    On(Vec<Attached>),
    /// The kernel refused.
    Never,
}

/// A decision to be repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided<'a> {
    pub(super) dst: MacAddr,
    pub(super) src: MacAddr,
    pub(super) tag: Option<wire::VlanTag>,
    pub(super) ingress: PortId,
    pub(super) egress: PortId,
    /// Of frames flooded to several ports: all of them, `egress` first. They leave with the same tag.
    pub(super) flood: &'a [Exit],
    pub(super) retag: Retag,
    pub(super) mtu: u32,
    pub(super) until: Timestamp,
    /// The address that its packets come from, and nothing else may be repeated; None for whatever
    /// comes.
    pub(super) source: Option<std::net::Ipv4Addr>,
    /// Where the source is learned, if it is.
    pub(super) scope: Option<Scope>,
    /// Their VLANs as they come and as they leave, where they are told apart.
    pub(super) vlans: [Option<VlanId>; 2],
    /// The station's leg that gets them, or a copy, and the one that says them; where VLANs are told
    /// apart.
    pub(super) legs: [Option<(Leg, VlanId)>; 2],
    /// Of packets that the station sends on.
    pub(super) routed: Option<Routed>,
    /// Whose answer goes before any of them.
    pub(super) awaits: Option<FlowId>,
    /// Of floods that the station would be shown, and would refuse.
    pub(super) ignored: Option<Ignored>,
    /// What held when it was made.
    pub(super) generation: Generation,
}

/// A decision of the station's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routed {
    pub(super) ends: Ends,
    pub(super) route: Route,
    pub(super) way: Way,
}

/// One flow, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowInfo {
    /// Its place, which it keeps.
    pub place: u16,
    /// Where its frames come in.
    pub ingress: PortId,
    /// Where they leave.
    pub egress: PortId,
    /// Their source.
    pub src: MacAddr,
    /// Their destination.
    pub dst: MacAddr,
    /// Of frames flooded to several ports: the others they leave by.
    pub others: Vec<PortId>,
    /// Their tag as they come.
    pub tag: Option<wire::VlanTag>,
    /// What becomes of it.
    pub retag: Retag,
    /// Of packets that the station sends on: their ends, and what becomes of them.
    pub route: Option<(Ends, Route)>,
    /// Frames the kernel has forwarded by it.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Since it was written.
    pub age: Duration,
    /// Since its last frame, or since it was written.
    pub idle: Duration,
}

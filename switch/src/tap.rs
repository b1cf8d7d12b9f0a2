//! The observer's hook: what capture and trace see of each frame.
//!
//! A worker calls it, on its own thread, once a frame, after the verdict and before the slot goes
//! back; what takes long there slows the switch, so copy and return. Without a tap nothing is
//! prepared: the cost is one test of an option.

use std::any::Any;
use std::time::Duration;

use wire::{VlanTag, VnetHeader};

use crate::core::{DropReason, Exit, FdbEntry, Learned, PortId};
use crate::station::Handling;

/// Sees every frame that the switch handles while it is set, and that it wants.
pub trait Tap: Send + Sync {
    /// Whether a frame is of interest: as it comes, in its slot, or as the station sends it. What is
    /// not costs no more than this question, but where it leaves otherwise than it came: what the
    /// station makes of it, in its slot, or with another tag it may be of interest yet, so its bytes
    /// have to be kept, and it is told. `wire_len` is as in [`TapRecord`].
    fn wants(&self, bytes: &[u8], vlan: Option<VlanTag>, wire_len: u32) -> bool {
        let _ = (bytes, vlan, wire_len);
        true
    }
    /// One frame and what became of it.
    fn frame(&self, record: &TapRecord<'_>);
}

/// How a frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To one port.
    Forwarded(PortId),
    /// To all that [`TapRecord::egress`] names, and to the station where it is for a group.
    Flooded,
    /// To the members of its group and to routers, which [`TapRecord::egress`] names.
    Members,
    /// The switch says it of its own, by the one port of [`TapRecord::egress`]: an answer for a neighbour,
    /// a query, a probe.
    Said,
    /// From the bridge to the station, which did this with it.
    Station(Handling),
    /// From the uplink to the station, which did this with it.
    Uplink(Handling),
    /// Nowhere.
    Dropped(DropReason),
}

/// One frame. What it lends lives as long as the call.
#[derive(Clone, Copy, Debug)]
pub struct TapRecord<'a> {
    /// When the kernel took it, in nanoseconds of the wall clock; 0 for frames of the station's own and
    /// the switch's.
    pub taken: u64,
    /// Time the switch spent on it, from the slot to the verdict, the station's included.
    pub spent: Duration,
    /// The station's part of that.
    pub station: Duration,
    /// Where it came in; [`PortId::LOCAL`] for the station's own and the switch's, None for a stray.
    pub ingress: Option<PortId>,
    /// The tag that stood on it.
    pub vlan: Option<VlanTag>,
    /// Its vnet header as it came.
    pub vnet: VnetHeader,
    /// Its bytes as they came, without the tag.
    pub before: &'a [u8],
    /// Its length on the wire; more than `before` holds where it was clipped.
    pub wire_len: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What the table made of its source; None where it did not meet the bridge.
    pub learned: Option<Learned>,
    /// What the table knew of its source before.
    pub source: Option<FdbEntry>,
    /// What the table knew of its destination: of the new one, where the station sent it back to
    /// the bridge.
    pub target: Option<FdbEntry>,
    /// What the station has to say of it ([`crate::Station::note`]).
    pub note: Option<&'a dyn Any>,
    /// The ports it was queued for, and what became of its tag at each.
    pub egress: &'a [Exit],
    /// Its bytes as they left, where the station sent it on.
    pub after: Option<&'a [u8]>,
}

impl<'a> TapRecord<'a> {
    /// A frame that came in nowhere, of the station's or the switch's own, which ended so.
    pub(crate) fn own(
        vnet: VnetHeader,
        bytes: &'a [u8],
        outcome: Outcome,
        egress: &'a [Exit],
    ) -> Self {
        Self {
            taken: 0,
            spent: Duration::ZERO,
            station: Duration::ZERO,
            ingress: Some(PortId::LOCAL),
            vlan: None,
            vnet,
            before: bytes,
            wire_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            outcome,
            learned: None,
            source: None,
            target: None,
            note: None,
            egress,
            after: None,
        }
    }

    /// The tags it left with by one of its exits, the outermost first. What the station rewrote has lost
    /// the one it came with.
    #[must_use]
    pub fn tags(&self, exit: Exit) -> [Option<VlanTag>; 2] {
        exit.tagging.tags(self.vlan.filter(|_| self.after.is_none()))
    }
}

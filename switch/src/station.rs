//! A host that lives inside the switch: the gateway, as the switch sees it.

use std::any::Any;
use std::sync::{Arc, Mutex};

use bpf::Ends;
use wire::{FrameMut, MacAddr, Timestamp, VnetHeader};

use crate::core::{Leg, PortId};

/// Where a frame for the station came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The port.
    pub port: PortId,
    /// The station's leg in that port's network, or VLAN.
    pub leg: Leg,
}

/// What the station did with a frame it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// The frame, as it now lies there, goes to the ports of a leg's network.
    ToBridge(Leg),
    /// The frame, as it now lies there, leaves by the uplink.
    ToUplink,
    /// The frame, as it came, goes to the host that has the station's address too, in a leg's network.
    ToHost(Leg),
    /// Kept, or answered through the outlet.
    Consumed,
    /// Refused, for the reason named.
    Drop(&'static str),
}

/// Where a station puts frames of its own; they are copied.
pub trait Outlet {
    /// A frame to the ports of a leg's network.
    fn to_bridge(&mut self, leg: Leg, vnet: VnetHeader, frame: &[u8]);
    /// A frame to the uplink.
    fn to_uplink(&mut self, vnet: VnetHeader, frame: &[u8]);
}

/// A packet that opens a connection: what is said of it holds for the next ones of its direction once the
/// other one has been sent on too, whose ends are the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// It asks.
    Asks,
    /// It answers.
    Answers,
}

/// What may be done, without asking the station, to frames like the one it sent on last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// What such packets have in common, as they come.
    pub came: Ends,
    /// The same as they leave; their time to live is one less then.
    pub leaves: Ends,
    /// Those alone that may not be cut.
    pub atomic: bool,
    /// They go on as they came, with the same time to live and the same hardware addresses.
    pub kept: bool,
    /// What is larger comes to the station, in bytes.
    pub mtu: u32,
    /// It holds until then, unless it is taken back before.
    pub until: Timestamp,
    /// Of a packet that opens a connection: which.
    pub opening: Option<Opens>,
    /// Of one that asks: what may be done with the answer.
    pub answer: Option<Answer>,
    /// What they count for.
    pub way: Way,
}

/// What may be done with the answer to a packet that asks, and with those after it, without asking the
/// station: their ends and hardware addresses are the reverse of the other's. The answer goes first, and
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The leg it leaves to; None by the uplink.
    pub leg: Option<Leg>,
    /// What is larger comes to the station, in bytes.
    pub mtu: u32,
    /// It holds until then, unless it is taken back before.
    pub until: Timestamp,
    /// What it counts for.
    pub way: Way,
}

/// What the station counts repeated frames for, in words of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What they are of, which may end before all else changes.
    pub session: Option<u64>,
    /// Where they came and went.
    pub course: u64,
}

/// What has been done without asking the station, since it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// What it counts for.
    pub way: Way,
    /// Frames.
    pub frames: u64,
    /// Packets they stand for, an answer not among them.
    pub packets: u64,
    /// Bytes of these, without the link's header.
    pub bytes: u64,
    /// When the last one came.
    pub seen: Timestamp,
    /// When the first of them came that has FIN: it ends a connection in this direction.
    pub ended: Option<Timestamp>,
    /// One of them was the answer to a packet that asks.
    pub answered: bool,
    /// No others of them: frames that were dropped, for they say that a sum is to be written where it
    /// is not.
    pub misplaced: u64,
}

/// What the station would not look at: frames to groups, of one EtherType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The EtherType.
    pub ethertype: u16,
    /// What they count for.
    pub way: Way,
}

/// A host behind [`crate::PortId::LOCAL`]. It stands behind a lock that a worker takes at most
/// once a batch.
pub trait Station: Send {
    /// Its address on the bridge.
    fn mac(&self) -> MacAddr;
    /// A frame for one of its legs: to its address, or a flooded group frame (then a copy).
    fn on_bridge(
        &mut self,
        from: Arrival,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling;
    /// A frame that came in by the uplink.
    fn on_uplink(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling;
    /// What it has to say of the frame it was given last: for the tap, whose owner knows the type.
    /// Asked only while a tap is set, before the next frame.
    fn note(&self) -> Option<&dyn Any> {
        None
    }
    /// How frames like the one it was given last may be sent on without it; None where they may not.
    fn repeats(&self) -> Option<Repeat> {
        None
    }
    /// Whether it would refuse each frame of the same EtherType, and from the same leg, as it refused
    /// the one to a group that it was shown last: then they need not be shown to it.
    fn ignores(&self) -> Option<Ignored> {
        None
    }
    /// Some have been: it is to count them.
    fn catch_up(&mut self) {}
    /// Time has passed; says when it next wants to be told.
    fn tick(&mut self, out: &mut dyn Outlet, now: Timestamp) -> Option<Timestamp>;
}

/// A station as the switch holds it. Who made it keeps its own reference of the concrete type, to
/// look inside; a worker holds the lock for a batch at most.
pub type SharedStation = Arc<Mutex<dyn Station>>;

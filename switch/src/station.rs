//! A host that lives inside the switch: the gateway, as the switch sees it.

use std::any::Any;
use std::sync::{Arc, Mutex};

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
    /// Time has passed; says when it next wants to be told.
    fn tick(&mut self, out: &mut dyn Outlet, now: Timestamp) -> Option<Timestamp>;
}

/// A station as the switch holds it. Who made it keeps its own reference of the concrete type, to
/// look inside; a worker holds the lock for a batch at most.
pub type SharedStation = Arc<Mutex<dyn Station>>;

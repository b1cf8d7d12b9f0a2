//! The gateway as the switch's station: a thin adapter, for the two do not know each other.
//!
//! A worker of the switch holds the lock for a batch at most; `show` and the control thread look
//! inside through [`GatewayStation::gateway`].

use std::any::Any;

use gateway::{Gateway, Output, Side, Verdict};
use switch::{Handling, Outlet, Station};
use wire::{FrameMut, MacAddr, Timestamp, VnetHeader};

/// The gateway with its address on the bridge.
pub struct GatewayStation {
    mac: MacAddr,
    gateway: Gateway,
}

impl GatewayStation {
    /// A station around `gateway`, whose address on the LAN is `mac`.
    #[must_use]
    pub fn new(mac: MacAddr, gateway: Gateway) -> Self {
        Self { mac, gateway }
    }

    /// The gateway.
    pub fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }
}

struct Out<'a>(&'a mut dyn Outlet);

impl Output for Out<'_> {
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]) {
        match side {
            Side::Lan => self.0.to_bridge(vnet, frame),
            Side::Uplink => self.0.to_uplink(vnet, frame),
        }
    }
}

fn handling(verdict: Verdict) -> Handling {
    match verdict {
        Verdict::Lan => Handling::ToBridge,
        Verdict::Uplink => Handling::ToUplink,
        Verdict::Consumed(_) => Handling::Consumed,
        Verdict::Drop(reason) => Handling::Drop(reason.as_str()),
    }
}

impl Station for GatewayStation {
    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn on_bridge(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling {
        handling(self.gateway.from_lan(frame, &mut Out(out), now))
    }

    fn on_uplink(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling {
        handling(self.gateway.from_uplink(frame, &mut Out(out), now))
    }

    fn note(&self) -> Option<&dyn Any> {
        self.gateway.note().map(|note| note as &dyn Any)
    }

    fn tick(&mut self, out: &mut dyn Outlet, now: Timestamp) -> Option<Timestamp> {
        self.gateway.tick(&mut Out(out), now)
    }
}

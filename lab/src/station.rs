//! The gateway as the switch's station: a thin adapter, for the two do not know each other.
//!
//! A worker of the switch holds the lock for a batch at most; `show` and the control thread look
//! inside through [`GatewayStation::gateway`].

use std::any::Any;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use gateway::{Gateway, LegId, Node, Output, Side, Verdict};
use switch::{Arrival, Handling, Leg, Outlet, PortId, Station};
use wire::{FrameMut, MacAddr, Timestamp, VnetHeader};

use crate::address;
use crate::config::{LabConfig, Uplink};
use crate::error::{Error, Result};
use crate::uplink::Prepared;

/// The gateway's one leg among the nodes.
pub const LAN: Leg = Leg(LegId::FIRST.0);

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
            Side::Leg(id) => self.0.to_bridge(leg(id), vnet, frame),
            Side::Uplink => self.0.to_uplink(vnet, frame),
        }
    }
}

fn handling(verdict: Verdict) -> Handling {
    match verdict {
        Verdict::Leg(id) => Handling::ToBridge(leg(id)),
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
        from: Arrival,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling {
        let Arrival { port, leg: Leg(leg) } = from;
        handling(self.gateway.from_leg(LegId(leg), node(port), frame, &mut Out(out), now))
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

/// The switch's name for one of the gateway's legs: the two count alike.
#[must_use]
pub fn leg(LegId(id): LegId) -> Leg {
    Leg(id)
}

/// The gateway's name for what is plugged in at a port.
#[must_use]
pub fn node(port: PortId) -> Node {
    Node(port.0.saturating_add(1))
}

/// The gateway of a lab, in its station.
pub(crate) fn of(
    config: &LabConfig,
    host: Option<&Prepared>,
) -> Result<Arc<Mutex<GatewayStation>>> {
    let mac = address::mac(address::GATEWAY);
    let outside: MacAddr = address::mac(address::SIM_GATEWAY);
    let mut told = gateway::Config::simulated(mac, outside);
    let mtu = u16::try_from(config.mtu).unwrap_or(u16::MAX);
    told.legs.iter_mut().for_each(|(_, leg)| leg.mtu = mtu);
    told.nat.kind = config.nat;
    match (&config.uplink, &mut told.uplink) {
        (Uplink::Sim, Some(uplink)) => uplink.mtu = mtu,
        _ => told.uplink = host.map(Prepared::gateway),
    }
    let gateway = Gateway::new(told, rand::random()).map_err(|no| Error::Usage(no.to_string()))?;
    Ok(Arc::new(Mutex::new(GatewayStation::new(mac, gateway))))
}

/// What the switch and the gateway are, in words.
pub(crate) fn words(config: &LabConfig, host: Option<&Prepared>) -> String {
    let gateway: Ipv4Addr = address::GATEWAY;
    match config.uplink {
        Uplink::Sim => format!(
            "switch and gateway {gateway}/{}, masquerading behind {}",
            address::PREFIX,
            address::SIM_GATEWAY
        ),
        Uplink::None => format!("switch and gateway {gateway}/{}, no uplink", address::PREFIX),
        Uplink::Host(_) => format!(
            "switch and gateway {gateway}/{}, masquerading behind {}",
            address::PREFIX,
            host.map(Prepared::words).unwrap_or_default()
        ),
    }
}

//! The resolver of names, beside the gateway in its station: which network a packet comes from, and
//! how replies find the way back. The gateway and the resolver do not know each other.

use std::collections::BTreeMap;
use std::io;
use std::sync::PoisonError;

use gateway::{Asked, Asker, LegId};
use names::{NetworkId, Outcome, Server};
use switch::{Outlet, PortId, Switch};
use wire::{Timestamp, VnetHeader, ethertype};

pub use names::{Counters, Question};

use crate::lab::Lab;
use crate::station::{self, GatewayStation};
use crate::upstream;

/// Who answers at port 53 of the gateway's addresses, and which network a leg is in.
pub(crate) struct Names {
    pub(crate) server: Server<Back>,
    pub(crate) networks: BTreeMap<LegId, NetworkId>,
}

/// The way back to who asks for a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Back(Asker);

impl Back {
    /// The port of the switch that leads there.
    #[must_use]
    pub fn port(&self) -> PortId {
        station::port(self.0.node)
    }
}

impl names::Way for Back {
    fn payer(&self) -> u64 {
        u64::from(self.0.node.0)
    }
}

impl Names {
    /// A resolver for legs that are yet to be named.
    pub(crate) fn new(server: Server<Back>) -> Self {
        Self { server, networks: BTreeMap::new() }
    }

    /// Lets the resolver have a packet.
    pub(crate) fn ask(
        &mut self,
        outlet: &mut dyn Outlet,
        from: Asker,
        packet: &[u8],
        now: Timestamp,
    ) -> Asked {
        // A leg that is not known yet is nobody's: it may see nothing.
        let Some(network) = self.networks.get(&from.leg) else { return Asked::Unread };
        let way = (Back(from), *network, from.mtu);
        let mut send = |back: Back, packet: &[u8]| back.reply(outlet, packet);
        match self.server.packet(way, packet, &mut send, now) {
            Outcome::Answered => Asked::Answered,
            Outcome::Denied => Asked::Denied,
            Outcome::Refused => Asked::Refused,
            Outcome::Forwarded => Asked::Forwarded,
            Outcome::Repeated => Asked::Repeated,
            Outcome::Crowded | Outcome::Failed => Asked::Crowded,
            Outcome::Segment => Asked::Segment,
            Outcome::Malformed => Asked::Unread,
        }
    }

    /// Does what is due; says when it next wants to be called.
    pub(crate) fn tick(&mut self, outlet: &mut dyn Outlet, now: Timestamp) -> Option<Timestamp> {
        self.server.tick(&mut |back, packet| back.reply(outlet, packet), now)
    }
}

impl Back {
    fn reply(self, outlet: &mut dyn Outlet, packet: &[u8]) {
        let Self(to) = self;
        let mut frame = Vec::with_capacity(14 + packet.len());
        frame.extend(to.station.0);
        frame.extend(to.own.0);
        frame.extend(ethertype::IPV4.to_be_bytes());
        frame.extend(packet);
        outlet.to_bridge(station::leg(to.leg), VnetHeader::default(), &frame);
    }
}

impl GatewayStation {
    /// Has the resolver ask the host's, by a thread that ends with it.
    ///
    /// # Errors
    /// When there is no pipe, descriptor or thread to be had.
    pub(crate) fn ask_the_host(&mut self, switch: &Switch) -> io::Result<()> {
        if let Some(names) = self.names() {
            names.set_upstream(upstream::start(switch.waker()?)?);
        }
        Ok(())
    }
}

impl Lab {
    /// Looks at the resolver of names, or asks it for something; None where there is no gateway.
    /// Workers wait meanwhile: be short.
    pub fn with_resolver<T>(&self, look: impl FnOnce(&mut Server<Back>) -> T) -> Option<T> {
        let mut station = self.station()?.lock().unwrap_or_else(PoisonError::into_inner);
        station.names().map(look)
    }
}

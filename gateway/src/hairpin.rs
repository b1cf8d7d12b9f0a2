//! What inside hosts send to the uplink's own address: whether it leads back in (RFC 4787 REQ-9).

use wire::Timestamp;
use wire::icmp::unreachable;

use crate::config::Routing;
use crate::course::{Course, Refusal, plan_local};
use crate::gateway::Gateway;
use crate::nat::session::State;
use crate::nat::tcp;
use crate::packet::{Endpoint, Packet, Protocol, Transport};
use crate::passage::Arrival;
use crate::verdict::{DropReason, Side};

impl Gateway {
    /// To the uplink's own address: back in where a mapping has the port, else to the gateway.
    pub(crate) fn plan_hairpin(
        &self,
        a: &Arrival,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Course, Refusal> {
        if self.links.routing != Routing::default() {
            return plan_local(a, bytes);
        }
        if a.packet.transport == Transport::IcmpError {
            self.check_forward(&a.packet, bytes, a.side)?;
            return Ok(Course::HairpinError);
        }
        let flow = a.packet.flow().filter(|(protocol, ..)| *protocol != Protocol::Icmp);
        let Some((protocol, inside, target)) = flow else { return plan_local(a, bytes) };
        if !self.hairpins(&a.packet, (protocol, inside, target), now) {
            return plan_local(a, bytes);
        }
        let whose = self.nat.realm(protocol).mappings.inside(target.port);
        let to = whose.and_then(|end| self.links.routes.leg(end.address)).map(Side::Leg);
        self.check_forward(&a.packet, bytes, to.unwrap_or(a.side))?;
        let kept_apart = to == Some(a.side)
            && matches!(a.side, Side::Leg(leg) if self.links.is_isolated(leg))
            && !self.is_published(protocol, (inside, target), now);
        if kept_apart {
            return Err(Refusal::told(DropReason::Isolated, unreachable::PROHIBITED));
        }
        Ok(Course::Hairpin)
    }

    /// Whether a published port is at one of the ends: the one it goes to, or its sender's, which answers.
    #[inline(never)]
    fn is_published(
        &self,
        protocol: Protocol,
        (inside, target): (Endpoint, Endpoint),
        now: Timestamp,
    ) -> bool {
        let realm = self.nat.realm(protocol);
        let own = realm.known_out(inside, target, now).map(|id| realm.table.get(id).outside_port);
        [Some(target.port), own].into_iter().flatten().any(|port| realm.mappings.is_published(port))
    }

    /// Whether what the inside sends to our own address leads back in. Of a connection that outlived a
    /// flush it may: what is opened now leads the other side in when that speaks.
    fn hairpins(
        &self,
        packet: &Packet,
        (protocol, inside, target): (Protocol, Endpoint, Endpoint),
        now: Timestamp,
    ) -> bool {
        let realm = self.nat.realm(protocol);
        let older = match packet.transport {
            Transport::Tcp(_, _, flags) => tcp::opens(flags) == Some(State::PickedUp),
            _ => false,
        };
        realm.leads_in(inside, target, now) || older && realm.mappings.ports.covers(target.port)
    }
}

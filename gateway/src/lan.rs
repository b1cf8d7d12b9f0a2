//! The way from the LAN: to the gateway, to another host, out behind the uplink's address, or
//! back in by it (hairpin).
//!
//! Everything that may be refused is decided before a byte changes, so that an ICMP error quotes
//! the packet as its sender knows it.

use std::net::Ipv4Addr;

use wire::icmp::unreachable;
use wire::tcp::End;
use wire::{FrameMut, Icmp, Timestamp};

use crate::egress::Departure;
use crate::gateway::{Arrival, Gateway};
use crate::nat::realm::Load;
use crate::nat::session::State;
use crate::nat::tcp;
use crate::node::Node;
use crate::note::{Opening, Translation};
use crate::output::Output;
use crate::packet::{Endpoint, Packet, Protocol, Transport};
use crate::report::Problem;
use crate::rewrite::{self, Rewrite};
use crate::route::Route;
use crate::verdict::{DropReason, Side, Verdict};

impl Gateway {
    pub(crate) fn lan_packet(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        if !self.routes.is_lan_source(a.packet.src) {
            return Err(DropReason::Martian);
        }
        let route = self.routes.to(a.packet.dst);
        self.notes.route(a.packet.dst, route);
        match route {
            Route::Own(Side::Lan) => self.local(frame, a, out, now),
            Route::Own(Side::Uplink) => self.hairpin(frame, a, out, now),
            Route::Via(Side::Lan, hop) => {
                self.may_forward(frame, a, Side::Lan, out, now)?;
                self.depart(frame, a, Departure::plain(Side::Lan, hop), out, now)
            }
            Route::Via(Side::Uplink, hop) => self.masquerade(frame, a, hop, out, now),
            Route::Multicast => Err(DropReason::Multicast),
            Route::None => {
                self.report(frame, a, Problem::Unreachable(unreachable::NET), out, now);
                Err(DropReason::NoRoute)
            }
        }
    }

    /// Out to the world, behind the uplink's address.
    fn masquerade(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        hop: Ipv4Addr,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let own = self.address(Side::Uplink).ok_or(DropReason::NoRoute)?;
        let translatable = self.translatable(frame, a, out, now)?;
        if a.packet.transport == Transport::Fragment {
            return self.later_fragment(frame, a, out, now);
        }
        self.may_forward(frame, a, Side::Uplink, out, now)?;
        match translatable {
            Some((protocol, inside, remote)) => {
                let outside = self.outbound(frame, a, (protocol, inside, remote), out, now)?;
                rewrite::ends(
                    frame.bytes,
                    &mut a.packet,
                    Rewrite::src(Endpoint::new(own, outside)),
                );
            }
            None => self.error_outbound(frame, a, (own, None), now)?,
        }
        self.depart(frame, a, Departure::masqueraded(Side::Uplink, hop), out, now)
    }

    /// To the uplink's own address: back in where a mapping has the port, else to the gateway.
    fn hairpin(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let own = a.packet.dst;
        if a.packet.transport == Transport::IcmpError {
            self.may_forward(frame, a, Side::Lan, out, now)?;
            // By the address it was sent to, which the first translation hides.
            let id = quoted(frame, &a.packet).and_then(|quoted| self.id_before(&quoted));
            self.error_outbound(frame, a, (own, id), now)?;
            let (node, inside) = self.error_inbound(frame, a, own, now)?;
            let departure = Departure::masqueraded(Side::Lan, inside).owned(node);
            return self.depart(frame, a, departure, out, now);
        }
        let (protocol, inside, target) = match a.packet.flow() {
            Some(flow) if flow.0 != Protocol::Icmp => flow,
            _ => return self.local(frame, a, out, now),
        };
        if !self.hairpins(&a.packet, (protocol, inside, target), now) {
            return self.local(frame, a, out, now);
        }
        // RFC 4787 REQ-9: the other host sees our outside endpoint, and its filter applies to it.
        self.may_forward(frame, a, Side::Lan, out, now)?;
        let outside = self.outbound(frame, a, (protocol, inside, target), out, now)?;
        let from = Endpoint::new(own, outside);
        let load = load(frame, &a.packet);
        let plan = self.nat.plan_in(protocol, (target.port, from), load, now)?;
        let node = self.nat.realm(protocol).inside_of(target.port, &plan).0;
        let other = self.nat.commit_in(protocol, (target.port, from), plan, load, now)?;
        let (outside, session) = (target, plan.into());
        self.notes.back(|| Some(Translation { protocol, inside: other, outside, session }));
        let rewrite = Rewrite { src: Some(from), dst: Some(other) };
        rewrite::ends(frame.bytes, &mut a.packet, rewrite);
        let departure = Departure::masqueraded(Side::Lan, other.address).owned(node);
        self.depart(frame, a, departure, out, now)
    }

    /// Whether what the inside sends to our own address leads back in. Of a connection that outlived a
    /// flush it may: what is opened now leads the other side in when that speaks.
    pub(crate) fn hairpins(
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

    /// The flow of a packet that can be translated, or None for an ICMP error and for a later
    /// fragment, which are translated by other means.
    fn translatable(
        &mut self,
        frame: &FrameMut<'_>,
        a: &Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Option<(Protocol, Endpoint, Endpoint)>, DropReason> {
        match a.packet.transport {
            Transport::Tcp(..) | Transport::Udp(..) | Transport::IcmpRequest(_) => {
                Ok(a.packet.flow())
            }
            Transport::IcmpError | Transport::Fragment => Ok(None),
            // Nothing outside has asked: no request is ever let in.
            Transport::IcmpReply(_) => Err(DropReason::NotAnOpening),
            Transport::IcmpOther => Err(DropReason::IcmpType),
            Transport::Short => Err(a.short()),
            Transport::Other => {
                self.report(frame, a, Problem::Unreachable(unreachable::PROTOCOL), out, now);
                Err(DropReason::Protocol)
            }
        }
    }

    /// The outside port of a flow; where there is none to be had, its sender is told.
    fn outbound(
        &mut self,
        frame: &FrameMut<'_>,
        a: &Arrival,
        (protocol, inside, remote): (Protocol, Endpoint, Endpoint),
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<u16, DropReason> {
        let load = load(frame, &a.packet);
        let ends = (inside, remote);
        // How, by the same plan that is now carried out.
        let plan = self.notes.is_on().then(|| {
            self.nat.realm(protocol).plan_out(a.node, ends, load.flags, now).map(Opening::from)
        });
        let outside = match self.outside_port((protocol, a.node), ends, load, now) {
            Ok(outside) => outside,
            Err(reason) => {
                if reason.is_exhaustion() {
                    // RFC 5508 REQ-8, RFC 7857 section 3.
                    let problem = Problem::Unreachable(unreachable::PROHIBITED);
                    self.report(frame, a, problem, out, now);
                }
                return Err(reason);
            }
        };
        self.notes.out(|| {
            let own = self.routes.uplink.map(|uplink| uplink.address)?;
            let outside = Endpoint::new(own, outside);
            Some(Translation { protocol, inside, outside, session: plan?.ok()? })
        });
        if load.flags.is_some_and(|f| f.syn()) {
            self.unsolicited.forget(outside, remote);
        }
        Ok(outside)
    }

    /// The outside port of a flow that is running, or that its node may open.
    #[inline]
    fn outside_port(
        &mut self,
        (protocol, node): (Protocol, Node),
        ends: (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<u16, DropReason> {
        match self.nat.running(protocol, node, ends, load, now) {
            Ok(Some(outside)) => Ok(outside),
            Ok(None) => self.open((protocol, node), ends, load, now),
            Err(_) => {
                self.take_over(node, ends.0.address)?;
                self.open((protocol, node), ends, load, now)
            }
        }
    }

    fn open(
        &mut self,
        (protocol, node): (Protocol, Node),
        ends: (Endpoint, Endpoint),
        load: Load,
        now: Timestamp,
    ) -> Result<u16, DropReason> {
        self.may_open(node, ends.0.address)?;
        match self.nat.open(protocol, node, ends, load, now) {
            Err(DropReason::Foreign) => {
                self.take_over(node, ends.0.address)?;
                self.nat.open(protocol, node, ends, load, now)
            }
            result => result,
        }
    }

    /// Refuses a node that opens something under an address that is known to be at another: the
    /// answers would go there.
    pub(crate) fn may_open(&self, node: Node, address: Ipv4Addr) -> Result<(), DropReason> {
        let at = self.neighbours[Side::Lan as usize].node(address).unwrap_or(node);
        if at.may_be(node) { Ok(()) } else { Err(DropReason::Foreign) }
    }

    /// What others have left under an address ends where this node is known to have it now.
    fn take_over(&mut self, node: Node, address: Ipv4Addr) -> Result<(), DropReason> {
        if !self.is_at(node, address) {
            return Err(DropReason::Foreign);
        }
        self.nat.forget_others(node, address);
        Ok(())
    }

    /// Whether an address is known to be at this node.
    pub(crate) fn is_at(&self, node: Node, address: Ipv4Addr) -> bool {
        self.neighbours[Side::Lan as usize].node(address) == Some(node)
    }

    /// Translates an ICMP error that an inside host sends about a packet that came in, with the
    /// identification it had where that was another.
    fn error_outbound(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        (own, id): (Ipv4Addr, Option<u16>),
        now: Timestamp,
    ) -> Result<(), DropReason> {
        let quoted = quoted(frame, &a.packet).ok_or(DropReason::BadIcmpError)?;
        // It must go to whom it quotes, and only who was addressed may complain.
        if quoted.src != a.packet.dst || quoted.dst != a.packet.src {
            return Err(DropReason::BadIcmpError);
        }
        let port = self.nat.error_out(a.node, &quoted, now).ok_or(DropReason::BadIcmpError)?;
        self.counters.icmp_translated += 1;
        self.notes.out(|| {
            let (protocol, _, inside) = quoted.flow()?;
            let outside = Endpoint::new(own, port);
            Some(Translation { protocol, inside, outside, session: Opening::Error })
        });
        rewrite::quoted(frame.bytes, &a.packet, (End::Dst, Endpoint::new(own, port)), id);
        rewrite::ends(frame.bytes, &mut a.packet, Rewrite::src(Endpoint::new(own, 0)));
        Ok(())
    }
}

/// The packet that an ICMP error quotes, where the error is whole and sums up.
pub(crate) fn quoted(frame: &FrameMut<'_>, outer: &Packet) -> Option<Packet> {
    let message = Icmp::parse(&frame.bytes[outer.l4()..outer.end()])?;
    if outer.is_fragment() || !message.checksum_ok() {
        return None;
    }
    Packet::quoted(message.body())
}

/// What a packet counts for.
#[inline]
pub(crate) fn load(frame: &FrameMut<'_>, packet: &Packet) -> Load {
    let flags = match packet.transport {
        Transport::Tcp(_, _, flags) => Some(flags),
        _ => None,
    };
    let packets = packet.segments(packet.l4_header_len(frame.bytes));
    Load { flags, packets, bytes: packet.total_len }
}

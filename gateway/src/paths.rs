//! The ways that packets go once they are decided upon ([`crate::course`]): the NAT is asked, bytes
//! change, and [`crate::egress`] sends them on.
//!
//! What the NAT refuses now (a full table, a port that another has) is told to its sender where that
//! helps; nothing has changed by then.

use std::net::Ipv4Addr;

use wire::icmp::{self, unreachable};
use wire::tcp::End;
use wire::{FrameMut, Icmp};

use crate::course::{Course, quoted};
use crate::egress::Departure;
use crate::gateway::Gateway;
use crate::nat::fragments::Action;
use crate::nat::realm::Load;
use crate::node::Node;
use crate::note::{Opening, Translation};
use crate::packet::{Endpoint, L3, Packet, Protocol, Transport};
use crate::passage::{Arrival, Passage};
use crate::report::Problem;
use crate::rewrite::{self, Rewrite};
use crate::verdict::{DropReason, Side, Verdict};

/// Time to live of what the gateway itself sends.
pub(crate) const TTL: u8 = 64;

impl Gateway {
    /// Lets a packet go the way that was planned.
    #[inline(always)]
    pub(crate) fn commit(
        &mut self,
        p: &mut Passage<'_, '_>,
        course: Course,
    ) -> Result<Verdict, DropReason> {
        let departure = match course {
            Course::Out { own, hop } => {
                let (protocol, inside, remote) =
                    p.arrival.packet.flow().ok_or(DropReason::Truncated)?;
                let outside = self.outbound(p, (protocol, inside, remote))?;
                let src = Rewrite::src(Endpoint::new(own, outside));
                rewrite::ends(p.frame.bytes, &mut p.arrival.packet, src);
                Departure::masqueraded(Side::Uplink, hop)
            }
            Course::Back { session, to } => self.back(p, session, to)?,
            Course::Open { to } => self.open_back(p, to)?,
            Course::Straight { to, hop, detour } => {
                // A host that speaks to itself has no better way.
                if detour && hop != p.arrival.packet.src {
                    self.links.redirect(p, hop);
                }
                Departure::straight(to, hop)
            }
            Course::Echo => return self.echo(p),
            Course::Ask => return self.ask(p),
            Course::Host(leg) => return Ok(Verdict::Host(leg)),
            Course::Later => return self.later_fragment(p),
            Course::OutByAddress { .. }
            | Course::BackByAddress { .. }
            | Course::OutError { .. }
            | Course::BackError { .. }
            | Course::Hairpin
            | Course::HairpinError => self.by_the_way(p, course)?,
        };
        self.depart(p, departure)
    }

    /// The ways that few packets go.
    #[inline(never)]
    fn by_the_way(
        &mut self,
        p: &mut Passage<'_, '_>,
        course: Course,
    ) -> Result<Departure, DropReason> {
        let dst = p.arrival.packet.dst;
        match course {
            Course::OutByAddress { own, hop } => self.out_by_address(p, (own, hop)),
            Course::BackByAddress { session, to } => self.back_by_address(p, (session, to)),
            Course::OutError { own, hop } => {
                self.error_outbound(p, (own, None))?;
                Ok(Departure::masqueraded(Side::Uplink, hop))
            }
            Course::BackError { to } => {
                let (node, inside) = self.error_inbound(p, dst)?;
                Ok(Departure::plain(to, inside).owned(node))
            }
            Course::HairpinError => {
                // By the address it was sent to, which the first translation hides.
                let about = quoted(p.frame.bytes, &p.arrival.packet);
                let id = about.and_then(|quoted| self.id_before(&quoted));
                self.error_outbound(p, (dst, id))?;
                let (node, inside) = self.error_inbound(p, dst)?;
                Ok(Departure::masqueraded(self.side_of(inside)?, inside).owned(node))
            }
            _ => self.hairpin(p),
        }
    }

    /// In to an inside host, by a running session.
    #[inline(always)]
    fn back(
        &mut self,
        p: &mut Passage<'_, '_>,
        id: u32,
        to: Side,
    ) -> Result<Departure, DropReason> {
        let (protocol, _, local) = p.arrival.packet.flow().ok_or(DropReason::Truncated)?;
        let load = load(p.frame, &p.arrival.packet);
        let (node, inside) = self.nat.running_in(protocol, id, load, p.now);
        let session = Opening::Running;
        self.notes.back(|| {
            Some(Translation { protocol: protocol.into(), inside, outside: local, session })
        });
        rewrite::ends(p.frame.bytes, &mut p.arrival.packet, Rewrite::dst(inside));
        Ok(Departure::plain(to, inside.address).owned(node))
    }

    /// The same, by a session that the packet opens.
    #[inline(never)]
    fn open_back(&mut self, p: &mut Passage<'_, '_>, to: Side) -> Result<Departure, DropReason> {
        let (protocol, remote, local) = p.arrival.packet.flow().ok_or(DropReason::Truncated)?;
        let load = load(p.frame, &p.arrival.packet);
        let plan = self.nat.plan_opening_in(protocol, (local.port, remote), load, p.now)?;
        let (node, inside) = self.nat.realm(protocol).inside_of(local.port, &plan);
        let session = plan.into();
        self.notes.back(|| {
            Some(Translation { protocol: protocol.into(), inside, outside: local, session })
        });
        let inside = self.nat.commit_in(protocol, (local.port, remote), plan, load, p.now)?;
        rewrite::ends(p.frame.bytes, &mut p.arrival.packet, Rewrite::dst(inside));
        Ok(Departure::plain(to, inside.address).owned(node))
    }

    /// Out to the uplink's own address, and in again by the port there.
    fn hairpin(&mut self, p: &mut Passage<'_, '_>) -> Result<Departure, DropReason> {
        let (protocol, inside, target) = p.arrival.packet.flow().ok_or(DropReason::Truncated)?;
        // RFC 4787 REQ-9: the other host sees our outside endpoint, and its filter applies to it.
        let outside = self.outbound(p, (protocol, inside, target))?;
        let from = Endpoint::new(target.address, outside);
        let load = load(p.frame, &p.arrival.packet);
        let plan = self.nat.plan_opening_in(protocol, (target.port, from), load, p.now)?;
        let (node, other) = self.nat.realm(protocol).inside_of(target.port, &plan);
        let to = self.side_of(other.address)?;
        let other = self.nat.commit_in(protocol, (target.port, from), plan, load, p.now)?;
        let (protocol, outside, session) = (protocol.into(), target, plan.into());
        self.notes.back(|| Some(Translation { protocol, inside: other, outside, session }));
        let rewrite = Rewrite { src: Some(from), dst: Some(other) };
        rewrite::ends(p.frame.bytes, &mut p.arrival.packet, rewrite);
        Ok(Departure::masqueraded(to, other.address).owned(node))
    }

    /// Answers an echo request in place. A fragmented one is answered fragment by fragment, since a
    /// reply is the same data with another type.
    fn echo(&mut self, p: &mut Passage<'_, '_>) -> Result<Verdict, DropReason> {
        let packet = p.arrival.packet;
        let (l4, end) = (packet.l4(), packet.end());
        let mut message = Icmp::parse(&mut p.frame.bytes[l4..end]).ok_or(DropReason::Truncated)?;
        message.set_type(icmp::ECHO_REPLY);
        self.links.counters.echo_replies += 1;
        let verdict = self.turn_round(p.frame, &mut p.arrival);
        if packet.more_fragments {
            let held = self.fragments.first(p.arrival.datagram, &packet, Action::Echo, p.now)?;
            self.replay(p, Action::Echo, held);
        }
        Ok(verdict)
    }

    /// Sends a packet, or a fragment of one, back to where it came from.
    pub(crate) fn turn_round(&mut self, frame: &mut FrameMut<'_>, a: &mut Arrival) -> Verdict {
        let (src, dst) = (a.packet.src, a.packet.dst);
        rewrite::addresses(&mut frame.bytes[L3..], &mut a.packet, Some(dst), Some(src));
        rewrite::time_to_live(frame.bytes, &mut a.packet, TTL);
        rewrite::link(frame.bytes, a.from, self.links.mac(a.side));
        a.side.into()
    }

    /// The outside port of a flow; where there is none to be had, its sender is told.
    #[inline]
    fn outbound(
        &mut self,
        p: &mut Passage<'_, '_>,
        (protocol, inside, remote): (Protocol, Endpoint, Endpoint),
    ) -> Result<u16, DropReason> {
        let load = load(p.frame, &p.arrival.packet);
        let ends = (inside, remote);
        // How, by the same plan that is now carried out.
        let plan = self.notes.is_on().then(|| {
            let realm = self.nat.realm(protocol);
            realm.plan_out(p.arrival.node, ends, load.flags, p.now).map(Opening::from)
        });
        let outside = match self.outside_port(&p.arrival, protocol, ends, (load, p.now)) {
            Ok(outside) => outside,
            Err(reason) => {
                if reason.is_exhaustion() {
                    // RFC 5508 REQ-8, RFC 7857 section 3.
                    self.links.report(p, Problem::Unreachable(unreachable::PROHIBITED), None);
                }
                return Err(reason);
            }
        };
        self.notes.out(|| {
            let own = self.links.uplink_address()?;
            let (protocol, outside) = (protocol.into(), Endpoint::new(own, outside));
            Some(Translation { protocol, inside, outside, session: plan?.ok()? })
        });
        if load.flags.is_some_and(|f| f.syn()) {
            self.unsolicited.forget(outside, remote);
        }
        Ok(outside)
    }

    /// Translates an ICMP error that an inside host sends about a packet that came in, with the
    /// identification it had where that was another.
    fn error_outbound(
        &mut self,
        p: &mut Passage<'_, '_>,
        (own, id): (Ipv4Addr, Option<u16>),
    ) -> Result<(), DropReason> {
        let a = &mut p.arrival;
        let quoted = quoted(p.frame.bytes, &a.packet).ok_or(DropReason::BadIcmpError)?;
        // It must go to whom it quotes, and only who was addressed may complain.
        if quoted.src != a.packet.dst || quoted.dst != a.packet.src {
            return Err(DropReason::BadIcmpError);
        }
        let port = self.nat.error_out(a.node, &quoted, p.now).ok_or(DropReason::BadIcmpError)?;
        self.links.counters.icmp_translated += 1;
        self.notes.out(|| {
            let error = Opening::Error;
            if let Some((protocol, _, inside)) = quoted.by_address() {
                return Some(Translation::by_address(protocol, inside, own, error));
            }
            let (protocol, _, inside) = quoted.flow()?;
            let (protocol, outside) = (protocol.into(), Endpoint::new(own, port));
            Some(Translation { protocol, inside, outside, session: error })
        });
        let known = (End::Dst, Endpoint::new(own, port));
        rewrite::quoted(p.frame.bytes, &a.packet, known, id);
        let src = Rewrite::src(Endpoint::new(own, 0));
        rewrite::ends(p.frame.bytes, &mut a.packet, src);
        Ok(())
    }

    /// Translates an ICMP error that has come in about a packet that went out; returns the node and
    /// the host that had sent it.
    fn error_inbound(
        &mut self,
        p: &mut Passage<'_, '_>,
        own: Ipv4Addr,
    ) -> Result<(Node, Ipv4Addr), DropReason> {
        let unknown = self.unknown_error(&p.arrival);
        let a = &mut p.arrival;
        let quoted = quoted(p.frame.bytes, &a.packet).ok_or(unknown)?;
        let (node, inside) = self.nat.error_in(&quoted, own, p.now).ok_or(unknown)?;
        self.links.counters.icmp_translated += 1;
        self.notes.back(|| {
            let error = Opening::Error;
            if let Some((protocol, outside, _)) = quoted.by_address() {
                return Some(Translation::by_address(protocol, inside.address, outside, error));
            }
            let (protocol, outside, _) = quoted.flow()?;
            Some(Translation { protocol: protocol.into(), inside, outside, session: error })
        });
        let id = self.id_before(&quoted);
        rewrite::quoted(p.frame.bytes, &a.packet, (End::Src, inside), id);
        let to = Endpoint::new(inside.address, 0);
        rewrite::ends(p.frame.bytes, &mut a.packet, Rewrite::dst(to));
        Ok((node, inside.address))
    }

    /// The identification that a quoted packet had before it left on behalf of its host.
    pub(crate) fn id_before(&self, quoted: &Packet) -> Option<u16> {
        if quoted.is_atomic() {
            return None;
        }
        self.ids.original((quoted.dst, quoted.protocol), quoted.id)
    }
}

/// What a packet counts for.
#[inline]
pub(crate) fn load(frame: &FrameMut<'_>, packet: &Packet) -> Load {
    let packets = packet.segments(packet.l4_header_len(frame.bytes));
    Load { flags: packet.tcp_flags(), packets, bytes: packet.total_len }
}

impl Packet {
    /// TCP's control bits.
    #[inline]
    pub(crate) fn tcp_flags(&self) -> Option<wire::tcp::Flags> {
        match self.transport {
            Transport::Tcp(_, _, flags) => Some(flags),
            _ => None,
        }
    }
}

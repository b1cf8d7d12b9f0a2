//! The way from the uplink: to a session, to a mapping that lets the sender in, or nowhere.
//!
//! Nothing reaches an inside host but through [`crate::nat`]: a packet for an inside address
//! itself is dropped. On an address shared with a kernel, whatever is not the NAT's is left to
//! the kernel without a word.

use std::net::Ipv4Addr;

use wire::icmp::unreachable;
use wire::tcp::End;
use wire::{FrameMut, Timestamp};

use crate::egress::Departure;
use crate::gateway::{Arrival, Gateway};
use crate::lan::{load, quoted};
use crate::node::Node;
use crate::note::{Opening, Translation};
use crate::output::Output;
use crate::packet::{Endpoint, L3, Packet, Protocol, Transport};
use crate::report::Problem;
use crate::rewrite::{self, Rewrite};
use crate::route::Route;
use crate::verdict::{DropReason, Side, Verdict};

impl Gateway {
    pub(crate) fn uplink_packet(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let own = a.packet.dst;
        if self.notes.is_on() {
            self.notes.route(own, self.routes.to(own));
        }
        self.check_arrival(a.packet.src, own)?;
        let shared = self.is_shared(Side::Uplink);
        match a.packet.transport {
            Transport::Fragment => self.later_fragment(frame, a, out, now),
            Transport::Tcp(..) | Transport::Udp(..) | Transport::IcmpReply(_) => {
                self.unmask(frame, a, out, now)
            }
            Transport::IcmpError => {
                self.may_forward(frame, a, Side::Lan, out, now)?;
                let (node, inside) = self.error_inbound(frame, a, own, now)?;
                self.depart(frame, a, Departure::plain(Side::Lan, inside).owned(node), out, now)
            }
            _ if shared => Err(DropReason::NotOurs),
            Transport::IcmpRequest(_) => self.local(frame, a, out, now),
            Transport::IcmpOther => Err(DropReason::IcmpType),
            Transport::Short => Err(a.short()),
            Transport::Other => {
                self.report(frame, a, Problem::Unreachable(unreachable::PROTOCOL), out, now);
                Err(DropReason::Protocol)
            }
        }
    }

    /// Refuses what cannot come from outside, or not to us.
    pub(crate) fn check_arrival(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Result<(), DropReason> {
        match self.routes.to(dst) {
            Route::Own(Side::Uplink) if self.routes.is_uplink_source(src) => Ok(()),
            Route::Own(Side::Uplink) => Err(DropReason::Martian),
            Route::Own(Side::Lan) | Route::Via(Side::Lan, _) => Err(DropReason::InsideFromOutside),
            Route::Multicast => Err(DropReason::Multicast),
            Route::Via(Side::Uplink, _) | Route::None => Err(DropReason::NotForMe),
        }
    }

    /// In to an inside host, where a session or a mapping says so.
    fn unmask(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let (protocol, remote, local) = a.packet.flow().ok_or(DropReason::Truncated)?;
        let load = load(frame, &a.packet);
        let target = (local.port, remote);
        let plan = match self.nat.plan_in(protocol, target, load, now) {
            Ok(plan) => plan,
            Err(reason) => return Err(self.refuse(frame, a, protocol, target, reason, now)),
        };
        let node = self.nat.realm(protocol).inside_of(local.port, &plan).0;
        self.notes.back(|| {
            let inside = self.nat.realm(protocol).inside_of(local.port, &plan).1;
            Some(Translation { protocol, inside, outside: local, session: plan.into() })
        });
        self.may_forward(frame, a, Side::Lan, out, now)?;
        let inside = self.nat.commit_in(protocol, target, plan, load, now)?;
        rewrite::ends(frame.bytes, &mut a.packet, Rewrite::dst(inside));
        let departure = Departure::plain(Side::Lan, inside.address).owned(node);
        self.depart(frame, a, departure, out, now)
    }

    /// The reason a packet from outside is dropped for; a SYN is remembered for six seconds.
    fn refuse(
        &mut self,
        frame: &FrameMut<'_>,
        a: &Arrival,
        protocol: Protocol,
        target: (u16, Endpoint),
        reason: DropReason,
        now: Timestamp,
    ) -> DropReason {
        let reason = self.refusal((protocol, target.0), a.packet.transport, reason);
        if reason == DropReason::UnsolicitedSyn {
            let packet = &frame.bytes[L3..a.packet.end()];
            self.unsolicited.hold(target, a.from, packet, now);
        }
        reason
    }

    /// The same, without remembering anything.
    pub(crate) fn refusal(
        &self,
        (protocol, port): (Protocol, u16),
        transport: Transport,
        reason: DropReason,
    ) -> DropReason {
        // Where nobody inside has the port, a kernel beside us may have given it to somebody.
        if self.is_shared(Side::Uplink) && self.nat.realm(protocol).mappings.inside(port).is_none()
        {
            return DropReason::NotOurs;
        }
        let opening = match transport {
            Transport::Tcp(_, _, flags) => flags.syn() && !flags.ack() && !flags.rst(),
            _ => false,
        };
        match reason {
            DropReason::NoSession | DropReason::Filtered if opening => DropReason::UnsolicitedSyn,
            _ => reason,
        }
    }

    /// Translates an ICMP error that has come in about a packet that went out; returns the node and
    /// the host that had sent it.
    pub(crate) fn error_inbound(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        own: Ipv4Addr,
        now: Timestamp,
    ) -> Result<(Node, Ipv4Addr), DropReason> {
        let unknown =
            if self.is_shared(a.side) { DropReason::NotOurs } else { DropReason::BadIcmpError };
        let quoted = quoted(frame, &a.packet).ok_or(unknown)?;
        let (node, inside) = self.nat.error_in(&quoted, own, now).ok_or(unknown)?;
        self.counters.icmp_translated += 1;
        self.notes.back(|| {
            let (protocol, outside, _) = quoted.flow()?;
            Some(Translation { protocol, inside, outside, session: Opening::Error })
        });
        let id = self.id_before(&quoted);
        rewrite::quoted(frame.bytes, &a.packet, (End::Src, inside), id);
        let to = Endpoint::new(inside.address, 0);
        rewrite::ends(frame.bytes, &mut a.packet, Rewrite::dst(to));
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

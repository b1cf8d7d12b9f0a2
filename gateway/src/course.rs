//! What is to become of a packet: the whole order of checks, which change nothing.
//!
//! [`Gateway::plan`] is asked by every packet, which [`crate::Gateway`] then lets go that way
//! (`paths`), and by `explain`, which does not (`preview`). Whatever may be refused without asking
//! the NAT for something new is refused here, before a byte changes, so that an ICMP error quotes the
//! packet as its sender knows it.

use std::net::Ipv4Addr;

use wire::icmp::{self, unreachable};
use wire::{GsoType, Icmp, Timestamp};

use crate::config::Routing;
use crate::gateway::Gateway;
use crate::leg::LegId;
use crate::packet::{Packet, Protocol, Transport};
use crate::passage::Arrival;
use crate::report::Problem;
use crate::route::Route;
use crate::summed::sums_up;
use crate::verdict::{DropReason, Side};

/// The way a packet takes. Small, for it is handed over in registers: what is easily found again is
/// not in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    /// An echo request to the gateway: it is turned round.
    Echo,
    /// To the resolver of names.
    Ask,
    /// To the kernel that has the leg's addresses too.
    Host(LegId),
    /// A later fragment: it follows the first of its datagram.
    Later,
    /// To another host of a leg, untouched but for its time to live. On a detour, its sender is told
    /// that they are neighbours.
    Straight { to: Side, hop: Ipv4Addr, detour: bool },
    /// Out to the world, behind the uplink's address.
    Out { own: Ipv4Addr, hop: Ipv4Addr },
    /// The same by address alone.
    OutByAddress { own: Ipv4Addr, hop: Ipv4Addr },
    /// Out of an ICMP error about a packet that came in.
    OutError { own: Ipv4Addr, hop: Ipv4Addr },
    /// In from the world to a leg, by a running session.
    Back { session: u32, to: Side },
    /// The same by address alone.
    BackByAddress { session: u32, to: Side },
    /// In, by a session that the packet opens.
    Open { to: Side },
    /// The same of an ICMP error about a packet that went out.
    BackError { to: Side },
    /// Out to the uplink's own address and in again by it.
    Hairpin,
    /// The same of an ICMP error.
    HairpinError,
}

/// Why a packet goes no further.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: DropReason,
    pub(crate) answer: Answer,
}

/// What its sender is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Nothing.
    None,
    /// This, by the gateway's address towards it,
    Report(Problem),
    /// or by the one it spoke to.
    AsAddressed(Problem),
    /// That there is no such connection.
    Reset,
    /// That its SYN met nobody, but only if nobody has opened the same connection in a while.
    Later,
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self { reason, answer: Answer::None }
    }
}

impl Refusal {
    pub(crate) fn told(reason: DropReason, code: u8) -> Self {
        Self { reason, answer: Answer::Report(Problem::Unreachable(code)) }
    }

    fn addressed(reason: DropReason, code: u8) -> Self {
        Self { reason, answer: Answer::AsAddressed(Problem::Unreachable(code)) }
    }
}

impl Gateway {
    /// The way of a packet whose frame is `bytes`, or is imagined where there are none.
    #[inline(always)]
    pub(crate) fn plan(
        &self,
        a: &Arrival,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Course, Refusal> {
        match a.side {
            Side::Leg(_) => self.plan_inside(a, bytes, now),
            Side::Uplink => self.plan_outside(a, bytes, now),
        }
    }

    /// What a packet was routed by; None where it did not come so far.
    pub(crate) fn routed_by(&self, a: &Arrival) -> Option<(Ipv4Addr, Route)> {
        let Packet { src, dst, .. } = a.packet;
        let sound = match a.side {
            Side::Leg(leg) => self.links.routes.is_source(leg, src),
            Side::Uplink => true,
        };
        sound.then(|| (dst, self.links.routes.to(dst)))
    }

    #[inline(always)]
    fn plan_inside(&self, a: &Arrival, bytes: &[u8], now: Timestamp) -> Result<Course, Refusal> {
        let (packet, links) = (&a.packet, &self.links);
        let Side::Leg(leg) = a.side else { return Err(DropReason::NotForMe.into()) };
        if !links.routes.is_source(leg, packet.src) {
            return Err(DropReason::Martian.into());
        }
        if links.is_for_host(a.side, packet.dst) {
            return match links.is_asked(a.side, packet.dst) && self.asks(packet) {
                true => self.plan_ask(a, now),
                false => Ok(Course::Host(leg)),
            };
        }
        match links.routes.to(packet.dst) {
            // Before all else, and without a word, as Linux does.
            Route::Via(..) if !links.routing.forwarding => Err(DropReason::ForwardingOff.into()),
            Route::Via(Side::Uplink, hop) => {
                if links.is_internal(leg) {
                    self.check_forward(packet, bytes, Side::Uplink)?;
                    return Err(Refusal::told(DropReason::Internal, unreachable::PROHIBITED));
                }
                if !links.routing.nat {
                    self.check_forward(packet, bytes, Side::Uplink)?;
                    return Ok(Course::Straight { to: Side::Uplink, hop, detour: false });
                }
                self.plan_out(a, bytes, hop, now)
            }
            Route::Via(to @ Side::Leg(other), hop) => {
                // In this order, as Linux does: a rule of a firewall is asked once the packet may go.
                self.check_forward(packet, bytes, to)?;
                if !links.joins(leg, other) {
                    return Err(Refusal::told(DropReason::Isolated, unreachable::PROHIBITED));
                }
                let detour = other == leg && links.routes.is_detour(packet.src, packet.dst);
                Ok(Course::Straight { to, hop, detour })
            }
            Route::Own(Side::Leg(own)) if links.reaches(leg, own) => match self.asks(packet) {
                true => self.plan_ask(a, now),
                false => plan_local(a, bytes),
            },
            Route::Own(Side::Leg(_)) => {
                Err(Refusal::told(DropReason::Isolated, unreachable::PROHIBITED))
            }
            Route::Own(Side::Uplink) if links.is_internal(leg) => {
                Err(Refusal::told(DropReason::Internal, unreachable::PROHIBITED))
            }
            Route::Own(Side::Uplink) => self.plan_hairpin(a, bytes, now),
            Route::Multicast => Err(DropReason::Multicast.into()),
            Route::Loopback => Err(DropReason::Martian.into()),
            Route::None => Err(Refusal::told(DropReason::NoRoute, unreachable::NET)),
        }
    }

    /// Out to the world, behind the uplink's address.
    #[inline(always)]
    fn plan_out(
        &self,
        a: &Arrival,
        bytes: &[u8],
        hop: Ipv4Addr,
        now: Timestamp,
    ) -> Result<Course, Refusal> {
        let own = self.links.uplink_address().ok_or(DropReason::NoRoute)?;
        if self.barred.takes(&a.packet) {
            return Err(Refusal::told(DropReason::TunnelEnd, unreachable::PROHIBITED));
        }
        let course = match a.packet.transport {
            Transport::Tcp(..) | Transport::Udp(..) | Transport::IcmpRequest(_) => {
                Course::Out { own, hop }
            }
            Transport::IcmpError => Course::OutError { own, hop },
            Transport::Fragment => return Ok(Course::Later),
            // Nothing outside has asked: no request is ever let in.
            Transport::IcmpReply(_) => return Err(DropReason::NotAnOpening.into()),
            Transport::IcmpOther => return Err(DropReason::IcmpType.into()),
            Transport::Short => return Err(a.short().into()),
            Transport::Other => {
                // Whose last hop this is learns that first: it may be looking for the way.
                self.check_forward(&a.packet, bytes, Side::Uplink)?;
                return self.plan_out_by_address(a, (own, hop), now);
            }
        };
        self.check_forward(&a.packet, bytes, Side::Uplink)?;
        Ok(course)
    }

    /// From the uplink: to a session, to a mapping that lets the sender in, or nowhere. Nothing
    /// reaches an inside host but through the NAT; on an address shared with a kernel, whatever is
    /// not the NAT's is left to the kernel without a word.
    #[inline(always)]
    fn plan_outside(&self, a: &Arrival, bytes: &[u8], now: Timestamp) -> Result<Course, Refusal> {
        let Packet { src, dst, .. } = a.packet;
        if self.links.routing != Routing::default() {
            return self.plan_outside_unmasked(a, bytes);
        }
        self.check_arrival(src, dst)?;
        match a.packet.transport {
            Transport::Fragment if a.packet.by_address().is_none() => Ok(Course::Later),
            Transport::Fragment | Transport::Other => self.plan_back_by_address(a, bytes, now),
            Transport::Tcp(..) | Transport::Udp(..) | Transport::IcmpReply(_) => {
                self.plan_back(a, bytes, now)
            }
            Transport::IcmpError => {
                let to = self.plan_back_error(a, bytes, now)?;
                self.check_forward(&a.packet, bytes, to)?;
                Ok(Course::BackError { to })
            }
            _ if self.links.is_shared(Side::Uplink) => Err(DropReason::NotOurs.into()),
            Transport::IcmpRequest(_) => plan_local(a, bytes),
            Transport::IcmpOther => Err(DropReason::IcmpType.into()),
            Transport::Short => Err(a.short().into()),
        }
    }

    #[inline(always)]
    fn plan_back(&self, a: &Arrival, bytes: &[u8], now: Timestamp) -> Result<Course, Refusal> {
        let (protocol, remote, local) = a.packet.flow().ok_or(DropReason::Truncated)?;
        let realm = self.nat.realm(protocol);
        let Some(session) = realm.known_in(local.port, remote, now) else {
            return self.plan_open(a, bytes, now);
        };
        let to = self.side_of(realm.table.get(session).inside().address)?;
        self.check_forward(&a.packet, bytes, to)?;
        Ok(Course::Back { session, to })
    }

    /// The same of a packet of no running session.
    #[inline(never)]
    fn plan_open(&self, a: &Arrival, bytes: &[u8], now: Timestamp) -> Result<Course, Refusal> {
        let (protocol, remote, local) = a.packet.flow().ok_or(DropReason::Truncated)?;
        let realm = self.nat.realm(protocol);
        let plan = match realm.plan_in(local.port, remote, a.packet.tcp_flags(), now) {
            Ok(plan) => plan,
            Err(reason) => return Err(self.refusal((protocol, local.port), &a.packet, reason)),
        };
        let (_, inside) = realm.inside_of(local.port, &plan);
        let to = self.side_of(inside.address)?;
        self.check_forward(&a.packet, bytes, to)?;
        Ok(Course::Open { to })
    }

    /// Why a packet from outside is dropped; a SYN is met with silence for a while.
    #[inline(never)]
    fn refusal(
        &self,
        (protocol, port): (Protocol, u16),
        packet: &Packet,
        reason: DropReason,
    ) -> Refusal {
        // Where nobody inside has the port, a kernel beside us may have given it to somebody.
        let shared = self.links.is_shared(Side::Uplink);
        if shared && self.nat.realm(protocol).mappings.inside(port).is_none() {
            return DropReason::NotOurs.into();
        }
        let opening =
            packet.tcp_flags().is_some_and(|flags| flags.syn() && !flags.ack() && !flags.rst());
        match reason {
            DropReason::NoSession | DropReason::Filtered if opening => {
                Refusal { reason: DropReason::UnsolicitedSyn, answer: Answer::Later }
            }
            _ => reason.into(),
        }
    }

    /// Where an ICMP error from outside goes.
    fn plan_back_error(
        &self,
        a: &Arrival,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Side, DropReason> {
        let unknown = self.unknown_error(a);
        let quoted = quoted(bytes, &a.packet).ok_or(unknown)?;
        let (_, inside) = self.nat.error_in(&quoted, a.packet.dst, now).ok_or(unknown)?;
        self.side_of(inside.address)
    }

    /// What an ICMP error is dropped for whose quotation nobody knows.
    pub(crate) fn unknown_error(&self, a: &Arrival) -> DropReason {
        match self.links.is_shared(a.side) {
            true => DropReason::NotOurs,
            false => DropReason::BadIcmpError,
        }
    }

    /// The leg that an inside host is on. What a session or a mapping leads to has one.
    #[inline]
    pub(crate) fn side_of(&self, inside: Ipv4Addr) -> Result<Side, DropReason> {
        self.links.routes.leg(inside).map(Side::Leg).ok_or(DropReason::NoRoute)
    }

    /// Refuses a packet whose hops have run out or that the next link cannot carry.
    #[inline]
    pub(crate) fn check_forward(
        &self,
        packet: &Packet,
        bytes: &[u8],
        to: Side,
    ) -> Result<(), Refusal> {
        if packet.ttl <= 1 {
            let answer = Answer::Report(Problem::TimeExceeded);
            return Err(Refusal { reason: DropReason::TtlExceeded, answer });
        }
        let gso = packet.vnet.gso() != GsoType::None;
        let size = if gso {
            let headers = packet.header_len + packet.l4_header_len(bytes);
            headers + usize::from(packet.vnet.gso_size)
        } else {
            packet.total_len
        };
        let mtu = self.links.mtu(to);
        if size > mtu && packet.dont_fragment {
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            let answer = Answer::Report(Problem::TooBig(mtu));
            return Err(Refusal { reason: DropReason::TooBig, answer });
        }
        Ok(())
    }
}

/// A packet to one of the gateway's own addresses: echo requests are answered, all else is refused.
/// It never answers on another host's behalf: a ping that comes back has been there.
pub(crate) fn plan_local(a: &Arrival, bytes: &[u8]) -> Result<Course, Refusal> {
    if !sums_up(&a.packet, bytes) {
        return Err(DropReason::BadChecksum.into());
    }
    match a.packet.transport {
        Transport::Fragment => Ok(Course::Later),
        Transport::IcmpRequest(_) => match bytes.get(a.packet.l4()) {
            None | Some(&icmp::ECHO_REQUEST) => Ok(Course::Echo),
            Some(_) => Err(DropReason::IcmpType.into()),
        },
        Transport::Tcp(_, _, flags) if flags.rst() => Err(DropReason::NoService.into()),
        Transport::Tcp(..) if a.side.is_inside() && !a.packet.is_fragment() => {
            Err(Refusal { reason: DropReason::NoService, answer: Answer::Reset })
        }
        Transport::Tcp(..) | Transport::Udp(..) => {
            Err(Refusal::addressed(DropReason::NoService, unreachable::PORT))
        }
        Transport::IcmpReply(_) => Err(DropReason::NoSession.into()),
        Transport::IcmpError | Transport::IcmpOther => Err(DropReason::IcmpType.into()),
        Transport::Other => Err(Refusal::addressed(DropReason::Protocol, unreachable::PROTOCOL)),
        Transport::Short => Err(a.short().into()),
    }
}

/// The packet that an ICMP error in `bytes` (a frame) quotes, where the error is whole and sums up.
pub(crate) fn quoted(bytes: &[u8], outer: &Packet) -> Option<Packet> {
    let message = Icmp::parse(bytes.get(outer.l4()..outer.end())?)?;
    if outer.is_fragment() || !message.checksum_ok() {
        return None;
    }
    Packet::quoted(message.body())
}

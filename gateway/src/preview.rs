//! What would become of a packet: the same decisions, asked without a trace.
//!
//! For `explain`. Every answer comes from the functions that real packets meet (`Routes::to`,
//! `check_forward`, `Realm::plan_out` and `plan_in`), all of which take `&self`; a property test
//! holds the foretold against what then happens.

use std::net::Ipv4Addr;

use wire::{MacAddr, Timestamp, VnetHeader, tcp};

use crate::gateway::Gateway;
use crate::nat::realm::{PlanIn, PlanOut, Use};
use crate::packet::{Endpoint, Packet, Protocol, Transport};
use crate::route::Route;
use crate::verdict::{DropReason, Side};

/// A packet to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where it would enter.
    pub side: Side,
    /// TCP, UDP, or an ICMP echo.
    pub protocol: Protocol,
    /// Its source; of an echo request the port is the identifier.
    pub src: Endpoint,
    /// Its destination; of an echo reply the port is the identifier, and 0 makes it a request.
    pub dst: Endpoint,
    /// TCP control bits.
    pub flags: tcp::Flags,
    /// Bytes of the IP packet.
    pub length: u16,
    /// Hops left.
    pub ttl: u8,
    /// Don't Fragment.
    pub dont_fragment: bool,
}

/// What would become of it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The decisions on the way, one line each.
    pub steps: Vec<String>,
    /// The end of it.
    pub outcome: Outcome,
}

/// The end of a packet that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It would leave.
    Leaves {
        /// On this side,
        side: Side,
        /// with this source
        src: Endpoint,
        /// and this destination,
        dst: Endpoint,
        /// to this host,
        hop: Ipv4Addr,
        /// whose hardware address is known, or would be asked for first.
        mac: Option<MacAddr>,
    },
    /// The gateway would answer it: an echo request.
    Answered,
    /// It would be dropped.
    Dropped(DropReason),
}

/// The ends of a packet that may go on, and where to.
struct Passage {
    to: Side,
    hop: Ipv4Addr,
    src: Endpoint,
    dst: Endpoint,
}

impl Gateway {
    /// Foretells what would become of a packet. Nothing changes: no session, no neighbour, no
    /// counter.
    #[must_use]
    pub fn preview(&self, probe: &Probe, now: Timestamp) -> Preview {
        let mut steps = Vec::new();
        let packet = probe.packet();
        let passage = match probe.side {
            Side::Lan => self.foresee_lan(probe, &packet, &mut steps, now),
            Side::Uplink => self.foresee_uplink(probe, &packet, &mut steps, now),
        };
        let outcome = match passage {
            Ok(Some(Passage { to, hop, src, dst })) => {
                let mac = self.neighbours[to as usize].peek(hop);
                steps.push(match mac {
                    Some(mac) => format!("neighbour: {hop} is at {mac}"),
                    None => format!("neighbour: {hop} is not known: it would be asked for by ARP"),
                });
                Outcome::Leaves { side: to, src, dst, hop, mac }
            }
            Ok(None) => {
                steps.push("local: the gateway answers the echo request itself".to_owned());
                Outcome::Answered
            }
            Err(reason) => {
                steps.push(format!("dropped: {reason}:{}", reason.describe()));
                Outcome::Dropped(reason)
            }
        };
        Preview { steps, outcome }
    }

    fn foresee_lan(
        &self,
        probe: &Probe,
        packet: &Packet,
        steps: &mut Vec<String>,
        now: Timestamp,
    ) -> Result<Option<Passage>, DropReason> {
        let Probe { src, dst, protocol, .. } = *probe;
        if !self.routes.is_lan_source(src.address) {
            return Err(DropReason::Martian);
        }
        let route = self.routes.to(dst.address);
        steps.push(format!("route: {} is {}", dst.address, describe(route)));
        match route {
            Route::Multicast => Err(DropReason::Multicast),
            Route::None => Err(DropReason::NoRoute),
            Route::Own(Side::Lan) => foresee_local(packet),
            Route::Via(Side::Lan, hop) => {
                self.check_forward(packet, &[], Side::Lan)?;
                Ok(Some(Passage { to: Side::Lan, hop, src, dst }))
            }
            Route::Via(Side::Uplink, hop) => {
                if matches!(packet.transport, Transport::IcmpReply(_)) {
                    return Err(DropReason::NotAnOpening);
                }
                self.check_forward(packet, &[], Side::Uplink)?;
                let own = self.address(Side::Uplink).ok_or(DropReason::NoRoute)?;
                let outside = self.foresee_out(probe, own, steps, now)?;
                Ok(Some(Passage { to: Side::Uplink, hop, src: outside, dst }))
            }
            Route::Own(Side::Uplink) => {
                let mapped = protocol != Protocol::Icmp
                    && self.nat.realm(protocol).mappings.inside(dst.port).is_some();
                if !mapped {
                    return foresee_local(packet);
                }
                self.check_forward(packet, &[], Side::Lan)?;
                let from = self.foresee_out(probe, dst.address, steps, now)?;
                // An endpoint that speaks to its own outside endpoint meets its own session.
                let inside = match from == dst {
                    true => src,
                    false => self.foresee_in(probe, from, steps, now)?,
                };
                Ok(Some(Passage { to: Side::Lan, hop: inside.address, src: from, dst: inside }))
            }
        }
    }

    fn foresee_uplink(
        &self,
        probe: &Probe,
        packet: &Packet,
        steps: &mut Vec<String>,
        now: Timestamp,
    ) -> Result<Option<Passage>, DropReason> {
        let Probe { src, dst, protocol, .. } = *probe;
        let route = self.routes.to(dst.address);
        steps.push(format!("route: {} is {}", dst.address, describe(route)));
        self.check_arrival(src.address, dst.address)?;
        let shared = self.is_shared(Side::Uplink);
        if matches!(packet.transport, Transport::IcmpRequest(_)) {
            return if shared { Err(DropReason::NotOurs) } else { foresee_local(packet) };
        }
        let inside = self
            .foresee_in(probe, src, steps, now)
            .map_err(|reason| self.refusal((protocol, dst.port), packet.transport, reason))?;
        self.check_forward(packet, &[], Side::Lan)?;
        Ok(Some(Passage { to: Side::Lan, hop: inside.address, src, dst: inside }))
    }

    fn foresee_out(
        &self,
        probe: &Probe,
        own: Ipv4Addr,
        steps: &mut Vec<String>,
        now: Timestamp,
    ) -> Result<Endpoint, DropReason> {
        let realm = self.nat.realm(probe.protocol);
        let plan = realm.plan_out(probe.src, probe.dst, probe.tcp_flags(), now)?;
        let (port, how) = match plan {
            PlanOut::Known(id) => (realm.table.get(id).outside_port, "a running session"),
            PlanOut::Open { outside, mapping, .. } => (
                outside,
                match mapping {
                    Use::Existing => "a new session on the endpoint's mapping",
                    Use::New => "a new session and mapping",
                    Use::Own => "a new session with a port of its own",
                },
            ),
        };
        let outside = Endpoint::new(own, port);
        steps.push(format!("nat: {} {} appears as {outside}: {how}", probe.protocol, probe.src));
        Ok(outside)
    }

    fn foresee_in(
        &self,
        probe: &Probe,
        from: Endpoint,
        steps: &mut Vec<String>,
        now: Timestamp,
    ) -> Result<Endpoint, DropReason> {
        let realm = self.nat.realm(probe.protocol);
        let (inside, how) = match realm.plan_in(probe.dst.port, from, probe.tcp_flags(), now)? {
            PlanIn::Known(id) => (realm.table.get(id).inside(), "a running session"),
            PlanIn::Open { inside, .. } => (inside, "a new session, which the filter admits"),
        };
        steps.push(format!("nat: {} {} leads to {inside}: {how}", probe.protocol, probe.dst));
        Ok(inside)
    }
}

fn foresee_local(packet: &Packet) -> Result<Option<Passage>, DropReason> {
    match packet.transport {
        Transport::IcmpRequest(_) => Ok(None),
        Transport::IcmpReply(_) => Err(DropReason::NoSession),
        _ => Err(DropReason::NoService),
    }
}

fn describe(route: Route) -> String {
    match route {
        Route::Own(side) => format!("the gateway's own address on the {side} side"),
        Route::Via(side, hop) => format!("reached through {hop} on the {side} side"),
        Route::Multicast => "multicast or broadcast, which is not routed".to_owned(),
        Route::None => "nowhere: no route".to_owned(),
    }
}

impl Probe {
    fn tcp_flags(&self) -> Option<tcp::Flags> {
        (self.protocol == Protocol::Tcp).then_some(self.flags)
    }

    fn packet(&self) -> Packet {
        let transport = match self.protocol {
            Protocol::Tcp => Transport::Tcp(self.src.port, self.dst.port, self.flags),
            Protocol::Udp => Transport::Udp(self.src.port, self.dst.port),
            Protocol::Icmp if self.dst.port == 0 => Transport::IcmpRequest(self.src.port),
            Protocol::Icmp => Transport::IcmpReply(self.dst.port),
        };
        Packet {
            src: self.src.address,
            dst: self.dst.address,
            protocol: self.protocol.number(),
            ttl: self.ttl,
            id: 0,
            header_len: wire::ipv4::HEADER_LEN,
            total_len: usize::from(self.length),
            dont_fragment: self.dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            transport,
            vnet: VnetHeader::default(),
        }
    }
}

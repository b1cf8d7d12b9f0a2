//! What would become of a packet: the same decisions, asked without a trace.
//!
//! For `explain`. Every answer comes from the functions that real packets meet (`Routes::to`,
//! `check_forward`, `Realm::plan_out` and `plan_in`), all of which take `&self`; a property test
//! holds the foretold against what then happens.

use std::net::Ipv4Addr;

use wire::{MacAddr, Timestamp, VnetHeader, tcp};

use crate::gateway::Gateway;
use crate::nat::plan::PlanOut;
use crate::node::Node;
use crate::note::{Hop, Note, Opening, Translation};
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
    /// The same as facts, the end apart.
    pub note: Note,
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
    /// The node it is for.
    node: Node,
    src: Endpoint,
    dst: Endpoint,
}

impl Gateway {
    /// Foretells what would become of a packet. Nothing changes: no session, no neighbour, no
    /// counter.
    #[must_use]
    pub fn preview(&self, probe: &Probe, now: Timestamp) -> Preview {
        let at = self.neighbours[Side::Lan as usize].node(probe.src.address);
        self.preview_from(at.unwrap_or(Node::NOBODY), probe, now)
    }

    /// The same of a packet that would come from this node, whoever it claims to be.
    #[must_use]
    pub fn preview_from(&self, node: Node, probe: &Probe, now: Timestamp) -> Preview {
        let mut note = Note::default();
        let packet = probe.packet();
        let passage = match probe.side {
            Side::Lan => self.foresee_lan((node, probe), &packet, &mut note, now),
            Side::Uplink => self.foresee_uplink(probe, &packet, &mut note, now),
        };
        let outcome = match passage {
            Ok(Some(Passage { to, hop, node, src, dst })) => {
                let neighbours = &self.neighbours[to as usize];
                let mac = neighbours.peek(hop);
                note.hop = Some((hop, mac.map_or(Hop::Asked, Hop::Known)));
                match neighbours.node(hop).is_none_or(|at| at.may_be(node)) {
                    true => Outcome::Leaves { side: to, src, dst, hop, mac },
                    false => Outcome::Dropped(DropReason::Foreign),
                }
            }
            Ok(None) => Outcome::Answered,
            Err(reason) => Outcome::Dropped(reason),
        };
        let mut steps: Vec<_> =
            note.steps().into_iter().map(|(word, text)| format!("{word}: {text}")).collect();
        match outcome {
            Outcome::Leaves { .. } => {}
            Outcome::Answered => {
                steps.push("local: the gateway answers the echo request itself".to_owned());
            }
            Outcome::Dropped(reason) => {
                steps.push(format!("dropped: {reason}:{}", reason.describe()));
            }
        }
        Preview { steps, note, outcome }
    }

    fn foresee_lan(
        &self,
        (node, probe): (Node, &Probe),
        packet: &Packet,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<Option<Passage>, DropReason> {
        let Probe { src, dst, protocol, .. } = *probe;
        if !self.routes.is_lan_source(src.address) {
            return Err(DropReason::Martian);
        }
        let route = self.routes.to(dst.address);
        note.route = Some((dst.address, route));
        match route {
            Route::Multicast => Err(DropReason::Multicast),
            Route::None => Err(DropReason::NoRoute),
            Route::Own(Side::Lan) => foresee_local(packet),
            Route::Via(Side::Lan, hop) => {
                self.check_forward(packet, &[], Side::Lan)?;
                Ok(Some(Passage { to: Side::Lan, hop, node: Node::NOBODY, src, dst }))
            }
            Route::Via(Side::Uplink, hop) => {
                if matches!(packet.transport, Transport::IcmpReply(_)) {
                    return Err(DropReason::NotAnOpening);
                }
                self.check_forward(packet, &[], Side::Uplink)?;
                let own = self.address(Side::Uplink).ok_or(DropReason::NoRoute)?;
                let outside = self.foresee_out((node, probe), own, note, now)?;
                Ok(Some(Passage { to: Side::Uplink, hop, node: Node::NOBODY, src: outside, dst }))
            }
            Route::Own(Side::Uplink) => {
                let mapped =
                    protocol != Protocol::Icmp && self.hairpins(packet, (protocol, src, dst), now);
                if !mapped {
                    return foresee_local(packet);
                }
                self.check_forward(packet, &[], Side::Lan)?;
                let from = self.foresee_out((node, probe), dst.address, note, now)?;
                // An endpoint that speaks to its own outside endpoint meets its own session.
                let (node, inside) = match from == dst {
                    true => {
                        let session = Opening::Running;
                        note.back =
                            Some(Translation { protocol, inside: src, outside: dst, session });
                        (Node::NOBODY, src)
                    }
                    false => self.foresee_in(probe, from, note, now)?,
                };
                Ok(Some(Passage {
                    to: Side::Lan,
                    hop: inside.address,
                    node,
                    src: from,
                    dst: inside,
                }))
            }
        }
    }

    fn foresee_uplink(
        &self,
        probe: &Probe,
        packet: &Packet,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<Option<Passage>, DropReason> {
        let Probe { src, dst, protocol, .. } = *probe;
        note.route = Some((dst.address, self.routes.to(dst.address)));
        self.check_arrival(src.address, dst.address)?;
        let shared = self.is_shared(Side::Uplink);
        if matches!(packet.transport, Transport::IcmpRequest(_)) {
            return if shared { Err(DropReason::NotOurs) } else { foresee_local(packet) };
        }
        let (node, inside) = self
            .foresee_in(probe, src, note, now)
            .map_err(|reason| self.refusal((protocol, dst.port), packet.transport, reason))?;
        self.check_forward(packet, &[], Side::Lan)?;
        Ok(Some(Passage { to: Side::Lan, hop: inside.address, node, src, dst: inside }))
    }

    fn foresee_out(
        &self,
        (node, probe): (Node, &Probe),
        own: Ipv4Addr,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<Endpoint, DropReason> {
        let Probe { protocol, src: inside, dst, .. } = *probe;
        let realm = self.nat.realm(protocol);
        let (ends, flags) = ((inside, dst), probe.tcp_flags());
        let plan = match realm.plan_out(node, ends, flags, now) {
            // What others have left under the address is in nobody's way who has it now.
            Err(DropReason::Foreign) if self.is_at(node, inside.address) => {
                realm.plan_out(Node::NOBODY, ends, flags, now)?
            }
            plan => plan?,
        };
        if !matches!(plan, PlanOut::Known(_)) {
            self.may_open(node, inside.address)?;
        }
        let port = match plan {
            PlanOut::Known(id) => realm.table.get(id).outside_port,
            PlanOut::Open { outside, .. } => outside,
        };
        let outside = Endpoint::new(own, port);
        note.out = Some(Translation { protocol, inside, outside, session: plan.into() });
        Ok(outside)
    }

    fn foresee_in(
        &self,
        probe: &Probe,
        from: Endpoint,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<(Node, Endpoint), DropReason> {
        let Probe { protocol, dst: outside, .. } = *probe;
        let realm = self.nat.realm(protocol);
        let plan = realm.plan_in(outside.port, from, probe.tcp_flags(), now)?;
        let (node, inside) = realm.inside_of(outside.port, &plan);
        note.back = Some(Translation { protocol, inside, outside, session: plan.into() });
        Ok((node, inside))
    }
}

fn foresee_local(packet: &Packet) -> Result<Option<Passage>, DropReason> {
    match packet.transport {
        Transport::IcmpRequest(_) => Ok(None),
        Transport::IcmpReply(_) => Err(DropReason::NoSession),
        _ => Err(DropReason::NoService),
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

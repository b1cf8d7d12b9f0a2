//! What would become of a packet: the same decisions, asked without a trace.
//!
//! For `explain`. The way is planned as a real packet's is ([`crate::course`]) and not gone; what the
//! NAT would open is asked of its own plans. All of that takes `&self`; a property test holds the
//! foretold against what then happens.

use std::net::Ipv4Addr;

use wire::{Ethernet, IpProtocol, MacAddr, Timestamp, VnetHeader, tcp};

use crate::course::Course;
use crate::gateway::Gateway;
use crate::leg::LegId;
use crate::nat::by_address::Talk;
use crate::nat::fragments::Datagram;
use crate::nat::plan::{Displaced, PlanOut};
use crate::node::Node;
use crate::note::{Hop, Note, Opening, Translation};
use crate::packet::{Endpoint, Packet, Protocol, Transport};
use crate::passage::Arrival;
use crate::verdict::{DropReason, Side, Verdict};

/// A packet to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where it would enter.
    pub side: Side,
    /// TCP, UDP, an ICMP echo, or one without ports.
    pub protocol: IpProtocol,
    /// Its source; of an echo request the port is the identifier. Without ports they are 0.
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
    /// The resolver of names would get it.
    Asked,
    /// It would be handed, untouched, to the kernel that has the leg's addresses too.
    Host(LegId),
    /// It would be dropped.
    Dropped(DropReason),
}

/// The ends of a packet that may go on, and where to.
struct Onward {
    to: Side,
    hop: Ipv4Addr,
    /// The node it is for.
    node: Node,
    src: Endpoint,
    dst: Endpoint,
}

/// What is planned for a packet.
enum Ahead {
    Answered,
    Host(LegId),
    On(Onward),
}

impl Gateway {
    /// Foretells what would become of a packet. Nothing changes: no session, no neighbour, no
    /// counter.
    #[must_use]
    pub fn preview(&self, probe: &Probe, now: Timestamp) -> Preview {
        let at = match probe.side {
            Side::Leg(_) => self.links.node_at(probe.side, probe.src.address),
            Side::Uplink => None,
        };
        self.preview_from(at.unwrap_or(Node::NOBODY), probe, now)
    }

    /// What would become of a frame of IPv6 from a leg, of which it is given the headers: its host's, or
    /// dropped.
    ///
    /// # Errors
    /// Why it would be dropped.
    pub fn preview_ipv6(&self, leg: LegId, frame: &Ethernet<'_>) -> Result<Verdict, DropReason> {
        self.links.ipv6(Side::Leg(leg), frame)
    }

    /// The same of a packet that would come from this node, whoever it claims to be.
    #[must_use]
    pub fn preview_from(&self, node: Node, probe: &Probe, now: Timestamp) -> Preview {
        let mut note = Note::default();
        let outcome = match self.foresee(node, probe, &mut note, now) {
            Ok(Ahead::Host(leg)) => Outcome::Host(leg),
            Ok(Ahead::On(Onward { to, hop, node, src, dst })) => {
                let neighbours = &self.links.link(to).neighbours;
                let mac = neighbours.peek(hop);
                note.hop = Some((hop, mac.map_or(Hop::Asked, Hop::Known)));
                match neighbours.node(hop).is_none_or(|at| at.may_be(node)) {
                    true => Outcome::Leaves { side: to, src, dst, hop, mac },
                    false => Outcome::Dropped(DropReason::Foreign),
                }
            }
            Ok(Ahead::Answered) if self.asks(&probe.arrival(node).packet) => Outcome::Asked,
            Ok(Ahead::Answered) => Outcome::Answered,
            Err(reason) => Outcome::Dropped(reason),
        };
        let mut steps: Vec<_> = note
            .steps(|side| side.to_string())
            .into_iter()
            .map(|(word, text)| format!("{word}: {text}"))
            .collect();
        match outcome {
            Outcome::Leaves { .. } => {}
            Outcome::Host(_) => {
                steps.push("local: the host has the address, and takes it".to_owned());
            }
            Outcome::Answered => {
                steps.push("local: the gateway answers the echo request itself".to_owned());
            }
            Outcome::Asked => {
                steps.push("local: the resolver of names takes it".to_owned());
            }
            Outcome::Dropped(reason) => {
                steps.push(format!("dropped: {reason}:{}", reason.describe()));
            }
        }
        Preview { steps, note, outcome }
    }

    /// The way of a packet, planned and not gone.
    fn foresee(
        &self,
        node: Node,
        probe: &Probe,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<Ahead, DropReason> {
        if let Side::Leg(leg) = probe.side
            && !self.links.has(leg)
        {
            return Err(DropReason::NoLeg);
        }
        let arrival = probe.arrival(node);
        note.route = self.routed_by(&arrival);
        let course = self.plan(&arrival, &[], now).map_err(|refusal| refusal.reason)?;
        let Probe { src, dst, side, .. } = *probe;
        let from = (side, node);
        let onward = |to, hop, node, src, dst| Ok(Ahead::On(Onward { to, hop, node, src, dst }));
        match course {
            Course::Echo | Course::Ask => Ok(Ahead::Answered),
            Course::Host(leg) => Ok(Ahead::Host(leg)),
            Course::Straight { to, hop, .. } => onward(to, hop, Node::NOBODY, src, dst),
            Course::Out { own, hop } => {
                let (outside, _) = self.foresee_out(from, probe, own, note, now)?;
                onward(Side::Uplink, hop, Node::NOBODY, outside, dst)
            }
            Course::OutByAddress { own, hop } => {
                let (protocol, inside, remote) = (probe.protocol, src.address, dst.address);
                let plan = self.foresee_by_address(from, Talk { protocol, inside, remote }, now)?;
                note.out = Some(Translation::by_address(protocol, inside, own, plan.into()));
                onward(Side::Uplink, hop, Node::NOBODY, Endpoint::new(own, 0), dst)
            }
            Course::BackByAddress { session, to } => {
                let (node, inside) = self.nat.by_address.inside(session);
                let (protocol, how) = (probe.protocol, Opening::Running);
                note.back = Some(Translation::by_address(protocol, inside, dst.address, how));
                onward(to, inside, node, src, Endpoint::new(inside, 0))
            }
            Course::Back { to, .. } | Course::Open { to } => {
                let (node, inside) = self.foresee_in(probe, src, note, now)?;
                onward(to, inside.address, node, src, inside)
            }
            Course::Hairpin => {
                let (outside, displaced) = self.foresee_out(from, probe, dst.address, note, now)?;
                let protocol = probe.ported()?;
                let realm = self.nat.realm(protocol);
                let (node, inside) = match outside == dst {
                    // An endpoint that speaks to its own outside endpoint meets its own session.
                    true => {
                        let session = Opening::Running;
                        let protocol = probe.protocol;
                        let back = Translation { protocol, inside: src, outside: dst, session };
                        note.back = Some(back);
                        (Node::NOBODY, src)
                    }
                    // It gave way to the very packet that was to meet it.
                    false if displaced.is_some_and(|gone| realm.ends_with(gone, dst.port)) => {
                        return Err(DropReason::NoSession);
                    }
                    false => self.foresee_in(probe, outside, note, now)?,
                };
                onward(self.side_of(inside.address)?, inside.address, node, outside, inside)
            }
            // A probe is neither a fragment nor an error.
            Course::Later
            | Course::OutError { .. }
            | Course::BackError { .. }
            | Course::HairpinError => Err(DropReason::BadIcmpError),
        }
    }

    /// The outside endpoint of what goes out, and what gives way for it.
    fn foresee_out(
        &self,
        from: (Side, Node),
        probe: &Probe,
        own: Ipv4Addr,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<(Endpoint, Option<Displaced>), DropReason> {
        let Probe { protocol, src: inside, dst, .. } = *probe;
        let ends = (inside, dst);
        let (port, plan) =
            self.foresee_port(from, probe.ported()?, ends, (probe.tcp_flags(), now))?;
        let outside = Endpoint::new(own, port);
        let displaced = match plan {
            PlanOut::Open { displaced, .. } => displaced,
            PlanOut::Known(_) => None,
        };
        note.out = Some(Translation { protocol, inside, outside, session: plan.into() });
        Ok((outside, displaced))
    }

    fn foresee_in(
        &self,
        probe: &Probe,
        from: Endpoint,
        note: &mut Note,
        now: Timestamp,
    ) -> Result<(Node, Endpoint), DropReason> {
        let Probe { protocol, dst: outside, .. } = *probe;
        let realm = self.nat.realm(probe.ported()?);
        let plan = realm.plan_in(outside.port, from, probe.tcp_flags(), now)?;
        let (node, inside) = realm.inside_of(outside.port, &plan);
        note.back = Some(Translation { protocol, inside, outside, session: plan.into() });
        Ok((node, inside))
    }
}

impl Probe {
    /// The protocol of one with ports, which none of the ways by address is for.
    fn ported(&self) -> Result<Protocol, DropReason> {
        Protocol::of(self.protocol).ok_or(DropReason::Protocol)
    }

    fn tcp_flags(&self) -> Option<tcp::Flags> {
        (self.protocol == Protocol::Tcp).then_some(self.flags)
    }

    fn arrival(&self, node: Node) -> Arrival {
        let packet = self.packet();
        let datagram = Datagram::of(self.side, node, &packet);
        Arrival { side: self.side, node, from: MacAddr::ZERO, datagram, packet }
    }

    fn packet(&self) -> Packet {
        let transport = match Protocol::of(self.protocol) {
            Some(Protocol::Tcp) => Transport::Tcp(self.src.port, self.dst.port, self.flags),
            Some(Protocol::Udp) => Transport::Udp(self.src.port, self.dst.port),
            Some(Protocol::Icmp) if self.dst.port == 0 => Transport::IcmpRequest(self.src.port),
            Some(Protocol::Icmp) => Transport::IcmpReply(self.dst.port),
            None => Transport::Other,
        };
        Packet {
            src: self.src.address,
            dst: self.dst.address,
            protocol: self.protocol.0,
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

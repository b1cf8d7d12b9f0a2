//! The last steps of every packet that is sent on: hop count, size, identification, fragments,
//! the next hop's hardware address.
//!
//! [`Gateway::may_forward`] refuses before anything changes; [`Gateway::depart`] comes last. What
//! has to wait for a neighbour is copied and bounded; what is too large and may be cut is cut.

use std::net::Ipv4Addr;

use wire::{FrameMut, GsoType, MacAddr, Timestamp, VnetHeader, tcp, vnet};

use crate::gateway::{Arrival, Gateway};
use crate::nat::fragments::{Action, Datagram, Held};
use crate::neighbour::{Resolution, Waiting};
use crate::node::Node;
use crate::note::Hop;
use crate::output::Output;
use crate::packet::{L3, Packet, Transport};
use crate::report::Problem;
use crate::rewrite;
use crate::segment;
use crate::split;
use crate::verdict::{Consumed, DropReason, Side, Verdict};

/// Where a packet leaves, whose it is there, and whether it does so on behalf of several hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    to: Side,
    hop: Ipv4Addr,
    /// The node it is for; nobody's where whoever has the address may have it.
    node: Node,
    /// The source is now the uplink's address: identifications of several hosts meet there.
    masqueraded: bool,
}

impl Departure {
    pub(crate) fn plain(to: Side, hop: Ipv4Addr) -> Self {
        Self { to, hop, node: Node::NOBODY, masqueraded: false }
    }

    pub(crate) fn masqueraded(to: Side, hop: Ipv4Addr) -> Self {
        Self { masqueraded: true, ..Self::plain(to, hop) }
    }

    /// For this node alone, whoever has the address by now.
    pub(crate) fn owned(self, node: Node) -> Self {
        Self { node, ..self }
    }
}

impl Gateway {
    /// Refuses a packet whose hops have run out or that the next link cannot carry.
    #[inline]
    pub(crate) fn may_forward(
        &mut self,
        frame: &FrameMut<'_>,
        a: &Arrival,
        to: Side,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<(), DropReason> {
        let refusal = match self.check_forward(&a.packet, frame.bytes, to) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        let problem = match refusal {
            DropReason::TtlExceeded => Problem::TimeExceeded,
            _ => Problem::TooBig(u16::try_from(self.mtu(to)).unwrap_or(u16::MAX)),
        };
        self.report(frame, a, problem, out, now);
        Err(refusal)
    }

    /// The same, without telling anybody.
    #[inline]
    pub(crate) fn check_forward(
        &self,
        packet: &Packet,
        bytes: &[u8],
        to: Side,
    ) -> Result<(), DropReason> {
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded);
        }
        let gso = packet.vnet.gso() != GsoType::None;
        let size = if gso {
            let headers = packet.header_len + packet.l4_header_len(bytes);
            headers + usize::from(packet.vnet.gso_size)
        } else {
            packet.total_len
        };
        if size > self.mtu(to) && packet.dont_fragment {
            return Err(DropReason::TooBig);
        }
        Ok(())
    }

    /// Sends a translated packet on, and with it the fragments that waited for it.
    #[inline]
    pub(crate) fn depart(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        departure: Departure,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let Departure { to, hop, node, masqueraded } = departure;
        let mut id = None;
        if masqueraded && !a.packet.is_atomic() {
            let count = a.packet.segments(a.packet.l4_header_len(frame.bytes));
            let whom = (a.packet.dst, a.packet.protocol);
            let new = self.ids.replace(whom, a.packet.id, count);
            rewrite::identification(frame.bytes, &mut a.packet, new);
            id = Some(new);
        }
        if a.packet.more_fragments && a.packet.fragment_offset == 0 {
            let action =
                Action::Forward { src: a.packet.src, dst: a.packet.dst, id, to, hop, node };
            let held = self.fragments.first(a.datagram, &a.packet, action, now)?;
            self.replay(a, action, held, out, now);
        }
        let ttl = a.packet.ttl - 1;
        rewrite::time_to_live(frame.bytes, &mut a.packet, ttl);
        self.deliver(to, (hop, node), (a.node, frame), out, now)
    }

    /// A later fragment of a datagram that is translated or answered.
    pub(crate) fn later_fragment(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        // RFC 1858, RFC 3128: it would lie over the flags the first one was judged by.
        if a.packet.protocol == wire::ipv4::protocol::TCP
            && a.packet.fragment_offset < tcp::HEADER_LEN
        {
            return Err(DropReason::TinyFragment);
        }
        if let Some(action) = self.fragments.later(a.datagram, &a.packet, now) {
            return self.act(frame, a, action, out, now);
        }
        let mut memory = Vec::with_capacity(vnet::LEN + frame.bytes.len());
        memory.extend(frame.vnet().to_bytes());
        memory.extend_from_slice(frame.bytes);
        self.fragments.hold(a.datagram, &a.packet, Held(memory), now)?;
        Ok(Verdict::Consumed(Consumed::Held))
    }

    /// Does with a later fragment what was decided for the first.
    fn act(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        action: Action,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        match action {
            Action::Drop(reason) => Err(reason),
            Action::Echo => Ok(self.turn_round(frame, a)),
            Action::Forward { src, dst, id, to, hop, node } => {
                self.check_forward(&a.packet, frame.bytes, to)?;
                rewrite::addresses(&mut frame.bytes[L3..], &mut a.packet, Some(src), Some(dst));
                if let Some(id) = id {
                    rewrite::identification(frame.bytes, &mut a.packet, id);
                }
                let ttl = a.packet.ttl - 1;
                rewrite::time_to_live(frame.bytes, &mut a.packet, ttl);
                self.deliver(to, (hop, node), (a.node, frame), out, now)
            }
        }
    }

    /// Sends the fragments that waited for the first of their datagram.
    pub(crate) fn replay(
        &mut self,
        first: &Arrival,
        action: Action,
        held: Vec<Held>,
        out: &mut dyn Output,
        now: Timestamp,
    ) {
        for Held(mut memory) in held {
            let sent = FrameMut::new(&mut memory, None).and_then(|mut frame| {
                let packet = Packet::read(&frame).ok()?;
                let datagram = Datagram::of(first.side, first.node, &packet);
                let mut a = Arrival { packet, datagram, ..*first };
                let to = match self.act(&mut frame, &mut a, action, out, now).ok()? {
                    Verdict::Lan => Side::Lan,
                    Verdict::Uplink => Side::Uplink,
                    Verdict::Consumed(_) | Verdict::Drop(_) => return Some(()),
                };
                self.send(out, to, frame.vnet(), frame.bytes);
                Some(())
            });
            self.counters.waited_in_vain += u64::from(sent.is_none());
        }
    }

    /// Hands a finished packet to the next hop, or lets it wait for its hardware address. It is for
    /// the node given and from another; what is asked for the first goes on its account, or the
    /// other's.
    #[inline]
    fn deliver(
        &mut self,
        to: Side,
        (hop, node): (Ipv4Addr, Node),
        (from, frame): (Node, &mut FrameMut<'_>),
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let payer = if from == Node::NOBODY { node } else { from };
        let resolution = self.neighbours[to as usize].resolve(hop, payer, now);
        self.notes.hop(hop, resolution.into());
        let (mac, at) = match resolution {
            Resolution::Known(mac, at) => (mac, at),
            Resolution::Stale(mac, at) => {
                self.ask(to, hop, Some(mac), out);
                (mac, at)
            }
            Resolution::Ask => {
                self.ask(to, hop, None, out);
                return self.queue(to, hop, (payer, node), frame);
            }
            Resolution::Pending => return self.queue(to, hop, (payer, node), frame),
            Resolution::Failed => {
                self.report_unreachable((to, from), frame.bytes, out, now);
                return Err(DropReason::HostUnreachable);
            }
            Resolution::Full => return Err(DropReason::NeighbourQueueFull),
        };
        if !at.may_be(node) {
            return Err(DropReason::Foreign);
        }
        if split::is_needed(frame.bytes, frame.vnet(), self.mtu(to)) {
            self.transmit(to, mac, frame.vnet(), frame.bytes, out);
            return Ok(Verdict::Consumed(Consumed::Fragmented));
        }
        rewrite::link(frame.bytes, mac, self.mac(to));
        Ok(match to {
            Side::Lan => Verdict::Lan,
            Side::Uplink => Verdict::Uplink,
        })
    }

    fn queue(
        &mut self,
        to: Side,
        hop: Ipv4Addr,
        (from, node): (Node, Node),
        frame: &FrameMut<'_>,
    ) -> Result<Verdict, DropReason> {
        let (vnet, frame) = (frame.vnet(), frame.bytes.to_vec());
        let waiting = Waiting { vnet, frame, from, to: node };
        if self.neighbours[to as usize].wait(hop, waiting) {
            Ok(Verdict::Consumed(Consumed::Queued))
        } else {
            Err(DropReason::NeighbourQueueFull)
        }
    }

    /// Sends a finished packet as an additional frame, in fragments where it has to be.
    pub(crate) fn transmit(
        &mut self,
        to: Side,
        mac: MacAddr,
        mut vnet: VnetHeader,
        frame: &mut [u8],
        out: &mut dyn Output,
    ) {
        rewrite::link(frame, mac, self.mac(to));
        let mtu = self.mtu(to);
        if !split::is_needed(frame, vnet, mtu) {
            self.send(out, to, vnet, frame);
            return;
        }
        let mut buffer = std::mem::take(&mut self.scratch);
        let mut one = std::mem::take(&mut self.segment);
        let extra = &mut self.counters.extra;
        let mut cut = |packet: &mut [u8], vnet: &mut VnetHeader| {
            split::split(packet, vnet, mtu, &mut buffer, |fragment| {
                *extra += 1;
                out.send(to, VnetHeader::default(), fragment);
            });
        };
        match vnet.gso() {
            GsoType::None => cut(frame, &mut vnet),
            _ => segment::segments(frame, vnet, &mut one, |packet| {
                cut(packet, &mut VnetHeader::default());
            }),
        }
        (self.scratch, self.segment) = (buffer, one);
    }
}

impl From<Resolution> for Hop {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Known(mac, _) | Resolution::Stale(mac, _) => Self::Known(mac),
            Resolution::Ask | Resolution::Pending => Self::Asked,
            Resolution::Failed | Resolution::Full => Self::Silent,
        }
    }
}

impl Packet {
    /// Bytes of the transport header.
    #[inline]
    pub(crate) fn l4_header_len(&self, bytes: &[u8]) -> usize {
        match self.transport {
            Transport::Tcp(..) => bytes
                .get(self.l4()..)
                .and_then(wire::Tcp::parse)
                .map_or(tcp::HEADER_LEN, |tcp| tcp.header_len()),
            Transport::Fragment => 0,
            _ => 8,
        }
    }
}

impl DropReason {
    /// True where the later fragments of a datagram cannot be judged without the first.
    pub(crate) fn needs_the_first(self) -> bool {
        !matches!(
            self,
            Self::Martian
                | Self::InsideFromOutside
                | Self::Multicast
                | Self::NotForMe
                | Self::NoRoute
                | Self::FragmentTableFull
                | Self::Foreign
        )
    }

    /// True where it is for want of room, which the sender is told with code 13.
    pub(crate) fn is_exhaustion(self) -> bool {
        matches!(self, Self::PortsExhausted | Self::TableFull | Self::Quota)
    }
}

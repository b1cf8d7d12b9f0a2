//! The last steps of every packet that is sent on: hop count, identification, fragments, the next
//! hop's hardware address.
//!
//! [`Gateway::depart`] comes last. What has to wait for a neighbour is copied and bounded; what is too
//! large and may be cut is cut.

use std::net::Ipv4Addr;

use wire::{FrameMut, MacAddr, VnetHeader, tcp, vnet};

use crate::gateway::Gateway;
use crate::links::Links;
use crate::nat::fragments::{Action, Datagram, Held};
use crate::neighbour::{Resolution, Waiting};
use crate::node::Node;
use crate::note::Hop;
use crate::output::Output;
use crate::packet::{L3, Packet, Transport};
use crate::passage::{Arrival, Passage};
use crate::rewrite;
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
    /// Later fragments go where the first has gone, for they alone tell nothing.
    followed: bool,
}

impl Departure {
    pub(crate) fn plain(to: Side, hop: Ipv4Addr) -> Self {
        Self { to, hop, node: Node::NOBODY, masqueraded: false, followed: true }
    }

    /// Of a packet that is not translated: each of its fragments finds its own way.
    pub(crate) fn straight(to: Side, hop: Ipv4Addr) -> Self {
        Self { followed: false, ..Self::plain(to, hop) }
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
    /// Sends a translated packet on, and with it the fragments that waited for it.
    #[inline]
    pub(crate) fn depart(
        &mut self,
        p: &mut Passage<'_, '_>,
        departure: Departure,
    ) -> Result<Verdict, DropReason> {
        let Departure { to, hop, node, masqueraded, followed } = departure;
        let packet = &mut p.arrival.packet;
        let mut id = None;
        if masqueraded && !packet.is_atomic() {
            let count = packet.segments(packet.l4_header_len(p.frame.bytes));
            let whom = (packet.dst, packet.protocol);
            let new = self.ids.replace(whom, packet.id, count);
            rewrite::identification(p.frame.bytes, packet, new);
            id = Some(new);
        }
        if followed && packet.more_fragments && packet.fragment_offset == 0 {
            let action = Action::Forward { src: packet.src, dst: packet.dst, id, to, hop, node };
            let held = self.fragments.first(p.arrival.datagram, packet, action, p.now)?;
            self.replay(p, action, held);
        }
        let ttl = p.arrival.packet.ttl - 1;
        rewrite::time_to_live(p.frame.bytes, &mut p.arrival.packet, ttl);
        self.deliver(p, to, (hop, node))
    }

    /// A later fragment of a datagram that is translated or answered.
    pub(crate) fn later_fragment(
        &mut self,
        p: &mut Passage<'_, '_>,
    ) -> Result<Verdict, DropReason> {
        let (datagram, packet) = (p.arrival.datagram, p.arrival.packet);
        // RFC 1858, RFC 3128: it would lie over the flags the first one was judged by.
        if packet.protocol == wire::ipv4::protocol::TCP && packet.fragment_offset < tcp::HEADER_LEN
        {
            return Err(DropReason::TinyFragment);
        }
        if let Some(action) = self.fragments.later(datagram, &packet, p.now) {
            return self.act(p, action);
        }
        let mut memory = Vec::with_capacity(vnet::LEN + p.frame.bytes.len());
        memory.extend(p.frame.vnet().to_bytes());
        memory.extend_from_slice(p.frame.bytes);
        self.fragments.hold(datagram, &packet, Held(memory), p.now)?;
        Ok(Verdict::Consumed(Consumed::Held))
    }

    /// Does with a later fragment what was decided for the first.
    fn act(&mut self, p: &mut Passage<'_, '_>, action: Action) -> Result<Verdict, DropReason> {
        match action {
            Action::Drop(reason) => Err(reason),
            Action::Echo => Ok(self.turn_round(p.frame, &mut p.arrival)),
            Action::Forward { src, dst, id, to, hop, node } => {
                let packet = &mut p.arrival.packet;
                self.check_forward(packet, p.frame.bytes, to).map_err(|refusal| refusal.reason)?;
                rewrite::addresses(&mut p.frame.bytes[L3..], packet, Some(src), Some(dst));
                if let Some(id) = id {
                    rewrite::identification(p.frame.bytes, packet, id);
                }
                let ttl = packet.ttl - 1;
                rewrite::time_to_live(p.frame.bytes, packet, ttl);
                self.deliver(p, to, (hop, node))
            }
        }
    }

    /// Sends the fragments that waited for the first of their datagram.
    pub(crate) fn replay(&mut self, first: &mut Passage<'_, '_>, action: Action, held: Vec<Held>) {
        let (arrival, now) = (first.arrival, first.now);
        for Held(mut memory) in held {
            let out = &mut *first.out;
            let sent = FrameMut::new(&mut memory, None).and_then(|mut frame| {
                let packet = Packet::read(&frame).ok()?;
                let datagram = Datagram::of(arrival.side, arrival.node, &packet);
                let arrival = Arrival { packet, datagram, ..arrival };
                let mut p = Passage { frame: &mut frame, arrival, out, now };
                if let Some(to) = self.act(&mut p, action).ok()?.side() {
                    self.links.send(p.out, to, p.frame.vnet(), p.frame.bytes);
                }
                Some(())
            });
            self.links.counters.waited_in_vain += u64::from(sent.is_none());
        }
    }

    /// Hands a finished packet to the next hop, or lets it wait for its hardware address. It is for
    /// the node given and from another; what is asked for the first goes on its account, or the
    /// other's.
    #[inline]
    fn deliver(
        &mut self,
        p: &mut Passage<'_, '_>,
        to: Side,
        (hop, node): (Ipv4Addr, Node),
    ) -> Result<Verdict, DropReason> {
        let from = p.arrival.node;
        let payer = if from == Node::NOBODY { node } else { from };
        let resolution = self.links.link_mut(to).neighbours.resolve(hop, payer, p.now);
        self.links.note_moves(to);
        self.notes.hop(hop, resolution.into());
        let (mac, at) = match resolution {
            Resolution::Known(mac, at) => (mac, at),
            Resolution::Stale(mac, at) => {
                self.links.ask(to, hop, Some(mac), p.out);
                (mac, at)
            }
            Resolution::Ask => {
                self.links.ask(to, hop, None, p.out);
                return self.links.queue(to, hop, (payer, node), p.frame);
            }
            Resolution::Pending => return self.links.queue(to, hop, (payer, node), p.frame),
            Resolution::Failed => {
                self.report_unreachable((to, from), p.frame.bytes, p.out, p.now);
                return Err(DropReason::HostUnreachable);
            }
            Resolution::Full => return Err(DropReason::NeighbourQueueFull),
        };
        if !at.may_be(node) {
            return Err(DropReason::Foreign);
        }
        if split::is_needed(p.frame.bytes, p.frame.vnet(), self.links.mtu(to)) {
            self.links.transmit(to, mac, p.frame.vnet(), p.frame.bytes, p.out);
            return Ok(Verdict::Consumed(Consumed::Fragmented));
        }
        rewrite::link(p.frame.bytes, mac, self.links.mac(to));
        Ok(to.into())
    }
}

impl Links {
    /// Takes over from a link that a neighbour is another than it was.
    #[inline]
    pub(crate) fn note_moves(&mut self, side: Side) {
        let moved = &mut self.link_mut(side).neighbours.moved;
        let moved = std::mem::take(moved);
        self.stirred |= moved;
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
        if self.link_mut(to).neighbours.wait(hop, waiting) {
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
        vnet: VnetHeader,
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
        split::each_packet(frame, vnet, &mut one, |packet, vnet| {
            split::split(packet, vnet, mtu, &mut buffer, |fragment| {
                self.send(out, to, VnetHeader::default(), fragment);
            });
        });
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
    /// Bytes of the transport header; of segments in a tunnel, of all headers from that one on.
    #[inline]
    pub(crate) fn l4_header_len(&self, bytes: &[u8]) -> usize {
        if self.vnet.gso_type != 0
            && let Some(nested) = self.nested(bytes)
        {
            return nested.headers() - self.l4();
        }
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
                | Self::Isolated
                | Self::Internal
                | Self::FragmentTableFull
                | Self::Foreign
        )
    }

    /// True where it is for want of room, which the sender is told with code 13.
    pub(crate) fn is_exhaustion(self) -> bool {
        matches!(self, Self::PortsExhausted | Self::TableFull | Self::Quota)
    }
}

//! ICMP errors of the gateway's own: what they say, about which packets, and how often.
//!
//! Never about an ICMP error, a later fragment or a broadcast (RFC 1122 3.2.2), and no more than
//! [`crate::limit`] allows. They go back to the station the packet came from, so they need no
//! neighbour; only those about packets that have waited are sent by look-up.

use std::net::Ipv4Addr;

use wire::icmp::{self, unreachable};
use wire::ipv4::{self, protocol};
use wire::tcp::End;
use wire::{FrameMut, Ipv4, MacAddr, Timestamp, VnetHeader, ethertype};

use crate::gateway::{Arrival, Gateway};
use crate::node::Node;
use crate::output::Output;
use crate::packet::{Endpoint, L3, Packet, Transport};
use crate::rewrite;
use crate::route::Route;
use crate::verdict::Side;

/// Bytes of the offending packet in an error: the whole error stays within 576 (RFC 1812 4.3.2.3).
const QUOTE: usize = 576 - ipv4::HEADER_LEN - icmp::HEADER_LEN;

/// Precedence 6 in the type of service, and what of it is the service asked for (RFC 791).
const CONTROL: u8 = 0xc0;
const SERVICE: u8 = 0x1e;

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Destination unreachable, with this code.
    Unreachable(u8),
    /// Fragmentation needed, with the MTU of the next link.
    TooBig(u16),
    /// The time to live ran out.
    TimeExceeded,
}

impl Gateway {
    /// Reports a problem with a packet to its sender. The frame holds the packet as it came.
    pub(crate) fn report(
        &mut self,
        frame: &FrameMut<'_>,
        a: &Arrival,
        problem: Problem,
        out: &mut dyn Output,
        now: Timestamp,
    ) {
        let packet = &a.packet;
        if packet.transport == Transport::IcmpError || packet.fragment_offset > 0 {
            return;
        }
        let quote = &frame.bytes[L3..packet.end()];
        self.send_error((a.side, a.node), (packet.src, a.from), problem, quote, out, now);
    }

    fn send_error(
        &mut self,
        (side, node): (Side, Node),
        (receiver, station): (Ipv4Addr, MacAddr),
        problem: Problem,
        quote: &[u8],
        out: &mut dyn Output,
        now: Timestamp,
    ) {
        let Some(own) = self.address(side) else { return };
        if !self.limiters[side as usize].allow(node, receiver, now) {
            self.counters.icmp_limited += 1;
            return;
        }
        self.counters.icmp_errors += 1;
        let mut buffer = std::mem::take(&mut self.scratch);
        build(&mut buffer, (self.mac(side), station), (own, receiver), problem, quote);
        self.send(out, side, VnetHeader::default(), &buffer);
        self.scratch = buffer;
    }

    /// The neighbour on `side` that this frame was to go to does not answer: tells its sender,
    /// undoing the translation in what is quoted, which is the frame itself.
    pub(crate) fn report_unreachable(
        &mut self,
        (side, from): (Side, Node),
        frame: &mut [u8],
        out: &mut dyn Output,
        now: Timestamp,
    ) {
        let Some(packet) = frame.get(L3..).and_then(Packet::quoted) else { return };
        if packet.transport == Transport::IcmpError || packet.fragment_offset > 0 {
            return;
        }
        let end = packet.end().min(frame.len());
        let Some(uplink) = self.address(Side::Uplink) else { return };
        let own = if packet.src == uplink { self.nat.error_in(&packet, uplink, now) } else { None };
        let own = own.map(|(_, inside)| inside);
        if let Some(inside) = own {
            // It went out, or back in by hairpin; what its sender knows is its own address.
            let id = self.id_before(&packet);
            rewrite::quoted_packet(&mut frame[L3..end], (End::Src, inside), id);
        }
        if side == Side::Lan
            && let Some(port) = self.nat.error_out(Node::NOBODY, &packet, now)
        {
            // It came to the uplink's address.
            let known = (End::Dst, Endpoint::new(uplink, port));
            rewrite::quoted_packet(&mut frame[L3..end], known, None);
        }
        let receiver = own.map_or(packet.src, |inside| inside.address);
        let Route::Via(back, hop) = self.routes.to(receiver) else { return };
        let Some(station) = self.neighbours[back as usize].peek(hop) else { return };
        let problem = Problem::Unreachable(unreachable::HOST);
        self.send_error((back, from), (receiver, station), problem, &frame[L3..end], out, now);
    }

    /// SYNs nobody asked for, six seconds later.
    pub(crate) fn tick_unsolicited(&mut self, out: &mut dyn Output, now: Timestamp) {
        while let Some(pending) = self.unsolicited.due(now) {
            let quote = &pending.quote[..pending.length];
            let Some(packet) = Packet::quoted(quote) else { continue };
            let problem = Problem::Unreachable(unreachable::PORT);
            let outside = (Side::Uplink, Node::NOBODY);
            self.send_error(outside, (packet.src, pending.from), problem, quote, out, now);
        }
    }
}

/// Puts a frame with an ICMP error together.
fn build(
    buffer: &mut Vec<u8>,
    (own, station): (MacAddr, MacAddr),
    ends: (Ipv4Addr, Ipv4Addr),
    problem: Problem,
    quote: &[u8],
) {
    let quote = &quote[..quote.len().min(QUOTE)];
    let (message_type, code, mtu) = match problem {
        Problem::Unreachable(code) => (icmp::UNREACHABLE, code, 0),
        Problem::TooBig(mtu) => (icmp::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, mtu),
        Problem::TimeExceeded => (icmp::TIME_EXCEEDED, 0, 0),
    };
    let length = ipv4::HEADER_LEN + icmp::HEADER_LEN + quote.len();
    buffer.clear();
    buffer.resize(L3, 0);
    rewrite::link(buffer, station, own);
    buffer[12..14].copy_from_slice(&ethertype::IPV4.to_be_bytes());
    let mut header = [0; ipv4::HEADER_LEN];
    let total = u16::try_from(length).unwrap_or(576);
    ipv4::write_header(&mut header, ends, protocol::ICMP, crate::local::TTL, total);
    // RFC 1812 4.3.2.5: the precedence of internetwork control, the service of what it is about.
    header[1] = CONTROL | quote.get(1).map_or(0, |tos| tos & SERVICE);
    if let Ok(mut ip) = Ipv4::parse_quoted(&mut header[..]) {
        ip.fill_checksum();
    }
    buffer.extend(header);
    let [high, low] = mtu.to_be_bytes();
    buffer.extend([message_type, code, 0, 0, 0, 0, high, low]);
    buffer.extend(quote);
    icmp::fill_checksum(&mut buffer[L3 + ipv4::HEADER_LEN..]);
}

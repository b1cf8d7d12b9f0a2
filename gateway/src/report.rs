//! ICMP errors of the gateway's own: what they say, about which packets, and how often.
//!
//! Never about an ICMP error or redirect, a later fragment or a broadcast (RFC 1122 3.2.2), and no more than
//! [`crate::limit`] allows. They go back to the station the packet came from, so they need no
//! neighbour; only those about packets that have waited are sent by look-up.

use std::net::Ipv4Addr;

use wire::icmp::{self, unreachable};
use wire::ipv4::{self, protocol};
use wire::tcp::End;
use wire::{Ipv4, MacAddr, Timestamp, VnetHeader, ethertype};

use crate::gateway::Gateway;
use crate::links::Links;
use crate::node::Node;
use crate::output::Output;
use crate::packet::{Endpoint, L3, Packet};
use crate::passage::Passage;
use crate::rewrite;
use crate::route::Route;
use crate::verdict::Side;

/// Bytes of the offending packet in an error: the whole error stays within 576 (RFC 1812 4.3.2.3).
const QUOTE: usize = 576 - ipv4::HEADER_LEN - icmp::HEADER_LEN;

/// Precedence 6 in the type of service, and what of it is the service asked for (RFC 791).
const CONTROL: u8 = 0xc0;
const SERVICE: u8 = 0x1e;

/// A redirect's code: for this destination alone, whatever the service (RFC 1812 5.2.7.2).
const FOR_THE_HOST: u8 = 1;

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Destination unreachable, with this code.
    Unreachable(u8),
    /// Fragmentation needed, with the MTU of the next link.
    TooBig(u16),
    /// The time to live ran out.
    TimeExceeded,
    /// The sender may speak to this neighbour of its directly.
    Redirect(Ipv4Addr),
}

impl Links {
    /// Reports a problem with a packet to its sender, from `own` where one is given, else from the
    /// gateway's address towards the sender. The frame holds the packet as it came.
    pub(crate) fn report(
        &mut self,
        p: &mut Passage<'_, '_>,
        problem: Problem,
        own: Option<Ipv4Addr>,
    ) {
        let a = &p.arrival;
        let quote = &p.frame.bytes[L3..a.packet.end()];
        if !is_reported(&a.packet, quote) {
            return;
        }
        let ends = (own, a.packet.src, a.from);
        self.send_error((a.side, a.node), ends, problem, quote, p.out, p.now);
    }

    /// Tells the sender of a packet that its next hop is its neighbour, unless it was told lately.
    pub(crate) fn redirect(&mut self, p: &mut Passage<'_, '_>, hop: Ipv4Addr) {
        let packet = &p.arrival.packet;
        let is_reported = is_reported(packet, &p.frame.bytes[L3..packet.end()]);
        if is_reported && self.redirects.is_due(packet.src, p.now) {
            self.report(p, Problem::Redirect(hop), None);
        }
    }

    fn send_error(
        &mut self,
        (side, node): (Side, Node),
        (own, receiver, station): (Option<Ipv4Addr>, Ipv4Addr, MacAddr),
        problem: Problem,
        quote: &[u8],
        out: &mut dyn Output,
        now: Timestamp,
    ) {
        let Some(own) = own.or_else(|| self.address(side, receiver)) else { return };
        if !self.link_mut(side).limiter.allow(node, receiver, now) {
            self.counters.icmp_limited += 1;
            return;
        }
        match problem {
            Problem::Redirect(_) => self.counters.redirects += 1,
            _ => self.counters.icmp_errors += 1,
        }
        let mut buffer = std::mem::take(&mut self.scratch);
        build(&mut buffer, (self.mac(side), station), (own, receiver), problem, quote);
        self.send(out, side, VnetHeader::default(), &buffer);
        self.scratch = buffer;
    }
}

/// Whether errors about a packet, which is `bytes`, are sent at all.
fn is_reported(packet: &Packet, bytes: &[u8]) -> bool {
    let message_type = bytes.get(packet.header_len);
    let tells = packet.protocol == protocol::ICMP
        && message_type.is_none_or(|message_type| icmp::tells_of_another(*message_type));
    !tells && packet.fragment_offset == 0
}

impl Gateway {
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
        if !is_reported(&packet, &frame[L3..]) {
            return;
        }
        let end = packet.end().min(frame.len());
        let uplink = self.links.uplink_address();
        let own = uplink.filter(|uplink| packet.src == *uplink);
        let own = own.and_then(|uplink| self.nat.error_in(&packet, uplink, now));
        let own = own.map(|(_, inside)| inside);
        if let Some(inside) = own {
            // It went out, or back in by hairpin; what its sender knows is its own address.
            let id = self.id_before(&packet);
            rewrite::quoted_packet(&mut frame[L3..end], (End::Src, inside), id);
        }
        if side.is_inside()
            && let Some(uplink) = uplink
            && let Some(port) = self.nat.error_out(Node::NOBODY, &packet, now)
        {
            // It came to the uplink's address.
            let known = (End::Dst, Endpoint::new(uplink, port));
            rewrite::quoted_packet(&mut frame[L3..end], known, None);
        }
        let receiver = own.map_or(packet.src, |inside| inside.address);
        let Route::Via(back, hop) = self.links.routes.to(receiver) else { return };
        let Some(station) = self.links.link(back).neighbours.peek(hop) else { return };
        let problem = Problem::Unreachable(unreachable::HOST);
        let ends = (None, receiver, station);
        self.links.send_error((back, from), ends, problem, &frame[L3..end], out, now);
    }

    /// SYNs nobody asked for, six seconds later.
    pub(crate) fn tick_unsolicited(&mut self, out: &mut dyn Output, now: Timestamp) {
        while let Some(pending) = self.unsolicited.due(now) {
            let quote = &pending.quote[..pending.length];
            let Some(packet) = Packet::quoted(quote) else { continue };
            let problem = Problem::Unreachable(unreachable::PORT);
            let outside = (Side::Uplink, Node::NOBODY);
            let ends = (None, packet.src, pending.from);
            self.links.send_error(outside, ends, problem, quote, out, now);
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
    let (message_type, code, word) = match problem {
        Problem::Unreachable(code) => (icmp::UNREACHABLE, code, 0),
        Problem::TooBig(mtu) => {
            (icmp::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, u32::from(mtu))
        }
        Problem::TimeExceeded => (icmp::TIME_EXCEEDED, 0, 0),
        Problem::Redirect(hop) => (icmp::REDIRECT, FOR_THE_HOST, hop.into()),
    };
    let length = ipv4::HEADER_LEN + icmp::HEADER_LEN + quote.len();
    buffer.clear();
    buffer.resize(L3, 0);
    rewrite::link(buffer, station, own);
    buffer[12..14].copy_from_slice(&ethertype::IPV4.to_be_bytes());
    let mut header = [0; ipv4::HEADER_LEN];
    let total = u16::try_from(length).unwrap_or(576);
    ipv4::write_header(&mut header, ends, protocol::ICMP, crate::paths::TTL, total);
    // RFC 1812 4.3.2.5: the precedence of internetwork control, the service of what it is about.
    header[1] = CONTROL | quote.get(1).map_or(0, |tos| tos & SERVICE);
    if let Ok(mut ip) = Ipv4::parse_quoted(&mut header[..]) {
        ip.fill_checksum();
    }
    buffer.extend(header);
    buffer.extend([message_type, code, 0, 0]);
    buffer.extend(word.to_be_bytes());
    buffer.extend(quote);
    icmp::fill_checksum(&mut buffer[L3 + ipv4::HEADER_LEN..]);
}

//! Changing a packet where it lies: addresses, ports, time to live, identification, and every
//! checksum that covers them.
//!
//! A full checksum is updated by addresses and ports, a partial one by the addresses alone, as
//! the ports are not in it yet; one of what a tunnel carries is none of ours; a later fragment has
//! no transport header to touch.

use std::net::Ipv4Addr;

use wire::checksum::Delta;
use wire::ipv4::protocol;
use wire::tcp::{self, End};
use wire::{Icmp, Ipv4, MacAddr, udp};

use crate::carried;
use crate::packet::{Endpoint, L3, Packet, Transport};

/// The new ends of a packet. The port is None where there is none to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub(crate) src: Option<Endpoint>,
    pub(crate) dst: Option<Endpoint>,
}

impl Rewrite {
    pub(crate) fn src(end: Endpoint) -> Self {
        Self { src: Some(end), dst: None }
    }

    pub(crate) fn dst(end: Endpoint) -> Self {
        Self { src: None, dst: Some(end) }
    }
}

/// Applies new ends to the packet in `bytes` (a frame) and to its facts.
#[inline]
pub(crate) fn ends(bytes: &mut [u8], packet: &mut Packet, rewrite: Rewrite) {
    let pseudo = addresses(
        &mut bytes[L3..],
        packet,
        rewrite.src.map(|e| e.address),
        rewrite.dst.map(|e| e.address),
    );
    let (l4, end) = (packet.l4(), packet.end());
    transport(&mut bytes[l4..end], packet, rewrite, pseudo);
}

/// Replaces addresses; returns what that did to a sum over the pseudo-header.
#[inline]
pub(crate) fn addresses(
    ip: &mut [u8],
    packet: &mut Packet,
    src: Option<Ipv4Addr>,
    dst: Option<Ipv4Addr>,
) -> Delta {
    let mut pseudo = Delta::NONE;
    let Ok(mut view) = Ipv4::parse_quoted(ip) else { return pseudo };
    if let Some(new) = src {
        pseudo = pseudo.address(packet.src, new);
        view.set_src(new);
        packet.src = new;
    }
    if let Some(new) = dst {
        pseudo = pseudo.address(packet.dst, new);
        view.set_dst(new);
        packet.dst = new;
    }
    pseudo
}

#[inline]
fn transport(l4: &mut [u8], packet: &mut Packet, rewrite: Rewrite, pseudo: Delta) {
    match &mut packet.transport {
        Transport::Tcp(src, dst, _) | Transport::Udp(src, dst) => {
            let mut ports = Delta::NONE;
            if let Some(end) = rewrite.src {
                ports = ports.and(tcp::set_port(l4, End::Src, end.port));
                *src = end.port;
            }
            if let Some(end) = rewrite.dst {
                ports = ports.and(tcp::set_port(l4, End::Dst, end.port));
                *dst = end.port;
            }
            let partial = packet.is_partial();
            if packet.protocol == protocol::TCP {
                tcp::update_checksum(l4, pseudo, ports, partial);
            } else {
                udp::update_checksum(l4, pseudo, ports, partial);
            }
        }
        Transport::IcmpRequest(id) => {
            if let (Some(end), Some(mut icmp)) = (rewrite.src, Icmp::parse(l4)) {
                icmp.set_id(end.port);
                *id = end.port;
            }
        }
        Transport::IcmpReply(id) => {
            if let (Some(end), Some(mut icmp)) = (rewrite.dst, Icmp::parse(l4)) {
                icmp.set_id(end.port);
                *id = end.port;
            }
        }
        Transport::Other => carried::update(l4, packet.protocol, pseudo, packet.is_partial()),
        _ => {}
    }
}

/// Replaces the time to live.
#[inline]
pub(crate) fn time_to_live(bytes: &mut [u8], packet: &mut Packet, ttl: u8) {
    packet.ttl = ttl;
    if let Ok(mut ip) = Ipv4::parse_quoted(&mut bytes[L3..]) {
        ip.set_ttl(ttl);
    }
}

/// Replaces the identification.
#[inline]
pub(crate) fn identification(bytes: &mut [u8], packet: &mut Packet, id: u16) {
    packet.id = id;
    if let Ok(mut ip) = Ipv4::parse_quoted(&mut bytes[L3..]) {
        ip.set_id(id);
    }
}

/// Writes the hardware addresses of the next link.
#[inline]
pub(crate) fn link(bytes: &mut [u8], dst: MacAddr, src: MacAddr) {
    bytes[..6].copy_from_slice(&dst.0);
    bytes[6..12].copy_from_slice(&src.0);
}

/// Applies a new end, and the identification it once had, to the packet that an ICMP error in
/// `bytes` (a frame) quotes, and computes the error's checksum anew: it is short, and two kinds of
/// update would not be simpler.
pub(crate) fn quoted(
    bytes: &mut [u8],
    outer: &Packet,
    (end, new): (End, Endpoint),
    id: Option<u16>,
) {
    let (l4, finish) = (outer.l4(), outer.end());
    let Some(mut icmp) = Icmp::parse(&mut bytes[l4..finish]) else { return };
    quoted_packet(icmp.body_mut(), (end, new), id);
    icmp.fill_checksum();
}

/// Applies a new end and identification to a quoted packet, which may be cut off anywhere after its
/// header.
pub(crate) fn quoted_packet(body: &mut [u8], (end, new): (End, Endpoint), id: Option<u16>) {
    let Some(mut inner) = Packet::quoted(body) else { return };
    if let (Some(id), Ok(mut ip)) = (id, Ipv4::parse_quoted(&mut *body)) {
        ip.set_id(id);
    }
    let (src, dst) = match end {
        End::Src => (Some(new.address), None),
        End::Dst => (None, Some(new.address)),
    };
    let pseudo = addresses(body, &mut inner, src, dst);
    let from = inner.header_len.min(body.len());
    let until = inner.total_len.min(body.len());
    let l4 = &mut body[from..until];
    match inner.transport {
        Transport::Tcp(..) => {
            let ports = tcp::set_port(l4, end, new.port);
            tcp::update_checksum(l4, pseudo, ports, false);
        }
        Transport::Udp(..) => {
            let ports = tcp::set_port(l4, end, new.port);
            udp::update_checksum(l4, pseudo, ports, false);
        }
        Transport::IcmpRequest(_) | Transport::IcmpReply(_) => {
            if let Some(mut icmp) = Icmp::parse(l4) {
                icmp.set_id(new.port);
            }
        }
        Transport::Other => carried::update(l4, inner.protocol, pseudo, false),
        _ => {}
    }
}

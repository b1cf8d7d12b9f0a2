//! One line about a frame, for `monitor`, `trace` and test failures.
//!
//! Dissection is etherparse's lax slicing, so a cut-off or damaged frame still says as much as
//! can be read. Formatting allocates nothing of its own and is never on the data path.

use std::fmt;

use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode};
use etherparse::{Icmpv4Slice, Icmpv4Type, LaxNetSlice, LaxSlicedPacket, TransportSlice};

use crate::arp::{self, Arp};
use crate::ethernet::Ethernet;
use crate::ethertype;
use crate::ipv4::Ipv4;
use crate::protocol::IpProtocol;
use crate::vlan::VlanTag;
use crate::vnet::VnetHeader;

/// A frame that displays as one line, such as
/// `10.100.0.10 > 8.8.8.8 icmp echo request id 7 seq 1 ttl 64 length 98`.
#[derive(Clone, Copy)]
pub struct Summary<'a> {
    frame: &'a [u8],
    vlan: Option<VlanTag>,
    vnet: VnetHeader,
}

impl<'a> Summary<'a> {
    /// Of an Ethernet frame that stands for itself.
    #[must_use]
    pub fn new(frame: &'a [u8]) -> Self {
        Self { frame, vlan: None, vnet: VnetHeader::default() }
    }

    /// With the tag taken out of the frame and the header that travels with it.
    #[must_use]
    pub fn with(self, vnet: VnetHeader, vlan: Option<VlanTag>) -> Self {
        Self { vnet, vlan, ..self }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = self.vlan {
            write!(f, "vlan {} ", tag.id().get())?;
        }
        let Some(ethernet) = Ethernet::parse(self.frame) else {
            return write!(f, "runt frame length {}", self.frame.len());
        };
        match LaxSlicedPacket::from_ethernet(self.frame) {
            Ok(packet) => packet_line(f, &packet, &ethernet)?,
            Err(_) => other_line(f, &ethernet)?,
        }
        write!(f, " length {}", self.frame.len())?;
        if self.vnet.gso_size > 0 {
            write!(f, " in segments of {}", self.vnet.gso_size)?;
        }
        Ok(())
    }
}

fn packet_line(
    f: &mut fmt::Formatter<'_>,
    packet: &LaxSlicedPacket<'_>,
    ethernet: &Ethernet<'_>,
) -> fmt::Result {
    let (src, dst, ttl): (std::net::IpAddr, std::net::IpAddr, u8) = match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let h = ip.header();
            (h.source_addr().into(), h.destination_addr().into(), h.ttl())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let h = ip.header();
            (h.source_addr().into(), h.destination_addr().into(), h.hop_limit())
        }
        Some(LaxNetSlice::Arp(slice)) => return arp_line(f, slice.slice(), ethernet),
        None => return other_line(f, ethernet),
    };
    match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            write!(f, "{src}:{} > {dst}:{} tcp ", tcp.source_port(), tcp.destination_port())?;
            let bits = [
                (tcp.syn(), 'S'),
                (tcp.fin(), 'F'),
                (tcp.rst(), 'R'),
                (tcp.psh(), 'P'),
                (tcp.ack(), '.'),
            ];
            for (_, letter) in bits.iter().filter(|(set, _)| *set) {
                write!(f, "{letter}")?;
            }
            write!(f, " seq {}", tcp.sequence_number())?;
            if tcp.ack() {
                write!(f, " ack {}", tcp.acknowledgment_number())?;
            }
        }
        Some(TransportSlice::Udp(udp)) => {
            write!(f, "{src}:{} > {dst}:{} udp", udp.source_port(), udp.destination_port())?;
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            write!(f, "{src} > {dst} icmp ")?;
            icmp_line(f, icmp)?;
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            write!(f, "{src} > {dst} icmp6 type {}", icmp.type_u8())?;
        }
        Some(TransportSlice::Igmp(_)) => write!(f, "{src} > {dst} igmp")?,
        None => write!(f, "{src} > {dst} {}", protocol(packet))?,
    }
    if let Some(LaxNetSlice::Ipv4(ip)) = &packet.net {
        let h = ip.header();
        if h.is_fragmenting_payload() {
            let more = if h.more_fragments() { "+" } else { "" };
            let at = u32::from(h.fragments_offset().value()) * 8;
            write!(f, " fragment {}@{at}{more}", h.identification())?;
        }
    }
    write!(f, " ttl {ttl}")
}

fn protocol(packet: &LaxSlicedPacket<'_>) -> IpProtocol {
    IpProtocol(match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => ip.header().protocol().0,
        Some(LaxNetSlice::Ipv6(ip)) => ip.header().next_header().0,
        _ => 0,
    })
}

fn arp_line(f: &mut fmt::Formatter<'_>, bytes: &[u8], ethernet: &Ethernet<'_>) -> fmt::Result {
    match Arp::parse(bytes) {
        Some(a) if a.operation == arp::Operation::Request => {
            write!(f, "arp who has {} tell {}", a.target, a.sender)
        }
        Some(a) => write!(f, "arp {} is at {}", a.sender, a.sender_mac),
        None => other_line(f, ethernet),
    }
}

fn icmp_line(f: &mut fmt::Formatter<'_>, icmp: &Icmpv4Slice<'_>) -> fmt::Result {
    match icmp.icmp_type() {
        Icmpv4Type::EchoRequest(e) => write!(f, "echo request id {} seq {}", e.id, e.seq),
        Icmpv4Type::EchoReply(e) => write!(f, "echo reply id {} seq {}", e.id, e.seq),
        Icmpv4Type::DestinationUnreachable(header) => {
            match header {
                DestUnreachableHeader::Network => f.write_str("net unreachable")?,
                DestUnreachableHeader::Host => f.write_str("host unreachable")?,
                DestUnreachableHeader::Protocol => f.write_str("protocol unreachable")?,
                DestUnreachableHeader::Port => f.write_str("port unreachable")?,
                DestUnreachableHeader::FragmentationNeeded { next_hop_mtu } => {
                    write!(f, "fragmentation needed mtu {next_hop_mtu}")?;
                }
                DestUnreachableHeader::FilterProhibited => f.write_str("prohibited")?,
                _ => write!(f, "unreachable code {}", icmp.code_u8())?,
            }
            quoted(f, icmp)
        }
        Icmpv4Type::TimeExceeded(code) => {
            f.write_str(match code {
                TimeExceededCode::TtlExceededInTransit => "time exceeded",
                TimeExceededCode::FragmentReassemblyTimeExceeded => "reassembly time exceeded",
            })?;
            quoted(f, icmp)
        }
        _ => write!(f, "type {} code {}", icmp.type_u8(), icmp.code_u8()),
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, icmp: &Icmpv4Slice<'_>) -> fmt::Result {
    match Ipv4::parse_quoted(icmp.payload()) {
        Ok(ip) => write!(f, " about {} > {}", ip.src(), ip.dst()),
        Err(_) => Ok(()),
    }
}

fn other_line(f: &mut fmt::Formatter<'_>, ethernet: &Ethernet<'_>) -> fmt::Result {
    write!(f, "{} > {} ", ethernet.src(), ethernet.dst())?;
    match ethernet.ethertype() {
        ethertype::IPV4 => f.write_str("damaged ipv4"),
        ethertype::IPV6 => f.write_str("damaged ipv6"),
        ethertype::ARP => f.write_str("damaged arp"),
        other => write!(f, "ethertype {other:#06x}"),
    }
}

#[cfg(test)]
mod tests;

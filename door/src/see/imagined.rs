//! The bytes of imagined frames, as far as a switch reads them: packets, questions for a neighbour and
//! their answers. Pure.
//!
//! A packet carries what says nothing to anybody on its way: an echo request, a header with its ports, a
//! message of IGMP of no known kind, an end of headers, zeros.

use std::net::{Ipv4Addr, Ipv6Addr};

use gateway::Probe;
use switch::Frame;
use wire::ipv4::protocol::{ICMP, TCP, UDP};
use wire::{Arp, MacAddr, arp, ethertype};

use super::asked::TTL;

/// ICMPv6 among the headers of IPv6.
pub(super) const ICMPV6: u8 = 58;
const IGMP: u8 = 2;
/// Nothing follows (RFC 8200, section 4.7).
const NO_NEXT: u8 = 59;

/// A question by ARP as a frame, or an answer.
pub(super) fn arp(
    frame: &Frame,
    operation: arp::Operation,
    [sender, target]: [Ipv4Addr; 2],
) -> Vec<u8> {
    let arp = Arp { operation, sender_mac: frame.src, sender, target_mac: MacAddr::ZERO, target };
    [&frame.dst.0[..], &frame.src.0, &ethertype::ARP.to_be_bytes(), &arp.to_bytes()].concat()
}

/// A neighbour solicitation as a frame, or the advertisement that answers it, from the first address to
/// the second; the target is the one asked for (RFC 4861, sections 4.3 and 4.4).
pub(super) fn discovery(frame: &Frame, [from, to]: [Ipv6Addr; 2], target: Ipv6Addr) -> Vec<u8> {
    let answers = from == target;
    let (kind, option, flags) = if answers { (136, 2, 0x60) } else { (135, 1, 0) };
    let message = [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &target.octets(), &[option, 1]].concat();
    let message = [&message[..], &frame.src.0].concat();
    v6(frame, [from, to], (ICMPV6, 255), &message)
}

/// A packet of IPv6 that carries a protocol.
pub(super) fn packet6(frame: &Frame, ends: [Ipv6Addr; 2], protocol: u8) -> Vec<u8> {
    let begins = match protocol {
        ICMPV6 => [128, 0, 0, 0],
        // Extension headers, of which this is the last; the first byte says what follows.
        0 | 43 | 44 | 51 | 60 => [NO_NEXT, 0, 0, 0],
        _ => [0; 4],
    };
    v6(frame, ends, (protocol, TTL), &[begins, [0; 4]].concat())
}

/// A packet of IPv4.
pub(super) fn packet(frame: &Frame, probe: &Probe) -> Vec<u8> {
    let (protocol, [a, b]) = (probe.protocol.0, probe.src.port.to_be_bytes());
    let ([c, d], flags) = (probe.dst.port.to_be_bytes(), probe.flags.0);
    let body: &[u8] = match protocol {
        ICMP => &[8, 0, 0, 0, a, b, 0, 0],
        // It sums up.
        IGMP => &[0, 0, 0xff, 0xff, 0, 0, 0, 0],
        TCP => &[a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0],
        UDP => &[a, b, c, d, 0, 8, 0, 0],
        _ => &[0; 8],
    };
    let (length, whole) = (if protocol == TCP { 40 } else { 28 }, u8::from(probe.dont_fragment));
    let header = [0x45, 0, 0, length, 0, 0, whole << 6, 0, probe.ttl, protocol, 0, 0];
    let (from, to) = (probe.src.address.octets(), probe.dst.address.octets());
    [&frame.dst.0[..], &frame.src.0, &[8, 0], &header, &from, &to, body].concat()
}

fn v6(frame: &Frame, [from, to]: [Ipv6Addr; 2], (next, hops): (u8, u8), payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, next, hops];
    let ethernet = [&frame.dst.0[..], &frame.src.0, &ethertype::IPV6.to_be_bytes()].concat();
    [&ethernet[..], &header, &from.octets(), &to.octets(), payload].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;
    use std::sync::Arc;

    use gateway::{Endpoint, IpProtocol, Side};
    use switch::core::{McastConfig, NetworkConfig, PortState, SourceGuard};
    use switch::{Bridge, Fdb, FdbConfig, Path, PortId, PortSettings, Verdict};
    use wire::{Ethernet, Ipv4, MacAddr, Timestamp, tcp};

    use super::*;

    const V4: [&str; 2] = ["10.0.0.1", "224.0.0.5"];
    const V6: [&str; 2] = ["fd00::1", "ff02::1"];

    fn all() -> impl Iterator<Item = (u8, Vec<Vec<u8>>)> {
        (0..=255).map(|number| (number, frames(number)))
    }

    /// A packet of each family to a group of its link.
    fn frames(number: u8) -> Vec<Vec<u8>> {
        let [src, dst] = V4.map(|end| Endpoint::new(end.parse().unwrap(), 0));
        let probe = Probe {
            side: Side::LAN,
            protocol: IpProtocol(number),
            src,
            dst,
            flags: tcp::Flags(0),
            length: 84,
            ttl: TTL,
            dont_fragment: true,
        };
        let frame = |dst| Frame::new(MacAddr(dst), own(), None, 84);
        let v4 = packet(&frame([1, 0, 0x5e, 0, 0, 5]), &probe);
        let ends = V6.map(|end| end.parse::<Ipv6Addr>().unwrap());
        vec![v4, packet6(&frame([0x33, 0x33, 0, 0, 0, 1]), ends, number)]
    }

    fn own() -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, 1])
    }

    #[test]
    fn packets_carry_the_protocol_that_is_asked_for() {
        for (number, frames) in all() {
            let [v4, v6] = &frames[..] else { panic!() };
            let payload = Ethernet::parse(v4).unwrap().payload();
            assert_eq!(Ipv4::parse(payload).unwrap().protocol(), number);
            assert_eq!((v6[14] >> 4, v6[20]), (6, number));
        }
    }

    #[test]
    fn nobody_on_the_way_takes_offence_at_what_they_carry() {
        let addresses = [V4[0], V6[0]].map(|own| own.parse::<IpAddr>().unwrap());
        let guard = SourceGuard::new(own(), addresses);
        // One that snoops, and asks itself: what is no data is judged by what it says.
        let fdb = Arc::new(Fdb::new(FdbConfig::default()));
        let mcast = McastConfig { snooping: true, querier: true, ..McastConfig::default() };
        let mut bridge = Bridge::new(NetworkConfig { mcast, ..NetworkConfig::default() }, fdb);
        for port in 0..2 {
            bridge.set_port(PortId(port), PortState::up(PortSettings::default(), 1500));
        }
        for (number, frames) in all() {
            for bytes in frames {
                assert!(guard.lets_in(own(), &bytes), "{number}: {bytes:?}");
                let dst = MacAddr(bytes[..6].try_into().unwrap());
                let frame = Frame::new(dst, own(), None, 84);
                let (mut path, now) = (Path::default(), Timestamp::from_nanos(1));
                let decision = bridge.decide_reading(&frame, &bytes, PortId(0), now, &mut path);
                assert_eq!(decision.verdict, Verdict::Flood, "{number}");
                assert!(path.take_said().is_empty(), "{number}");
            }
        }
    }
}

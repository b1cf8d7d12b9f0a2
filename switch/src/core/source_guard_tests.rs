//! Frames of a port that belongs to one host, as a table: what it may say, and what not.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const OWN: MacAddr = MacAddr([2, 0x42, 10, 77, 0, 2]);
const OTHER: MacAddr = MacAddr([2, 0x42, 10, 77, 0, 3]);
const ALL: MacAddr = MacAddr::BROADCAST;

fn guard() -> SourceGuard {
    SourceGuard::new(OWN, ["10.77.0.2", "fd00:7::2"].map(|text| text.parse().unwrap()))
}

fn frame(dst: MacAddr, kind: u16, body: &[u8]) -> Vec<u8> {
    [&dst.0[..], &OWN.0, &kind.to_be_bytes(), body].concat()
}

fn arp(mac: MacAddr, sender: &str) -> Vec<u8> {
    let arp = Arp {
        operation: wire::arp::Operation::Reply,
        sender_mac: mac,
        sender: sender.parse().unwrap(),
        target_mac: OTHER,
        target: [10, 77, 0, 3].into(),
    };
    frame(OTHER, ethertype::ARP, &arp.to_bytes())
}

fn v4(dst: MacAddr, from: &str, protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let from: Ipv4Addr = from.parse().unwrap();
    let [high, low] = fragment.to_be_bytes();
    let header = [0x45, 0, 0, 0, 0, 0, high, low, 64, protocol, 0, 0];
    frame(dst, ethertype::IPV4, &[&header[..], &from.octets(), &[10, 77, 0, 3], body].concat())
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes(), [0, 8], [0, 0]].concat()
}

fn v6(dst: MacAddr, from: &str, next: u8, body: &[u8]) -> Vec<u8> {
    let from: Ipv6Addr = from.parse().unwrap();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], next, 255];
    frame(dst, ethertype::IPV6, &[&header[..], &from.octets(), &[0xfd; 16], body].concat())
}

/// A neighbour message about an address, with an option.
fn neighbour(kind: u8, target: &str, option: u8, mac: MacAddr) -> Vec<u8> {
    let target: Ipv6Addr = target.parse().unwrap();
    [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[option, 1], &mac.0].concat()
}

fn behind(headers: usize, message: &[u8]) -> Vec<u8> {
    let header = |n: usize| [if n + 1 == headers { ICMPV6 } else { 60 }, 0, 1, 4, 0, 0, 0, 0];
    [(0..headers).flat_map(header).collect(), message.to_vec()].concat()
}

#[test]
fn what_a_host_says_of_itself_is_let_in_and_all_else_refused() {
    let group = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let own = "fe80::42:aff:fe4d:2";
    let (ask, tell) = (SOLICITATION, ADVERTISEMENT);
    let ra = || neighbour(ROUTER_ADVERTISEMENT, "::", SOURCE_ADDRESS, OWN);
    let tagged = |frame: &[u8], tags: usize| {
        let tag = [0x81, 0, 0, 5].repeat(tags);
        [&frame[..12], &tag, &frame[12..]].concat()
    };
    let spoofed = v4(OTHER, "10.77.0.9", 6, 0, &[0; 20]);
    let table = [
        (true, arp(OWN, "10.77.0.2")),
        (true, arp(OWN, "0.0.0.0")),
        (false, arp(OWN, "10.77.0.1")),
        (false, arp(OTHER, "10.77.0.2")),
        (false, frame(ALL, ethertype::ARP, &[0; 27])),
        (true, v4(OTHER, "10.77.0.2", 6, 0, &[0; 20])),
        (false, spoofed.clone()),
        (false, v4(ALL, "10.77.0.1", 17, 0, &udp(5, 9))),
        (true, v4(ALL, "0.0.0.0", 17, 0, &udp(68, 67))),
        (false, v4(OTHER, "0.0.0.0", 17, 0, &udp(68, 67))),
        (false, v4(ALL, "10.77.0.2", 17, 0, &udp(67, 9))),
        (false, v4(ALL, "10.77.0.2", 17, 0x2000, &udp(67, 9))),
        (true, v4(OTHER, "10.77.0.2", 17, 0x2001, &udp(67, 9))),
        (false, v4(OTHER, "10.77.0.2", 17, 0, &[0])),
        // A client looks at its own port alone.
        (false, v4(OTHER, "10.77.0.2", 17, 0, &udp(1067, 68))),
        (false, v4(ALL, "0.0.0.0", 17, 0x2000, &udp(1067, 68))),
        (true, v4(OTHER, "10.77.0.2", 17, 0, &udp(1067, 69))),
        (false, v6(OTHER, own, 17, &udp(1067, 546))),
        (false, v4(ALL, "10.77.0.2", 1, 0, &[9, 0, 0, 0])),
        (false, v4(OTHER, "10.77.0.2", 1, 0x2000, &[5, 1, 0, 0])),
        (true, v4(OTHER, "10.77.0.2", 1, 0, &[8, 0, 0, 0])),
        (true, v4(OTHER, "10.77.0.2", 1, 0x2001, &[5, 1, 0, 0])),
        (false, v4(OTHER, "10.77.0.2", 1, 0, &[])),
        (false, frame(OTHER, ethertype::IPV4, &[0x45; 15])),
        (true, tagged(&arp(OWN, "10.77.0.2"), 1)),
        (false, tagged(&spoofed, 1)),
        (false, tagged(&spoofed, 2)),
        (false, tagged(&v4(OTHER, "10.77.0.2", 6, 0, &[0; 20]), 3)),
        (true, v6(OTHER, "fd00:7::2", 6, &[0; 20])),
        (true, v6(OTHER, own, 6, &[0; 20])),
        (false, v6(OTHER, "fd00:7::1", 6, &[0; 20])),
        (false, v6(OTHER, "fe80::1", 6, &[0; 20])),
        (true, v6(group, "::", ICMPV6, &neighbour(ask, "fd00:7::2", 14, OTHER))),
        (false, v6(OTHER, "::", ICMPV6, &neighbour(ask, "fd00:7::2", 14, OTHER))),
        (true, v6(group, own, ICMPV6, &neighbour(ask, "fd00:7::9", SOURCE_ADDRESS, OWN))),
        (false, v6(group, own, ICMPV6, &neighbour(ask, "fd00:7::9", SOURCE_ADDRESS, OTHER))),
        (true, v6(OTHER, own, ICMPV6, &neighbour(tell, "fd00:7::2", TARGET_ADDRESS, OWN))),
        (false, v6(OTHER, own, ICMPV6, &neighbour(tell, "fd00:7::1", TARGET_ADDRESS, OWN))),
        (false, v6(OTHER, own, ICMPV6, &neighbour(tell, "fd00:7::2", TARGET_ADDRESS, OTHER))),
        (false, v6(OTHER, own, ICMPV6, &[tell, 0, 0, 0])),
        (true, v6(group, own, ICMPV6, &[133, 0, 0, 0, 0, 0, 0, 0])),
        (false, v6(group, own, ICMPV6, &ra())),
        (false, v6(group, own, ICMPV6, &neighbour(REDIRECT, "fd00:7::9", TARGET_ADDRESS, OWN))),
        // Behind other headers (RFC 7113), and so many that nobody looks.
        (false, v6(group, own, 60, &behind(1, &ra()))),
        (false, v6(group, own, 0, &behind(3, &ra()))),
        (true, v6(group, own, 0, &behind(3, &[128, 0, 0, 0, 0, 0, 0, 0]))),
        (false, v6(group, own, 60, &behind(20, &[128, 0, 0, 0, 0, 0, 0, 0]))),
        (false, v6(group, own, 44, &[&[ICMPV6, 0, 0, 1, 0, 0, 0, 9][..], &ra()].concat())),
        (true, v6(group, own, 44, &[&[ICMPV6, 0, 0, 9, 0, 0, 0, 9][..], &ra()].concat())),
        (false, v6(group, own, 17, &udp(547, 9))),
        (true, v6(group, own, 17, &udp(546, 547))),
        (true, frame(OTHER, 0x88cc, &[0; 40])),
    ];
    for (n, (wanted, frame)) in table.iter().enumerate() {
        assert_eq!(guard().lets_in(OWN, frame), *wanted, "row {n}: {frame:02x?}");
        assert!(!guard().lets_in(OTHER, frame), "row {n} from another's hardware address");
    }
    assert_eq!(guard().only(), Some([10, 77, 0, 2].into()));
    assert_eq!(SourceGuard::new(OWN, []).only(), None);
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..4) {
        let kind = [ethertype::ARP, ethertype::IPV4, ethertype::IPV6, ethertype::VLAN][kind as usize];
        let guard = guard();
        let _ = guard.lets_in(OWN, &bytes);
        let _ = guard.lets_in(OWN, &frame(OTHER, kind, &bytes));
        let _ = guard.lets_in(OWN, &v6(OTHER, "fd00:7::2", ICMPV6, &bytes));
        let _ = guard.lets_in(OWN, &v6(OTHER, "fd00:7::2", 0, &bytes));
    }
}

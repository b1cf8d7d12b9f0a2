#![allow(clippy::unwrap_used)]

use wire::MacAddr;

use super::super::{Flow, Retag};
use super::*;
use crate::route::Route;

const NOW: Timestamp = Timestamp::from_nanos(10);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn key(dst: MacAddr) -> Key {
    Key { ingress: 2, dst, src: mac(1), tag: None, ends: None }
}

fn flow() -> Flow {
    Flow {
        egress: 3,
        flood: None,
        ethertype: None,
        beyond: None,
        peer: false,
        retag: Retag::default(),
        mtu: 1500,
        until: Timestamp::from_nanos(1_000),
        source: None,
        route: None,
        awaits: None,
    }
}

fn put(table: &Table, key: &Key, flow: &Flow) -> FlowId {
    let id = table.places(key).find(|id| !table.holds(*id, NOW)).unwrap();
    table.begin(id);
    table.write(id, key, flow, table.generation());
    id
}

fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&mac(2).0[..], &mac(1).0, &ethertype.to_be_bytes(), payload].concat()
}

/// A packet that may not be cut.
fn packet(src: Ipv4Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let head = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    frame(0x0800, &[&head[..], &src.octets(), &PEER.octets(), body].concat())
}

fn ports(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

fn segment(from: u16, to: u16, flags: u8) -> Vec<u8> {
    packet(OWN, TCP, &[ports(from, to), vec![0; 8], vec![0x50, flags, 0, 0, 0, 0, 0, 0]].concat())
}

fn ends(protocol: u8, from: u16, to: u16) -> Ends {
    Ends { protocol, src: SocketAddrV4::new(OWN, from), dst: SocketAddrV4::new(PEER, to) }
}

fn route(of: Ends) -> Route {
    let Ends { src, dst, .. } = of;
    Route { src, dst, next: mac(3), own: mac(4), atomic: true, kept: false, answers: false }
}

fn ask(table: &Table, bytes: &[u8]) -> bool {
    table.carries(&Asked { key: key(mac(2)), bytes, length: 100 }, NOW)
}

#[test]
fn a_flow_is_for_whoever_its_port_is_guarded_for_and_no_longer_than_its_mtu() {
    let table = Table::alone(1);
    let v6 = frame(0x86dd, &[0x60; 40]);
    put(&table, &key(mac(2)), &flow());
    assert!(ask(&table, &v6));
    let table = Table::alone(1);
    put(&table, &key(mac(2)), &Flow { source: Some(OWN), ..flow() });
    let udp = |src, from| packet(src, UDP, &[ports(from, 9), vec![0; 4]].concat());
    assert!(ask(&table, &packet(OWN, ICMP, &[8, 0, 0, 0, 0, 7, 0, 1])));
    assert!(ask(&table, &udp(OWN, 5)) && ask(&table, &segment(1, 2, Flags::SYN)));
    for (what, bytes) in [
        ("another family", v6),
        ("another source", udp(PEER, 5)),
        ("a server of DHCP", udp(OWN, 67)),
        ("to a client of DHCP", packet(OWN, UDP, &[ports(5, 68), vec![0; 4]].concat())),
        ("a redirect", packet(OWN, ICMP, &[5, 1, 0, 0, 0, 0, 0, 0])),
        ("a router that advertises itself", packet(OWN, ICMP, &[9, 0, 0, 0, 0, 0, 0, 0])),
        ("no packet", frame(0x0806, &[0; 28])),
        ("cut off", packet(OWN, UDP, &[])),
    ] {
        assert!(!ask(&table, &bytes), "{what}");
    }
    let bytes = udp(OWN, 5);
    let asked = |length| Asked { key: key(mac(2)), bytes: &bytes, length };
    assert!(table.carries(&asked(1500), NOW) && !table.carries(&asked(1501), NOW));
    assert!(!table.carries(&asked(1500), Timestamp::from_nanos(1_000)));
    table.advance();
    assert!(!ask(&table, &bytes));
}

#[test]
fn a_flood_is_for_its_ethertype() {
    let table = Table::alone(1);
    let all = key(MacAddr::BROADCAST);
    let flood = Flow { flood: Some(super::super::SetId(1)), ethertype: Some(0x88b5), ..flow() };
    put(&table, &all, &flood);
    let asked =
        |kind| table.carries(&Asked { key: all, bytes: &frame(kind, &[0; 46]), length: 46 }, NOW);
    assert!(asked(0x88b5) && !asked(0x88b6));
    let other = Key { src: mac(9), ..all };
    let bytes = frame(0x88b5, &[0; 46]);
    assert!(!table.carries(&Asked { key: other, bytes: &bytes, length: 46 }, NOW));
}

#[test]
fn a_route_is_for_its_ends_and_for_no_segment_that_begins_or_breaks_off() {
    let table = Table::alone(1);
    let of = |ends| Key { ends: Some(ends), ..key(mac(2)) };
    for known in [ends(TCP, 40_000, 80), ends(TCP, 0, 0), ends(UDP, 1, 53), ends(ICMP, 7, 0)] {
        put(&table, &of(known), &Flow { route: Some(route(known)), ..flow() });
    }
    assert!(ask(&table, &segment(40_000, 80, Flags::ACK)));
    assert!(ask(&table, &segment(40_000, 80, Flags::ACK | Flags::FIN)));
    assert!(ask(&table, &segment(0, 0, Flags::ACK)));
    for flags in [Flags::SYN, Flags::SYN | Flags::ACK, Flags::RST | Flags::ACK, 0] {
        assert!(!ask(&table, &segment(40_000, 80, flags)), "{flags:x}");
    }
    assert!(!ask(&table, &segment(40_001, 80, Flags::ACK)), "no port stands for others");
    let udp = |from| packet(OWN, UDP, &[ports(from, 53), vec![0; 4]].concat());
    assert!(ask(&table, &udp(1)) && !ask(&table, &udp(2)));
    let echo = |kind, code, id| packet(OWN, ICMP, &[kind, code, 0, 0, 0, id, 0, 1]);
    assert!(ask(&table, &echo(8, 0, 7)) && !ask(&table, &echo(8, 0, 8)));
    assert!(!ask(&table, &echo(8, 1, 7)) && !ask(&table, &echo(13, 0, 7)));
    // What may be cut, what is cut, what has options, whose hops run out.
    for (at, byte) in [(20, 0), (20, 0x20), (14, 0x46), (22, 1)] {
        let mut bytes = udp(1);
        bytes[at] = byte;
        assert!(!ask(&table, &bytes), "{at}");
    }
}

#[test]
fn all_of_tcp_goes_by_one_route_but_for_questions_to_the_resolver() {
    let table = Table::alone(1);
    let all = ends(TCP, 1, 2).all_tcp();
    let kept = Route { kept: true, atomic: false, ..route(all) };
    let of = Key { ends: Some(all), ..key(mac(2)) };
    put(&table, &of, &Flow { route: Some(kept), ..flow() });
    for flags in [Flags::SYN, Flags::ACK, Flags::RST] {
        assert!(ask(&table, &segment(5, 6, flags)) && ask(&table, &segment(0, 0, flags)));
        assert!(!ask(&table, &segment(5, 53, flags)));
    }
    assert!(!ask(&table, &packet(OWN, UDP, &[ports(5, 6), vec![0; 4]].concat())));
}

#[test]
fn an_answer_goes_first_and_once_and_who_waits_for_it_goes_then() {
    let table = Table::alone(1);
    let of = |ends| Key { ends: Some(ends), ..key(mac(2)) };
    let (back, there) = (ends(TCP, 80, 9), ends(TCP, 9, 80));
    let answers = Flow { route: Some(Route { answers: true, ..route(back) }), ..flow() };
    let first = put(&table, &of(back), &answers);
    put(&table, &of(there), &Flow { route: Some(route(there)), awaits: Some(first), ..flow() });
    let answer = segment(80, 9, Flags::SYN | Flags::ACK);
    let (after, asks) = (segment(80, 9, Flags::ACK), segment(9, 80, Flags::ACK));
    let told = |table: &Table| [&answer, &after, &asks].map(|bytes| ask(table, bytes));
    assert_eq!(told(&table), [true, false, false]);
    table.answer(first);
    assert_eq!(told(&table), [false, true, true]);
}

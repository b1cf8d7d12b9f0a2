//! Questions for the resolver of names: which packets it gets, and how.

use std::time::Duration;

use gateway::{
    Asked, Asker, Consumed, DropReason, Endpoint, LegId, Node, Outcome, Output, Probe, Protocol,
    Side, Verdict,
};
use wire::{FrameMut, Ipv4, Tcp, Timestamp, VnetHeader, tcp};

use crate::world::packet::{SYN, check_sums};
use crate::world::{LAN_MAC, Pkt, World, config, mac};

/// A resolver that reads all but what begins with an exclamation mark.
#[derive(Default)]
struct Oracle(Vec<(Asker, Vec<u8>)>);

impl Output for Oracle {
    fn send(&mut self, _: Side, _: VnetHeader, _: &[u8]) {}

    fn ask(&mut self, from: Asker, packet: &[u8], _: Timestamp) -> Asked {
        self.0.push((from, packet.to_vec()));
        if packet[28..].starts_with(b"!") { Asked::Unread } else { Asked::Forwarded }
    }
}

fn put(world: &mut World, packet: &Pkt) -> (Verdict, Vec<(Asker, Vec<u8>)>) {
    let mut memory = packet.vnet.to_bytes().to_vec();
    memory.extend(packet.frame(LAN_MAC, mac(packet.src)));
    let mut frame = FrameMut::new(&mut memory, None).unwrap();
    let mut out = Oracle::default();
    let verdict = world.gateway.from_leg(LegId::FIRST, Node(10), &mut frame, &mut out, world.now);
    (verdict, out.0)
}

#[test]
fn port_53_of_the_gateways_own_address_is_the_resolvers() {
    let question = Pkt::udp("10.100.0.10:4000", "10.100.0.1:53", b"who is net2?");
    let stream = Pkt::tcp("10.100.0.10:4000", "10.100.0.1:53", SYN, b"");
    let mut world = World::new(config());
    let before = world.gateway.counters().accounted();
    for packet in [&question, &stream] {
        let (verdict, asked) = put(&mut world, packet);
        assert_eq!((verdict, asked.len()), (Verdict::Drop(DropReason::NoService), 0));
    }
    world.gateway.serve_names();
    for packet in [&question, &stream] {
        let (verdict, asked) = put(&mut world, packet);
        assert_eq!(verdict, Verdict::Consumed(Consumed::Dns));
        let (from, bytes) = &asked[0];
        assert_eq!((from.leg, from.node, from.mtu), (LegId::FIRST, Node(10), 1500));
        assert_eq!((from.station, from.own), (mac(packet.src), LAN_MAC));
        assert_eq!(*bytes, packet.ip());
    }
    assert_eq!(world.gateway.counters().dns, 2);
    assert_eq!(world.gateway.counters().accounted() - before, 4);
    // Other ports, other addresses, and pieces of packets are what they were.
    for (packet, what) in [
        (Pkt::udp("10.100.0.10:4000", "10.100.0.1:54", b"?"), DropReason::NoService),
        (Pkt::udp("10.100.0.10:4000", "203.0.113.2:53", b"?"), DropReason::NoService),
        (question.clone().may_be_cut().cut(16).remove(0), DropReason::NoService),
    ] {
        let (verdict, asked) = put(&mut world, &packet);
        assert_eq!((verdict, asked.len()), (Verdict::Drop(what), 0));
    }
    let (verdict, _) = put(&mut world, &Pkt::udp("10.100.0.10:4000", "8.8.8.8:53", b"?"));
    assert_eq!(verdict, Verdict::Uplink);
}

#[test]
fn the_resolver_sees_whole_checksums() {
    let mut world = World::new(config());
    world.gateway.serve_names();
    let packet = Pkt::tcp("10.100.0.10:4000", "10.100.0.1:53", 0x18, &[7; 3000]).offloaded(1, 1000);
    let (verdict, asked) = put(&mut world, &packet);
    assert_eq!(verdict, Verdict::Consumed(Consumed::Dns));
    let (_, bytes) = &asked[0];
    let ip = Ipv4::parse(&bytes[..]).unwrap();
    assert_eq!(Tcp::parse(ip.payload()).unwrap().dst_port(), 53);
    check_sums(VnetHeader::default(), &[&[0; 12][..], &[8, 0], bytes].concat());
}

#[test]
fn it_is_foretold() {
    let mut world = World::new(config());
    let probe = Probe {
        side: Side::LAN,
        protocol: Protocol::Udp.into(),
        src: Endpoint::new("10.100.0.10".parse().unwrap(), 4000),
        dst: Endpoint::new("10.100.0.1".parse().unwrap(), 53),
        flags: tcp::Flags(0),
        length: 60,
        ttl: 64,
        dont_fragment: true,
    };
    let foretold = |world: &World| world.gateway.preview(&probe, world.now).outcome;
    assert_eq!(foretold(&world), Outcome::Dropped(DropReason::NoService));
    world.gateway.serve_names();
    assert_eq!(foretold(&world), Outcome::Asked);
}

#[test]
fn what_was_made_of_it_is_noted_and_what_cannot_be_read_dropped() {
    let mut world = World::new(config());
    world.gateway.serve_names();
    world.gateway.take_notes(true);
    let question = |text: &[u8]| Pkt::udp("10.100.0.10:4000", "10.100.0.1:53", text);
    put(&mut world, &question(b"?"));
    assert_eq!(world.gateway.note().unwrap().asked, Some(Asked::Forwarded));
    let (verdict, asked) = put(&mut world, &question(b"!"));
    assert_eq!((verdict, asked.len()), (Verdict::Drop(DropReason::NoQuery), 1));
    assert_eq!(world.gateway.note().unwrap().asked, Some(Asked::Unread));
    // What is not for the resolver has nothing of it.
    put(&mut world, &Pkt::udp("10.100.0.10:4000", "10.100.0.1:54", b"?"));
    assert_eq!(world.gateway.note().unwrap().asked, None);
}

#[test]
fn a_node_that_floods_takes_nothing_from_the_others() {
    let mut world = World::new(config());
    world.gateway.serve_names();
    let question = Pkt::udp("10.100.0.10:4000", "10.100.0.1:53", b"?");
    let probe = Probe {
        side: Side::LAN,
        protocol: Protocol::Udp.into(),
        src: Endpoint::new("10.100.0.10".parse().unwrap(), 4000),
        dst: Endpoint::new("10.100.0.1".parse().unwrap(), 53),
        flags: tcp::Flags(0),
        length: 29,
        ttl: 64,
        dont_fragment: true,
    };
    for n in 0..2500 {
        let (verdict, asked) = put(&mut world, &question);
        let expected = match n < 2000 {
            true => (Verdict::Consumed(Consumed::Dns), 1),
            false => (Verdict::Drop(DropReason::DnsLimit), 0),
        };
        assert_eq!((verdict, asked.len()), expected, "query {n}");
    }
    let foretold = |world: &World, node| world.gateway.preview_from(node, &probe, world.now);
    let limited = Outcome::Dropped(DropReason::DnsLimit);
    assert_eq!(foretold(&world, Node(10)).outcome, limited);
    assert_eq!(foretold(&world, Node(11)).outcome, Outcome::Asked);
    world.pass(Duration::from_secs(1));
    assert_eq!(foretold(&world, Node(10)).outcome, Outcome::Asked);
}

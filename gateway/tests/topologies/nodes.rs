//! What a node has opened is its own: it goes with the node, and nobody who comes by its address, or
//! claims it, meets it.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{DropReason, Endpoint, Node, Protocol, PublishError, Published, Side};

use crate::world::packet::{ACK, FIN, SYN};
use crate::world::{Pkt, World, config};

const HOST: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 10);
/// The node of that host in this world, and another.
const FIRST: Node = Node(10);
const OTHER: Node = Node(77);

fn rule(protocol: Protocol, port: u16, inside: (u8, u16)) -> Published {
    let inside = Endpoint::new(Ipv4Addr::new(10, 100, 0, inside.0), inside.1);
    Published { protocol, address: None, port, inside }
}

/// Sessions of all kinds, a published port, fragments and packets that wait.
fn busy() -> World {
    let mut world = World::new(config());
    world.gateway.publish_for(FIRST, rule(Protocol::Udp, 5000, (10, 5000))).unwrap();
    world.uplink(&Pkt::udp("8.8.8.8:999", "203.0.113.2:5000", b"x")).on(Side::LAN);
    world.lan(&Pkt::udp("10.100.0.10:6800", "8.8.8.8:53", b"x")).on(Side::Uplink);
    world.lan(&Pkt::tcp("10.100.0.10:6800", "8.8.8.8:80", SYN, b"")).on(Side::Uplink);
    world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 9, b"")).on(Side::Uplink);
    world.lan(&Pkt::udp("10.100.0.20:1", "8.8.8.8:53", b"x")).on(Side::Uplink);
    world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[7; 3000]).cut(1480)[1]);
    let pieces = Pkt::udp("8.8.8.8:53", "203.0.113.2:6800", &[7; 3000]).cut(1480);
    world.uplink(&pieces[0]).on(Side::LAN);
    world
}

/// Whatever the outside has been saying to it.
fn heard(world: &mut World) -> usize {
    let words = [
        Pkt::udp("8.8.8.8:999", "203.0.113.2:5000", b"for net1"),
        Pkt::udp("8.8.8.8:53", "203.0.113.2:6800", b"for net1"),
        Pkt::tcp("8.8.8.8:80", "203.0.113.2:6800", SYN | ACK, b""),
        Pkt::echo("8.8.8.8", "203.0.113.2", 0, 9, b""),
        Pkt::udp("8.8.8.8:53", "203.0.113.2:6800", &[7; 3000]).cut(1480).remove(1),
    ];
    words.iter().flat_map(|w| world.uplink(w).frames).filter(|f| f.0 == Side::LAN).count()
}

#[test]
fn what_belongs_to_a_node_goes_with_it() {
    let mut world = busy();
    assert_eq!(world.gateway.forget_node(FIRST), [rule(Protocol::Udp, 5000, (10, 5000))]);
    assert!(world.gateway.published().is_empty());
    let left = world.sessions();
    assert!(left.len() == 1 && left[0].inside.address == Ipv4Addr::new(10, 100, 0, 20), "{left:?}");
    assert_eq!(world.gateway.nat_usage().map(|usage| usage.2), [0, 1, 0]);
    assert_eq!(world.gateway.fragment_usage(), (0, 0));
    assert!(world.gateway.neighbours(world.now).iter().all(|(_, n)| n.address != HOST));
    // The next one has its number, its address and its share, and hears nothing of it.
    world.claim(FIRST, HOST);
    assert_eq!(heard(&mut world), 0);
    world.gateway.publish_for(FIRST, rule(Protocol::Udp, 5000, (10, 5000))).unwrap();
    world.uplink(&Pkt::udp("8.8.8.8:999", "203.0.113.2:5000", b"for the next")).on(Side::LAN);
}

#[test]
fn an_address_that_moves_takes_nothing_along() {
    let mut world = busy();
    // Another node claims it; the first has let it go and does not object.
    world.claim(OTHER, HOST);
    assert_eq!(heard(&mut world), 5, "it is still the first one's");
    world.pass(Duration::from_secs(3));
    assert_eq!(heard(&mut world), 0);
    assert!(world.gateway.counters().drops(DropReason::Foreign) >= 4);
    // It opens the same and hears its own answers, but those of no published port.
    world.forged(OTHER, &Pkt::udp("10.100.0.10:6800", "8.8.8.8:53", b"x")).on(Side::Uplink);
    world.forged(OTHER, &Pkt::tcp("10.100.0.10:6800", "8.8.8.8:80", SYN, b"")).on(Side::Uplink);
    assert_eq!(heard(&mut world), 2, "UDP and TCP");
    // The first one cannot speak for it any longer.
    let late = world.forged(FIRST, &Pkt::udp("10.100.0.10:6800", "8.8.8.8:53", b"x"));
    assert_eq!(late.dropped(), DropReason::Foreign);
}

#[test]
fn nobody_opens_under_an_address_that_is_another_s() {
    let mut world = busy();
    let before = world.sessions().len();
    for packet in [
        Pkt::udp("10.100.0.10:6800", "8.8.8.8:53", b"its session"),
        Pkt::udp("10.100.0.10:6800", "9.9.9.9:53", b"its mapping"),
        Pkt::udp("10.100.0.10:7000", "9.9.9.9:53", b"its address"),
    ] {
        assert_eq!(world.forged(OTHER, &packet).dropped(), DropReason::Foreign);
    }
    assert_eq!(world.sessions().len(), before);
    // An error in its name is none of its own either.
    let quoted = world.uplink(&Pkt::udp("8.8.8.8:53", "203.0.113.2:6800", b"y")).one().ip;
    let error = Pkt::error("10.100.0.10", "8.8.8.8", (3, 3, 0), &quoted);
    assert_eq!(world.forged(OTHER, &error).dropped(), DropReason::BadIcmpError);
    world.lan(&error).on(Side::Uplink);
}

#[test]
fn what_waits_for_a_host_is_not_given_to_another_node() {
    let mut world = World::empty(config());
    world.meet(Side::Uplink, crate::world::ROUTER);
    // Its own frames teach nothing; only what it says by ARP does.
    world.lan(&Pkt::udp("10.100.0.10:6800", "8.8.8.8:53", b"x")).on(Side::Uplink);
    world.uplink(&Pkt::udp("8.8.8.8:53", "203.0.113.2:6800", b"for net1"));
    assert_eq!(world.claim(OTHER, HOST).frames.len(), 0);
    assert_eq!(world.gateway.counters().waited_in_vain, 1);
}

/// A connection from outside to the published port, closed as given.
fn served(world: &mut World, from: &str, close: bool) {
    world.uplink(&Pkt::tcp(from, "203.0.113.2:9000", SYN, b"")).on(Side::LAN);
    world.lan(&Pkt::tcp("10.100.0.10:8000", from, SYN | ACK, b"")).on(Side::Uplink);
    world.uplink(&Pkt::tcp(from, "203.0.113.2:9000", ACK, b"")).on(Side::LAN);
    if close {
        world.uplink(&Pkt::tcp(from, "203.0.113.2:9000", FIN, b"")).on(Side::LAN);
        world.lan(&Pkt::tcp("10.100.0.10:8000", from, FIN, b"")).on(Side::Uplink);
    }
}

#[test]
fn a_withdrawn_port_can_be_published_again_at_once() {
    for (node, host) in [(FIRST, 10), (FIRST, 10), (Node(20), 20)] {
        let mut world = World::new(config());
        world.gateway.publish_for(FIRST, rule(Protocol::Tcp, 9000, (10, 8000))).unwrap();
        world.gateway.publish_for(FIRST, rule(Protocol::Udp, 9000, (10, 8000))).unwrap();
        served(&mut world, "8.8.8.8:1", true);
        served(&mut world, "8.8.8.8:2", false);
        world.uplink(&Pkt::udp("8.8.8.8:3", "203.0.113.2:9000", b"x")).on(Side::LAN);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert!(world.gateway.unpublish(protocol, 9000));
            world.gateway.publish_for(node, rule(protocol, 9000, (host, 8000))).unwrap();
            let twice = world.gateway.publish_for(node, rule(protocol, 9000, (host, 8000)));
            assert_eq!(twice, Err(PublishError::Published(protocol, 9000)));
        }
        let (old, new) = ("10.100.0.10:8000", format!("10.100.0.{host}:8000"));
        // What was established goes on; all else, by the same remote ports too, meets the new one.
        let going_on = Pkt::tcp("8.8.8.8:2", "203.0.113.2:9000", ACK, b"data");
        assert_eq!(world.uplink(&going_on).on(Side::LAN).dst, old);
        let back = world.lan(&Pkt::tcp(old, "8.8.8.8:2", ACK, b"data")).on(Side::Uplink);
        assert_eq!(back.src, "203.0.113.2:9000");
        for from in ["8.8.8.8:1", "8.8.8.8:4"] {
            let syn = Pkt::tcp(from, "203.0.113.2:9000", SYN, b"");
            assert_eq!(world.uplink(&syn).on(Side::LAN).dst, new, "{from}");
        }
        let udp = Pkt::udp("8.8.8.8:3", "203.0.113.2:9000", b"x");
        assert_eq!(world.uplink(&udp).on(Side::LAN).dst, new);
        // In the end nothing is left of either.
        world.gateway.forget_node(FIRST);
        world.gateway.forget_node(node);
        let usage = world.gateway.nat_usage().map(|usage| (usage.1, usage.2));
        assert_eq!(usage, [(0, 0); 3]);
    }
}

#[test]
fn a_port_that_a_session_of_its_own_has_is_not_taken_from_it() {
    let mut world = World::new(config());
    world.lan(&Pkt::udp("10.100.0.20:9000", "8.8.8.8:53", b"x")).on(Side::Uplink);
    let taken = world.gateway.publish_for(FIRST, rule(Protocol::Udp, 9000, (10, 8000)));
    assert_eq!(taken, Err(PublishError::InUse(Protocol::Udp, 9000)));
}

#[test]
fn published_connections_outlive_a_flush_whoever_speaks_first() {
    for first in [Side::LAN, Side::Uplink] {
        let mut world = World::new(config());
        world.gateway.publish_for(FIRST, rule(Protocol::Tcp, 9000, (10, 8000))).unwrap();
        served(&mut world, "8.8.8.8:1", false);
        assert_eq!(world.gateway.flush_nat(world.now), 1);
        let out = Pkt::tcp("10.100.0.10:8000", "8.8.8.8:1", ACK, b"data");
        let back = Pkt::tcp("8.8.8.8:1", "203.0.113.2:9000", ACK, b"data");
        for side in [first, Side::Uplink, Side::LAN] {
            match side {
                Side::Leg(_) => {
                    assert_eq!(world.lan(&out).on(Side::Uplink).src, "203.0.113.2:9000")
                }
                Side::Uplink => {
                    assert_eq!(world.uplink(&back).on(Side::LAN).dst, "10.100.0.10:8000")
                }
            }
        }
        assert_eq!(world.sessions()[0].state.as_str(), "established");
        // A last segment finds its way too, and the session then soon ends.
        world.gateway.flush_nat(world.now);
        world.uplink(&Pkt::tcp("8.8.8.8:1", "203.0.113.2:9000", FIN, b"")).on(Side::LAN);
        world.lan(&Pkt::tcp("10.100.0.10:8000", "8.8.8.8:1", FIN, b"")).on(Side::Uplink);
        world.pass(Duration::from_secs(242));
        assert!(world.sessions().is_empty());
    }
}

#[test]
fn connections_by_hairpin_outlive_a_flush() {
    for inside_first in [false, true] {
        let mut world = World::new(config());
        world.gateway.publish_for(FIRST, rule(Protocol::Tcp, 9000, (10, 8000))).unwrap();
        let to = |flags| Pkt::tcp("10.100.0.20:500", "203.0.113.2:9000", flags, b"x");
        let from = |flags| Pkt::tcp("10.100.0.10:8000", "203.0.113.2:500", flags, b"y");
        for packet in [to(SYN), from(SYN | ACK), to(ACK)] {
            world.lan(&packet).on(Side::LAN);
        }
        world.gateway.flush_nat(world.now);
        if inside_first {
            // Nobody knows yet whose port 500 is: silence, no refusal.
            let out = world.lan(&from(ACK));
            assert!(out.frames.is_empty(), "{}", out.lines());
        }
        for packet in [to(ACK), from(ACK), to(ACK)] {
            world.lan(&packet).on(Side::LAN);
        }
    }
}

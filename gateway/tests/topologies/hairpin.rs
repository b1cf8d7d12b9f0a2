//! Inside to inside by the outside address (RFC 4787 REQ-9, RFC 5382 REQ-8).

use gateway::{Config, DropReason, NatConfig, NatType, Side, Verdict};

use crate::world::packet::{ACK, SYN};
use crate::world::{OUTSIDE, Pkt, World, config, ip};

fn world(kind: NatType) -> World {
    World::new(Config { nat: NatConfig { kind, ..NatConfig::default() }, ..config() })
}

#[test]
fn both_ends_see_outside_endpoints() {
    let mut world = world(NatType::FullCone);
    world.lan(&Pkt::udp("10.100.0.20:53", "8.8.8.8:53", b"opens a mapping"));
    let there = world.lan(&Pkt::udp("10.100.0.10:500", "203.0.113.2:53", b"x")).on(Side::LAN);
    assert_eq!((there.src.as_str(), there.dst.as_str()), ("203.0.113.2:500", "10.100.0.20:53"));
    assert_eq!(there.ttl, 63);
    let back = world.lan(&Pkt::udp("10.100.0.20:53", "203.0.113.2:500", b"y")).on(Side::LAN);
    assert_eq!((back.src.as_str(), back.dst.as_str()), ("203.0.113.2:53", "10.100.0.10:500"));
}

#[test]
fn filtering_applies_so_both_must_punch() {
    let mut world = world(NatType::PortRestrictedCone);
    for host in ["10.100.0.10:500", "10.100.0.20:600"] {
        world.lan(&Pkt::udp(host, "8.8.8.8:3478", b"asks who it is"));
    }
    let first = world.lan(&Pkt::udp("10.100.0.10:500", "203.0.113.2:600", b"punch"));
    assert_eq!(first.dropped(), DropReason::Filtered);
    let second = world.lan(&Pkt::udp("10.100.0.20:600", "203.0.113.2:500", b"punch"));
    assert_eq!(second.on(Side::LAN).dst, "10.100.0.10:500");
    let third = world.lan(&Pkt::udp("10.100.0.10:500", "203.0.113.2:600", b"through"));
    assert_eq!(third.on(Side::LAN).src, "203.0.113.2:500");
}

#[test]
fn a_tcp_connection_by_a_published_port_works_from_inside() {
    for kind in NatType::ALL {
        let mut world = world(kind);
        let inside = gateway::Endpoint::new("10.100.0.20".parse().unwrap(), 80);
        let protocol = gateway::Protocol::Tcp;
        let rule = gateway::Published { protocol, address: None, port: 8080, inside };
        world.gateway.publish(rule).unwrap();
        let syn = Pkt::tcp("10.100.0.10:500", "203.0.113.2:8080", SYN, b"");
        // Of a symmetric NAT the port is the session's alone.
        let seen = world.lan(&syn).on(Side::LAN).src;
        for (from, to, flags, seen_from, seen_to) in [
            ("10.100.0.20:80", &*seen, SYN | ACK, "203.0.113.2:8080", "10.100.0.10:500"),
            ("10.100.0.10:500", "203.0.113.2:8080", ACK, &seen, "10.100.0.20:80"),
            ("10.100.0.20:80", &seen, ACK, "203.0.113.2:8080", "10.100.0.10:500"),
        ] {
            let seen = world.lan(&Pkt::tcp(from, to, flags, b"")).on(Side::LAN);
            assert_eq!((seen.src.as_str(), seen.dst.as_str()), (seen_from, seen_to), "{kind}");
        }
        // A host may even reach itself so.
        let itself = Pkt::tcp("10.100.0.20:999", "203.0.113.2:8080", SYN, b"");
        assert_eq!(world.lan(&itself).on(Side::LAN).dst, "10.100.0.20:80");
    }
}

#[test]
fn errors_about_hairpinned_packets_come_home() {
    let mut world = world(NatType::FullCone);
    world.lan(&Pkt::udp("10.100.0.20:53", "8.8.8.8:53", b"opens a mapping"));
    let packet = Pkt::udp("10.100.0.10:500", "203.0.113.2:53", b"x").may_be_cut().id(4711);
    let there = world.lan(&packet);
    assert_ne!(there.one().id, 4711);
    let error = Pkt::error("10.100.0.20", OUTSIDE, (3, 3, 0), ip(&there.frames[0].2));
    let home = world.lan(&error).on(Side::LAN);
    assert_eq!((home.src.as_str(), home.dst.as_str()), (OUTSIDE, "10.100.0.10"));
    let quoted = home.quoted();
    assert_eq!((quoted.src.as_str(), quoted.dst.as_str()), ("10.100.0.10:500", "203.0.113.2:53"));
    assert_eq!(quoted.id, 4711);
}

#[test]
fn hosts_that_are_kept_apart_meet_by_published_ports_alone() {
    for kind in NatType::ALL {
        let mut config = Config { nat: NatConfig { kind, ..NatConfig::default() }, ..config() };
        config.legs[0].1.policy.isolated = true;
        let mut world = World::new(config);
        // Both have a mapping, and either knows the other's: they punch.
        for host in ["10.100.0.10:500", "10.100.0.20:600"] {
            world.lan(&Pkt::udp(host, "8.8.8.8:3478", b"asks who it is"));
        }
        for (from, to) in [("10:500", 600), ("20:600", 500), ("10:500", 600)] {
            let punch = Pkt::udp(&format!("10.100.0.{from}"), &format!("203.0.113.2:{to}"), b"x");
            assert_ne!(world.lan(&punch).verdict, Verdict::LAN, "{kind}");
        }
        let inside = gateway::Endpoint::new("10.100.0.20".parse().unwrap(), 80);
        let protocol = gateway::Protocol::Tcp;
        let rule = gateway::Published { protocol, address: None, port: 8080, inside };
        world.gateway.publish(rule).unwrap();
        let syn = Pkt::tcp("10.100.0.10:500", "203.0.113.2:8080", SYN, b"");
        let seen = world.lan(&syn).on(Side::LAN).src;
        let answer = Pkt::tcp("10.100.0.20:80", &seen, SYN | ACK, b"");
        assert_eq!(world.lan(&answer).on(Side::LAN).dst, "10.100.0.10:500", "{kind}");
    }
}

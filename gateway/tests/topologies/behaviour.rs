//! Mapping and filtering: which port a host gets, and who may answer there.

use std::collections::BTreeSet;

use gateway::{Config, DropReason, NatConfig, NatType, Side, UplinkAddress};

use crate::world::packet::{ACK, SYN};
use crate::world::{OUTSIDE, Pkt, World, config};

fn world(kind: NatType) -> World {
    World::new(Config { nat: NatConfig { kind, ..NatConfig::default() }, ..config() })
}

#[test]
fn an_endpoint_keeps_its_port_whomever_it_speaks_to() {
    for kind in [NatType::FullCone, NatType::RestrictedCone, NatType::PortRestrictedCone] {
        let mut world = world(kind);
        let ports: Vec<u16> = ["8.8.8.8:53", "8.8.8.8:54", "1.1.1.1:53"]
            .iter()
            .flat_map(|to| {
                [
                    world.lan(&Pkt::udp("10.100.0.10:500", to, b"x")).one().src_port(),
                    world.lan(&Pkt::tcp("10.100.0.10:500", to, SYN, b"")).one().src_port(),
                ]
            })
            .collect();
        assert_eq!(ports, [500; 6], "{kind}");
        let ids = ["8.8.8.8", "1.1.1.1"]
            .map(|to| world.lan(&Pkt::echo("10.100.0.10", to, 8, 9, b"")).one().echo_id());
        assert_eq!(ids, [9, 9]);
    }
}

#[test]
fn symmetric_gives_two_hosts_and_two_remotes_their_own() {
    let mut world = world(NatType::Symmetric);
    let mut speak = |from: &str, to: &str| {
        let out = world.lan(&Pkt::udp(from, to, b"x")).one();
        assert_eq!(world.lan(&Pkt::udp(from, to, b"y")).one().src_port(), out.src_port());
        let back = Pkt::udp(to, &format!("203.0.113.2:{}", out.src_port()), b"z");
        assert_eq!(world.uplink(&back).on(Side::LAN).dst, from);
        out.src_port()
    };
    for host in ["10.100.0.10:5000", "10.100.0.20:5000"] {
        // What a host asks of two servers about itself tells it that a third will see another port.
        let remotes = ["8.8.8.8:53", "8.8.8.8:54", "1.1.1.1:53", "9.9.9.9:53"];
        let ports: BTreeSet<u16> = remotes.iter().map(|to| speak(host, to)).collect();
        assert_eq!(ports.len(), remotes.len(), "{ports:?}");
        assert!(ports.iter().all(|port| *port >= 1024 && port % 2 == 0), "{ports:?}");
    }
}

#[test]
fn symmetric_lends_a_port_to_several_remotes() {
    let mut config =
        Config { nat: NatConfig { kind: NatType::Symmetric, ..NatConfig::default() }, ..config() };
    config.uplink.as_mut().unwrap().ports = 5000..=5001;
    let mut world = World::new(config);
    for (n, to) in ["8.8.8.8:53", "1.1.1.1:53", "9.9.9.9:53"].iter().enumerate() {
        let ports = ["10.100.0.10:7", "10.100.0.20:7"].map(|from| {
            let out = world.lan(&Pkt::udp(from, to, b"x")).one();
            // It is answered and goes on, so that it gives way to nobody.
            world.uplink(&Pkt::udp(to, &out.src, b"y")).on(Side::LAN);
            assert_eq!(world.lan(&Pkt::udp(from, to, b"z")).one().src, out.src);
            out.src_port()
        });
        assert_ne!(ports[0], ports[1], "{n}");
        let third = world.lan(&Pkt::udp("10.100.0.30:7", to, b"x"));
        assert_eq!(third.dropped(), DropReason::PortsExhausted, "{n}");
    }
}

/// Who may answer where, by type: the endpoint spoken to, its address from another port, anyone.
#[test]
fn the_four_types_admit_whom_their_names_say() {
    for (kind, other_port, stranger) in [
        (NatType::FullCone, true, true),
        (NatType::RestrictedCone, true, false),
        (NatType::PortRestrictedCone, false, false),
        (NatType::Symmetric, false, false),
    ] {
        let mut world = world(kind);
        let door = world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"x")).one().src_port();
        for (from, admitted) in
            [("8.8.8.8:53", true), ("8.8.8.8:54", other_port), ("9.9.9.9:53", stranger)]
        {
            let out = world.uplink(&Pkt::udp(from, &format!("203.0.113.2:{door}"), b"y"));
            if admitted {
                assert_eq!(out.on(Side::LAN).dst, "10.100.0.10:500", "{kind} {from}");
            } else {
                let mapped = kind != NatType::Symmetric;
                let reason = if mapped { DropReason::Filtered } else { DropReason::NoSession };
                assert_eq!(out.dropped(), reason, "{kind} {from}");
            }
        }
    }
}

#[test]
fn tcp_is_filtered_as_udp_is() {
    for (kind, admitted) in [(NatType::FullCone, true), (NatType::PortRestrictedCone, false)] {
        let mut world = world(kind);
        world.lan(&Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", SYN, b""));
        let syn = world.uplink(&Pkt::tcp("9.9.9.9:999", "203.0.113.2:500", SYN, b""));
        assert_eq!(syn.frames.len(), usize::from(admitted), "{kind}");
        let ack = world.uplink(&Pkt::tcp("9.9.9.9:998", "203.0.113.2:500", ACK, b""));
        assert!(ack.frames.is_empty(), "only a SYN opens a connection");
    }
}

#[test]
fn no_request_for_an_inside_host_is_let_in_by_any_type() {
    for kind in NatType::ALL {
        let mut world = world(kind);
        world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 9, b""));
        // A reply from another host, under the same identifier.
        let out = world.uplink(&Pkt::echo("9.9.9.9", OUTSIDE, 0, 9, b""));
        assert!(out.frames.is_empty(), "{kind}");
        // A request is answered by the gateway, whose address it is.
        let out = world.uplink(&Pkt::echo("9.9.9.9", OUTSIDE, 8, 9, b""));
        assert_eq!(out.on(Side::Uplink).dst, "9.9.9.9");
    }
}

#[test]
fn the_inside_port_is_kept_where_free_and_its_class_and_parity_where_not() {
    let mut world = world(NatType::default());
    for port in [501u16, 502, 40_001, 40_002] {
        let from = |host| format!("10.100.0.{host}:{port}");
        let udp = |w: &mut World, host| {
            w.lan(&Pkt::udp(&from(host), "8.8.8.8:53", b"x")).one().src_port()
        };
        assert_eq!(udp(&mut world, 10), port);
        let other = udp(&mut world, 20);
        assert_ne!(other, port);
        assert_eq!((other % 2, other < 1024), (port % 2, port < 1024), "{port} -> {other}");
    }
}

#[test]
fn a_port_block_is_kept_to() {
    let mut config = config();
    config.uplink.as_mut().unwrap().ports = 20_000..=20_003;
    let mut world = World::new(config);
    for n in 0..4 {
        let from = format!("10.100.0.{}:4000", [10, 20, 30, 10][n]);
        let to = format!("8.8.8.8:{n}");
        let port = world.lan(&Pkt::udp(&from, &to, b"x")).one().src_port();
        assert!((20_000..=20_003).contains(&port));
    }
    let id = world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 9, b"")).one().echo_id();
    assert!((20_000..=20_003).contains(&id));
}

#[test]
fn a_new_uplink_address_forgets_sessions_and_keeps_published_ports() {
    let mut world = world(NatType::default());
    let inside = gateway::Endpoint::new("10.100.0.20".parse().unwrap(), 80);
    let protocol = gateway::Protocol::Tcp;
    let rule = gateway::Published { protocol, address: None, port: 8080, inside };
    world.gateway.publish(rule).unwrap();
    world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"x"));
    let before = world.gateway.uplink_address().unwrap();
    let moved = UplinkAddress { address: "203.0.113.77".parse().unwrap(), ..before };
    assert_eq!(world.gateway.set_uplink_address(Some(before), world.now), 0);
    assert_eq!(world.gateway.set_uplink_address(Some(moved), world.now), 1);
    assert_eq!(world.gateway.counters().nat.flushed, 1);
    world.meet(Side::Uplink, crate::world::ROUTER);
    let own = moved.address;
    let asked = crate::world::packet::arp_request(
        crate::world::mac(crate::world::ROUTER),
        crate::world::ROUTER,
        own,
    );
    world.put(Side::Uplink, wire::VnetHeader::default(), asked);
    let out = world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"x")).one();
    assert_eq!(out.src, "203.0.113.77:500");
    let syn = world.uplink(&Pkt::tcp("8.8.8.8:1", "203.0.113.77:8080", SYN, b"")).on(Side::LAN);
    assert_eq!(syn.dst, "10.100.0.20:80");
    assert_eq!(world.gateway.set_uplink_address(None, world.now), 2);
    let out = world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"x"));
    assert_eq!(out.dropped(), DropReason::NoRoute);
}

//! Published ports.

use std::net::Ipv4Addr;

use gateway::{DropReason, Endpoint, Node, Protocol, PublishError, Published, Side, UplinkAddress};

use crate::world::packet::{ACK, SYN};
use crate::world::{Pkt, World, config};

fn rule(protocol: Protocol, port: u16, inside: &str) -> Published {
    let inside: std::net::SocketAddrV4 = inside.parse().unwrap();
    let inside = Endpoint::new(*inside.ip(), inside.port());
    Published { protocol, address: None, port, inside }
}

#[test]
fn a_published_port_leads_in_and_keeps_the_source() {
    let mut world = World::new(config());
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        world.gateway.publish(rule(protocol, 8080, "10.100.0.20:80")).unwrap();
    }
    let syn = world.uplink(&Pkt::tcp("8.8.8.8:999", "203.0.113.2:8080", SYN, b"")).on(Side::LAN);
    assert_eq!((syn.src.as_str(), syn.dst.as_str()), ("8.8.8.8:999", "10.100.0.20:80"));
    let answer = world.lan(&Pkt::tcp("10.100.0.20:80", "8.8.8.8:999", SYN | ACK, b""));
    assert_eq!(answer.on(Side::Uplink).src, "203.0.113.2:8080");
    let udp = world.uplink(&Pkt::udp("8.8.8.8:999", "203.0.113.2:8080", b"x")).on(Side::LAN);
    assert_eq!(udp.dst, "10.100.0.20:80");
    // What the host opens itself from that port appears to come from the published one.
    let own = world.lan(&Pkt::udp("10.100.0.20:80", "1.1.1.1:1", b"x")).on(Side::Uplink);
    assert_eq!(own.src, "203.0.113.2:8080");
    assert_eq!(world.gateway.published().len(), 2);
}

#[test]
fn nobody_else_gets_a_published_port() {
    let mut world = World::new(config());
    world.gateway.publish(rule(Protocol::Udp, 4000, "10.100.0.20:80")).unwrap();
    let sent = world.lan(&Pkt::udp("10.100.0.10:4000", "8.8.8.8:53", b"x")).one();
    assert_ne!(sent.src_port(), 4000);
}

#[test]
fn a_flush_keeps_them_and_withdrawing_keeps_running_sessions() {
    let mut world = World::new(config());
    world.gateway.publish(rule(Protocol::Tcp, 8080, "10.100.0.20:80")).unwrap();
    world.gateway.flush_nat(world.now);
    let packet = |flags| Pkt::tcp("8.8.8.8:999", "203.0.113.2:8080", flags, b"");
    world.uplink(&packet(SYN)).on(Side::LAN);
    assert!(world.gateway.unpublish(Protocol::Tcp, 8080));
    assert!(!world.gateway.unpublish(Protocol::Tcp, 8080));
    world.uplink(&packet(ACK)).on(Side::LAN);
    let other = Pkt::tcp("9.9.9.9:999", "203.0.113.2:8080", SYN, b"");
    assert_eq!(world.uplink(&other).dropped(), DropReason::UnsolicitedSyn);
}

#[test]
fn what_cannot_be_published_is_refused_with_the_reason() {
    let mut world = World::new(config());
    world.lan(&Pkt::tcp("10.100.0.10:5000", "8.8.8.8:80", SYN, b""));
    let mut publish = |rule| world.gateway.publish(rule);
    publish(rule(Protocol::Tcp, 8080, "10.100.0.20:80")).unwrap();
    for (wanted, error) in [
        (rule(Protocol::Tcp, 8080, "10.100.0.30:80"), PublishError::Published(Protocol::Tcp, 8080)),
        (rule(Protocol::Tcp, 5000, "10.100.0.30:80"), PublishError::InUse(Protocol::Tcp, 5000)),
        (rule(Protocol::Icmp, 1, "10.100.0.30:80"), PublishError::NoPort),
        (rule(Protocol::Tcp, 0, "10.100.0.30:80"), PublishError::NoPort),
        (
            rule(Protocol::Tcp, 81, "8.8.8.8:80"),
            PublishError::NotInside("8.8.8.8".parse().unwrap()),
        ),
        (
            Published {
                address: Some("9.9.9.9".parse().unwrap()),
                ..rule(Protocol::Tcp, 81, "10.100.0.30:80")
            },
            PublishError::NotOurAddress("9.9.9.9".parse().unwrap()),
        ),
    ] {
        assert_eq!(publish(wanted), Err(error));
    }
    for n in 1..1024 {
        publish(rule(Protocol::Udp, n, "10.100.0.30:80")).unwrap();
    }
    assert_eq!(
        publish(rule(Protocol::Udp, 2000, "10.100.0.30:80")),
        Err(PublishError::TooMany(1024))
    );
}

#[test]
fn a_host_speaks_from_its_published_port_once_its_own_has_ended() {
    let mut world = World::new(config());
    let out = Pkt::udp("10.100.0.10:5000", "8.8.8.8:53", b"x");
    assert_eq!(world.lan(&out).on(Side::Uplink).src_port(), 5000);
    world.gateway.publish(rule(Protocol::Udp, 53, "10.100.0.10:5000")).unwrap();
    assert_eq!(world.lan(&out).on(Side::Uplink).src_port(), 5000, "the running mapping stays");
    world.jump(std::time::Duration::from_secs(301));
    world.meet(Side::LAN, "10.100.0.10".parse().unwrap());
    world.meet(Side::Uplink, crate::world::ROUTER);
    assert_eq!(world.lan(&out).on(Side::Uplink).src_port(), 53);
}

/// The uplink gets this address, or loses its own.
fn moves(world: &mut World, to: Option<&str>) {
    let address = to.map(|own| UplinkAddress {
        address: own.parse().unwrap(),
        prefix_len: 24,
        next_hop: Some(crate::world::ROUTER),
    });
    world.gateway.set_uplink_address(address, world.now);
    if let Some(own) = address.map(|own| own.address) {
        let router = crate::world::ROUTER;
        let asks = crate::world::packet::arp_request(crate::world::mac(router), router, own);
        world.put(Side::Uplink, wire::VnetHeader::default(), asks);
    }
}

const OWNER: Node = Node(10);

/// Port 8080 on one address of the uplink, of host 10.
fn bound(address: &str) -> Published {
    let address: Ipv4Addr = address.parse().unwrap();
    Published { address: Some(address), ..rule(Protocol::Tcp, 8080, "10.100.0.10:80") }
}

#[test]
fn a_port_bound_to_an_address_that_has_gone_leaves_nothing_when_it_is_withdrawn() {
    let mut world = World::new(config());
    world.gateway.publish_for(OWNER, bound("203.0.113.2")).unwrap();
    moves(&mut world, Some("203.0.113.77"));
    assert!(world.gateway.unpublish(Protocol::Tcp, 8080));
    let anywhere = Published { address: None, ..bound("203.0.113.2") };
    world.gateway.publish_for(OWNER, anywhere).unwrap();
    let syn = world.uplink(&Pkt::tcp("8.8.8.8:999", "203.0.113.77:8080", SYN, b""));
    assert_eq!(syn.on(Side::LAN).dst, "10.100.0.10:80");
    world.lan(&Pkt::tcp("10.100.0.10:4000", "8.8.8.8:80", SYN, b"")).on(Side::Uplink);
}

#[test]
fn a_port_that_waits_for_its_address_takes_none_from_who_has_it_meanwhile() {
    let mut world = World::new(config());
    world.gateway.publish_for(OWNER, bound("203.0.113.2")).unwrap();
    moves(&mut world, Some("203.0.113.77"));
    let syn = Pkt::tcp("10.100.0.20:8080", "8.8.8.8:80", SYN, b"");
    assert_eq!(world.lan(&syn).on(Side::Uplink).src, "203.0.113.77:8080");
    assert!(world.gateway.unpublish(Protocol::Tcp, 8080));
    let answer = Pkt::tcp("8.8.8.8:80", "203.0.113.77:8080", SYN | ACK, b"");
    assert_eq!(world.uplink(&answer).on(Side::LAN).dst, "10.100.0.20:8080");
    // It is that host's own, as before.
    let taken = world.gateway.publish_for(OWNER, rule(Protocol::Tcp, 8080, "10.100.0.10:80"));
    assert_eq!(taken, Err(PublishError::InUse(Protocol::Tcp, 8080)));
}

#[test]
fn a_port_is_published_once_whether_its_address_is_there_or_not() {
    let mut world = World::new(config());
    world.gateway.publish_for(OWNER, bound("203.0.113.2")).unwrap();
    moves(&mut world, Some("203.0.113.77"));
    for again in [bound("203.0.113.77"), rule(Protocol::Tcp, 8080, "10.100.0.20:80")] {
        let twice = world.gateway.publish_for(OWNER, again);
        assert_eq!(twice, Err(PublishError::Published(Protocol::Tcp, 8080)));
    }
    moves(&mut world, Some("203.0.113.2"));
    let syn = world.uplink(&Pkt::tcp("8.8.8.8:999", "203.0.113.2:8080", SYN, b""));
    assert_eq!(syn.on(Side::LAN).dst, "10.100.0.10:80");
}

#[test]
fn a_port_for_an_address_waits_while_the_uplink_has_none() {
    for held in [false, true] {
        let mut world = World::new(config());
        moves(&mut world, None);
        let wanted = bound("203.0.113.2");
        match held {
            true => world.gateway.publish_held(OWNER, wanted).unwrap(),
            false => world.gateway.publish_for(OWNER, wanted).unwrap(),
        }
        assert_eq!(world.gateway.nat_usage()[0].2, 0, "no mapping without its address");
        let syn = |to: &str| Pkt::tcp("8.8.8.8:999", &format!("{to}:8080"), SYN, b"");
        moves(&mut world, Some("203.0.113.77"));
        assert_eq!(world.uplink(&syn("203.0.113.77")).frames.len(), 0);
        moves(&mut world, Some("203.0.113.2"));
        assert_eq!(world.uplink(&syn("203.0.113.2")).on(Side::LAN).dst, "10.100.0.10:80");
        assert!(world.gateway.unpublish(Protocol::Tcp, 8080));
        assert_eq!(world.gateway.nat_usage()[0].2, usize::from(!held));
    }
}

#[test]
fn a_host_s_own_port_that_is_held_for_it_keeps_its_sessions() {
    let mut world = World::new(config());
    let out = world.lan(&Pkt::udp("10.100.0.10:8080", "8.8.8.8:53", b"?"));
    assert_eq!(out.on(Side::Uplink).src, "203.0.113.2:8080");
    let wanted = rule(Protocol::Udp, 8080, "10.100.0.10:8080");
    world.gateway.publish_held(OWNER, wanted).unwrap();
    let back = Pkt::udp("8.8.8.8:53", "203.0.113.2:8080", b"!");
    assert_eq!(world.uplink(&back).on(Side::LAN).dst, "10.100.0.10:8080");
    let other = Pkt::udp("9.9.9.9:99", "203.0.113.2:8080", b"?");
    assert_eq!(world.uplink(&other).on(Side::LAN).dst, "10.100.0.10:8080");
    // Sessions end, one by one, and nothing of them is left.
    world.gateway.flush_nat(world.now);
    assert!(world.gateway.unpublish(Protocol::Udp, 8080));
    assert_eq!((world.gateway.nat_usage()[1].1, world.gateway.nat_usage()[1].2), (0, 0));
}

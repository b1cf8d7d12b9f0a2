//! Published ports.

use gateway::{DropReason, Endpoint, Protocol, PublishError, Published, Side};

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

//! A real uplink: the address is the host's too, and what is the host's is none of our business.

use gateway::{Config, DropReason, Side};
use wire::VnetHeader;

use crate::world::packet::{ACK, RST, SYN, arp_request};
use crate::world::{OUTSIDE, Pkt, ROUTER, UPLINK_MAC, World, config, mac};

fn shared() -> Config {
    let mut config = config();
    let uplink = config.uplink.as_mut().unwrap();
    (uplink.shared, uplink.ports) = (true, 20_000..=29_999);
    config
}

#[test]
fn the_host_s_traffic_meets_silence() {
    let mut world = World::new(shared());
    let quoted = Pkt::tcp("203.0.113.2:40000", "8.8.8.8:80", SYN, b"").ip();
    for packet in [
        Pkt::tcp("8.8.8.8:80", "203.0.113.2:40000", SYN | ACK, b""),
        Pkt::tcp("8.8.8.8:80", "203.0.113.2:22", SYN, b""),
        // Ports of the block that nobody inside has: the kernel may have given them to others.
        Pkt::tcp("8.8.8.8:80", "203.0.113.2:25000", SYN, b""),
        Pkt::tcp("8.8.8.8:80", "203.0.113.2:25000", SYN | ACK, b""),
        Pkt::udp("8.8.8.8:53", "203.0.113.2:25000", b"x"),
        Pkt::udp("8.8.8.8:53", "203.0.113.2:40000", b"x"),
        Pkt::echo("8.8.8.8", OUTSIDE, 8, 7, b""),
        Pkt::echo("8.8.8.8", OUTSIDE, 0, 7, b""),
        Pkt::error("8.8.8.8", OUTSIDE, (3, 3, 0), &quoted),
        Pkt::raw("8.8.8.8".parse().unwrap(), OUTSIDE.parse().unwrap(), 132, vec![0; 12]),
    ] {
        let out = world.uplink(&packet);
        assert_eq!(out.dropped(), DropReason::NotOurs);
        assert!(out.frames.is_empty() && out.arps.is_empty());
    }
    assert!(world.pass(std::time::Duration::from_secs(10)).is_empty());
    let own = OUTSIDE.parse().unwrap();
    let out = world.put(Side::Uplink, VnetHeader::default(), arp_request(mac(ROUTER), ROUTER, own));
    assert!(out.arps.is_empty(), "the kernel answers ARP");
}

#[test]
fn the_block_works_as_it_does_on_an_address_of_our_own() {
    let mut world = World::new(shared());
    let sent = world.lan(&Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", SYN, b"")).on(Side::Uplink);
    assert!((20_000..=29_999).contains(&sent.src_port()));
    let back = world.uplink(&Pkt::tcp("8.8.8.8:80", &sent.src, SYN | ACK, b"")).on(Side::LAN);
    assert_eq!(back.dst, "10.100.0.10:500");
    let echo = world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 7, b"")).on(Side::Uplink);
    let reply = Pkt::echo("8.8.8.8", OUTSIDE, 0, echo.echo_id(), b"");
    assert_eq!(world.uplink(&reply).on(Side::LAN).echo_id(), 7);
    let stray = world.uplink(&Pkt::tcp("9.9.9.9:1", "203.0.113.2:25000", RST, b""));
    assert_eq!(stray.dropped(), DropReason::NotOurs);
}

#[test]
fn only_ports_of_the_block_are_published() {
    let mut world = World::new(shared());
    let wanted = |port| gateway::Published {
        protocol: gateway::Protocol::Tcp,
        address: None,
        port,
        inside: gateway::Endpoint::new([10, 100, 0, 10].into(), 80),
    };
    let error = world.gateway.publish(wanted(8080)).unwrap_err().to_string();
    for word in ["8080", "20000", "29999", "--uplink-ports"] {
        assert!(error.contains(word), "{error}");
    }
    world.gateway.publish(wanted(20_080)).unwrap();
    let syn = Pkt::tcp("8.8.8.8:999", "203.0.113.2:20080", SYN, b"");
    assert_eq!(world.uplink(&syn).on(Side::LAN).dst, "10.100.0.10:80");
}

#[test]
fn a_smaller_mtu_keeps_the_sessions() {
    let mut world = World::new(shared());
    let syn = Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", SYN, b"");
    let sent = world.lan(&syn).on(Side::Uplink);
    let large = Pkt::udp("10.100.0.10:500", "8.8.8.8:80", &[0; 1400]);
    world.lan(&large).on(Side::Uplink);
    world.gateway.set_uplink_link(UPLINK_MAC, 1400);
    assert_eq!(world.lan(&large).dropped(), DropReason::TooBig);
    assert_eq!(world.lan(&syn).on(Side::Uplink).src, sent.src);
}

//! A real uplink: the address is the host's too, and what is the host's is none of our business.

use gateway::{Config, DropReason, Side};
use wire::VnetHeader;

use crate::world::packet::{ACK, RST, SYN, arp_request};
use crate::world::{OUTSIDE, Pkt, ROUTER, World, config, mac};

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
    let back = world.uplink(&Pkt::tcp("8.8.8.8:80", &sent.src, SYN | ACK, b"")).on(Side::Lan);
    assert_eq!(back.dst, "10.100.0.10:500");
    let echo = world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 7, b"")).on(Side::Uplink);
    let reply = Pkt::echo("8.8.8.8", OUTSIDE, 0, echo.echo_id(), b"");
    assert_eq!(world.uplink(&reply).on(Side::Lan).echo_id(), 7);
    let stray = world.uplink(&Pkt::tcp("9.9.9.9:1", "203.0.113.2:25000", RST, b""));
    assert_eq!(stray.dropped(), DropReason::NoSession);
}

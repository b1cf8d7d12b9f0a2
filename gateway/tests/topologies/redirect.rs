//! A detour: what a host sends to its neighbour by way of the gateway goes on, and the host is told
//! (RFC 1812 5.2.7.2).

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{DropReason, LegAddress, Side, Verdict};

use crate::world::packet::SYN;
use crate::world::{Pkt, Seen, World, config};

const DETOUR: (&str, &str) = ("10.100.0.10:1", "10.100.0.20:2");

#[test]
fn a_host_is_told_that_the_other_is_its_neighbour() {
    let mut world = World::new(config());
    let packet = Pkt::udp(DETOUR.0, DETOUR.1, b"x");
    let out = world.lan(&packet);
    assert_eq!(out.on(Side::LAN).dst, "10.100.0.20:2", "the packet itself goes on");
    let [(side, _, frame)] = &out.redirects[..] else {
        panic!("{} redirects", out.redirects.len())
    };
    let redirect = Seen::of(frame);
    assert_eq!(
        (*side, redirect.src.as_str(), redirect.dst.as_str()),
        (Side::LAN, "10.100.0.1", "10.100.0.10")
    );
    // For the host (code 1), which is its own next hop; the packet is quoted as it came.
    let to = u32::from(Ipv4Addr::new(10, 100, 0, 20));
    assert_eq!(redirect.icmp, Some((5, 1, to)));
    assert_eq!(Seen::packet(&redirect.data).ip, packet.ip());
    let counters = world.gateway.counters();
    assert_eq!((counters.redirects, counters.icmp_errors), (1, 0));
}

#[test]
fn it_is_told_ever_more_rarely() {
    let mut world = World::new(config());
    let mut told = 0;
    for _ in 0..3000 {
        told += world.lan(&Pkt::udp(DETOUR.0, DETOUR.1, b"x")).redirects.len();
        world.jump(Duration::from_millis(10));
    }
    assert_eq!(told, 9);
    world.jump(Duration::from_secs(21));
    assert_eq!(world.lan(&Pkt::udp(DETOUR.0, DETOUR.1, b"x")).redirects.len(), 1);
}

#[test]
fn nobody_is_told_where_the_gateway_is_the_way() {
    let mut config = config();
    config.legs[0]
        .1
        .addresses
        .push(LegAddress { address: Ipv4Addr::new(10, 9, 0, 1), prefix_len: 24 });
    let mut world = World::new(config);
    world.knock(0, "10.9.0.2", "10.9.0.1");
    // Two subnets of one network, and the world.
    let out = world.lan(&Pkt::udp(DETOUR.0, "10.9.0.2:2", b"x"));
    assert_eq!((out.on(Side::LAN).ttl, out.redirects.len()), (63, 0));
    assert!(world.lan(&Pkt::udp(DETOUR.0, "8.8.8.8:2", b"x")).redirects.is_empty());
    // What a host has for itself goes back to it.
    let own = world.lan(&Pkt::udp(DETOUR.0, "10.100.0.10:2", b"x"));
    assert_eq!((own.on(Side::LAN).dst.as_str(), own.redirects.len()), ("10.100.0.10:2", 0));
    // No errors about errors and later fragments.
    let about = Pkt::udp("10.100.0.20:2", DETOUR.0, b"x").ip();
    let error = Pkt::error("10.100.0.10", "10.100.0.20", (3, 3, 0), &about);
    assert!(world.lan(&error).redirects.is_empty());
    let pieces = Pkt::udp(DETOUR.0, DETOUR.1, &[0; 64]).cut(32);
    assert!(world.lan(&pieces[1]).redirects.is_empty());
    assert_eq!(world.lan(&pieces[0]).redirects.len(), 1);
}

#[test]
fn hosts_that_are_kept_apart_do_not_meet_by_way_of_the_gateway() {
    let mut config = config();
    config.legs[0].1.policy.isolated = true;
    let mut world = World::new(config);
    for packet in [
        Pkt::udp(DETOUR.0, DETOUR.1, b"x"),
        Pkt::tcp(DETOUR.0, DETOUR.1, SYN, b""),
        Pkt::echo("10.100.0.10", "10.100.0.20", 8, 1, b""),
        Pkt::raw([10, 100, 0, 10].into(), [10, 100, 0, 20].into(), 47, vec![0; 4]),
    ] {
        let out = world.lan(&packet);
        assert_eq!((out.dropped(), out.redirects.len()), (DropReason::Isolated, 0));
        let told = out.on(Side::LAN);
        let prohibited = Some((3, 13, 0));
        assert_eq!((told.src.as_str(), told.icmp), ("10.100.0.1", prohibited));
    }
    for piece in &Pkt::udp(DETOUR.0, DETOUR.1, &[1; 3000]).cut(1000) {
        assert_eq!(world.lan(piece).dropped(), DropReason::Isolated);
    }
    // The gateway and the world are reached.
    assert_eq!(world.lan(&Pkt::echo("10.100.0.10", "10.100.0.1", 8, 1, b"")).verdict, Verdict::LAN);
    assert_eq!(world.lan(&Pkt::udp(DETOUR.0, "8.8.8.8:53", b"x")).verdict, Verdict::Uplink);
}

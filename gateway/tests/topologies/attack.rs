//! Under attack: nothing let in, nothing established dropped, memory bounded; with figures.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{
    Config, DropReason, Endpoint, Limits, NatConfig, NatType, Protocol, Published, Side, State,
};

use crate::world::packet::{ACK, SYN};
use crate::world::{OUTSIDE, Pkt, World, config, ip};

const FRIEND: &str = "10.100.0.20:4000";
/// The same where an endpoint keeps its port.
const FRIEND_OUT: &str = "203.0.113.2:4000";

/// A friend has an established connection and a UDP session.
fn world(config: Config) -> World {
    let mut world = World::new(config);
    world.lan(&Pkt::tcp(FRIEND, "8.8.8.8:80", SYN, b""));
    let out = friend_out(&world, Protocol::Tcp);
    world.uplink(&Pkt::tcp("8.8.8.8:80", &out, SYN | ACK, b""));
    world.lan(&Pkt::tcp(FRIEND, "8.8.8.8:80", ACK, b""));
    world.lan(&Pkt::udp(FRIEND, "8.8.8.8:53", b"x"));
    world
}

/// The outside endpoint of the friend's session with 8.8.8.8.
fn friend_out(world: &World, protocol: Protocol) -> String {
    let google = Ipv4Addr::new(8, 8, 8, 8);
    let sessions = world.sessions();
    let mut of_the_friend = sessions.iter().filter(|s| s.inside.to_string() == FRIEND);
    let session = of_the_friend.find(|s| s.protocol == protocol && s.remote.address == google);
    format!("{OUTSIDE}:{}", session.expect("the friend has lost a session").outside_port)
}

/// The friend still talks, and can open something new.
#[track_caller]
fn friend_is_well(world: &mut World) {
    let out = friend_out(world, Protocol::Tcp);
    let back = world.uplink(&Pkt::tcp("8.8.8.8:80", &out, ACK, b"data")).on(Side::LAN);
    assert_eq!(back.dst, FRIEND);
    let out = friend_out(world, Protocol::Udp);
    let back = world.uplink(&Pkt::udp("8.8.8.8:53", &out, b"data")).on(Side::LAN);
    assert_eq!(back.dst, FRIEND);
    world.lan(&Pkt::tcp("10.100.0.20:5000", "1.1.1.1:443", SYN, b"")).on(Side::Uplink);
    world.lan(&Pkt::udp("10.100.0.20:5000", "1.1.1.1:443", b"x")).on(Side::Uplink);
}

#[test]
fn a_syn_flood_from_a_node_costs_the_others_nothing() {
    let mut world = world(config());
    for n in 0..200_000u32 {
        let from = format!("10.100.0.10:{}", 1024 + n % 60_000);
        let to = format!("{}:80", Ipv4Addr::from(0x0900_0000 + n / 60_000));
        world.lan(&Pkt::tcp(&from, &to, SYN, b""));
    }
    let tcp = world.gateway.nat_usage()[0];
    let displaced = world.gateway.counters().nat.displaced;
    println!("200000 SYNs of one node: {} sessions, {} ports, {displaced} displaced", tcp.1, tcp.2);
    assert!(tcp.1 <= 65_536 / 2 + 1, "one node gets half of the table");
    assert_eq!(u64::from(tcp.1) + displaced, 200_000 + 1);
    friend_is_well(&mut world);
    // Four minutes later it is as if nothing had been.
    world.pass(Duration::from_secs(245));
    assert!(world.gateway.nat_usage()[0].1 <= 2);
}

#[test]
fn a_node_that_opens_sessions_of_every_kind_leaves_room_for_others() {
    let limits = Limits { sessions: 1000, ..Limits::default() };
    let mut world = world(Config { limits, ..config() });
    for host in ["10.100.0.10", "10.100.0.30"] {
        for n in 0..3000u16 {
            world.lan(&Pkt::udp(&format!("{host}:{}", 2000 + n), "9.9.9.9:9", b"x"));
            world.lan(&Pkt::echo(host, "9.9.9.9", 8, n, b""));
        }
    }
    println!("{:?}", world.gateway.nat_usage());
    friend_is_well(&mut world);
    let capped = Limits { per_node: 10, ..Limits::default() };
    let mut world = self::world(Config { limits: capped, ..config() });
    for n in 0..3000u16 {
        world.lan(&Pkt::udp(&format!("10.100.0.10:{}", 2000 + n), "9.9.9.9:9", b"x"));
    }
    assert_eq!(world.gateway.nat_usage()[1].1, 10 + 1);
}

#[test]
fn a_port_scan_from_outside_lets_nothing_in_and_keeps_nothing() {
    for kind in [NatType::PortRestrictedCone, NatType::Symmetric, NatType::RestrictedCone] {
        let mut world =
            world(Config { nat: NatConfig { kind, ..NatConfig::default() }, ..config() });
        let before = world.gateway.nat_usage();
        let mut inside = 0;
        for port in 1..=65_535u16 {
            let to = format!("{OUTSIDE}:{port}");
            for packet in [
                Pkt::tcp("6.6.6.6:6", &to, SYN, b""),
                Pkt::tcp("6.6.6.6:6", &to, ACK, b""),
                Pkt::udp("6.6.6.6:6", &to, b"x"),
                Pkt::echo("6.6.6.6", OUTSIDE, 0, port, b""),
            ] {
                let out = world.uplink(&packet);
                inside += out.frames.iter().filter(|f| f.0 == Side::LAN).count();
            }
        }
        assert_eq!((inside, world.gateway.nat_usage()), (0, before), "{kind}");
        // At most 256 late answers to SYNs, and those limited.
        let late = world.pass(Duration::from_secs(10)).len();
        println!("{kind}: 262140 probes, 0 let in, {late} answers");
        assert!(late <= 40);
        friend_is_well(&mut world);
    }
}

#[test]
fn a_flood_from_outside_on_an_open_door_takes_a_quarter_at_most() {
    let nat = NatConfig { kind: NatType::FullCone, ..NatConfig::default() };
    let mut world = world(Config { nat, ..config() });
    for n in 0..200_000u32 {
        let from = format!("{}:{}", Ipv4Addr::from(0x0b00_0000 + n), 1024 + n % 60_000);
        world.uplink(&Pkt::tcp(&from, FRIEND_OUT, SYN, b""));
        world.uplink(&Pkt::udp(&from, FRIEND_OUT, b"x"));
    }
    let usage = world.gateway.nat_usage();
    println!("400000 openings from outside: {usage:?}");
    assert!(usage[0].1 <= 16_384 + 1 && usage[1].1 <= 16_384 + 1);
    friend_is_well(&mut world);
}

#[test]
fn the_outside_alone_keeps_no_door_open() {
    for kind in [NatType::FullCone, NatType::RestrictedCone] {
        let nat = NatConfig { kind, ..NatConfig::default() };
        let mut world = world(Config { nat, ..config() });
        let mut last = Duration::ZERO;
        for second in 0..1000u16 {
            let from = format!("8.8.8.8:{}", 1000 + second);
            if world.uplink(&Pkt::udp(&from, FRIEND_OUT, b"x")).frames.len() == 1 {
                last = Duration::from_secs(second.into());
            }
            world.pass(Duration::from_secs(1));
        }
        // The friend last spoke 1000 seconds ago.
        println!("{kind}: open for {last:?} after the last packet out");
        assert_eq!(last, Duration::from_secs(299));
        assert_eq!(world.gateway.nat_usage()[1].1, 0);
    }
}

#[test]
fn forged_icmp_errors_change_nothing() {
    let mut world = world(config());
    let before = world.sessions();
    let mut delivered = 0;
    // An attacker who guesses: every remote port of the right host and every port of ours.
    for n in 1..20_000u16 {
        let guess = Pkt::tcp(&format!("{OUTSIDE}:{n}"), "8.8.8.8:80", ACK, b"").ip();
        let error = Pkt::error("6.6.6.6", OUTSIDE, (3, 1, 0), &guess[..28]);
        delivered += world.uplink(&error).frames.len();
    }
    println!("19999 forged errors, {delivered} reached the host that has that very connection");
    assert_eq!((delivered, world.sessions()), (1, before));
    friend_is_well(&mut world);
}

#[test]
fn inside_addresses_do_not_exist_outside_and_martians_nowhere() {
    let mut world = world(config());
    for to in ["10.100.0.20:4000", "10.100.0.1:53", "10.100.200.1:1"] {
        let out = world.uplink(&Pkt::udp("8.8.8.8:53", to, b"x"));
        assert_eq!(out.dropped(), DropReason::InsideFromOutside);
    }
    for src in [
        "10.100.0.10",
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "203.0.113.255",
        OUTSIDE,
        "10.100.0.1",
    ] {
        let out = world.uplink(&Pkt::udp(&format!("{src}:53"), FRIEND_OUT, b"x"));
        assert_eq!(out.dropped(), DropReason::Martian, "{src}");
    }
    for src in ["10.101.0.10", "8.8.8.8", "127.0.0.1", "0.0.0.0", "10.100.0.1", "10.100.255.255"] {
        let out = world.lan(&Pkt::udp(&format!("{src}:1"), "8.8.8.8:53", b"x"));
        assert_eq!(out.dropped(), DropReason::Martian, "{src}");
    }
    assert_eq!(world.gateway.counters().drops(DropReason::Martian), 9 + 6);
}

#[test]
fn a_reply_is_no_way_in_for_another_inside_host() {
    // What comes back from the inside host's ICMP cannot be turned into a session.
    let mut world = world(config());
    let out = world.uplink(&Pkt::udp("8.8.8.8:53", FRIEND_OUT, b"x"));
    let quoted = ip(&out.frames[0].2).to_vec();
    let foreign = Pkt::error("10.100.0.10", "8.8.8.8", (3, 3, 0), &quoted);
    let before = world.sessions();
    // It is not about a packet of its own.
    assert_eq!(world.lan(&foreign).dropped(), DropReason::BadIcmpError);
    assert_eq!(world.sessions(), before);
    let own = Pkt::error("10.100.0.20", "8.8.8.8", (3, 3, 0), &quoted);
    assert_eq!(world.lan(&own).on(Side::Uplink).src, OUTSIDE);
}

#[test]
fn a_published_service_outlives_a_flood_of_syns_its_host_answers() {
    let mut world = world(config());
    let inside = Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), 80);
    let rule = Published { protocol: Protocol::Tcp, address: None, port: 80, inside };
    world.gateway.publish(rule).unwrap();
    let (door, server) = ("203.0.113.2:80", "10.100.0.10:80");
    let connect = |world: &mut World, n: u32, rest: bool| {
        let from = format!("{}:{}", Ipv4Addr::from(0x0b00_0000 + n), 1024 + n % 60_000);
        world.uplink(&Pkt::tcp(&from, door, SYN, b"")).on(Side::LAN);
        world.lan(&Pkt::tcp(server, &from, SYN | ACK, b"")).on(Side::Uplink);
        if rest {
            world.uplink(&Pkt::tcp(&from, door, ACK, b"hello")).on(Side::LAN);
        }
    };
    for n in 0..1000 {
        connect(&mut world, n, true);
    }
    for n in 1000..200_000 {
        connect(&mut world, n, n % 1000 == 0);
    }
    let established = world.sessions().iter().filter(|s| s.state == State::Established).count();
    let usage = world.gateway.nat_usage()[0].1;
    let displaced = world.gateway.counters().nat.displaced;
    println!("198801 SYNs: {usage} sessions, {established} established, {displaced} displaced");
    assert_eq!(established, 1 + 1000 + 199);
    assert!(usage <= 16_384 + 1200);
    friend_is_well(&mut world);
}

#[test]
fn what_the_outside_provokes_leaves_the_inside_its_errors() {
    let mut world = world(config());
    for n in 0..10_000u32 {
        let from = Ipv4Addr::from(0x0b00_0000 + n * 977);
        world.uplink(&Pkt::raw(from, OUTSIDE.parse().unwrap(), 47, vec![0; 20]));
    }
    let counters = world.gateway.counters();
    assert!(counters.icmp_limited > 9000, "{}", counters.icmp_limited);
    let told = world.lan(&Pkt::udp(FRIEND, "8.8.8.8:53", b"x").ttl(1));
    assert_eq!(told.one().icmp.unwrap().0, 11);
}

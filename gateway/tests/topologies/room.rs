//! Who gives way when there is no room: closed and unanswered ones first, and one's own.
#![allow(clippy::cast_possible_truncation)] // small numbers, made here

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{Config, DropReason, Endpoint, Limits, NatType, Node, Protocol, Published, Side};
use wire::VnetHeader;

use crate::world::packet::{ACK, FIN, RST, SYN, arp_reply};
use crate::world::{LAN_MAC, OUTSIDE, Pkt, World, config, mac};

const FLOODER: Node = Node(99);

/// All addresses of the LAN but those that are known here.
fn claimed(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a64_0100 + n % 64_000)
}

/// Twenty new sessions of each protocol by a host that has none, or few.
fn twenty(world: &mut World, host: &str, at: u16) -> usize {
    let opens = |n: u16| {
        [
            Pkt::udp(&format!("{host}:{}", at + n), "1.1.1.1:53", b"x"),
            Pkt::tcp(&format!("{host}:{}", at + n), "1.1.1.1:80", SYN, b""),
            Pkt::echo(host, "1.1.1.1", 8, at + n, b""),
        ]
    };
    let sent = (0..20).flat_map(opens).map(|p| world.lan(&p).frames);
    sent.filter(|frames| frames.len() == 1 && frames[0].0 == Side::Uplink).count()
}

#[test]
fn a_node_that_claims_every_address_takes_nothing_from_the_others() {
    let mut world = World::new(config());
    for n in 0..200_000u32 {
        let from = claimed(n * 7919).to_string();
        let port = 1024 + n / 64_000;
        world.forged(FLOODER, &Pkt::udp(&format!("{from}:{port}"), "9.9.9.9:9", b"x"));
        world.forged(FLOODER, &Pkt::tcp(&format!("{from}:{port}"), "9.9.9.9:9", SYN, b""));
        world.forged(FLOODER, &Pkt::echo(&from, "9.9.9.9", 8, (n % 65_536) as u16, b""));
    }
    println!("600000 openings of one node: {:?}", world.gateway.nat_usage());
    assert!(world.gateway.nat_usage().iter().all(|usage| usage.1 <= 65_536 / 3 * 2 + 1));
    assert_eq!(twenty(&mut world, "10.100.0.20", 4000), 60);
    for seconds in [35, 30] {
        world.pass(Duration::from_secs(seconds));
        world.meet(Side::LAN, Ipv4Addr::new(10, 100, 0, 20));
        assert_eq!(twenty(&mut world, "10.100.0.20", 5000 + seconds as u16 * 100), 60);
    }
}

#[test]
fn a_node_that_claims_every_address_fills_neither_neighbours_nor_fragments() {
    let mut world = World::new(config());
    for n in 0..20_000u32 {
        world.claim(FLOODER, claimed(n));
        let from = claimed(n).to_string();
        world.forged(
            FLOODER,
            &Pkt::udp(&format!("{from}:1"), &format!("{}:2", claimed(n + 1)), b""),
        );
        let large = Pkt::udp(&format!("{from}:1"), "8.8.8.8:2", &[0; 2000]).id(n as u16);
        world.forged(FLOODER, &large.cut(1480)[1]);
        world.forged(FLOODER, &Pkt::udp(&format!("{from}:1"), "8.8.8.8:2", b"").ttl(1));
    }
    // A host nobody has met is still learned, another still asked for, and what waits is whole.
    let learned = Ipv4Addr::new(10, 100, 0, 40);
    world.meet(Side::LAN, learned);
    let known = |world: &World, address| {
        let all = world.gateway.neighbours(world.now);
        all.iter().any(|(_, n)| n.address == address && n.mac.is_some())
    };
    assert!(known(&world, learned));
    let pieces = Pkt::udp("10.100.0.10:1", "10.100.0.50:2", &[7; 65_507]).cut(1480);
    assert_eq!(pieces.iter().map(|p| world.lan(p).frames.len()).sum::<usize>(), 0);
    let asked = Ipv4Addr::new(10, 100, 0, 50);
    let answer = arp_reply(LAN_MAC, mac(asked), asked, Ipv4Addr::new(10, 100, 0, 1));
    assert_eq!(world.put(Side::LAN, VnetHeader::default(), answer).frames.len(), 45);
    // Fragments the wrong way round, and errors.
    let mut pieces = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[5; 3001]).cut(1480);
    pieces.reverse();
    assert_eq!(pieces.iter().map(|p| world.lan(p).frames.len()).sum::<usize>(), 3);
    let told = world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:53", b"x").ttl(1));
    assert_eq!(told.one().icmp.unwrap().0, 11);
}

#[test]
fn forty_five_thousand_short_connections_all_pass() {
    let mut world = World::new(config());
    let remotes = ["8.8.8.8:80", "1.1.1.1:80", "8.8.4.4:80", "9.9.9.9:80"];
    for n in 0..90_000u32 {
        let (from, to) = (format!("10.100.0.10:{}", 10_000 + n % 45_000), remotes[n as usize % 4]);
        let out = world.lan(&Pkt::tcp(&from, to, SYN, b"")).on(Side::Uplink).src;
        world.uplink(&Pkt::tcp(to, &out, SYN | ACK, b"")).on(Side::LAN);
        world.lan(&Pkt::tcp(&from, to, ACK, b"question")).on(Side::Uplink);
        world.uplink(&Pkt::tcp(to, &out, ACK, b"answer")).on(Side::LAN);
        // Closed from either side, or reset.
        match n % 3 {
            0 => {
                world.lan(&Pkt::tcp(&from, to, FIN, b"")).on(Side::Uplink);
                world.uplink(&Pkt::tcp(to, &out, FIN, b"")).on(Side::LAN);
            }
            1 => {
                world.uplink(&Pkt::tcp(to, &out, FIN, b"")).on(Side::LAN);
                world.lan(&Pkt::tcp(&from, to, FIN, b"")).on(Side::Uplink);
            }
            _ => {
                world.lan(&Pkt::tcp(&from, to, RST, b"")).on(Side::Uplink);
            }
        }
        world.jump(Duration::from_micros(370));
    }
    assert_eq!(world.gateway.counters().drops(DropReason::Quota), 0);
}

/// What has closed and frees no port, for nine times have connections of it been opened.
#[derive(Clone, Copy, Debug)]
enum Closed {
    Nothing,
    /// At a published port.
    Published,
    /// From one port of the host's, to ever more servers.
    Crowded,
    /// From ports that have a connection which goes on.
    Shared,
}

/// Connections to a server outside, or from there: opened, and reset or not.
fn connection(world: &mut World, (from, to): (&str, &str), reset: bool) {
    let out = world.lan(&Pkt::tcp(from, to, SYN, b"")).on(Side::Uplink).src;
    world.uplink(&Pkt::tcp(to, &out, SYN | ACK, b"")).on(Side::LAN);
    let last = if reset { RST } else { ACK };
    world.lan(&Pkt::tcp(from, to, last, b"")).on(Side::Uplink);
}

fn close(world: &mut World, what: Closed) {
    for n in 1..10 {
        let (server, other) = (format!("9.9.9.{n}:80"), format!("9.9.8.{n}:80"));
        match what {
            Closed::Nothing => {}
            Closed::Published => {
                let door = "203.0.113.2:20005";
                world.uplink(&Pkt::tcp(&server, door, SYN, b"")).on(Side::LAN);
                let answer = Pkt::tcp("10.100.0.10:80", &server, SYN | ACK, b"");
                world.lan(&answer).on(Side::Uplink);
                world.uplink(&Pkt::tcp(&server, door, ACK, b"")).on(Side::LAN);
                world.uplink(&Pkt::tcp(&server, door, RST, b"")).on(Side::LAN);
            }
            Closed::Crowded => connection(world, ("10.100.0.10:5000", &server), true),
            Closed::Shared => {
                let from = format!("10.100.0.10:{}", 5000 + n);
                connection(world, (&from, &other), false);
                connection(world, (&from, &server), true);
            }
        }
    }
}

#[test]
fn short_connections_and_questions_pass_a_small_block_of_ports() {
    for kind in NatType::ALL {
        for before in [Closed::Nothing, Closed::Published, Closed::Crowded, Closed::Shared] {
            let mut config = config();
            config.uplink.as_mut().unwrap().ports = 20_000..=20_099;
            config.nat.kind = kind;
            let mut world = World::new(config);
            let inside = Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), 80);
            let rule = Published { protocol: Protocol::Tcp, address: None, port: 20_005, inside };
            world.gateway.publish_for(Node(10), rule).unwrap();
            close(&mut world, before);
            println!("{kind}, {before:?}");
            short_ones(&mut world);
        }
    }
}

fn short_ones(world: &mut World) {
    for n in 0..5000u32 {
        let (from, to) = (format!("10.100.0.10:{}", 10_000 + n), "8.8.8.8:80");
        let out = world.lan(&Pkt::tcp(&from, to, SYN, b"")).on(Side::Uplink).src;
        world.uplink(&Pkt::tcp(to, &out, SYN | ACK, b"")).on(Side::LAN);
        world.lan(&Pkt::tcp(&from, to, FIN, b"")).on(Side::Uplink);
        world.uplink(&Pkt::tcp(to, &out, FIN, b"")).on(Side::LAN);
        let asked = world.lan(&Pkt::udp(&from, to, b"?")).on(Side::Uplink).src;
        assert_eq!(world.uplink(&Pkt::udp(to, &asked, b"!")).on(Side::LAN).dst, from);
        let ping = world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, n as u16, b"")).one();
        let pong = Pkt::echo("8.8.8.8", OUTSIDE, 0, ping.echo_id(), b"");
        assert_eq!(world.uplink(&pong).on(Side::LAN).echo_id(), n as u16);
    }
}

/// Many connections are opened at a time while the closed ones of a published port lie about: none of those
/// that open gives way to another.
#[test]
fn what_opens_does_not_give_way_while_closed_ones_have_ports() {
    for before in [Closed::Nothing, Closed::Published, Closed::Crowded] {
        let mut config = config();
        config.uplink.as_mut().unwrap().ports = 20_000..=20_099;
        let mut world = World::new(config);
        let inside = Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), 80);
        let rule = Published { protocol: Protocol::Tcp, address: None, port: 20_005, inside };
        world.gateway.publish_for(Node(10), rule).unwrap();
        close(&mut world, before);
        for n in 0..500u32 {
            let from = |n: u32| format!("10.100.0.10:{}", 10_000 + n);
            let at_once: Vec<_> = (n * 9..n * 9 + 9).map(from).collect();
            let to = "8.8.8.8:80";
            let opened = |from: &String| Pkt::tcp(from, to, SYN, b"");
            let doors: Vec<_> =
                at_once.iter().map(|from| world.lan(&opened(from)).on(Side::Uplink).src).collect();
            for (door, from) in doors.iter().zip(&at_once) {
                let answer = world.uplink(&Pkt::tcp(to, door, SYN | ACK, b"")).on(Side::LAN);
                assert_eq!(&answer.dst, from, "{before:?}, {n}");
                world.lan(&Pkt::tcp(from, to, RST, b"")).on(Side::Uplink);
            }
        }
    }
}

/// A scan by bare ACKs, or one that acknowledges what nobody has said.
#[test]
fn what_the_inside_alone_has_said_gives_way() {
    for said in [&[ACK][..], &[SYN, ACK], &[ACK, ACK]] {
        let limits = Limits { sessions: 1000, ..Limits::default() };
        let mut world = World::new(Config { limits, ..config() });
        for n in 0..3000u32 {
            let from = format!("10.100.0.10:{}", 10_000 + n);
            for flags in said {
                world.lan(&Pkt::tcp(&from, "9.9.9.9:80", *flags, b"")).on(Side::Uplink);
            }
        }
        // One that somebody has answered, and that goes on, does not.
        let (from, to) = ("10.100.0.10:4000", "8.8.8.8:80");
        let out = world.lan(&Pkt::tcp(from, to, ACK, b"older than we")).on(Side::Uplink).src;
        world.uplink(&Pkt::tcp(to, &out, ACK, b"")).on(Side::LAN);
        world.lan(&Pkt::tcp(from, to, ACK, b"more")).on(Side::Uplink);
        for n in 0..3000u32 {
            let from = format!("10.100.0.10:{}", 20_000 + n);
            world.lan(&Pkt::tcp(&from, "9.9.9.9:80", ACK, b"")).on(Side::Uplink);
        }
        world.uplink(&Pkt::tcp(to, &out, ACK, b"data")).on(Side::LAN);
    }
}

#[test]
fn what_is_established_or_in_use_stays_when_others_give_way() {
    let limits = Limits { sessions: 1000, ..Limits::default() };
    let mut world = World::new(Config { limits, ..config() });
    let (from, to) = ("10.100.0.10:4000", "8.8.8.8:80");
    let out = world.lan(&Pkt::tcp(from, to, SYN, b"")).one().src;
    world.uplink(&Pkt::tcp(to, &out, SYN | ACK, b""));
    world.lan(&Pkt::tcp(from, to, ACK, b""));
    // Two that ask and are answered: one goes on asking at times, the other was never answered.
    let (asks, waits) = ("10.100.0.10:4001", "10.100.0.10:4002");
    let door = world.lan(&Pkt::udp(asks, to, b"x")).one().src;
    world.uplink(&Pkt::udp(to, &door, b"y")).on(Side::LAN);
    world.lan(&Pkt::udp(waits, to, b"x"));
    for n in 0..5000u32 {
        world.lan(&Pkt::udp(&format!("10.100.0.10:{}", 10_000 + n), "9.9.9.9:9", b"x")).one();
        world.lan(&Pkt::tcp(&format!("10.100.0.10:{}", 10_000 + n), "9.9.9.9:9", SYN, b"")).one();
        if n % 100 == 0 {
            world.lan(&Pkt::udp(asks, to, b"x")).one();
        }
    }
    world.uplink(&Pkt::tcp(to, &out, ACK, b"data")).on(Side::LAN);
    world.uplink(&Pkt::udp(to, &door, b"y")).on(Side::LAN);
    let inside: Vec<_> = world.sessions().iter().map(|s| s.inside.to_string()).collect();
    assert!(inside.iter().any(|i| i == asks) && inside.iter().all(|i| i != waits));
}

#[test]
fn a_published_service_that_answers_outlives_forged_datagrams() {
    let mut world = World::new(config());
    let inside = Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), 53);
    let rule = Published { protocol: Protocol::Udp, address: None, port: 5300, inside };
    world.gateway.publish_for(Node(10), rule).unwrap();
    let door = format!("{OUTSIDE}:5300");
    let ask = |world: &mut World, from: &str| {
        world.uplink(&Pkt::udp(from, &door, b"q")).on(Side::LAN);
        world.lan(&Pkt::udp("10.100.0.10:53", from, b"a")).on(Side::Uplink).src
    };
    assert_eq!(ask(&mut world, "8.8.8.8:1"), door);
    for n in 0..120_000u32 {
        // Each asks once, or twice, without ever hearing the answer.
        let from = format!("{}:1024", Ipv4Addr::from(0xc612_0000 + n % 100_000));
        assert_eq!(ask(&mut world, &from), door);
        world.jump(Duration::from_millis(9));
    }
    assert!(world.gateway.nat_usage()[1].1 <= 16_384);
    for n in 0..20 {
        assert_eq!(ask(&mut world, &format!("9.9.9.9:{}", 1000 + n)), door);
    }
    world.meet(Side::LAN, Ipv4Addr::new(10, 100, 0, 10));
    world.meet(Side::Uplink, crate::world::ROUTER);
    assert_eq!(twenty(&mut world, "10.100.0.10", 4000), 60);
    assert_eq!(ask(&mut world, "8.8.8.8:1"), door);
}

/// The pieces of a datagram from a server that a host has asked.
fn answer(world: &mut World, id: u16) -> usize {
    world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:2", b"x"));
    let pieces = Pkt::udp("8.8.8.8:2", "203.0.113.2:1", &[5; 3001]).id(id).cut(1480);
    pieces.iter().map(|p| world.uplink(p).frames.len()).sum()
}

fn forged_fragment(n: u32, first: bool) -> Pkt {
    let from = format!("{}:1", Ipv4Addr::from(0xc613_0000 + n));
    let whole = Pkt::udp(&from, "203.0.113.2:9", &[0; 64]).id(1).may_be_cut();
    whole.cut(32).remove(usize::from(!first))
}

#[test]
fn forged_fragments_displace_each_other() {
    for first in [false, true] {
        let mut world = World::new(config());
        for n in 0..600 {
            world.uplink(&forged_fragment(n, first));
        }
        assert!((1..=10).all(|id| answer(&mut world, id) == 3));
        // A burst every half minute, and one in the middle of every datagram.
        for second in 0..75u16 {
            for n in 0..if second % 30 == 0 { 520 } else { 0 } {
                world.uplink(&forged_fragment(n, first));
            }
            assert!((0..2).all(|n| answer(&mut world, 100 + second * 2 + n) == 3));
            world.pass(Duration::from_secs(1));
            world.meet(Side::LAN, Ipv4Addr::new(10, 100, 0, 10));
            world.meet(Side::Uplink, crate::world::ROUTER);
        }
        world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:2", b"x"));
        let pieces = Pkt::udp("8.8.8.8:2", "203.0.113.2:1", &[5; 3001]).id(9).cut(1480);
        for piece in &pieces {
            for n in 0..2000 {
                world.uplink(&forged_fragment(n, first));
            }
            world.uplink(piece).on(Side::LAN);
        }
    }
}

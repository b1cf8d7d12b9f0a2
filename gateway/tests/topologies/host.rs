//! A kernel that has the gateway's addresses too: what it is handed, and what is routed all the same.

use std::net::Ipv4Addr;

use gateway::{DropReason, Endpoint, LegConfig, LegId, Outcome, Probe, Protocol, Side, Verdict};
use wire::{MacAddr, VnetHeader, tcp};

use crate::world::beside::Beside;
use crate::world::packet::SYN;
use crate::world::packet::arp_request;
use crate::world::{LAN_MAC, Pkt, World, config, mac};

const HOST: Verdict = Verdict::Host(LegId::FIRST);
/// The host's address on some other interface.
const ELSEWHERE: &str = "192.168.7.7";

/// Two networks; a kernel has the addresses of the first and of an interface elsewhere.
fn hosted() -> World {
    let mut config = config();
    let other = MacAddr([2, 0, 0, 1, 0, 1]);
    config.legs.push((LegId(1), LegConfig::new(other, Ipv4Addr::new(10, 1, 0, 1), 24)));
    let mut world = World::new(config);
    world.gateway.set_hosted(LegId::FIRST, true).unwrap();
    let addresses = ["127.0.0.1", ELSEWHERE, "10.100.0.1", "fd00::1"];
    world.gateway.set_host_addresses(addresses.map(|text| text.parse().unwrap()).to_vec());
    world
}

#[test]
fn the_kernel_is_handed_what_is_its_own_untouched() {
    let mut world = hosted();
    for to in ["10.100.0.1", ELSEWHERE] {
        for packet in [
            Pkt::udp("10.100.0.10:7", &format!("{to}:53"), b"name"),
            Pkt::echo("10.100.0.10", to, 8, 1, b""),
            Pkt { ttl: 1, ..Pkt::echo("10.100.0.10", to, 8, 1, b"") },
        ] {
            let out = world.lan(&packet);
            assert_eq!(out.verdict, HOST, "{to}");
            assert!(out.frames.is_empty() && out.arps.is_empty(), "{}", out.lines());
        }
    }
    let left = world.gateway.legs().next().unwrap().counters.left;
    assert_eq!(left, 6);
}

#[test]
fn what_often_comes_for_the_kernel_others_may_hand_it_as_it_came() {
    let mut world = hosted();
    world.gateway.repeat_by(Box::new(Beside::default()));
    for to in ["10.100.0.1", ELSEWHERE] {
        let packet = Pkt::udp("10.100.0.10:7", &format!("{to}:53"), b"name");
        for _ in 0..8 {
            world.lan(&packet);
            assert_eq!(world.gateway.repeats(), None, "it has not come often");
        }
        world.lan(&packet);
        let repeat = world.gateway.repeats().unwrap();
        assert!(repeat.kept && repeat.came == repeat.leaves, "{repeat:?}");
        assert_eq!((repeat.way.to, repeat.way.session), (Side::LAN, None));
        // Of TCP all ports at once: no session begins with a SYN that is the kernel's.
        for port in 1..10 {
            assert_eq!(world.gateway.repeats().filter(|of| of.came[1].port == 0), None);
            let opens = Pkt::tcp(&format!("10.100.0.10:{port}"), &format!("{to}:80"), SYN, b"");
            assert_eq!(world.lan(&opens).verdict, HOST);
        }
        let repeat = world.gateway.repeats().unwrap();
        assert!(repeat.kept && repeat.came == repeat.leaves, "{repeat:?}");
        assert_eq!((repeat.came.map(|end| end.port), repeat.opening), ([0, 0], None));
    }
}

#[test]
fn where_names_are_asked_here_the_kernel_has_the_rest() {
    let mut world = hosted();
    let question = Pkt::udp("10.100.0.10:7", "10.100.0.1:53", b"name");
    world.gateway.serve_names();
    assert_eq!(world.lan(&question).verdict, HOST, "until it is said");
    world.gateway.set_asked(LegId::FIRST, true).unwrap();
    // The world's output has no resolver: it reads nothing.
    assert_eq!(world.lan(&question).dropped(), DropReason::NoQuery);
    for packet in [
        Pkt::udp("10.100.0.10:7", "10.100.0.1:54", b"name"),
        Pkt::udp("10.100.0.10:7", &format!("{ELSEWHERE}:53"), b"name"),
        Pkt::echo("10.100.0.10", "10.100.0.1", 8, 1, b""),
    ] {
        assert_eq!(world.lan(&packet).verdict, HOST);
    }
    world.gateway.set_asked(LegId::FIRST, false).unwrap();
    assert_eq!(world.lan(&question).verdict, HOST);
    assert!(world.gateway.set_asked(LegId(9), true).is_err());
}

#[test]
fn all_else_is_routed_as_ever() {
    let mut world = hosted();
    let out = world.lan(&Pkt::udp("10.100.0.10:7", "8.8.8.8:53", b"name"));
    assert_eq!(out.verdict, Verdict::Uplink);
    // The kernel might forward to the other network: it never sees this.
    let out = world.lan(&Pkt::udp("10.100.0.10:7", "10.1.0.2:53", b"name"));
    assert_eq!(out.dropped(), DropReason::Isolated);
    // By a network whose addresses the kernel does not have, nothing is its own.
    let out = world.leg(1, &Pkt::echo("10.1.0.2", "10.1.0.1", 8, 1, b""));
    assert_ne!(out.verdict, Verdict::Host(LegId(1)));
    let forged = Pkt::udp("10.1.0.2:7", "10.100.0.1:53", b"name");
    assert_eq!(world.lan(&forged).dropped(), DropReason::Martian);
}

#[test]
fn the_kernel_answers_arp_and_both_learn() {
    let mut world = hosted();
    let out = world.knock(0, "10.100.0.40", "10.100.0.1");
    assert!(out.arps.is_empty(), "the kernel answers");
    let learned = |world: &World| {
        let all = world.gateway.neighbours(world.now);
        all.iter().any(|(_, view)| view.address == Ipv4Addr::new(10, 100, 0, 40))
    };
    assert!(learned(&world));
    // An answer, to the address that both have.
    let mut frame = arp_request(
        mac(Ipv4Addr::new(10, 100, 0, 41)),
        Ipv4Addr::new(10, 100, 0, 41),
        Ipv4Addr::new(10, 100, 0, 1),
    );
    frame[..6].copy_from_slice(&LAN_MAC.0);
    assert_eq!(world.put(Side::LAN, VnetHeader::default(), frame).verdict, HOST);
    world.gateway.set_hosted(LegId::FIRST, false).unwrap();
    assert_eq!(world.knock(0, "10.100.0.40", "10.100.0.1").arps.len(), 1);
    assert!(world.gateway.set_hosted(LegId(9), true).is_err());
}

/// A frame of IPv6 to the gateway's hardware address.
fn ipv6(to: &str) -> Vec<u8> {
    let to: std::net::Ipv6Addr = to.parse().unwrap();
    let header = [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &[0; 16], &to.octets()].concat();
    [&LAN_MAC.0[..], &[6, 0, 10, 100, 0, 10], &[0x86, 0xdd], &header].concat()
}

#[test]
fn of_ipv6_the_kernel_gets_what_goes_no_further() {
    let mut world = hosted();
    let mut put = |frame| world.put(Side::LAN, VnetHeader::default(), frame).verdict;
    for own in ["fd00::1", "fe80::1", "ff02::1"] {
        assert_eq!(put(ipv6(own)), HOST, "{own}");
    }
    let not = |reason| Verdict::Drop(reason);
    assert_eq!(put(ipv6("2001:db8::1")), not(DropReason::NoRoute), "the kernel might send it on");
    assert_eq!(put(ipv6("fd00::1")[..40].to_vec()), not(DropReason::BadHeader));
    world.gateway.set_hosted(LegId::FIRST, false).unwrap();
    let out = world.put(Side::LAN, VnetHeader::default(), ipv6("fd00::1"));
    assert_eq!((out.verdict, out.frames.len()), (not(DropReason::NotIpv4), 0));
}

#[test]
fn who_sends_ipv6_further_is_told_that_there_is_no_way() {
    let mut world = hosted();
    let from: std::net::Ipv6Addr = "fd00::a".parse().unwrap();
    let packet = |from: std::net::Ipv6Addr, next: u8, more: usize| {
        let mut frame = ipv6("2001:db8::1");
        let length = u16::try_from(more).unwrap().to_be_bytes();
        frame[18..20].copy_from_slice(&length);
        frame[20] = next;
        frame[22..38].copy_from_slice(&from.octets());
        frame.extend(std::iter::repeat_n(1, more));
        frame
    };
    let put = |world: &mut World, frame| world.put(Side::LAN, VnetHeader::default(), frame);
    for more in [20, 3000] {
        let sent = packet(from, 6, more);
        // Padding is not quoted.
        let padded = [&sent[..], &[7; 9]].concat();
        let out = put(&mut world, padded);
        let [(Side::LAN, _, error)] = &out.frames[..] else {
            panic!("{} frames", out.frames.len())
        };
        assert_eq!((&error[..6], &error[6..12]), (&[6, 0, 10, 100, 0, 10][..], &LAN_MAC.0[..]));
        let quoted = (sent.len() - 14).min(1280 - 48);
        let length = u16::try_from(8 + quoted).unwrap();
        assert_eq!(
            error[14..22],
            [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[58, 64]].concat()
        );
        assert_eq!(error[22..38], LAN_MAC.to_link_local().octets());
        assert_eq!(error[38..54], from.octets());
        assert_eq!((error[54], error[55], &error[58..62]), (1, 0, &[0; 4][..]));
        assert_eq!(error[62..], sent[14..14 + quoted]);
        // With its pseudo-header it sums up.
        let pseudo = [&error[22..54], &[0, 0], &error[18..20], &[0, 0, 0, 58]].concat();
        assert_eq!(wire::checksum::checksum(&[&pseudo, &error[54..]].concat()), 0);
    }
    // From a link-local address it is too far; an error gets none.
    let near = put(&mut world, packet(LAN_MAC.to_link_local(), 6, 20));
    assert_eq!(near.frames[0].2[54..56], [1, 2]);
    assert!(put(&mut world, packet(from, 58, 20)).frames.is_empty());
    // As many as of IPv4; the two receivers may share a bucket.
    let told = (0..1000).filter(|_| !put(&mut world, packet(from, 6, 20)).frames.is_empty());
    let told = told.count() as u64;
    let counters = world.gateway.counters();
    assert_eq!((counters.icmp_errors, counters.icmp_limited), (told + 3, 1000 - told));
    assert!((37..=38).contains(&told), "{told}");
}

#[test]
fn it_is_foretold() {
    let world = hosted();
    let probe = Probe {
        side: Side::LAN,
        protocol: Protocol::Udp.into(),
        src: Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), 7),
        dst: Endpoint::new(ELSEWHERE.parse().unwrap(), 53),
        flags: tcp::Flags(0),
        length: 32,
        ttl: 64,
        dont_fragment: true,
    };
    let preview = world.gateway.preview(&probe, world.now);
    assert_eq!(preview.outcome, Outcome::Host(LegId::FIRST));
    assert!(preview.steps.iter().any(|step| step.contains("host")), "{:?}", preview.steps);
}

//! What `explain` foretells of a packet is what then happens to it, whatever happened before, and
//! asking leaves no trace.

#![no_main]

mod world;

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{
    Consumed, Endpoint, Hop, IpProtocol, NatType, Note, Outcome, Probe, Protocol, Published, Side,
    UplinkAddress, Verdict,
};
use libfuzzer_sys::fuzz_target;
use wire::{FrameMut, tcp};
use world::{LAN, OUTSIDE, ROUTER, UPLINK, World, arp, host, packet, transport};

/// What a step does: kind, two addresses, two ports, flags, what else.
type Step = (u8, u8, u8, u8, u8, u8, u8);

fn address(byte: u8) -> Ipv4Addr {
    match byte % 16 {
        who @ 0..6 => host(who).0,
        6 => Ipv4Addr::new(10, 100, 0, 1),
        7 | 8 => OUTSIDE,
        9 => Ipv4Addr::new(224, 0, 0, 1),
        10 => Ipv4Addr::new(10, 100, 255, 255),
        11 => Ipv4Addr::new(203, 0, 113, 1),
        12 => Ipv4Addr::from(u32::from(byte) << 24 | 1),
        n => Ipv4Addr::new(8, 8, 8, n),
    }
}

fn probe((kind, src, dst, sport, dport, flags, more): Step) -> Probe {
    let protocol = IpProtocol([1, 6, 17, 47, 51][usize::from(kind & 0x3f) % 5]);
    let (mut sport, mut dport) = (4000 + u16::from(sport % 8), 4000 + u16::from(dport % 8));
    if protocol == Protocol::Icmp {
        if more & 1 == 0 { sport = 0 } else { dport = 0 }
    }
    if Protocol::of(protocol).is_none() {
        (sport, dport) = (0, 0);
    }
    Probe {
        side: if kind & 0x40 == 0 { Side::LAN } else { Side::Uplink },
        protocol,
        src: Endpoint::new(address(src), sport),
        dst: Endpoint::new(address(dst), dport),
        flags: tcp::Flags(flags & 0x1f),
        length: if more & 2 == 0 { 100 } else { 1600 },
        ttl: if more & 12 == 12 { 1 } else { 64 },
        dont_fragment: more & 16 == 0,
    }
}

/// The packet that a probe asks about.
fn asked_about(probe: &Probe) -> Vec<u8> {
    let Probe { src, dst, .. } = *probe;
    let number = probe.protocol.0;
    let (ports, flags) = match Protocol::of(probe.protocol) {
        Some(Protocol::Icmp) if dst.port == 0 => ((src.port, 0), wire::icmp::ECHO_REQUEST),
        Some(Protocol::Icmp) => ((dst.port, 0), wire::icmp::ECHO_REPLY),
        _ => ((src.port, dst.port), probe.flags.0),
    };
    let header = if number == 6 { 20 } else { 8 };
    let rest = vec![0; usize::from(probe.length) - 20 - header];
    let ends = (src.address, dst.address);
    let body = transport(number, ports, flags, ends, &rest);
    let hardware = match probe.side {
        Side::Leg(_) => (LAN, host(src.address.octets()[3].wrapping_sub(10)).1),
        Side::Uplink => (UPLINK, ROUTER),
    };
    let fragment = if probe.dont_fragment { 0x4000 } else { 0 };
    packet(hardware, ends, (number, 7, fragment, probe.ttl), &body)
}

fn change(world: &mut World, (kind, who, _, _, port, flags, more): Step) {
    let protocol = if more & 1 == 0 { Protocol::Tcp } else { Protocol::Udp };
    let port = 4000 + u16::from(port % 8);
    let to = UplinkAddress {
        address: OUTSIDE,
        prefix_len: 24,
        next_hop: (more & 2 == 0).then_some(Ipv4Addr::new(203, 0, 113, 1)),
    };
    match kind % 8 {
        0 => {
            world.gateway.flush_nat(world.now);
        }
        1 => {
            let inside = Endpoint::new(host(who).0, 4000);
            let _ = world.gateway.publish(Published { protocol, address: None, port, inside });
        }
        2 => {
            world.gateway.unpublish(protocol, port);
        }
        3 => {
            world.gateway.set_uplink_address((more & 4 == 0).then_some(to), world.now);
        }
        4 => world.gateway.set_uplink_link(UPLINK, 600 + u16::from(flags) * 4),
        5 => {
            let router = (ROUTER, [203, 0, 113, 1]);
            world.put(Side::Uplink, arp(1, router, (UPLINK, OUTSIDE.octets())));
        }
        6 => {
            let (address, mac) = host(who);
            world.put(Side::LAN, arp(1, (mac, address.octets()), (LAN, [10, 100, 0, 1])));
        }
        _ => pass(world, Duration::from_secs(u64::from(flags) * 4)),
    }
}

fn pass(world: &mut World, time: Duration) {
    world.now = world.now + time;
    world.gateway.tick(&mut gateway::Collected::default(), world.now);
}

fuzz_target!(|input: (u8, bool, Vec<Step>)| {
    let (kind, shared, steps) = input;
    let mut world = World::new(|config| {
        config.nat.kind = NatType::ALL[usize::from(kind) % NatType::ALL.len()];
        if let Some(uplink) = &mut config.uplink {
            uplink.shared = shared;
            uplink.ports = 4000..=4009;
        }
    });
    world.gateway.take_notes(true);
    for step in steps {
        if step.0 >= 0xc0 {
            change(&mut world, step);
            continue;
        }
        let probe = probe(step);
        let trace = |world: &World| {
            (world.gateway.counters(), world.sessions(), world.gateway.neighbours(world.now))
        };
        let before = trace(&world);
        let foretold = world.gateway.preview(&probe, world.now);
        assert_eq!(before, trace(&world), "asking leaves a trace");
        assert!(!foretold.steps.is_empty() || probe.side == Side::LAN);
        let mut out = gateway::Collected::default();
        let mut memory = asked_about(&probe);
        let mut frame = FrameMut::new(&mut memory, None).expect("a frame");
        let verdict = match probe.side {
            Side::Leg(_) => world.gateway.from_lan(&mut frame, &mut out, world.now),
            Side::Uplink => world.gateway.from_uplink(&mut frame, &mut out, world.now),
        };
        let noted = *world.gateway.note().expect("notes are taken");
        assert_eq!(noted.end, Some(verdict));
        match (foretold.outcome, verdict) {
            (Outcome::Dropped(a), Verdict::Drop(b)) => assert_eq!(a, b),
            (Outcome::Answered, Verdict::Leg(_) | Verdict::Uplink) => {}
            (Outcome::Leaves { side, mac: Some(mac), .. }, Verdict::Leg(_) | Verdict::Uplink) => {
                assert_eq!(side == Side::LAN, verdict == Verdict::LAN);
                assert_eq!(frame.bytes[..6], mac.0);
            }
            (Outcome::Leaves { mac: Some(_), .. }, Verdict::Consumed(Consumed::Fragmented)) => {
                assert!(out.0.len() > 1);
            }
            (Outcome::Leaves { mac: None, .. }, Verdict::Consumed(Consumed::Queued)) => {
                // Let it resolve to nothing, so that the next one is asked for anew.
                (0..6).for_each(|_| pass(&mut world, Duration::from_secs(1)));
            }
            // Whether somebody was asked for in vain a moment ago is not foretold.
            (Outcome::Leaves { mac: None, .. }, Verdict::Drop(reason)) => {
                let silent = matches!(noted.hop, Some((_, Hop::Silent)));
                assert!(silent, "{probe:?}: {reason}");
                continue;
            }
            other => panic!("{probe:?}: foretold and happened: {other:?}"),
        }
        let told = Note { end: None, ..noted };
        assert_eq!(told, foretold.note, "{probe:?}");
    }
});

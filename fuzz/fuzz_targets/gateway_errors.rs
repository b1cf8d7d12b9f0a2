//! ICMP errors from both sides, about packets that passed, cut off and changed anywhere: they end,
//! open and refresh nothing, and what passes speaks of a living session in the receiver's terms.

#![no_main]

mod world;

use gateway::Side;
use libfuzzer_sys::fuzz_target;
use wire::{Icmp, Ipv4, icmp};
use world::{L3, LAN, OUTSIDE, ROUTER, UPLINK, World};

/// Which session, how much is quoted, type and code, who tells, and bytes to change.
type Step = (u8, u8, u8, u8, Vec<(u8, u8)>);

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new(|_| {});
    // Out as it left, and in as it arrived, for each session.
    let mut passed = Vec::new();
    for n in 0..12u8 {
        let protocol = [1, 6, 17][usize::from(n % 3)];
        let (inside, server) = (5000 + u16::from(n), if protocol == 1 { 0 } else { 53 });
        let door = world.open(protocol, n % 8, (inside, server), n);
        let ends = (OUTSIDE, world::remote(n));
        let kind = if protocol == 1 { 8 } else { 0x10 };
        let out = world::transport(protocol, (door, server), kind, ends, b"as it left");
        let left = world::packet((ROUTER, UPLINK), ends, (protocol, 1, 0x4000, 9), &out);
        let (to, mac) = world::host(n % 8);
        let ends = (world::remote(n), to);
        let ports = if protocol == 1 { (inside, 0) } else { (server, inside) };
        let kind = if protocol == 1 { 0 } else { 0x10 };
        let body = world::transport(protocol, ports, kind, ends, b"as it came");
        let came = world::packet((mac, LAN), ends, (protocol, 1, 0x4000, 9), &body);
        passed.push((left, came, world::host(n % 8), inside));
    }
    let before = world.sessions();
    for (which, length, kind, who, changes) in steps {
        let (left, came, (address, mac), inside) = &passed[usize::from(which) % passed.len()];
        let from_inside = which & 0x80 != 0;
        let mut quoted = if from_inside { came } else { left }[L3..].to_vec();
        for (at, value) in &changes {
            if let Some(byte) = quoted.get_mut(usize::from(*at)) {
                *byte ^= value;
            }
        }
        if who & 0x40 == 0
            && let Ok(mut ip) = Ipv4::parse_quoted(&mut quoted[..])
        {
            ip.fill_checksum();
        }
        quoted.truncate(usize::from(length));
        let message = [3, 3, 11, 12, 4, 5, kind][usize::from(kind % 7)];
        let mut body = [&[message, kind >> 3, 0, 0, 0, 0, 5, 0][..], &quoted].concat();
        icmp::fill_checksum(&mut body);
        let frame = if from_inside {
            let teller = world::host(who);
            let (src, mac) = if who & 0x80 == 0 { (*address, *mac) } else { teller };
            let ends = (src, world::remote(which));
            world::packet((LAN, mac), ends, (1, 1, 0x4000, 64), &body)
        } else {
            let ends = (world::remote(who), OUTSIDE);
            world::packet((UPLINK, ROUTER), ends, (1, 1, 0x4000, 64), &body)
        };
        let out = world.put(if from_inside { Side::LAN } else { Side::Uplink }, frame);
        if matches!(message, 8 | 13) {
            return; // A question, which may open a session.
        }
        assert_eq!(world.sessions(), before, "an error changed a session");
        for (side, memory) in &out {
            let ip = Ipv4::parse(&memory[L3..]).unwrap();
            let error = Icmp::parse(ip.payload()).unwrap();
            assert!(error.checksum_ok(), "the error does not sum up");
            let Ok(inner) = Ipv4::parse_quoted(error.body()) else { continue };
            if message == 0 || message == 14 {
                continue; // An answer, not an error.
            }
            assert!(inner.checksum_ok(), "the quoted header does not sum up");
            match side {
                Side::Leg(_) => assert_eq!(inner.src(), ip.dst(), "about another host's packet"),
                Side::Uplink => assert_eq!((inner.dst(), inner.src()), (OUTSIDE, ip.dst())),
            }
            if changes.is_empty() {
                // Told about the packet as its sender knows it.
                let at = if inner.protocol() == 1 { 4 } else { 0 };
                let port = inner.payload().get(at..at + 2);
                if *side == Side::LAN {
                    assert_eq!(port, Some(&inside.to_be_bytes()[..]));
                }
            }
        }
    }
});

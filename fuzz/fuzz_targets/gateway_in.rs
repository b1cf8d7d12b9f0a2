//! Any bytes from outside, under each NAT type: what reaches the LAN reaches an endpoint that may
//! be reached by that sender, is the same packet, and still sums up if it did.

#![no_main]

mod world;

use std::net::Ipv4Addr;

use gateway::{Endpoint, NatType, Protocol, Published, Side};
use libfuzzer_sys::fuzz_target;
use wire::Ipv4;
use world::{L2, L3, OUTSIDE, ROUTER, UPLINK, World};

/// How it is made, from whom, ports, flags, a vnet header, and what follows.
type Step = (u8, u8, u8, u8, [u8; 10], Vec<u8>);

const PUBLISHED: u16 = 80;

/// Whether the filter lets `from` speak to `to` of the inside.
fn admitted(
    world: &World,
    kind: NatType,
    protocol: Protocol,
    from: Endpoint,
    to: Endpoint,
) -> bool {
    let inside = world.gateway.published().iter().any(|p| (p.protocol, p.inside) == (protocol, to));
    let mine = |s: &gateway::SessionView| s.protocol == protocol && s.inside == to;
    inside
        || world.sessions().iter().filter(|s| mine(s)).any(|s| match kind {
            _ if protocol == Protocol::Icmp => s.remote.address == from.address,
            NatType::FullCone => true,
            NatType::RestrictedCone => s.remote.address == from.address,
            NatType::PortRestrictedCone | NatType::Symmetric => s.remote == from,
        })
}

fuzz_target!(|input: (u8, Vec<Step>)| {
    let kind = NatType::ALL[usize::from(input.0 % 4)];
    let mut world = World::new(|config| config.nat.kind = kind);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let inside = Endpoint::new(world::host(2).0, 8080);
        let rule = Published { protocol, address: None, port: PUBLISHED, inside };
        world.gateway.publish(rule).unwrap();
    }
    let mut doors = vec![PUBLISHED];
    for n in 0..12u8 {
        let ports = (5000 + u16::from(n), if n % 3 == 0 { 0 } else { 53 });
        doors.push(world.open([1, 6, 17][usize::from(n % 3)], n, ports, n));
    }
    for (how, whom, door, flags, vnet, mut rest) in input.1 {
        rest.truncate(1400);
        let from =
            if whom & 0x80 == 0 { world::remote(whom) } else { Ipv4Addr::new(9, 9, 9, whom) };
        let ends = (from, OUTSIDE);
        let door = doors[usize::from(door) % doors.len()];
        let port = if whom & 0x40 == 0 { 53 } else { u16::from(whom) };
        let mut memory = match how % 4 {
            0 => {
                rest.resize(rest.len().max(20), flags);
                let length = u16::try_from(rest.len()).unwrap();
                rest[0] = 0x45;
                rest[2..4].copy_from_slice(&length.to_be_bytes());
                rest[12..16].copy_from_slice(&from.octets());
                rest[16..20].copy_from_slice(&OUTSIDE.octets());
                Ipv4::parse_quoted(&mut rest[..]).unwrap().fill_checksum();
                [&[0; L2][..], &UPLINK.0, &ROUTER.0, &[8, 0], &rest].concat()
            }
            n => {
                let protocol = [0, 1, 6, 17][usize::from(n)];
                let ports = if protocol == 1 { (door, 0) } else { (port, door) };
                let body = world::transport(protocol, ports, flags, ends, &rest);
                let fragment = if how & 0x40 == 0 { 0x4000 } else { u16::from(how) << 8 };
                world::packet((UPLINK, ROUTER), ends, (protocol, 1, fragment, 60), &body)
            }
        };
        if how & 0x80 != 0 {
            memory[..L2].copy_from_slice(&vnet);
        }
        let before = Ipv4::parse(&memory[L3..]).unwrap();
        let (whole, protocol) = (!before.is_fragment(), before.protocol());
        let l4 = before.payload().to_vec();
        // Who may speak is a question to the table as it was.
        let port = |at: usize| l4.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
        let allowed: Vec<Endpoint> = {
            let (protocol, from) = match protocol {
                1 => (Protocol::Icmp, Endpoint::new(from, 0)),
                6 => (Protocol::Tcp, Endpoint::new(from, port(0))),
                _ => (Protocol::Udp, Endpoint::new(from, port(0))),
            };
            let mut ends: Vec<_> = world.sessions().iter().map(|s| s.inside).collect();
            ends.push(Endpoint::new(world::host(2).0, 8080));
            ends.retain(|to| admitted(&world, kind, protocol, from, *to));
            ends
        };
        let sessions = world.sessions().len();
        let left = world.put(Side::Uplink, memory.clone());
        let Some((Side::LAN, home)) = left.first() else { continue };
        let after = Ipv4::parse(&home[L3..]).unwrap();
        if !whole || (protocol == 1 && matches!(l4[0], 3 | 11 | 12)) {
            assert_eq!(world.sessions().len(), sessions);
            continue;
        }
        let new = after.payload();
        let at = if protocol == 1 { 4 } else { 2 };
        let to = Endpoint::new(after.dst(), u16::from_be_bytes([new[at], new[at + 1]]));
        assert!(allowed.contains(&to), "{from} reached {to} of {allowed:?} by {kind}");
        assert_eq!(
            (after.src(), after.ttl()),
            (from, Ipv4::parse(&memory[L3..]).unwrap().ttl() - 1)
        );
        assert_eq!(home[..L2], memory[..L2], "the vnet header changed");
        if world::sums_up(&memory) == Some(true) {
            assert_eq!(world::sums_up(home), Some(true), "it no longer sums up");
        }
        let fields: &[usize] = match protocol {
            1 => &[2, 3, 4, 5],
            6 => &[2, 3, 16, 17],
            _ => &[2, 3, 6, 7],
        };
        assert!((0..l4.len()).all(|n| l4[n] == new[n] || fields.contains(&n)), "the data changed");
    }
});

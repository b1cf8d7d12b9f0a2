//! Any bytes from inside: what leaves by the uplink is the same packet from an endpoint of ours,
//! still sums up if it did, and its answer comes back to who sent it.

#![no_main]

mod world;

use std::net::Ipv4Addr;

use gateway::Side;
use libfuzzer_sys::fuzz_target;
use wire::checksum::{fold, pseudo_header};
use wire::{Ipv4, VnetHeader, vnet};
use world::{L2, L3, LAN, OUTSIDE, ROUTER, UPLINK, World};

/// Who sends, how honest it is, a vnet header or what the packet is made of, and bytes.
type Step = (u8, u8, [u8; 10], Vec<u8>);

/// A packet with all its words true but its content: `[vnet | frame]`. Some are in segments, some
/// leave their sum to the device.
fn made(who: u8, how: u8, word: [u8; 10], data: &[u8]) -> Vec<u8> {
    let ((address, mac), server) = (world::host(who), Ipv4Addr::new(9, word[1], word[2], word[3]));
    let (protocol, ends) = ([1, 6, 17, 6][usize::from(word[0] % 4)], (address, server));
    let ports = (u16::from_be_bytes([word[4], word[5]]), u16::from(word[6]));
    let flags = if protocol == 1 { [8, 13][usize::from(word[7] % 2)] } else { word[7] };
    let ports = if protocol == 1 { (ports.0, 0) } else { ports };
    let mut body = world::transport(protocol, ports, flags, ends, data);
    let (at, kind) = if protocol == 6 { (16, 1) } else { (6, 5) };
    let mut vnet = VnetHeader::default();
    if how & 16 == 0 && protocol != 1 {
        let length = u16::try_from(body.len()).unwrap();
        let field = fold(pseudo_header(address, server, protocol, length));
        body[usize::from(at)..usize::from(at) + 2].copy_from_slice(&field.to_be_bytes());
        vnet = VnetHeader { flags: 1, csum_start: 34, csum_offset: at, ..vnet };
        if word[8] != 0 {
            vnet = VnetHeader { gso_type: kind, gso_size: word[8].into(), ..vnet };
        }
    }
    let fragment = u16::from(word[9] % 3 != 0) << 14;
    let mut memory = world::packet((LAN, mac), ends, (protocol, 1, fragment, 64), &body);
    memory[..L2].copy_from_slice(&vnet.to_bytes());
    memory
}

/// The answer to a packet that has left, if it has one.
fn answer(left: &[u8]) -> Option<Vec<u8>> {
    let ip = Ipv4::parse(&left[L3..]).ok()?;
    let (l4, ends) = (ip.payload(), (ip.dst(), ip.src()));
    if ip.is_fragment() {
        return None;
    }
    let port = |at: usize| u16::from_be_bytes([l4[at], l4[at + 1]]);
    let body = match ip.protocol() {
        1 if l4[0] == 8 => world::transport(1, (port(4), 0), 0, ends, b"answer"),
        protocol @ (6 | 17) => {
            world::transport(protocol, (port(2), port(0)), 0x10, ends, b"answer")
        }
        _ => return None,
    };
    Some(world::packet((UPLINK, ROUTER), ends, (ip.protocol(), 1, 0x4000, 60), &body))
}

/// Where its ports, identifiers and sums lie, from the transport header on.
fn rewritten(protocol: u8) -> &'static [usize] {
    match protocol {
        1 => &[2, 3, 4, 5],
        6 => &[0, 1, 16, 17],
        _ => &[0, 1, 6, 7],
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new(|_| {});
    for (who, honest, vnet, mut ip) in steps {
        let (address, mac) = world::host(who);
        ip.truncate(1500);
        if honest & 9 == 8 && ip.len() >= 20 {
            ip[12..16].copy_from_slice(&address.octets());
            let length = u16::try_from(ip.len()).unwrap();
            ip[2..4].copy_from_slice(&length.to_be_bytes());
            ip[0] = 0x45;
        }
        if honest & 10 == 8
            && let Ok(mut view) = Ipv4::parse_quoted(&mut ip[..])
        {
            view.fill_checksum();
        }
        let memory = if honest & 8 == 0 {
            made(who, honest, vnet, &ip)
        } else {
            let vnet = if honest & 4 == 0 { [0; vnet::LEN] } else { vnet };
            [&vnet[..], &LAN.0, &mac.0, &[8, 0], &ip].concat()
        };
        let left = world.put(Side::LAN, memory.clone());
        let Some((Side::Uplink, out)) = left.first() else { continue };
        let (Ok(before), Ok(after)) = (Ipv4::parse(&memory[L3..]), Ipv4::parse(&out[L3..])) else {
            continue;
        };
        // One packet in, one out; later fragments may follow their first.
        if before.is_fragment() {
            continue;
        }
        assert_eq!((after.src(), after.dst()), (OUTSIDE, before.dst()));
        assert_eq!((after.ttl(), after.protocol()), (before.ttl() - 1, before.protocol()));
        assert_eq!(out[..L2], memory[..L2], "the vnet header changed");
        if world::sums_up(&memory) == Some(true) {
            assert_eq!(world::sums_up(out), Some(true), "it no longer sums up");
        }
        let (old, new) = (before.payload(), after.payload());
        if before.protocol() != 1 || matches!(old[0], 8 | 13) {
            let changed = (0..old.len()).filter(|n| old[*n] != new[*n]);
            let fields = rewritten(before.protocol());
            assert!(changed.into_iter().all(|n| fields.contains(&n)), "the data changed");
        }
        let Some(back) = answer(out) else { continue };
        let home = world.put(Side::Uplink, back);
        let [(Side::LAN, home)] = &home[..] else { panic!("the answer did not come home") };
        let home = Ipv4::parse(&home[L3..]).unwrap();
        let at = if before.protocol() == 1 { (4, 4) } else { (2, 0) };
        assert_eq!(home.dst(), before.src());
        assert_eq!(home.payload()[at.0..at.0 + 2], old[at.1..at.1 + 2], "to another port");
    }
});

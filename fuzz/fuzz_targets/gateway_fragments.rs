//! Fragments from both sides, cut anywhere, in any order, lost, doubled and among others: the
//! bounds hold, and a datagram that comes complete leaves complete and sums up.

#![no_main]

mod world;

use std::time::Duration;

use gateway::{DropReason, Side};
use libfuzzer_sys::fuzz_target;
use wire::Ipv4;
use world::{L3, LAN, OUTSIDE, ROUTER, UPLINK, World};

/// Kind and way, who, data, where it is cut, and in which order the pieces come.
type Step = (u8, u8, u16, Vec<u8>, Vec<u8>);

/// `[vnet | frame]` of each piece of a datagram; cuts are in units of eight bytes.
fn pieces(
    link: (wire::MacAddr, wire::MacAddr),
    ends: (std::net::Ipv4Addr, std::net::Ipv4Addr),
    (protocol, id): (u8, u16),
    body: &[u8],
    cuts: &[u8],
) -> Vec<Vec<u8>> {
    let mut edges: Vec<usize> = cuts.iter().map(|c| usize::from(*c) * 8).collect();
    edges.retain(|edge| *edge > 0 && *edge < body.len());
    edges.extend([0, body.len()]);
    edges.sort_unstable();
    edges.dedup();
    let piece = |edge: &[usize]| {
        let more = u16::from(edge[1] < body.len()) << 13;
        let fragment = more | u16::try_from(edge[0] / 8).unwrap();
        world::packet(link, ends, (protocol, id, fragment, 64), &body[edge[0]..edge[1]])
    };
    edges.windows(2).map(piece).collect()
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new(|_| {});
    let mut doors = Vec::new();
    for n in 0..12u8 {
        let protocol = [1, 6, 17][usize::from(n % 3)];
        let ports = (5000 + u16::from(n), if protocol == 1 { 0 } else { 53 });
        doors.push((protocol, n, ports, world.open(protocol, n, ports, n)));
    }
    for (number, (way, who, size, mut cuts, order)) in steps.into_iter().enumerate() {
        if way == 0xff {
            world.now = world.now + Duration::from_secs(u64::from(who));
            world.gateway.tick(&mut gateway::Collected::default(), world.now);
            continue;
        }
        cuts.truncate(8);
        let (protocol, n, ports, door) = doors[usize::from(who) % doors.len()];
        let ((inside, mac), server) = (world::host(n), world::remote(n));
        let data: Vec<u8> = (0..size % 2000).map(|n| n.to_le_bytes()[0]).collect();
        let noise = way & 2 != 0;
        let id = if noise { u16::from(way) } else { 1000 + u16::try_from(number).unwrap_or(0) };
        let (side, link, ends, ports) = if way & 1 == 0 {
            (Side::LAN, (LAN, mac), (inside, server), ports)
        } else {
            let back = if protocol == 1 { (door, 0) } else { (53, door) };
            (Side::Uplink, (UPLINK, ROUTER), (server, OUTSIDE), back)
        };
        let flags = if protocol == 1 { if way & 1 == 0 { 8 } else { 0 } } else { 0x10 };
        let body = world::transport(protocol, ports, flags, ends, &data);
        let pieces = pieces(link, ends, (protocol, id), &body, &cuts);
        // The order: noise loses and doubles, the others are only moved.
        let mut turn: Vec<usize> = (0..pieces.len()).collect();
        if noise {
            turn = order.iter().take(16).map(|n| usize::from(*n) % pieces.len()).collect();
        } else {
            for (at, to) in order.iter().enumerate().take(pieces.len()) {
                turn.swap(at, usize::from(*to) % pieces.len());
            }
        }
        let lost = |world: &World| {
            let counters = world.gateway.counters();
            let dropped = [DropReason::FragmentTableFull, DropReason::TinyFragment];
            counters.waited_in_vain + dropped.iter().map(|r| counters.drops(*r)).sum::<u64>()
        };
        let before = lost(&world);
        let mut left = Vec::new();
        for n in turn {
            left.extend(world.put(side, pieces[n].clone()));
            let (flows, bytes) = world.gateway.fragment_usage();
            assert!(flows <= 16 && bytes <= 32 * 1024, "{flows} datagrams, {bytes} bytes");
        }
        let alive = world.sessions().len() == doors.len();
        if noise || lost(&world) != before || !alive {
            continue;
        }
        let other = if side == Side::LAN { Side::Uplink } else { Side::LAN };
        left.retain(|(to, _)| *to == other);
        left.sort_by_key(|(_, m)| Ipv4::parse(&m[L3..]).unwrap().fragment_offset());
        let mut whole = left.first().expect("nothing of it left").1[..L3 + 20].to_vec();
        let identity = whole[L3 + 4..L3 + 6].to_vec();
        for (_, piece) in &left {
            let ip = Ipv4::parse(&piece[L3..]).unwrap();
            assert_eq!(ip.fragment_offset(), whole.len() - L3 - 20, "a piece is missing or twice");
            assert_eq!(piece[L3 + 4..L3 + 6], identity, "of another datagram");
            whole.extend(ip.payload());
        }
        assert_eq!(whole.len() - L3 - 20, body.len(), "the end is missing");
        let total = u16::try_from(whole.len() - L3).unwrap();
        whole[L3 + 2..L3 + 4].copy_from_slice(&total.to_be_bytes());
        whole[L3 + 6..L3 + 8].fill(0);
        assert_ne!(world::sums_up(&whole), Some(false), "put together it does not sum up");
    }
});

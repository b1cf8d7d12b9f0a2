//! Symmetric: the ports towards one remote, which no mapping counts, and who gives way for them.
#![allow(clippy::cast_possible_truncation)] // small numbers, made here

use std::collections::HashSet;

use gateway::{DropReason, NatType, Side};

use crate::world::packet::SYN;
use crate::world::{Pkt, World, config};

const SERVER: &str = "8.8.8.8:53";

fn world(ports: std::ops::RangeInclusive<u16>) -> World {
    let mut config = config();
    config.uplink.as_mut().unwrap().ports = ports;
    config.nat.kind = NatType::Symmetric;
    World::new(config)
}

/// A question, and where it leaves from, if it does.
fn asks(world: &mut World, host: u8, port: u32) -> Option<String> {
    let out = world.lan(&Pkt::udp(&format!("10.100.0.{host}:{port}"), SERVER, b"?"));
    let left = out.frames.len() == 1 && out.frames[0].0 == Side::Uplink;
    left.then(|| out.on(Side::Uplink).src)
}

#[test]
fn a_node_that_asks_a_server_from_every_port_leaves_it_to_the_others() {
    let mut world = world(20_000..=20_099);
    for n in 0..1000 {
        assert!(asks(&mut world, 10, 10_000 + n).is_some(), "its own give way: {n}");
    }
    for n in 0..1000 {
        let door = asks(&mut world, 20, 10_000 + n).unwrap_or_else(|| panic!("{n}"));
        assert!(world.uplink(&Pkt::udp(SERVER, &door, b"!")).on(Side::LAN).dst.contains("0.20:"));
    }
}

#[test]
fn a_node_that_goes_on_by_every_port_has_its_share_of_them() {
    for block in [20_000..=20_099, 20_000..=29_999] {
        let size = block.end() - block.start() + 1;
        let mut world = world(block);
        let mut have = 0;
        for n in 0..u32::from(size) * 2 {
            let Some(door) = asks(&mut world, 10, 10_000 + n) else { continue };
            world.uplink(&Pkt::udp(SERVER, &door, b"!")).on(Side::LAN);
            assert_eq!(asks(&mut world, 10, 10_000 + n), Some(door), "it goes on");
            have += 1;
        }
        println!("{size} ports: one node has {have}");
        assert!(have > size / 3 && have <= size * 3 / 4, "{have} of {size}");
        assert!(world.gateway.counters().drops(DropReason::Quota) > 0);
        // Others find room, and another remote is another matter.
        for host in [20, 30] {
            assert!((0..10).all(|n| asks(&mut world, host, 10_000 + n).is_some()), "{host}");
        }
        let other = Pkt::udp("10.100.0.10:9999", "1.1.1.1:53", b"?");
        world.lan(&other).on(Side::Uplink);
    }
}

#[test]
fn every_port_of_a_block_of_any_size_serves() {
    for size in [75, 60, 35, 12] {
        let mut world = world(20_000..=20_000 + size - 1);
        // Many hosts, so that nobody has more than his share.
        let opens = |n: u16| {
            let from = format!("10.100.0.{}:{}", 10 + n % 10, 10_000 + n);
            let out = world.lan(&Pkt::tcp(&from, "8.8.8.8:80", SYN, b""));
            let left = out.frames.len() == 1 && out.frames[0].0 == Side::Uplink;
            left.then(|| out.on(Side::Uplink).src)
        };
        let doors: HashSet<String> = (0..size).filter_map(opens).collect();
        assert_eq!(doors.len(), usize::from(size), "of {size}");
    }
}

//! Fragments, in any order and in both directions, and the identification they share.

use std::collections::HashSet;
use std::time::Duration;

use gateway::{Consumed, DropReason, Side, Verdict};

use crate::world::packet::ACK;
use crate::world::{OUTSIDE, Pkt, World, config};

/// The packet that fragments put together again, as its receiver would.
fn reassembled(frames: &[(Side, wire::VnetHeader, Vec<u8>)]) -> Pkt {
    let seen: Vec<_> = frames.iter().map(|f| crate::world::packet::Seen::of(&f.2)).collect();
    let ids: HashSet<u16> = seen.iter().map(|s| s.id).collect();
    assert_eq!(ids.len(), 1, "one identification for all");
    let mut body = vec![0; 4000];
    let mut end = 0;
    for s in &seen {
        let payload = &s.ip[20..];
        body[s.fragment.0..s.fragment.0 + payload.len()].copy_from_slice(payload);
        if !s.fragment.1 {
            end = s.fragment.0 + payload.len();
        }
    }
    body.truncate(end);
    let view = wire::Ipv4::parse(&seen[0].ip[..]).unwrap();
    let whole = Pkt::raw(view.src(), view.dst(), view.protocol(), body);
    // Its transport checksum covers all of it.
    crate::world::packet::check_sums(
        wire::VnetHeader::default(),
        &whole.frame(wire::MacAddr::ZERO, wire::MacAddr::ZERO),
    );
    whole
}

fn orders() -> [[usize; 3]; 6] {
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
}

#[test]
fn out_in_any_order() {
    for order in orders() {
        let mut world = World::new(config());
        world.lan(&Pkt::udp("10.100.0.20:500", "8.8.8.8:53", b"has the port"));
        let data: Vec<u8> = (0..=255).cycle().take(3001).collect();
        let pieces = Pkt::udp("10.100.0.10:500", "8.8.8.8:53", &data).cut(1480);
        let frames: Vec<_> = order.iter().flat_map(|n| world.lan(&pieces[*n]).frames).collect();
        assert_eq!(frames.len(), 3, "{order:?}");
        let whole = reassembled(&frames);
        assert_eq!((whole.src.to_string().as_str(), &whole.body[8..]), (OUTSIDE, &data[..]));
        assert_eq!(world.gateway.fragment_usage(), (0, 0), "complete, so forgotten");
    }
}

#[test]
fn in_in_any_order() {
    for order in orders() {
        let mut world = World::new(config());
        world.lan(&Pkt::udp("10.100.0.20:500", "8.8.8.8:53", b"has the port"));
        let public = world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"?")).one().src;
        let pieces = Pkt::udp("8.8.8.8:53", &public, &[5; 3001]).cut(1480);
        let frames: Vec<_> = order.iter().flat_map(|n| world.uplink(&pieces[*n]).frames).collect();
        assert_eq!(frames.len(), 3, "{order:?}");
        assert_eq!(reassembled(&frames).dst.to_string(), "10.100.0.10");
    }
}

#[test]
fn a_fragment_that_comes_twice_counts_once() {
    // The second of four comes again, and the last overtakes the third; the first early or late.
    for order in [[0, 1, 1, 3, 2], [1, 1, 3, 0, 2], [3, 3, 3, 0, 2]] {
        let mut world = World::new(config());
        let data: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let pieces = Pkt::udp("10.100.0.10:500", "8.8.8.8:53", &data).cut(1480);
        let frames: Vec<_> = order.iter().flat_map(|n| world.lan(&pieces[*n]).frames).collect();
        assert_eq!(frames.len(), 5, "{order:?}");
        let public = crate::world::packet::Seen::of(&frames[0].2).src;
        assert_eq!(world.gateway.fragment_usage().1, 0, "nothing waits");
        let pieces = Pkt::udp("8.8.8.8:53", &public, &data).cut(1480);
        let frames: Vec<_> = order.iter().flat_map(|n| world.uplink(&pieces[*n]).frames).collect();
        assert_eq!(frames.len(), 5, "{order:?}, inwards");
    }
}

#[test]
fn a_fragmented_ping_to_the_gateway_is_answered_in_any_order() {
    for order in orders() {
        let mut world = World::new(config());
        let pieces = Pkt::echo("10.100.0.10", "10.100.0.1", 8, 3, &[7; 3000]).cut(1480);
        let frames: Vec<_> = order.iter().flat_map(|n| world.lan(&pieces[*n]).frames).collect();
        let whole = reassembled(&frames);
        assert_eq!((whole.body[0], whole.dst.to_string().as_str()), (0, "10.100.0.10"));
    }
}

#[test]
fn fragments_by_hairpin() {
    let mut world = World::new(config());
    let inside = gateway::Endpoint::new("10.100.0.20".parse().unwrap(), 53);
    let protocol = gateway::Protocol::Udp;
    world
        .gateway
        .publish(gateway::Published { protocol, address: None, port: 53, inside })
        .unwrap();
    let pieces = Pkt::udp("10.100.0.10:500", "203.0.113.2:53", &[5; 3001]).cut(1480);
    let frames: Vec<_> = [2, 0, 1].iter().flat_map(|n| world.lan(&pieces[*n]).frames).collect();
    let whole = reassembled(&frames);
    assert_eq!(
        (whole.src.to_string(), whole.dst.to_string()),
        (OUTSIDE.into(), "10.100.0.20".into())
    );
}

#[test]
fn what_becomes_of_the_first_becomes_of_the_others() {
    let mut world = World::new(config());
    // Nobody is waiting for this one.
    let pieces = Pkt::udp("8.8.8.8:53", "203.0.113.2:500", &[5; 3001]).cut(1480);
    assert_eq!(world.uplink(&pieces[2]).verdict, Verdict::Consumed(Consumed::Held));
    assert_eq!(world.uplink(&pieces[0]).dropped(), DropReason::NoSession);
    assert_eq!(world.gateway.counters().waited_in_vain, 1);
    assert_eq!(world.uplink(&pieces[1]).dropped(), DropReason::NoSession);
}

#[test]
fn fragments_that_never_complete_are_bounded_in_number_bytes_and_time() {
    let mut world = World::new(config());
    let later = |n: u32, size| {
        let src = std::net::Ipv4Addr::from(0x0a64_0102 + n / 1000).to_string();
        Pkt {
            fragment: (1480, false),
            ..Pkt::udp(&format!("{src}:1"), "8.8.8.8:2", &vec![0; size])
        }
        .id((n % 1000) as u16)
        .may_be_cut()
    };
    // One source gets an eighth of the table.
    for n in 0..1000 {
        world.lan(&later(n, 100));
    }
    assert_eq!(world.gateway.fragment_usage().0, 128);
    // Many together fill their side's half; then the oldest give way.
    for n in 0..20_000 {
        world.lan(&later(n, 100));
    }
    let (flows, bytes) = world.gateway.fragment_usage();
    assert!((256..=512).contains(&flows) && bytes <= 1 << 19, "{flows} {bytes}");
    assert!(world.gateway.counters().waited_in_vain > 10_000);
    // The other side has its own half all the while.
    world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:2", b"x"));
    let mut pieces = Pkt::udp("8.8.8.8:2", "203.0.113.2:1", &[5; 3001]).cut(1480);
    pieces.reverse();
    assert_eq!(pieces.iter().map(|p| world.uplink(p).frames.len()).sum::<usize>(), 3);
    // Half a minute, from the first word of each.
    world.pass(Duration::from_secs(29));
    assert_eq!(world.gateway.fragment_usage().0, flows);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.gateway.fragment_usage(), (0, 0));
    let counters = world.gateway.counters();
    assert_eq!(counters.held - 2, counters.waited_in_vain, "each one held has been accounted for");
    // Large ones are bounded by their bytes, those of one source by an eighth of them.
    for n in 0..1000 {
        world.lan(&later(n, 1400));
    }
    let bytes = world.gateway.fragment_usage().1;
    assert!((100_000..=1 << 17).contains(&bytes), "{bytes}");
    for n in 0..20_000 {
        world.lan(&later(n, 1400));
    }
    let (flows, bytes) = world.gateway.fragment_usage();
    assert!(flows < 400 && bytes <= 1 << 19, "{flows} {bytes}");
    // Whole packets pass all the while.
    assert_eq!(world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:2", b"x")).frames.len(), 1);
}

#[test]
fn datagrams_that_complete_are_not_limited_in_number() {
    let mut world = World::new(config());
    for n in (0..=u16::MAX).chain(0..35_000) {
        let pieces = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[7; 2000]).id(n).cut(1480);
        let out = [usize::from(n % 2 == 1), usize::from(n % 2 == 0)].map(|i| world.lan(&pieces[i]));
        assert_eq!(out.iter().map(|o| o.frames.len()).sum::<usize>(), 2, "datagram {n}");
        world.jump(Duration::from_micros(100));
    }
    assert_eq!(world.gateway.fragment_usage(), (0, 0));
}

#[test]
fn a_source_that_loses_fragments_is_not_shut_out() {
    let mut world = World::new(config());
    // Every other datagram loses its last piece; the others arrive the wrong way round.
    for n in 0..10_000u16 {
        let pieces = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[7; 2000]).id(n).cut(1480);
        if n % 2 == 0 {
            assert_eq!(world.lan(&pieces[0]).frames.len(), 1);
        } else {
            assert_eq!(world.lan(&pieces[1]).verdict, Verdict::Consumed(Consumed::Held));
            assert_eq!(world.lan(&pieces[0]).frames.len(), 2);
        }
    }
    let (flows, bytes) = world.gateway.fragment_usage();
    assert!(flows <= 128 && bytes == 0, "{flows} {bytes}");
}

#[test]
fn what_no_port_decides_takes_no_place() {
    let mut world = World::new(config());
    for n in 0..100 {
        let first = |src: &str, dst: &str| Pkt::udp(src, dst, &[5; 3001]).id(n).cut(1480).remove(0);
        assert_eq!(
            world.uplink(&first("10.100.0.10:1", "203.0.113.2:500")).dropped(),
            DropReason::Martian
        );
        assert_eq!(
            world.uplink(&first("8.8.8.8:1", "10.100.0.10:500")).dropped(),
            DropReason::InsideFromOutside
        );
    }
    assert_eq!(world.gateway.fragment_usage(), (0, 0));
}

#[test]
fn a_first_fragment_too_small_for_its_ports_is_dropped() {
    let mut world = World::new(config());
    let pieces = Pkt::tcp("10.100.0.10:1", "8.8.8.8:2", 2, &[0; 64]).cut(8);
    assert_eq!(world.lan(&pieces[0]).dropped(), DropReason::TinyFragment);
    assert_eq!(world.lan(&pieces[1]).dropped(), DropReason::TinyFragment);
}

#[test]
fn a_fragment_beyond_the_longest_datagram_is_dropped() {
    let mut world = World::new(config());
    let mut piece = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[0; 64]).cut(32).remove(0);
    world.lan(&piece).on(Side::Uplink);
    for (offset, whole) in [(65_480, true), (65_488, false), (65_528, false)] {
        piece.fragment = (offset, false);
        let out = world.lan(&piece);
        match whole {
            true => assert_eq!(out.on(Side::Uplink).ip.len(), 52),
            false => assert_eq!(out.dropped(), DropReason::BadHeader, "{offset}"),
        }
    }
}

#[test]
fn hosts_behind_one_address_do_not_share_identifications() {
    let mut world = World::new(config());
    let (mut seen, mut seen_of_tcp) = (HashSet::new(), HashSet::new());
    for n in 0..500 {
        for host in ["10.100.0.10:1", "10.100.0.20:1", "10.100.0.30:1"] {
            let packet = Pkt::udp(host, "8.8.8.8:53", b"x").may_be_cut().id(n);
            assert!(seen.insert(world.lan(&packet).one().id), "used twice");
        }
    }
    // A frame of segments takes one for each of them.
    for n in 0..100 {
        let data = vec![1; 5000];
        let frame = Pkt::tcp("10.100.0.10:1", "9.9.9.9:80", ACK, &data).may_be_cut().id(n);
        let (first, count) = (world.lan(&frame.offloaded(1, 1000)).one().id, 5);
        assert!((0..count).all(|n| seen_of_tcp.insert(first.wrapping_add(n))), "used twice");
    }
    // An atomic packet needs none and keeps what it has (RFC 6864).
    assert_eq!(world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:53", b"x").id(99)).one().id, 99);
}

//! ARP: asking with patience and bounds, learning with care, forgetting in time.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{Config, Consumed, DropReason, Limits, Side, Verdict};
use wire::arp::Operation;
use wire::{Arp, MacAddr, VnetHeader};

use crate::world::packet::{Seen, arp_frame, arp_reply, arp_request};
use crate::world::{LAN_MAC, Out, Pkt, World, config, mac};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 10);
const THIEF: MacAddr = MacAddr([6, 6, 6, 6, 6, 6]);

fn lan(world: &mut World, frame: Vec<u8>) -> Out {
    world.put(Side::LAN, VnetHeader::default(), frame)
}

fn known(world: &World, address: Ipv4Addr) -> Option<MacAddr> {
    let all = world.gateway.neighbours(world.now);
    all.iter().find(|(_, n)| n.address == address).and_then(|(_, n)| n.mac)
}

#[test]
fn a_silent_host_is_asked_three_times_while_packets_wait() {
    let mut world = World::new(config());
    let to = Pkt::udp("10.100.0.10:1", "10.100.0.99:2", b"x");
    let first = world.lan(&to);
    assert_eq!((first.verdict, first.arps.len()), (Verdict::Consumed(Consumed::Queued), 1));
    for _ in 0..2 {
        let next = world.lan(&to);
        assert_eq!((next.verdict, next.arps.len()), (Verdict::Consumed(Consumed::Queued), 0));
    }
    let asked = world.pass(Duration::from_millis(2900));
    assert_eq!(asked.iter().filter(|f| f.2[12..14] == [8, 6]).count(), 2);
    // It answers late, and all that waited goes.
    let host = "10.100.0.99".parse().unwrap();
    let out = lan(&mut world, arp_reply(LAN_MAC, mac(host), host, GATEWAY));
    assert_eq!(out.frames.len(), 3);
}

/// Sends until a packet finds no room; gives how many waited.
fn fill(world: &mut World, packet: &Pkt) -> usize {
    for waiting in 0..10_000 {
        let out = world.lan(packet);
        if out.verdict != Verdict::Consumed(Consumed::Queued) {
            assert_eq!(out.dropped(), DropReason::NeighbourQueueFull);
            return waiting;
        }
    }
    panic!("a queue without an end");
}

#[test]
fn the_largest_datagram_waits_whole_and_its_order_is_kept() {
    let mut world = World::new(config());
    let pieces = Pkt::udp("10.100.0.10:1", "10.100.0.99:2", &[7; 65_507]).cut(1480);
    assert_eq!(pieces.len(), 45);
    for piece in &pieces {
        assert_eq!(world.lan(piece).verdict, Verdict::Consumed(Consumed::Queued));
    }
    let host = "10.100.0.99".parse().unwrap();
    let out = lan(&mut world, arp_reply(LAN_MAC, mac(host), host, GATEWAY));
    let offsets: Vec<_> = out.frames.iter().map(|f| Seen::of(&f.2).fragment.0).collect();
    assert_eq!(offsets, (0..45).map(|n| n * 1480).collect::<Vec<_>>());
}

#[test]
fn what_waits_is_bounded_by_bytes_and_half_of_it_is_kept_for_first_packets() {
    let mut world = World::new(config());
    // 1,514 bytes and 64 more: 62 of them are 96 KiB. Of the smallest it is more than that.
    let large =
        |n: u32| Pkt::udp(&format!("10.100.1.{n}:1"), &format!("10.100.0.{n}:2"), &[0; 1472]);
    assert_eq!(fill(&mut world, &large(100)), 62);
    let small = Pkt::udp("10.100.0.10:1", "10.100.0.101:2", b"x");
    assert!((700..1000).contains(&fill(&mut world, &small)));
    // Half of the megabyte of all: from then on three for each host, and no more.
    let waiting: Vec<_> = (102..200).map(|n| fill(&mut world, &large(n))).collect();
    assert_eq!(waiting[..2], [62, 62]);
    // What a node has itself is not left for it.
    assert!(waiting[2..5].iter().all(|n| (3..62).contains(n)), "{waiting:?}");
    assert!(waiting[2..].is_sorted_by(|a, b| a >= b) && waiting[97] == 3, "{waiting:?}");
    // In the end nobody answers; what waited is given up, and there is room again.
    world.pass(Duration::from_secs(5));
    assert_eq!(fill(&mut world, &large(100)), 62);
}

#[test]
fn an_old_entry_is_used_while_its_owner_is_asked_directly() {
    let mut world = World::new(config());
    let to = Pkt::udp("10.100.0.20:1", "10.100.0.10:2", b"x");
    world.jump(Duration::from_secs(61));
    let out = world.lan(&to);
    assert_eq!((out.on(Side::LAN).to, out.arps.len()), (mac(HOST), 1));
    assert_eq!(out.arps[0].1.target, HOST);
    assert!(world.lan(&to).arps.is_empty(), "once is enough");
    // It has gone: after two more questions, the last one to all, it is forgotten, and the next packet waits.
    let asked = world.pass(Duration::from_secs(5));
    let receivers: Vec<_> = asked.iter().map(|f| &f.2[..6]).collect();
    assert_eq!(receivers, [mac(HOST), MacAddr::BROADCAST].map(|to| to.0));
    assert_eq!(known(&world, HOST), None);
    assert_eq!(world.lan(&to).verdict, Verdict::Consumed(Consumed::Queued));
}

#[test]
fn a_host_that_has_a_new_card_and_has_said_nothing_answers_the_last_question() {
    let mut world = World::new(config());
    let to = Pkt::udp("10.100.0.20:1", "10.100.0.10:2", b"x");
    world.jump(Duration::from_secs(61));
    world.lan(&to);
    world.pass(Duration::from_millis(2100));
    // Whoever sees it answers, though another address was known.
    lan(&mut world, arp_reply(LAN_MAC, THIEF, HOST, GATEWAY));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.lan(&to).on(Side::LAN).to, THIEF);
}

#[test]
fn entries_nobody_uses_are_forgotten() {
    let mut world = World::new(config());
    assert_eq!(world.gateway.neighbours(world.now).len(), 4);
    world.pass(Duration::from_secs(299));
    assert_eq!(world.gateway.neighbours(world.now).len(), 4);
    // They are looked for once a minute.
    world.pass(Duration::from_secs(61));
    assert_eq!(world.gateway.neighbours(world.now).len(), 0);
    let mut out = gateway::Collected::default();
    assert_eq!(world.gateway.tick(&mut out, world.now), None);
}

#[test]
fn nobody_takes_a_gateway_address() {
    let mut world = World::new(config());
    for frame in [
        arp_reply(LAN_MAC, THIEF, GATEWAY, HOST),
        arp_request(THIEF, GATEWAY, GATEWAY),
        arp_request(THIEF, GATEWAY, HOST),
    ] {
        assert_eq!(lan(&mut world, frame).dropped(), DropReason::ArpSpoof);
    }
    let router = arp_reply(crate::world::UPLINK_MAC, THIEF, "203.0.113.2".parse().unwrap(), HOST);
    let out = world.put(Side::Uplink, VnetHeader::default(), router);
    assert_eq!(out.dropped(), DropReason::ArpSpoof);
}

#[test]
fn an_answer_nobody_asked_for_makes_no_entry() {
    let mut world = World::new(config());
    let stranger = "10.100.0.50".parse().unwrap();
    lan(&mut world, arp_reply(LAN_MAC, THIEF, stranger, GATEWAY));
    assert_eq!(known(&world, stranger), None);
}

#[test]
fn a_new_card_that_an_answer_tells_of_is_believed_where_its_owner_is_silent() {
    // To all, as `arping -A` does, and to one who has asked by himself.
    for target in [HOST, GATEWAY] {
        let mut world = World::new(config());
        let to = Pkt::udp("10.100.0.20:1", "10.100.0.10:2", b"x");
        let told = || arp_reply(LAN_MAC, THIEF, HOST, target);
        let out = lan(&mut world, told());
        assert_eq!((out.arps.len(), out.arps[0].1.target), (1, HOST), "the owner is asked");
        assert_eq!(known(&world, HOST), Some(mac(HOST)));
        // An owner who answers keeps its place.
        lan(&mut world, arp_reply(LAN_MAC, mac(HOST), HOST, GATEWAY));
        assert_eq!(world.pass(Duration::from_secs(3)).len(), 0);
        assert_eq!(world.lan(&to).on(Side::LAN).to, mac(HOST));
        lan(&mut world, told());
        assert_eq!(world.pass(Duration::from_millis(1900)).len(), 1, "and is asked once more");
        assert_eq!(world.lan(&to).on(Side::LAN).to, mac(HOST));
        world.pass(Duration::from_millis(200));
        assert_eq!(world.lan(&to).on(Side::LAN).to, THIEF);
    }
}

#[test]
fn a_claim_to_another_s_address_waits_for_the_owner_to_object() {
    let mut world = World::new(config());
    world.lan(&Pkt::udp("10.100.0.10:1", "8.8.8.8:53", b"x"));
    let answer = Pkt::udp("8.8.8.8:53", "203.0.113.2:1", b"x");
    for _ in 0..100 {
        // The thief asks, announces, and answers whatever it may have been asked.
        let out = lan(&mut world, arp_request(THIEF, HOST, GATEWAY));
        let asks = |a: &&(Side, Arp)| a.1.operation == Operation::Request;
        assert_eq!(out.arps.iter().filter(asks).count(), 1, "the owner is asked");
        assert_eq!(out.frames.len(), 0);
        lan(&mut world, arp_request(THIEF, HOST, HOST));
        lan(&mut world, arp_reply(LAN_MAC, THIEF, HOST, GATEWAY));
        assert_eq!(world.uplink(&answer).on(Side::LAN).to, mac(HOST));
        world.pass(Duration::from_millis(1500));
        lan(&mut world, arp_reply(LAN_MAC, mac(HOST), HOST, GATEWAY));
        world.pass(Duration::from_secs(1));
        assert_eq!(world.uplink(&answer).on(Side::LAN).to, mac(HOST));
    }
    // Where the owner is silent it has a new card, or has gone.
    lan(&mut world, arp_request(THIEF, HOST, GATEWAY));
    world.pass(Duration::from_millis(2100));
    assert_eq!(world.uplink(&answer).on(Side::LAN).to, THIEF);
}

#[test]
fn many_that_give_up_at_once_are_forgotten() {
    let limits = Limits { neighbours: 60_000, ..Limits::default() };
    let mut world = World::new(Config { limits, ..config() });
    for n in 0..25_000u32 {
        let to = Ipv4Addr::from(0x0a64_2000 + n).to_string();
        let from = format!("10.100.0.{}:1", 10 + n % 5);
        world.lan(&Pkt::udp(&from, &format!("{to}:2"), b""));
    }
    assert!(world.gateway.neighbours(world.now).len() > 20_000);
    world.jump(Duration::from_secs(1));
    let mut out = gateway::Collected::default();
    for _ in 0..5 {
        world.gateway.tick(&mut out, world.now);
        world.jump(Duration::from_secs(1));
    }
    assert!(world.gateway.neighbours(world.now).len() <= 4);
}

#[test]
fn senders_that_cannot_be_teach_nothing() {
    let mut world = World::new(config());
    let ask = |mac, sender: &str| arp_request(mac, sender.parse().unwrap(), GATEWAY);
    for frame in [
        ask(THIEF, "8.8.8.8"),
        ask(THIEF, "10.100.255.255"),
        ask(THIEF, "127.0.0.1"),
        ask(THIEF, "224.0.0.1"),
        ask(MacAddr::BROADCAST, "10.100.0.50"),
        ask(MacAddr::ZERO, "10.100.0.50"),
        arp_frame(
            MacAddr::BROADCAST,
            &Arp {
                operation: Operation::Reply,
                sender_mac: THIEF,
                sender: Ipv4Addr::UNSPECIFIED,
                target_mac: LAN_MAC,
                target: GATEWAY,
            },
        ),
    ] {
        assert_eq!(lan(&mut world, frame).dropped(), DropReason::BadArp);
    }
    // A probe (RFC 5227) is answered and teaches nothing.
    let before = world.gateway.neighbours(world.now).len();
    assert_eq!(lan(&mut world, ask(THIEF, "0.0.0.0")).arps.len(), 1);
    assert_eq!(world.gateway.neighbours(world.now).len(), before);
}

#[test]
fn a_flood_of_senders_fills_half_the_table_and_keeps_nobody_out() {
    let limits = Limits { neighbours: 64, ..Limits::default() };
    let mut world = World::new(Config { limits, ..config() });
    for n in 0..10_000u32 {
        let sender = Ipv4Addr::from(0x0a64_1000 + n);
        lan(&mut world, arp_request(mac(sender), sender, GATEWAY));
    }
    let learned = world.gateway.neighbours(world.now).iter().filter(|n| n.0 == Side::LAN).count();
    assert_eq!(learned, 32);
    // A host that was not among them is asked for, and answers.
    let host = "10.100.0.99".parse().unwrap();
    let out = world.lan(&Pkt::udp("10.100.0.10:1", "10.100.0.99:2", b"x"));
    assert_eq!(out.arps.len(), 1);
    let out = lan(&mut world, arp_reply(LAN_MAC, mac(host), host, GATEWAY));
    assert_eq!(out.on(Side::LAN).to, mac(host));
    // A scan of hosts that do not exist is bounded as well, in entries and in bytes.
    for n in 0..10_000u32 {
        let to = Ipv4Addr::from(0x0a64_2000 + n).to_string();
        world.lan(&Pkt::udp("10.100.0.10:1", &format!("{to}:2"), &[0; 1400]));
    }
    assert!(world.gateway.neighbours(world.now).len() <= 64 + 1);
    let waited = world.gateway.counters().waited_in_vain;
    assert!(waited > 9_900, "{waited}");
}

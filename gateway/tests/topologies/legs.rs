//! Several networks: who reaches whom, by which addresses, and what comes and goes with a leg.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{
    Config, Consumed, DropReason, Endpoint, Gateway, LegAddress, LegConfig, LegError, LegId, Node,
    Protocol, PublishError, Published, Side, Verdict,
};
use wire::MacAddr;

use crate::world::packet::SYN;
use crate::world::{Pkt, Seen, World, config, mac};

const A: Side = Side::Leg(LegId(1));
const B: Side = Side::Leg(LegId(2));

fn leg_mac(leg: u8) -> MacAddr {
    MacAddr([2, 0, 0, 1, 0, leg])
}

fn leg(n: u8) -> LegConfig {
    LegConfig::new(leg_mac(n), Ipv4Addr::new(10, n, 0, 1), 24)
}

fn id(n: u8) -> LegId {
    LegId(n.into())
}

/// The LAN; 1 and 2, routed to each other; 3, isolated and of two subnets; 4, internal. A host .2 in
/// each, known to the gateway.
fn several() -> World {
    let mut config = config();
    for n in 1..=4 {
        let mut leg = leg(n);
        match n {
            1 => leg.policy.routed = vec![id(2)],
            3 => {
                let address = Ipv4Addr::new(10, 33, 0, 1);
                leg.addresses.push(LegAddress { address, prefix_len: 24 });
            }
            4 => leg.policy.internal = true,
            _ => {}
        }
        config.legs.push((id(n), leg));
    }
    let mut world = World::new(config);
    for n in 1..=4 {
        assert_eq!(knock(&mut world, n, 2), 1);
    }
    world.knock(3, "10.33.0.2", "10.33.0.1");
    world
}

/// A host asks for its gateway: how many answers come.
fn knock(world: &mut World, n: u16, host: u8) -> usize {
    world.knock(n, &format!("10.{n}.0.{host}"), &format!("10.{n}.0.1")).arps.len()
}

/// The error that told the sender of a packet why it was dropped.
#[track_caller]
fn told(out: &crate::world::Out, side: Side) -> (DropReason, String, (u8, u8)) {
    let error = out.on(side);
    let (kind, code, _) = error.icmp.unwrap();
    (out.dropped(), error.src, (kind, code))
}

#[test]
fn isolated_networks_do_not_reach_each_other() {
    let mut world = several();
    for (from, to) in [(0, 1), (0, 3), (1, 0), (1, 3), (3, 2), (4, 1), (2, 4)] {
        let address = |n: u16| if n == 0 { "10.100.0.10".into() } else { format!("10.{n}.0.2") };
        let own = if from == 0 { "10.100.0.1".into() } else { format!("10.{from}.0.1") };
        let side = Side::Leg(LegId(from));
        let packet = Pkt::udp(&format!("{}:1", address(from)), &format!("{}:2", address(to)), b"x");
        let prohibited = (DropReason::Isolated, own, (3, 13));
        assert_eq!(told(&world.leg(from, &packet), side), prohibited, "{from} to {to}");
        // The gateway's own address there is as far away.
        let own_there = if to == 0 { "10.100.0.1".into() } else { format!("10.{to}.0.1") };
        let ping = Pkt::echo(&address(from), &own_there, 8, 1, b"");
        assert_eq!(told(&world.leg(from, &ping), side), prohibited, "{from} to {own_there}");
    }
    // A hop that has run out is told first, as Linux tells it before a rule is asked.
    let out = world.leg(3, &Pkt::udp("10.3.0.2:1", "10.1.0.2:2", b"x").ttl(1));
    assert_eq!(told(&out, Side::Leg(id(3))).2, (11, 0));
}

#[test]
fn errors_about_isolation_are_rate_limited() {
    let mut world = several();
    let packet = Pkt::udp("10.3.0.2:1", "10.1.0.2:2", b"x");
    let told = (0..1000).filter(|_| !world.leg(3, &packet).frames.is_empty()).count();
    assert_eq!((told, world.gateway.counters().icmp_limited), (40, 960));
}

#[test]
fn routed_networks_exchange_packets_untranslated() {
    let mut world = several();
    let there = Pkt::tcp("10.1.0.2:5", "10.2.0.2:80", SYN, b"");
    let seen = world.leg(1, &there).on(B);
    assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.ttl), ("10.1.0.2:5", "10.2.0.2:80", 63));
    assert_eq!(seen.to, mac("10.2.0.2".parse().unwrap()));
    // Leg 2 names nobody: answers come back all the same.
    let seen = world.leg(2, &Pkt::udp("10.2.0.2:80", "10.1.0.2:5", b"x")).on(A);
    assert_eq!((seen.src.as_str(), seen.dst.as_str()), ("10.2.0.2:80", "10.1.0.2:5"));
    // Protocols that a NAT does not carry pass, and so do ICMP errors and whatever else.
    let ends: [Ipv4Addr; 2] = ["10.1.0.2".parse().unwrap(), "10.2.0.2".parse().unwrap()];
    world.leg(1, &Pkt::raw(ends[0], ends[1], 132, vec![0; 12])).on(B);
    world.leg(2, &Pkt::error("10.2.0.2", "10.1.0.2", (3, 3, 0), &there.ip())).on(A);
    assert!(world.sessions().is_empty());
    let out = world.leg(1, &there.ttl(1));
    assert_eq!(told(&out, A), (DropReason::TtlExceeded, "10.1.0.1".into(), (11, 0)));
}

#[test]
fn the_next_network_s_mtu_counts() {
    let mut world = several();
    let narrow = LegConfig { mtu: 1000, ..leg(2) };
    world.gateway.set_leg(id(2), narrow).unwrap();
    let large = Pkt::udp("10.1.0.2:5", "10.2.0.2:80", &[1; 1200]);
    let out = world.leg(1, &large);
    assert_eq!(told(&out, A), (DropReason::TooBig, "10.1.0.1".into(), (3, 4)));
    assert_eq!(out.one().icmp.unwrap().2, 1000);
    let out = world.leg(1, &large.may_be_cut());
    assert_eq!(out.verdict, Verdict::Consumed(Consumed::Fragmented));
    assert!(out.frames.len() == 2 && out.frames.iter().all(|frame| frame.0 == B));
    // Segments are judged by their size, whole and with a partial checksum.
    let segments = |size| Pkt::tcp("10.1.0.2:5", "10.2.0.2:80", 16, &[1; 5000]).offloaded(1, size);
    let out = world.leg(1, &segments(900));
    assert_eq!((out.frames.len(), out.frames[0].1.gso_size), (1, 900));
    assert_eq!(told(&world.leg(1, &segments(1400)), A).0, DropReason::TooBig);
}

#[test]
fn fragments_pass_between_networks_in_any_order() {
    let mut world = several();
    let pieces = Pkt::udp("10.1.0.2:5", "10.2.0.2:80", &[1; 3000]).cut(1000);
    for piece in pieces.iter().rev() {
        let seen = world.leg(1, piece).on(B);
        assert_eq!((seen.fragment, seen.id), (piece.fragment, piece.id));
    }
    for piece in &Pkt::udp("10.3.0.2:5", "10.2.0.2:80", &[1; 3000]).cut(1000) {
        assert_eq!(world.leg(3, piece).dropped(), DropReason::Isolated);
    }
    assert_eq!(world.gateway.fragment_usage(), (0, 0));
}

#[test]
fn a_silent_host_of_another_network_is_told() {
    let mut world = several();
    let out = world.leg(1, &Pkt::udp("10.1.0.2:5", "10.2.0.9:80", b"x"));
    assert_eq!(out.verdict, Verdict::Consumed(Consumed::Queued));
    assert_eq!((out.arps[0].0, out.arps[0].1.sender), (B, Ipv4Addr::new(10, 2, 0, 1)));
    let frames = world.pass(Duration::from_secs(4));
    let errors = frames.iter().filter(|frame| frame.2[12..14] == [8, 0]).collect::<Vec<_>>();
    assert_eq!((errors.len(), errors[0].0), (1, A));
    let seen = Seen::of(&errors[0].2);
    assert_eq!((seen.src.as_str(), seen.icmp.unwrap().1), ("10.1.0.1", 1));
    assert_eq!(seen.quoted().dst, "10.2.0.9:80");
}

#[test]
fn an_internal_network_has_no_world() {
    let mut world = several();
    for to in ["8.8.8.8:53", "203.0.113.2:80", "203.0.113.1:80"] {
        let out = world.leg(4, &Pkt::udp("10.4.0.2:1", to, b"x"));
        assert_eq!(
            told(&out, Side::Leg(id(4))),
            (DropReason::Internal, "10.4.0.1".into(), (3, 13))
        );
    }
    let ping = world.leg(4, &Pkt::echo("10.4.0.2", "203.0.113.2", 8, 1, b""));
    assert_eq!(ping.dropped(), DropReason::Internal);
    assert!(world.sessions().is_empty());
    let inside = Endpoint::new("10.4.0.2".parse().unwrap(), 80);
    let wanted = Published { protocol: Protocol::Tcp, address: None, port: 80, inside };
    assert_eq!(world.gateway.publish(wanted), Err(PublishError::Internal(inside.address)));
    // Among themselves its hosts are reached, and its gateway answers.
    world.leg(4, &Pkt::echo("10.4.0.2", "10.4.0.1", 8, 1, b"")).on(Side::Leg(id(4)));
}

#[test]
fn the_gateway_answers_on_each_link_for_its_own_address_alone() {
    let mut world = several();
    // Another leg's address is answered to those who reach that leg, as Linux does, but not by ARP.
    let seen = world.leg(1, &Pkt::echo("10.1.0.2", "10.2.0.1", 8, 1, b"ping")).on(A);
    assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.ttl), ("10.2.0.1", "10.1.0.2", 64));
    let out = world.leg(1, &Pkt::udp("10.1.0.2:5", "10.2.0.1:80", b"x"));
    assert_eq!(told(&out, A), (DropReason::NoService, "10.2.0.1".into(), (3, 3)));
    assert!(world.knock(1, "10.1.0.2", "10.2.0.1").arps.is_empty());
    // Both addresses of a leg are its own.
    for own in ["10.3.0.1", "10.33.0.1"] {
        let out = world.knock(3, "10.3.0.2", own);
        assert_eq!(out.arps[0].1.sender.to_string(), own);
        world.leg(3, &Pkt::echo("10.3.0.2", own, 8, 1, b"")).on(Side::Leg(id(3)));
    }
    // Nobody takes the address of another leg either.
    assert_eq!(world.knock(1, "10.2.0.1", "10.1.0.1").dropped(), DropReason::ArpSpoof);
    assert_eq!(world.knock(1, "10.2.0.2", "10.1.0.1").dropped(), DropReason::BadArp);
    assert_eq!(
        world.leg(1, &Pkt::udp("10.2.0.2:1", "8.8.8.8:2", b"")).dropped(),
        DropReason::Martian
    );
}

#[test]
fn all_networks_share_the_uplink_and_its_ports() {
    let mut world = several();
    let mut ports = Vec::new();
    for n in 1..=3 {
        let packet = Pkt::udp(&format!("10.{n}.0.2:4000"), "8.8.8.8:53", b"x");
        ports.push(world.leg(n, &packet).on(Side::Uplink).src_port());
    }
    assert!(ports[0] == 4000 && ports[1] != 4000 && ports[2] != 4000 && ports[1] != ports[2]);
    for (n, port) in (1..).zip(ports) {
        let out = world.uplink(&Pkt::udp("8.8.8.8:53", &format!("203.0.113.2:{port}"), b"y"));
        let seen = out.on(Side::Leg(id(n)));
        assert_eq!(seen.dst, format!("10.{n}.0.2:4000"));
        assert_eq!(seen.to, mac(Ipv4Addr::new(10, n, 0, 2)));
    }
}

#[test]
fn a_published_port_is_reached_from_other_networks_as_from_the_world() {
    let mut world = several();
    let inside = Endpoint::new("10.1.0.2".parse().unwrap(), 80);
    let wanted = Published { protocol: Protocol::Tcp, address: None, port: 8080, inside };
    world.gateway.publish(wanted).unwrap();
    world.uplink(&Pkt::tcp("8.8.8.8:9", "203.0.113.2:8080", SYN, b"")).on(A);
    // Leg 3 is isolated from leg 1, and so is the LAN.
    for (from, host) in [(3, "10.3.0.2:7"), (0, "10.100.0.10:7"), (1, "10.1.0.2:7")] {
        let seen = world.leg(from, &Pkt::tcp(host, "203.0.113.2:8080", SYN, b"")).on(A);
        assert!(seen.src.starts_with("203.0.113.2:") && seen.dst == "10.1.0.2:80", "{seen:?}");
        let reply = Pkt::tcp("10.1.0.2:80", &seen.src, SYN | 16, b"");
        let back = world.leg(1, &reply).on(Side::Leg(LegId(from)));
        assert_eq!((back.src.as_str(), back.dst.as_str()), ("203.0.113.2:8080", host));
    }
    assert_eq!(
        world.leg(4, &Pkt::tcp("10.4.0.2:7", "203.0.113.2:8080", SYN, b"")).dropped(),
        DropReason::Internal
    );
}

#[test]
fn what_belongs_to_a_leg_goes_with_it() {
    let mut world = several();
    let publish = |world: &mut World, n: u8| {
        let inside = Endpoint::new(Ipv4Addr::new(10, n, 0, 2), 80);
        let port = 8000 + u16::from(n);
        let wanted = Published { protocol: Protocol::Tcp, address: None, port, inside };
        world.gateway.publish_for(Node(u16::from(n) << 8 | 2), wanted).unwrap();
        wanted
    };
    let gone = publish(&mut world, 1);
    let stays = publish(&mut world, 3);
    for n in [1, 3] {
        let packet = Pkt::udp(&format!("10.{n}.0.2:4000"), "8.8.8.8:53", b"x");
        world.leg(n, &packet).on(Side::Uplink);
    }
    // A packet waits for a host of it, and a fragment for the first of its datagram.
    world.leg(2, &Pkt::udp("10.2.0.2:1", "10.1.0.99:2", b"x"));
    world.leg(1, &Pkt::udp("10.1.0.2:1", "8.8.8.8:2", &[0; 64]).cut(32)[1]);
    assert_eq!(world.gateway.fragment_usage().0, 1);
    let frames = world.gateway.counters();

    assert_eq!(world.gateway.remove_leg(id(1)), Ok(vec![gone]));
    assert_eq!(world.gateway.remove_leg(id(1)), Err(LegError::Unknown(id(1))));
    assert_eq!(world.gateway.published(), [stays]);
    assert_eq!(
        world.sessions().iter().map(|s| s.inside.address.octets()[1]).collect::<Vec<_>>(),
        [3]
    );
    let after = world.gateway.counters();
    assert_eq!((after.nat.flushed, after.waited_in_vain - frames.waited_in_vain), (1, 2));
    assert_eq!((after.lan_in, after.to_lan), (frames.lan_in, frames.to_lan), "frames stay counted");
    assert_eq!(world.gateway.fragment_usage().0, 0);
    assert!(world.gateway.neighbours(world.now).iter().all(|(side, _)| *side != A));
    let out = world.uplink(&Pkt::tcp("8.8.8.8:9", "203.0.113.2:8001", SYN, b""));
    assert_eq!(out.dropped(), DropReason::UnsolicitedSyn);
    // Its subnet is the world's, and its number free.
    assert_eq!(world.gateway.leg_of(Ipv4Addr::new(10, 1, 0, 2)), None);
    world.gateway.add_leg(id(1), leg(1)).unwrap();
    assert_eq!(world.gateway.legs().find(|view| view.id == id(1)).unwrap().counters.entered, 0);
    let out = world.leg(2, &Pkt::udp("10.2.0.2:1", "10.1.0.2:2", b"x"));
    assert_eq!(out.dropped(), DropReason::Isolated, "the new one is routed to nobody");
}

#[test]
fn a_leg_that_changes_keeps_what_still_fits() {
    let mut world = several();
    let inside = Endpoint::new("10.33.0.2".parse().unwrap(), 80);
    let wanted = Published { protocol: Protocol::Tcp, address: None, port: 80, inside };
    world.gateway.publish(wanted).unwrap();
    for host in ["10.3.0.2:4000", "10.33.0.2:4000"] {
        world.leg(3, &Pkt::udp(host, "8.8.8.8:53", b"x")).on(Side::Uplink);
    }
    let neighbours = |world: &World| {
        world.gateway.neighbours_from(Side::Leg(id(3)), Ipv4Addr::UNSPECIFIED, 9, world.now).len()
    };
    assert_eq!(neighbours(&world), 2);
    // Another hardware address and MTU: nothing goes.
    let same = LegConfig { mtu: 1400, mac: leg_mac(30), ..several_three() };
    assert_eq!(world.gateway.set_leg(id(3), same.clone()), Ok(vec![]));
    assert_eq!((world.sessions().len(), neighbours(&world)), (2, 2));
    assert_eq!(world.leg(3, &Pkt::echo("10.3.0.2", "10.3.0.1", 8, 1, b"")).one().ttl, 64);
    // One subnet less.
    assert_eq!(world.gateway.set_leg(id(3), leg(3)), Ok(vec![wanted]));
    assert_eq!((world.sessions().len(), neighbours(&world)), (1, 1));
    // Internal.
    let mut closed = leg(3);
    closed.policy.internal = true;
    assert_eq!(world.gateway.set_leg(id(3), closed), Ok(vec![]));
    assert_eq!((world.sessions().len(), neighbours(&world)), (0, 1));
    assert_eq!(world.gateway.set_leg(id(9), leg(9)), Err(LegError::Unknown(id(9))));
}

/// Leg 3 of [`several`].
fn several_three() -> LegConfig {
    let world = several();
    world.gateway.legs().find(|view| view.id == id(3)).unwrap().config.clone()
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut world = several();
    let legs = |world: &World| {
        world.gateway.legs().map(|view| (view.id, view.config.clone())).collect::<Vec<_>>()
    };
    let before = (legs(&world), world.gateway.routes());
    let with = |change: &dyn Fn(&mut LegConfig)| {
        let mut leg = leg(5);
        change(&mut leg);
        leg
    };
    let over = LegAddress { address: Ipv4Addr::new(10, 0, 0, 1), prefix_len: 8 };
    let lan = LegAddress { address: Ipv4Addr::new(10, 1, 0, 1), prefix_len: 24 };
    let bad = [
        (with(&|leg| leg.mac = MacAddr::BROADCAST), LegError::Mac(MacAddr::BROADCAST)),
        (with(&|leg| leg.mac = MacAddr::ZERO), LegError::Mac(MacAddr::ZERO)),
        (with(&|leg| leg.mtu = 67), LegError::Mtu(67)),
        (with(&|leg| leg.addresses = vec![over]), LegError::Overlap(over, lan, id(1))),
    ];
    for (config, error) in bad {
        assert_eq!(world.gateway.add_leg(id(5), config.clone()), Err(error));
        assert_eq!(
            Gateway::new(Config { legs: before.0.clone(), ..crate::world::config() }, 1).err(),
            None
        );
        if error != LegError::Overlap(over, lan, id(1)) {
            assert_eq!(world.gateway.set_leg(id(1), config), Err(error));
        }
        let one_line = error.to_string();
        assert!(!one_line.contains('\n') && one_line.contains(':'), "{one_line}");
    }
    assert_eq!(world.gateway.add_leg(id(1), leg(5)), Err(LegError::Taken(id(1))));
    assert_eq!(world.gateway.add_leg(LegId(256), leg(5)), Err(LegError::Number(LegId(256))));
    assert_eq!((legs(&world), world.gateway.routes()), before);
}

#[test]
fn two_hundred_and_fifty_six_legs_work() {
    let mut config = config();
    config.legs.clear();
    for n in 0..=255 {
        config.legs.push((id(n), leg(n)));
    }
    config.legs[7].1.policy.routed = vec![id(250), id(8)];
    let mut world = World::empty(config);
    world.meet(Side::Uplink, crate::world::ROUTER);
    for n in 0..=255u16 {
        knock(&mut world, n, 2);
        let packet = Pkt::udp(&format!("10.{n}.0.2:{}", 2000 + n), "8.8.8.8:53", b"x");
        let port = world.leg(n, &packet).on(Side::Uplink).src_port();
        let back = Pkt::udp("8.8.8.8:53", &format!("203.0.113.2:{port}"), b"x");
        world.uplink(&back).on(Side::Leg(LegId(n)));
    }
    for to in 0..=255u16 {
        let out = world.leg(7, &Pkt::udp("10.7.0.2:1", &format!("10.{to}.0.2:2"), b"x"));
        match to {
            7 | 8 | 250 => assert_eq!(out.verdict, Verdict::Leg(LegId(to))),
            _ => assert_eq!(out.dropped(), DropReason::Isolated),
        }
    }
    let seven = world.gateway.legs().nth(7).unwrap();
    assert_eq!((seven.id, seven.counters.entered, seven.counters.dropped), (id(7), 258, 253));
    assert_eq!(seven.counters.left, 2, "the answer from outside, and what it sent to itself");
}

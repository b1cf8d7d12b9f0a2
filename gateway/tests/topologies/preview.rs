//! A preview foretells what then happens, and leaves no trace.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{
    Config, Consumed, Endpoint, IpProtocol, NatConfig, NatType, Note, Outcome, Probe, Protocol,
    Published,
};
use gateway::{Side, Verdict};
use proptest::prelude::*;
use wire::tcp::Flags;

use crate::world::{Pkt, Seen, World, config};

fn packet(p: &Probe) -> Pkt {
    let (src, dst) = (p.src.to_string(), p.dst.to_string());
    let mut packet = match Protocol::of(p.protocol) {
        Some(Protocol::Tcp) => {
            Pkt::tcp(&src, &dst, p.flags.0, &vec![0; usize::from(p.length) - 40])
        }
        Some(Protocol::Udp) => Pkt::udp(&src, &dst, &vec![0; usize::from(p.length) - 28]),
        None => {
            let body = vec![0; usize::from(p.length) - 20];
            Pkt::raw(p.src.address, p.dst.address, p.protocol.0, body)
        }
        Some(Protocol::Icmp) => {
            let (kind, id) = if p.dst.port == 0 { (8, p.src.port) } else { (0, p.dst.port) };
            let (src, dst) = (p.src.address.to_string(), p.dst.address.to_string());
            Pkt::echo(&src, &dst, kind, id, &vec![0; usize::from(p.length) - 28])
        }
    };
    (packet.ttl, packet.df) = (p.ttl, p.dont_fragment);
    packet
}

fn address() -> impl Strategy<Value = Ipv4Addr> {
    proptest::sample::select(
        [
            "10.100.0.10",
            "10.100.0.20",
            "10.100.0.1",
            "10.100.0.99",
            "203.0.113.2",
            "203.0.113.9",
            "8.8.8.8",
            "9.9.9.9",
            "224.0.0.1",
            "240.0.0.1",
            "10.100.255.255",
        ]
        .map(|a| a.parse().unwrap())
        .to_vec(),
    )
}

prop_compose! {
    fn probes()(
        side in proptest::sample::select(vec![Side::LAN, Side::LAN, Side::Uplink]),
        protocol in proptest::sample::select(vec![1u8, 6, 17, 47, 51]),
        (src, dst) in (address(), address()),
        (sport, dport) in (4000u16..4004, 4000u16..4004),
        flags in proptest::sample::select(vec![2u8, 16, 18, 17, 4]),
        length in proptest::sample::select(vec![100u16, 100, 100, 1600]),
        ttl in proptest::sample::select(vec![64u8, 64, 64, 1]),
        (dont_fragment, reply) in (any::<bool>(), any::<bool>()),
    ) -> Probe {
        let protocol = IpProtocol(protocol);
        let ports = match (Protocol::of(protocol), reply) {
            (Some(Protocol::Icmp), true) => (0, dport),
            (Some(Protocol::Icmp), false) => (sport, 0),
            (None, _) => (0, 0),
            _ => (sport, dport),
        };
        Probe {
            side, protocol, ttl, length, dont_fragment,
            src: Endpoint::new(src, ports.0),
            dst: Endpoint::new(dst, ports.1),
            flags: Flags(flags),
        }
    }
}

proptest! {
    #[test]
    fn a_preview_foretells_what_happens(
        kind in proptest::sample::select(NatType::ALL.to_vec()),
        shared in any::<bool>(),
        probes in proptest::collection::vec(probes(), 1..60),
    ) {
        let mut config = Config { nat: NatConfig { kind, ..NatConfig::default() }, ..config() };
        config.uplink.as_mut().unwrap().shared = shared;
        config.uplink.as_mut().unwrap().ports = 4000..=4009;
        let mut world = World::new(config);
        world.gateway.take_notes(true);
        let inside = Endpoint::new("10.100.0.20".parse().unwrap(), 4003);
        let protocol = Protocol::Tcp;
        world.gateway.publish(Published { protocol, address: None, port: 4000, inside }).unwrap();
        for probe in probes {
            let before = (world.gateway.counters(), world.sessions(), world.gateway.neighbours(world.now));
            let foretold = world.gateway.preview(&probe, world.now);
            let after = (world.gateway.counters(), world.sessions(), world.gateway.neighbours(world.now));
            prop_assert_eq!(before, after);
            let out = match probe.side {
                Side::Leg(_) => world.lan(&packet(&probe)),
                Side::Uplink => world.uplink(&packet(&probe)),
            };
            let noted = *world.gateway.note().unwrap();
            prop_assert_eq!(noted.end, Some(out.verdict));
            prop_assert_eq!(Note { end: None, ..noted }, foretold.note, "{:?}", probe);
            match (foretold.outcome, out.verdict) {
                (Outcome::Dropped(a), Verdict::Drop(b)) => prop_assert_eq!(a, b),
                (Outcome::Answered, Verdict::Leg(_) | Verdict::Uplink) => {
                    prop_assert_eq!(Seen::of(&out.frames[0].2).icmp.unwrap().0, 0);
                }
                (Outcome::Leaves { side, src, dst, mac: Some(mac), .. }, Verdict::Leg(_) | Verdict::Uplink) => {
                    let seen = out.on(side);
                    prop_assert_eq!(seen.to, mac);
                    if let Some(icmp) = seen.icmp {
                        let id = if icmp.0 == 8 { src.port } else { dst.port };
                        prop_assert_eq!(seen.echo_id(), id);
                    } else {
                        let portless = Protocol::of(probe.protocol).is_none();
                        let end = |end: Endpoint| match portless {
                            true => end.address.to_string(),
                            false => end.to_string(),
                        };
                        prop_assert_eq!((seen.src, seen.dst), (end(src), end(dst)));
                    }
                }
                (Outcome::Leaves { mac: Some(_), .. }, Verdict::Consumed(Consumed::Fragmented)) => {
                    prop_assert!(out.frames.len() > 1);
                }
                (Outcome::Leaves { mac: None, .. }, Verdict::Consumed(Consumed::Queued)) => {
                    // Let it resolve to nothing, so that the next one is asked for anew.
                    world.pass(Duration::from_secs(6));
                }
                (foretold, happened) => {
                    prop_assert!(false, "{probe:?}: foretold {foretold:?}, happened {happened:?}");
                }
            }
            prop_assert!(!foretold.steps.is_empty());
        }
    }
}

#[test]
fn the_steps_read_as_an_explanation() {
    let world = World::new(config());
    let probe = Probe {
        side: Side::LAN,
        protocol: Protocol::Udp.into(),
        src: Endpoint::new("10.100.0.10".parse().unwrap(), 5000),
        dst: Endpoint::new("8.8.8.8".parse().unwrap(), 53),
        flags: Flags::default(),
        length: 60,
        ttl: 64,
        dont_fragment: true,
    };
    let steps = world.gateway.preview(&probe, world.now).steps;
    assert_eq!(
        steps,
        [
            "route: 8.8.8.8 is reached through 203.0.113.1 on the uplink side",
            "nat: udp 10.100.0.10:5000 appears as 203.0.113.2:5000: a new session and mapping",
            "neighbour: 203.0.113.1 is at 06:00:cb:00:71:01",
        ]
    );
    let probe = Probe { ttl: 1, ..probe };
    let steps = world.gateway.preview(&probe, world.now).steps;
    assert!(steps[1].starts_with("dropped: ttl-exceeded: The time to live ran out"), "{steps:?}");
}

//! What is foretold is what then happens: random labs in memory, random packets; each is asked
//! about first and then sent the way a worker sends it. The walks must be the same, step by step.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use gateway::{
    Collected, Config, Endpoint, Gateway, IpProtocol, Limits, NatConfig, NatType, Probe, Protocol,
    Side,
};
use proptest::prelude::*;
use switch::core::{NetworkConfig, PortState};
use switch::{
    Arrival, Bridge, DropReason, Fdb, FdbConfig, Frame, Handling, Leg, Outcome, Outlet, Path,
    PortId, PortSettings, Station, Verdict,
};
use wire::{Arp, FrameMut, MacAddr, Timestamp, VnetHeader, arp, ipv4, tcp, udp};

use super::foretell::{Beside, Inside, Oracle};
use super::names::Names;
use super::walk::Facts;
use lab::address;
use lab::station::{GatewayStation, LAN};

const NODES: u16 = 4;
const UPLINK: PortId = PortId(NODES);
const OUTSIDE: Ipv4Addr = address::SIM_GATEWAY;
const ROUTER: Ipv4Addr = address::SIM_ROUTER;

fn node(n: u16) -> Ipv4Addr {
    address::of_node(u32::from(n) + 1).unwrap()
}

fn gateway_mac() -> MacAddr {
    address::mac(address::GATEWAY)
}

/// A lab without sockets.
struct World {
    bridge: Bridge,
    station: GatewayStation,
    uplink: bool,
    now: Timestamp,
}

struct Nowhere;

impl Outlet for Nowhere {
    fn to_bridge(&mut self, _: Leg, _: VnetHeader, _: &[u8]) {}
    fn to_uplink(&mut self, _: VnetHeader, _: &[u8]) {}
}

impl World {
    fn new(ports: &[PortState], kind: NatType, uplink: bool, met: &[bool]) -> Self {
        let mut config = Config {
            nat: NatConfig { kind, ..NatConfig::default() },
            limits: Limits { sessions: 6, ..Limits::default() },
            ..Config::simulated(gateway_mac(), address::mac(OUTSIDE))
        };
        match &mut config.uplink {
            Some(side) if uplink => side.ports = 4000..=4001,
            side => *side = None,
        }
        let mut gateway = Gateway::new(config, 42).unwrap();
        gateway.take_notes(true);
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        let mut station = GatewayStation::new(gateway_mac(), gateway);
        for (n, met) in (0..).zip(met) {
            let (side, own, host) = match n {
                NODES => (Side::Uplink, OUTSIDE, ROUTER),
                n => (Side::LAN, address::GATEWAY, node(n)),
            };
            if *met {
                let from = lab::station::node(PortId(n));
                let question = Arp {
                    operation: arp::Operation::Request,
                    sender_mac: address::mac(host),
                    sender: host,
                    target_mac: MacAddr::ZERO,
                    target: own,
                };
                let mut memory = vec![0; 10];
                memory.extend([0xff; 6]);
                memory.extend(address::mac(host).0);
                memory.extend([8, 6]);
                memory.extend(question.to_bytes());
                let mut frame = FrameMut::new(&mut memory, None).unwrap();
                let out = &mut Collected::default();
                match side {
                    Side::Leg(leg) => station.gateway().from_leg(leg, from, &mut frame, out, now),
                    Side::Uplink => station.gateway().from_uplink(&mut frame, out, now),
                };
            }
        }
        let fdb = Arc::new(Fdb::new(FdbConfig::default()));
        let mut bridge = Bridge::new(NetworkConfig::with(Some(gateway_mac())), fdb);
        for (n, port) in (0..).zip(ports) {
            bridge.set_port(PortId(n), port.clone());
        }
        Self { bridge, station, uplink, now }
    }

    fn uplink(&self) -> Option<PortId> {
        self.uplink.then_some(UPLINK)
    }

    fn foretell(&mut self, frame: &Frame, ingress: PortId, probe: &Probe) -> Facts {
        let bridge = Beside::of(&self.bridge);
        let (uplink, now) = (self.uplink(), self.now);
        let gateway = Some(&*self.station.gateway());
        Oracle { bridge, gateway, mac: gateway_mac(), uplink, now }.ask(
            frame,
            ingress,
            Inside::Packet(probe),
        )
    }

    /// The way a worker goes, and what it tells the tap.
    fn send(&mut self, bytes: &[u8], frame: &Frame, ingress: PortId) -> Facts {
        let now = self.now;
        let mut memory = [&[0; 10], bytes].concat();
        let source = self.bridge.entry(frame.src, None, ingress, now);
        let mut target = self.bridge.entry(frame.dst, None, ingress, now);
        let (mut learned, mut egress, mut new_dst) = (None, Vec::new(), None);
        let mut view = FrameMut::new(&mut memory, None).unwrap();
        let mut met = false;
        let handled = |handling| match handling {
            Handling::Drop(_) => Err(Outcome::Dropped(DropReason::Station)),
            other => Ok(other),
        };
        let handling = if Some(ingress) == self.uplink() {
            met = true;
            handled(self.station.on_uplink(&mut view, &mut Nowhere, now))
        } else {
            let mut path = Path::default();
            let decision = self.bridge.decide(frame, ingress, now, &mut path);
            egress.extend(path.exits());
            learned = Some(decision.learned);
            match decision.verdict {
                Verdict::Forward(to) => Err(Outcome::Forwarded(to)),
                Verdict::Flood => Err(Outcome::Flooded),
                Verdict::Members => Err(Outcome::Members),
                Verdict::Drop(reason) => Err(Outcome::Dropped(reason)),
                Verdict::Local => {
                    met = true;
                    let from = Arrival { port: ingress, leg: LAN };
                    handled(self.station.on_bridge(from, &mut view, &mut Nowhere, now))
                }
            }
        };
        let outcome = match handling {
            Err(outcome) => outcome,
            Ok(handling) => {
                let after = Facts::addresses(bytes, Some(view.bytes)).unwrap();
                match handling {
                    Handling::ToUplink => {
                        new_dst = after.2;
                        egress.extend(self.uplink().map(Facts::rewritten));
                    }
                    Handling::ToBridge(leg) => {
                        new_dst = after.2;
                        let dst = after.2.unwrap();
                        let after = Frame::new(dst, gateway_mac(), None, frame.packet_len);
                        target = self.bridge.entry_at(dst, leg, now);
                        let mut path = Path::default();
                        self.bridge.send(&after, leg, now, &mut path);
                        egress.extend(path.exits());
                    }
                    Handling::ToHost(_) | Handling::Consumed | Handling::Drop(_) => {}
                }
                match Some(ingress) == self.uplink() {
                    true => Outcome::Uplink(handling),
                    false => Outcome::Station(handling),
                }
            }
        };
        let note =
            self.station.note().filter(|_| met).and_then(|note| note.downcast_ref().copied());
        let (src, dst) = (frame.src, frame.dst);
        Facts {
            ingress,
            src,
            dst,
            learned,
            source,
            target,
            outcome,
            egress,
            note,
            new_dst,
            answer: None,
        }
    }

    /// So long that what was asked for by ARP has been given up, and can be asked for anew.
    fn pause(&mut self) {
        for _ in 0..6 {
            self.now = self.now + Duration::from_secs(1);
            let _ = self.station.tick(&mut Nowhere, self.now);
        }
    }
}

/// The frame a probe stands for.
fn bytes(probe: &Probe, src: MacAddr, dst: MacAddr) -> Vec<u8> {
    let (from, to) = (probe.src, probe.dst);
    let mut payload = vec![0u8; usize::from(probe.length) - 20];
    let ports = |payload: &mut [u8]| {
        payload[..2].copy_from_slice(&from.port.to_be_bytes());
        payload[2..4].copy_from_slice(&to.port.to_be_bytes());
    };
    match Protocol::of(probe.protocol) {
        Some(Protocol::Tcp) => {
            ports(&mut payload);
            (payload[12], payload[13]) = (0x50, probe.flags.0);
            tcp::fill_checksum(&mut payload, from.address, to.address);
        }
        Some(Protocol::Udp) => {
            ports(&mut payload);
            let length = u16::try_from(payload.len()).unwrap();
            payload[4..6].copy_from_slice(&length.to_be_bytes());
            udp::fill_checksum(&mut payload, from.address, to.address);
        }
        Some(Protocol::Icmp) => {
            let request = to.port == 0;
            payload[0] = if request { 8 } else { 0 };
            let id = if request { from.port } else { to.port };
            payload[4..6].copy_from_slice(&id.to_be_bytes());
            wire::icmp::fill_checksum(&mut payload);
        }
        None => {}
    }
    let mut header = [0u8; ipv4::HEADER_LEN];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&probe.length.to_be_bytes());
    header[6] = if probe.dont_fragment { 0x40 } else { 0 };
    (header[8], header[9]) = (probe.ttl, probe.protocol.0);
    header[12..16].copy_from_slice(&from.address.octets());
    header[16..20].copy_from_slice(&to.address.octets());
    let sum = wire::checksum::checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&dst.0[..], &src.0, &[8, 0], &header, &payload].concat()
}

prop_compose! {
    fn settings()(
        (up, learning, hairpin, flood) in (
            proptest::bool::weighted(0.9), proptest::bool::weighted(0.9), any::<bool>(),
            proptest::bool::weighted(0.9),
        ),
        isolation in proptest::option::weighted(0.2, 0u8..2),
        learn_limit in proptest::sample::select(vec![0, 1, 2, 100, 100]),
        mtu in proptest::sample::select(vec![1500, 1500, 90]),
    ) -> PortState {
        let settings = PortSettings {
            learning, hairpin, flood, isolation, learn_limit, ..PortSettings::default()
        };
        PortState { up, ..PortState::up(settings, mtu) }
    }
}

/// Who sends, to whom, in a frame for whom.
#[derive(Clone, Debug)]
struct Shot {
    ingress: u16,
    dst: MacAddr,
    probe: Probe,
}

prop_compose! {
    fn shots()(
        ingress in 0..=NODES,
        to in prop_oneof![
            (0..NODES + 1).prop_map(node),
            proptest::sample::select(vec![
                address::GATEWAY, OUTSIDE, ROUTER, address::SIM_HOSTS[0],
                Ipv4Addr::new(10, 100, 255, 255), Ipv4Addr::new(240, 0, 0, 1),
            ]),
        ],
        // To the gateway as a rule; else to a node, or to one that nobody is.
        near in prop_oneof![3 => Just(None), 1 => (0..NODES + 1).prop_map(Some)],
        protocol in proptest::sample::select(vec![1u8, 6, 17, 2, 4, 47, 51, 132, 253]),
        ports in (4000u16..4004, 4000u16..4004),
        flags in proptest::sample::select(vec![2u8, 2, 2, 16, 18, 4]),
        length in proptest::sample::select(vec![84u16, 84, 1400]),
        ttl in proptest::sample::select(vec![64u8, 64, 64, 1]),
        reply in proptest::bool::weighted(0.2),
    ) -> Shot {
        let from = if ingress == NODES { address::SIM_HOSTS[0] } else { node(ingress) };
        let protocol = IpProtocol(protocol);
        let ports = match (Protocol::of(protocol), reply) {
            (Some(Protocol::Icmp), true) => (0, ports.1),
            (Some(Protocol::Icmp), false) => (ports.0, 0),
            (None, _) => (0, 0),
            _ => ports,
        };
        let side = if ingress == NODES { Side::Uplink } else { Side::LAN };
        let dst = match near {
            _ if ingress == NODES => address::mac(OUTSIDE),
            None => gateway_mac(),
            Some(n) => address::mac(node(n)),
        };
        let probe = Probe {
            side, protocol, length, ttl,
            src: Endpoint::new(from, ports.0),
            dst: Endpoint::new(to, ports.1),
            flags: tcp::Flags(flags),
            dont_fragment: true,
        };
        Shot { ingress, dst, probe }
    }
}

proptest! {
    #[test]
    fn what_is_foretold_is_what_then_happens(
        ports in proptest::collection::vec(settings(), usize::from(NODES)),
        kind in proptest::sample::select(NatType::ALL.to_vec()),
        uplink in proptest::bool::weighted(0.8),
        met in proptest::collection::vec(proptest::bool::weighted(0.8), usize::from(NODES) + 1),
        shots in proptest::collection::vec(shots(), 1..40),
    ) {
        let mut world = World::new(&ports, kind, uplink, &met);
        let names = Names::invented(NODES, UPLINK);
        for shot in shots.iter().filter(|shot| uplink || shot.ingress != NODES) {
            let ingress = PortId(shot.ingress);
            let src = match shot.ingress {
                NODES => address::mac(ROUTER),
                n => address::mac(node(n)),
            };
            let packet_len = u32::from(shot.probe.length);
            let frame = Frame::new(shot.dst, src, None, packet_len);
            let before = (world.bridge.fdb().snapshot(world.now), world.station.gateway().counters());
            let foretold = world.foretell(&frame, ingress, &shot.probe);
            let after = (world.bridge.fdb().snapshot(world.now), world.station.gateway().counters());
            prop_assert_eq!(before, after, "asking left a trace");
            let happened = world.send(&bytes(&shot.probe, src, shot.dst), &frame, ingress);
            prop_assert_eq!(foretold.verdict(), happened.verdict(), "{:?}", shot);
            prop_assert_eq!(foretold.steps(&names), happened.steps(&names), "{:?}", shot);
            prop_assert_eq!(&foretold.egress, &happened.egress, "{:?}", shot);
            prop_assert_eq!(foretold, happened, "{:?}", shot);
            world.pause();
        }
    }
}

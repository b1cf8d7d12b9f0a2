//! A tunnel's datagrams that wait together leave as one frame: each counted for itself, each whole
//! at the other side's socket, none out of its turn.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rig::frames::{Kind, ethernet, mac, offloaded, plain};
use rig::{Got, Rig, eventually, ip, on_a_rig, sent};
use uswitch_switch::{
    Arrival, Config, Handling, NetworkConfig, Outlet, PortId, Refusal, SharedStation, Station,
    Switch,
};
use wire::{FrameMut, GsoType, MacAddr, Timestamp, VnetHeader, checksum, offload};

const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
/// Outer Ethernet, IPv4, UDP; behind them VXLAN's own, and the frame in the tunnel.
const OUTER: usize = 42;
const VXLAN: usize = 8;
/// As many as a stack cuts a segment of 64 KiB into.
const DATAGRAMS: usize = 45;

/// Keeps what it is given. Whoever holds its lock holds up the worker.
struct Silent;

impl Station for Silent {
    fn mac(&self) -> MacAddr {
        STATION
    }

    fn on_bridge(
        &mut self,
        _: Arrival,
        _: &mut FrameMut<'_>,
        _: &mut dyn Outlet,
        _: Timestamp,
    ) -> Handling {
        Handling::Consumed
    }

    fn on_uplink(&mut self, _: &mut FrameMut<'_>, _: &mut dyn Outlet, _: Timestamp) -> Handling {
        Handling::Consumed
    }

    fn tick(&mut self, _: &mut dyn Outlet, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// Datagram `n` of a tunnel from node 0 to node 1, with a partial TCP checksum inside.
fn datagram(n: usize) -> (VnetHeader, Vec<u8>) {
    let payload = if n + 1 == DATAGRAMS { 500 } else { 1_000 };
    let (mut vnet, mut inner) = offloaded(1, 2, Kind::TcpV4, payload, 0, None);
    let last = inner.len() - 1;
    inner[last] = u8::try_from(n).unwrap();
    let length = u16::try_from(8 + VXLAN + inner.len()).unwrap();
    let mut frame = ethernet(mac(1), mac(2), 0x0800);
    frame.extend([0x45, 0]);
    frame.extend((length + 20).to_be_bytes());
    frame.extend(u16::try_from(n).unwrap().to_be_bytes());
    frame.extend([0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let sum = checksum::checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend([0xc0, 1, 0x12, 0xb5]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 8, 0, 0, 0, 0, 0, 5, 0]);
    vnet.csum_start += u16::try_from(OUTER + VXLAN).unwrap();
    frame.extend(inner);
    (vnet, frame)
}

/// What such a datagram carries once its checksum is made.
fn carried(n: usize) -> Vec<u8> {
    let (mut vnet, mut frame) = datagram(n);
    let end = frame.len();
    offload::complete_checksum(&mut vnet, &mut frame, end);
    frame.split_off(OUTER)
}

/// A switch whose worker waits while the other half is locked. Both nodes are known.
fn held_up(rig: &mut Rig) -> (Switch, Arc<Mutex<Silent>>) {
    let station = Arc::new(Mutex::new(Silent));
    let shared: SharedStation = station.clone();
    let network = NetworkConfig { local: Some(STATION), ..NetworkConfig::default() };
    let config = Config { network, ..Config::default() };
    let switch = rig.switch(config, Some(shared));
    rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
    rig.nodes[0].receive();
    (switch, station)
}

/// Sends all datagrams while the worker waits, so that it finds them together.
fn burst(rig: &mut Rig, station: &Mutex<Silent>) {
    let locked = station.lock().unwrap();
    rig.nodes[0].send(&plain(1, STATION, 0, 60));
    for n in 0..DATAGRAMS {
        let (vnet, frame) = datagram(n);
        rig.nodes[0].send_with(vnet, None, &frame);
    }
    drop(locked);
}

/// What a frame carries, a datagram each.
fn apart(got: &Got) -> Vec<Vec<u8>> {
    let carried = &got.bytes[OUTER..];
    match got.vnet.gso() {
        GsoType::UdpL4 => {
            assert_eq!((got.vnet.csum_start, got.vnet.csum_offset), (34, 6));
            carried.chunks(got.vnet.gso_size.into()).map(<[u8]>::to_vec).collect()
        }
        _ => {
            let (mut vnet, mut frame) = (got.vnet, got.bytes.clone());
            let end = frame.len();
            offload::complete_checksum(&mut vnet, &mut frame, end);
            vec![frame.split_off(OUTER)]
        }
    }
}

#[test]
fn what_waits_together_leaves_together_and_is_counted_apart() {
    on_a_rig(2, |rig| {
        let (switch, station) = held_up(rig);
        let all: Vec<_> = (0..DATAGRAMS).map(carried).collect();
        let mut bursts = 0;
        // On a loaded machine the kernel may be late with some of them: then again.
        eventually("one frame for all", || {
            burst(rig, &station);
            bursts += 1;
            let (mut came, mut frames) = (Vec::new(), 0);
            while came.len() < DATAGRAMS {
                came.extend(apart(&rig.nodes[1].receive()));
                frames += 1;
            }
            assert!(came == all, "what came is not what was sent");
            frames == 1
        });
        eventually("each is counted", || {
            sent(&switch, PortId(1)) == (DATAGRAMS as u64 * bursts, 0)
        });
        let bytes: usize = (0..DATAGRAMS).map(|n| datagram(n).1.len()).sum();
        assert_eq!(switch.ports()[1].stats.tx_bytes, bytes as u64 * bursts);
    });
}

/// Of two flows in turn each has a frame of its own; a frame of another kind is overtaken by none.
#[test]
fn flows_that_mix_leave_apart_and_nothing_overtakes_the_rest() {
    on_a_rig(2, |rig| {
        let (_switch, station) = held_up(rig);
        let of_flow = |flow: u8, n: usize| {
            let (vnet, mut frame) = datagram(n);
            frame[35] = flow;
            (vnet, frame)
        };
        let expected: Vec<Vec<Vec<u8>>> =
            [0..10, 0..10, 10..20, 10..20].map(|numbers| numbers.map(carried).collect()).into();
        eventually("two frames, the other kind, two frames", || {
            let locked = station.lock().unwrap();
            rig.nodes[0].send(&plain(1, STATION, 0, 60));
            for n in 0..20 {
                if n == 10 {
                    rig.nodes[0].send(&plain(1, mac(2), 7, 60));
                }
                for flow in [1, 2] {
                    let (vnet, frame) = of_flow(flow, n);
                    rig.nodes[0].send_with(vnet, None, &frame);
                }
            }
            drop(locked);
            let (mut frames, mut datagrams) = (Vec::new(), 0);
            while datagrams < 40 || frames.len() < 5 {
                let got = rig.nodes[1].receive();
                let is_plain = got.bytes[12..14] != [8, 0];
                frames.push(if is_plain { Vec::new() } else { apart(&got) });
                datagrams += frames.last().unwrap().len();
            }
            let kind = frames.iter().position(Vec::is_empty).unwrap();
            let before: usize = frames[..kind].iter().map(Vec::len).sum();
            assert_eq!((before, datagrams), (20, 40), "something overtook");
            frames.remove(kind);
            frames == expected
        });
    });
}

/// The kernel takes it apart, checks the sums, and has a datagram for each.
#[test]
fn a_socket_gets_each_datagram() {
    on_a_rig(2, |rig| {
        let (_switch, station) = held_up(rig);
        let socket = rig.nodes[1].inside(|| {
            ip("link set p1 address 02:00:00:00:00:02\naddr add 10.0.0.2/24 dev p1\n");
            UdpSocket::bind("10.0.0.2:4789").unwrap()
        });
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for _ in 0..3 {
            burst(rig, &station);
            for n in 0..DATAGRAMS {
                let mut bytes = [0; 2_000];
                let length = socket.recv(&mut bytes).unwrap();
                // One that left alone has its sum still to be made.
                let alone = &datagram(n).1[OUTER..];
                let got = &bytes[..length];
                assert!(got == carried(n) || got == alone, "datagram {n}");
            }
        }
        let snmp = rig.nodes[1].inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
        let snmp = snmp.unwrap();
        let line = snmp.lines().rfind(|line| line.starts_with("Udp: ")).unwrap();
        let numbers: Vec<_> = line.split(' ').collect();
        assert_eq!((numbers[3], numbers[7]), ("0", "0"), "InErrors, InCsumErrors: {snmp}");
    });
}

#[test]
fn a_refused_bundle_is_so_many_frames_that_were_not_sent() {
    on_a_rig(2, |rig| {
        let (switch, station) = held_up(rig);
        ip("link set v1 down\n");
        burst(rig, &station);
        eventually("each is an error", || sent(&switch, PortId(1)) == (0, DATAGRAMS as u64));
        assert_eq!(switch.ports()[1].stats.tx_bytes, 0);
        let refused = switch.counters().refused;
        assert_eq!(refused[Refusal::LinkDown.index()], DATAGRAMS as u64, "{refused:?}");
    });
}

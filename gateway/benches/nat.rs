//! What the translator costs a packet: look-ups at several sizes, expiry, a frame each way.
//!
//! `cargo bench -p uswitch-gateway`. Names are `action/family/param`; tables and frames are made
//! outside the timed part, and look-ups go in an order that no cache foresees.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // a benchmark may fail aloud

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway::{
    Collected, Config, Cursor, Gateway, LegConfig, LegId, Limits, NatConfig, NatType, Node, Side,
    Verdict,
};
use wire::checksum::{Delta, checksum};
use wire::{Arp, FrameMut, MacAddr, Timestamp, VnetHeader, arp, vnet};

const LAN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const UPLINK: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

/// Frames that take turns.
const PACKETS: u32 = 1 << 16;

/// The n-th flow: 4096 hosts, a remote for every 32,768 flows.
fn flow(n: u32) -> (Ipv4Addr, u16, Ipv4Addr, u16) {
    let inside = Ipv4Addr::from(0x0a64_0002 + n % 4096);
    (inside, 1024 + (n / 4096) as u16, Ipv4Addr::from(0x0808_0000 + n / 32_768), 53)
}

fn udp(from: MacAddr, to: MacAddr, f: (Ipv4Addr, u16, Ipv4Addr, u16)) -> Vec<u8> {
    let mut memory = vec![0; vnet::LEN];
    etherparse::PacketBuilder::ethernet2(from.0, to.0)
        .ipv4(f.0.octets(), f.2.octets(), 64)
        .udp(f.1, f.3)
        .write(&mut memory, &[0; 18])
        .unwrap();
    memory
}

fn meet(gateway: &mut Gateway, side: Side, sender: Ipv4Addr, target: Ipv4Addr) {
    let arp = Arp {
        operation: arp::Operation::Request,
        sender_mac: HOST,
        sender,
        target_mac: MacAddr::ZERO,
        target,
    };
    let mut memory = [&[0; vnet::LEN], &MacAddr::BROADCAST.0[..], &HOST.0, &[8, 6]].concat();
    memory.extend(arp.to_bytes());
    put(gateway, side, &mut memory);
}

fn put(gateway: &mut Gateway, side: Side, memory: &mut [u8]) -> Verdict {
    let mut frame = FrameMut::new(memory, None).unwrap();
    let mut out = Collected::default();
    match side {
        Side::Leg(leg) => {
            gateway.from_leg(leg, Node::NOBODY, &mut frame, &mut out, Timestamp::ZERO)
        }
        Side::Uplink => gateway.from_uplink(&mut frame, &mut out, Timestamp::ZERO),
    }
}

/// A gateway with so many UDP sessions.
fn filled(sessions: u32) -> Gateway {
    let mut config = Config::simulated(LAN, UPLINK);
    config.nat = NatConfig { kind: NatType::Symmetric, ..NatConfig::default() };
    config.limits = Limits {
        sessions: sessions + sessions / 1000 + 2,
        neighbours: 10_000,
        ..Limits::default()
    };
    let mut gateway = Gateway::new(config, 7).unwrap();
    meet(&mut gateway, Side::Uplink, Ipv4Addr::new(203, 0, 113, 1), OUTSIDE);
    for host in 0..4096 {
        meet(&mut gateway, Side::LAN, flow(host).0, Ipv4Addr::new(10, 100, 0, 1));
    }
    for n in 0..sessions {
        let verdict = put(&mut gateway, Side::LAN, &mut udp(HOST, LAN, flow(n)));
        assert_eq!(verdict, Verdict::Uplink, "session {n}");
    }
    gateway
}

/// A walk over all flows in an order no prefetcher knows (a full-period generator).
fn scattered(n: u32, size: u32) -> u32 {
    (u64::from(n) * 2_654_435_761 % u64::from(size)) as u32
}

/// Each look-up overlaps with the next, as far as the processor sees through: as in a batch of
/// frames, but with nothing between.
fn lookups(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_millis(500)).sample_size(20);
    for size in [1000u32, 65_000, 1_000_000] {
        let gateway = filled(size);
        let keys: Vec<_> = (0..size)
            .map(|n| {
                let f = flow(scattered(n, size));
                (gateway::Endpoint::new(f.0, f.1), gateway::Endpoint::new(f.2, f.3))
            })
            .collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("out", size), |b| {
            b.iter(|| {
                at = if at + 1 == keys.len() { 0 } else { at + 1 };
                let (inside, remote) = keys[at];
                let found =
                    gateway.has_session(gateway::Protocol::Udp, inside, remote, Timestamp::ZERO);
                assert!(black_box(found));
            });
        });
        let all = all_sessions(&gateway);
        let keys: Vec<_> = (0..size)
            .map(|n| {
                let s = &all[scattered(n, size) as usize];
                (s.outside_port, s.remote)
            })
            .collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("in", size), |b| {
            b.iter(|| {
                at = if at + 1 == keys.len() { 0 } else { at + 1 };
                let (port, remote) = keys[at];
                let found =
                    gateway.has_session_at(gateway::Protocol::Udp, port, remote, Timestamp::ZERO);
                assert!(black_box(found));
            });
        });
    }
    group.finish();
}

fn all_sessions(gateway: &Gateway) -> Vec<gateway::SessionView> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(from) = cursor {
        let (some, next) = gateway.sessions(from, 4096, Timestamp::ZERO);
        all.extend(some);
        cursor = next;
    }
    all
}

/// The same frames of 256 hosts, all in one network or each in its own.
fn legs(c: &mut Criterion) {
    let mut group = c.benchmark_group("legs/udp60");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_millis(500)).sample_size(20);
    for count in [1u16, 256] {
        let mut config = Config::simulated(LAN, UPLINK);
        let prefix_len = if count == 1 { 8 } else { 24 };
        let leg = |n: u16| (LegId(n), LegConfig::new(LAN, own(n), prefix_len));
        config.legs = (0..count).map(leg).collect();
        let mut gateway = Gateway::new(config, 7).unwrap();
        meet(&mut gateway, Side::Uplink, Ipv4Addr::new(203, 0, 113, 1), OUTSIDE);
        let side = |n: u16| Side::Leg(LegId(n % count));
        let host = |n: u16| Ipv4Addr::from(u32::from(own(n)) + 1);
        let mut flows = Vec::new();
        for n in 0..256 {
            meet(&mut gateway, side(n), host(n), own(n % count));
            for port in 0..16 {
                let flow = (host(n), 1024 + port, Ipv4Addr::new(8, 8, 8, 8), 53);
                let verdict = put(&mut gateway, side(n), &mut udp(HOST, LAN, flow));
                assert_eq!(verdict, Verdict::Uplink);
                flows.push((side(n), udp(HOST, LAN, flow)));
            }
        }
        let size = flows.len() as u32;
        let scattered: Vec<_> =
            (0..size).map(|n| flows[scattered(n, size) as usize].clone()).collect();
        let mut memory = flows[0].1.clone();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("out", count), |b| {
            b.iter(|| {
                at = (at + 1) % scattered.len();
                let (side, template) = &scattered[at];
                memory.copy_from_slice(template);
                assert_eq!(put(&mut gateway, *side, &mut memory), Verdict::Uplink);
            });
        });
        let all = all_sessions(&gateway);
        let replies: Vec<_> = (0..size)
            .map(|n| &all[self::scattered(n, size) as usize])
            .map(|s| udp(HOST, UPLINK, (s.remote.address, s.remote.port, OUTSIDE, s.outside_port)))
            .collect();
        group.bench_function(BenchmarkId::new("in", count), |b| {
            b.iter(|| {
                at = (at + 1) % replies.len();
                memory.copy_from_slice(&replies[at]);
                let verdict = put(&mut gateway, Side::Uplink, &mut memory);
                assert!(matches!(verdict, Verdict::Leg(_)));
            });
        });
    }
    group.finish();
}

/// The gateway's address in the n-th network.
fn own(n: u16) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 | u32::from(n) << 16)
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame/udp60");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(2));
    group.warm_up_time(Duration::from_millis(500)).sample_size(20);
    for size in [1u32, 65_000, 1_000_000] {
        let mut gateway = filled(size);
        let template: Vec<_> =
            (0..size.min(PACKETS)).map(|n| udp(HOST, LAN, flow(scattered(n, size)))).collect();
        let mut memory = template[0].clone();
        let mut at = 0;
        group.bench_function(format!("out/{size}"), |b| {
            b.iter(|| {
                at = if at + 1 == template.len() { 0 } else { at + 1 };
                memory.copy_from_slice(&template[at]);
                assert_eq!(put(&mut gateway, Side::LAN, &mut memory), Verdict::Uplink);
            });
        });
        let all = all_sessions(&gateway);
        let replies: Vec<_> = (0..size.min(PACKETS))
            .map(|n| &all[scattered(n, size) as usize])
            .map(|s| udp(HOST, UPLINK, (s.remote.address, s.remote.port, OUTSIDE, s.outside_port)))
            .collect();
        let mut at = 0;
        group.bench_function(format!("in/{size}"), |b| {
            b.iter(|| {
                at = if at + 1 == replies.len() { 0 } else { at + 1 };
                memory.copy_from_slice(&replies[at]);
                assert_eq!(put(&mut gateway, Side::Uplink, &mut memory), Verdict::LAN);
            });
        });
    }
    group.finish();
}

fn sessions(c: &mut Criterion) {
    let mut group = c.benchmark_group("open/session");
    group.throughput(Throughput::Elements(10_000)).sample_size(10);
    let frames: Vec<_> = (0..10_000).map(|n| udp(HOST, LAN, flow(n))).collect();
    group.bench_function("10000", |b| {
        b.iter_batched(
            || (filled(0), frames.clone()),
            |(mut gateway, mut frames)| {
                for frame in &mut frames {
                    put(&mut gateway, Side::LAN, frame);
                }
                gateway
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let mut group = c.benchmark_group("tick");
    group.sample_size(10);
    for size in [1000u32, 65_000, 1_000_000] {
        let mut gateway = filled(size);
        let now = Timestamp::ZERO + Duration::from_secs(10);
        group.bench_function(format!("nothing-expired/{size}"), |b| {
            b.iter(|| black_box(gateway.tick(&mut Collected::default(), now)));
        });
    }
    group.finish();
}

fn checksums(c: &mut Criterion) {
    let bytes = vec![7u8; 1460];
    c.bench_function("checksum/update/address", |b| {
        let (old, new) = (Ipv4Addr::new(10, 100, 0, 10), OUTSIDE);
        b.iter(|| Delta::NONE.address(black_box(old), black_box(new)).apply(black_box(0x1234)));
    });
    c.bench_function("checksum/compute/1460", |b| b.iter(|| checksum(black_box(&bytes))));
    let header = VnetHeader::default();
    c.bench_function("vnet/read/10", |b| {
        let bytes = header.to_bytes();
        b.iter(|| VnetHeader::from_bytes(black_box(bytes)));
    });
}

criterion_group!(benches, lookups, frames, legs, sessions, checksums);
criterion_main!(benches);

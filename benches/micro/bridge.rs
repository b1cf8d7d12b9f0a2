//! The switch's decision, from the frame's bytes to the verdict, and the table under churn.
//!
//! Hit: both addresses known; filtered: in a network that tells VLANs apart. Miss: the source known, the destination not (a flood). Flood: a
//! broadcast. The time of a decision includes the parse and the learning of the source.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use rand::prelude::*;
use switch::core::{Bridge, Frame, NetworkConfig, NetworkId, Path, PortState, Scope, VlanFilter};
use switch::{Fdb, FdbConfig, PortId, PortSettings};
use wire::{Ethernet, MacAddr, Timestamp, VlanId};

const PORTS: u16 = 8;
const SIZES: [u64; 3] = [10, 1_000, 64_000];
/// Headers gone through, in turn; a power of two.
const HEADERS: usize = 1 << 16;
const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

/// The n-th host's address: locally administered, spread as random ones are.
fn host(n: u64) -> MacAddr {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    MacAddr::from_u64((mixed & 0x00ff_ffff_ffff) | 0x0200_0000_0000)
}

fn home(n: u64) -> PortId {
    PortId((n % u64::from(PORTS)) as u16)
}

/// A bridge that knows `hosts` addresses, in VLAN 1 where it filters.
fn bridge(hosts: u64, vlans: Option<VlanFilter>) -> Bridge {
    let vlan = if vlans.is_some() { VlanId::from_tci(1) } else { VlanId::NONE };
    let config = NetworkConfig { vlans, ..NetworkConfig::default() };
    let mut bridge = Bridge::new(config, Arc::new(Fdb::new(Default::default())));
    for port in 0..PORTS {
        bridge.set_port(PortId(port), PortState::up(PortSettings::default(), 1500));
    }
    let scope = bridge.fdb().scope(NetworkId::FIRST, vlan).unwrap();
    for n in 0..hosts {
        bridge.fdb().learn(host(n), scope, home(n), u32::MAX, NOW);
    }
    bridge
}

/// Headers from known hosts to what `to` chooses, with the port each comes in by.
fn headers(hosts: u64, to: impl Fn(&mut StdRng, u64) -> MacAddr) -> Vec<([u8; 14], PortId)> {
    let mut random = StdRng::seed_from_u64(7);
    (0..HEADERS)
        .map(|_| {
            let from = random.random_range(0..hosts);
            let mut bytes = [0; 14];
            bytes[..6].copy_from_slice(&to(&mut random, from).0);
            bytes[6..12].copy_from_slice(&host(from).0);
            bytes[12] = 8;
            (bytes, home(from))
        })
        .collect()
}

pub fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    for hosts in SIZES {
        let other = move |random: &mut StdRng, from: u64| {
            // Another port than the sender's, so that the verdict is to forward.
            let mut to = random.random_range(0..hosts);
            while home(to) == home(from) {
                to = random.random_range(0..hosts);
            }
            host(to)
        };
        let unknown = move |random: &mut StdRng, _| host(random.random_range(1 << 40..1 << 41));
        let filter = Some(VlanFilter::default());
        let kinds = [
            ("hit", None, headers(hosts, other)),
            ("hit_filtered", filter, headers(hosts, other)),
            ("miss", None, headers(hosts, unknown)),
            ("flood", None, headers(hosts, |_, _| MacAddr([0xff; 6]))),
        ];
        for (kind, filter, headers) in kinds {
            let bridge = bridge(hosts, filter);
            let (mut next, mut path) = (0, Path::roomy());
            group.bench_function(BenchmarkId::new(kind, hosts), |b| {
                b.iter(|| {
                    let (bytes, ingress) = &headers[next % HEADERS];
                    next += 1;
                    let header = Ethernet::parse(black_box(bytes)).unwrap();
                    let frame = Frame::new(header.dst(), header.src(), None, 46);
                    bridge.decide(&frame, *ingress, NOW, &mut path)
                });
            });
        }
    }
    group.finish();
}

/// Learning: addresses that move, an empty table filled, new ones when it is full; and ageing.
pub fn churn(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    for hosts in SIZES {
        group.throughput(Throughput::Elements(1));
        let known = bridge(hosts, None);
        let mut n = 0;
        group.bench_function(BenchmarkId::new("move", hosts), |b| {
            b.iter(|| {
                n += 1;
                let port = home(n + n / hosts);
                known.fdb().learn(host(n % hosts), Scope::default(), port, u32::MAX, NOW)
            });
        });
        group.throughput(Throughput::Elements(hosts));
        let refill = || {
            known.fdb().flush(None);
        };
        group.bench_function(BenchmarkId::new("learn", hosts), |b| {
            b.iter_batched(
                refill,
                |()| {
                    for n in 0..hosts {
                        known.fdb().learn(host(n), Scope::default(), home(n), u32::MAX, NOW);
                    }
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("expire_none", hosts), |b| {
            b.iter(|| known.fdb().expire(black_box(NOW)));
        });
    }
    group.throughput(Throughput::Elements(1));
    let capacity = FdbConfig::default().max_entries as u64;
    let full = bridge(capacity, None);
    let mut n = capacity;
    group.bench_function(BenchmarkId::new("evict", capacity), |b| {
        b.iter(|| {
            n += 1;
            full.fdb().learn(host(n), Scope::default(), home(n), u32::MAX, NOW)
        });
    });
    group.finish();
}

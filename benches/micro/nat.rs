//! A UDP packet through the whole gateway: parsed, its session found, addresses, ports, TTL and
//! checksums rewritten, the next hop looked up. With tables of three sizes; the packets come in an
//! order that no cache can guess. Includes copying the 60-byte frame into its slot.

use std::net::Ipv4Addr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use gateway::{Collected, Config, Gateway, Limits, Verdict};
use rand::prelude::*;
use wire::{FrameMut, MacAddr, Timestamp, checksum, vnet};

const LAN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const UPLINK: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);
const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);
/// Remote endpoints that each inside one talks to.
const REMOTES: u32 = 32;
const SLOT: usize = vnet::LEN + 60;
/// Packets gone through, in turn; a power of two.
const PACKETS: usize = 1 << 14;

pub fn translate(c: &mut Criterion) {
    let mut group = c.benchmark_group("nat");
    group.throughput(Throughput::Elements(1));
    group.sample_size(30).measurement_time(Duration::from_secs(3));
    for sessions in [1_000u32, 65_000, 1_000_000] {
        let mut gateway = gateway(sessions);
        let mut out = Collected::default();
        for n in 0..sessions {
            let mut slot = packet(n);
            let mut frame = FrameMut::new(&mut slot, None).unwrap();
            let verdict = gateway.from_lan(&mut frame, &mut out, NOW);
            assert_eq!(verdict, Verdict::Uplink, "session {n} of {sessions}");
        }
        let mut random = StdRng::seed_from_u64(7);
        let packets: Vec<_> =
            (0..PACKETS).map(|_| packet(random.random_range(0..sessions))).collect();
        let mut next = 0;
        group.bench_function(BenchmarkId::new("out", sessions), |b| {
            b.iter(|| {
                let mut slot = packets[next % PACKETS];
                next += 1;
                let mut frame = FrameMut::new(&mut slot, None).unwrap();
                gateway.from_lan(&mut frame, &mut out, NOW)
            });
        });
    }
    group.finish();
}

/// A gateway that knows its router.
fn gateway(sessions: u32) -> Gateway {
    let limits = Limits { sessions: 2 * sessions.next_power_of_two(), ..Limits::default() };
    let config = Config { limits, ..Config::simulated(LAN, UPLINK) };
    let mut gateway = Gateway::new(config, 7).unwrap();
    let mut reply = [0; SLOT];
    let frame = &mut reply[vnet::LEN..];
    frame[..6].copy_from_slice(&UPLINK.0);
    frame[6..12].copy_from_slice(&ROUTER.0);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    frame[22..28].copy_from_slice(&ROUTER.0);
    frame[28..32].copy_from_slice(&[203, 0, 113, 1]);
    frame[32..38].copy_from_slice(&UPLINK.0);
    frame[38..42].copy_from_slice(&[203, 0, 113, 2]);
    let mut out = Collected::default();
    // An answer is believed once the question has been asked, which the first packet does.
    let mut first = packet(0);
    gateway.from_lan(&mut FrameMut::new(&mut first, None).unwrap(), &mut out, NOW);
    gateway.from_uplink(&mut FrameMut::new(&mut reply, None).unwrap(), &mut out, NOW);
    gateway
}

/// The packet of session `n`: an inside endpoint has `REMOTES` of them.
fn packet(n: u32) -> [u8; SLOT] {
    let (endpoint, remote) = (n / REMOTES, n % REMOTES);
    let source = Ipv4Addr::new(10, 100, 1, 1 + (endpoint % 64) as u8);
    let target = Ipv4Addr::new(198, 51, 100, 1 + remote as u8);
    let mut slot = [0; SLOT];
    let frame = &mut slot[vnet::LEN..];
    frame[..6].copy_from_slice(&LAN.0);
    frame[6..12].copy_from_slice(&[2, 1, 0, 0, 0, 1 + (endpoint % 64) as u8]);
    frame[12..14].copy_from_slice(&[8, 0]);
    let (ip, udp) = frame[14..].split_at_mut(20);
    ip[..4].copy_from_slice(&[0x45, 0, 0, 46]);
    ip[6] = 0x40;
    ip[8..10].copy_from_slice(&[64, 17]);
    ip[12..16].copy_from_slice(&source.octets());
    ip[16..20].copy_from_slice(&target.octets());
    let sum = checksum::checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    udp[..2].copy_from_slice(&(1024 + (endpoint / 64) as u16).to_be_bytes());
    udp[2..6].copy_from_slice(&[0, 53, 0, 26]);
    let sum = checksum::pseudo_header(source, target, 17, 26) + checksum::sum(udp);
    udp[6..8].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    slot
}

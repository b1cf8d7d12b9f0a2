//! A checksum changed for a new address and port (RFC 1624), beside summing the packet again.

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BenchmarkId, Criterion, Throughput};
use wire::checksum::{Delta, checksum};

pub fn update(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    let (inside, outside) = (Ipv4Addr::new(10, 100, 0, 10), Ipv4Addr::new(203, 0, 113, 2));
    group.bench_function("update/address+port", |b| {
        b.iter(|| {
            let delta =
                Delta::NONE.address(black_box(inside), outside).word(black_box(40000), 1024);
            delta.apply(black_box(0x1234))
        });
    });
    for length in [20, 64, 1460, 65_160] {
        let packet: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("whole", length), |b| {
            b.iter(|| checksum(black_box(&packet)));
        });
    }
    group.finish();
}

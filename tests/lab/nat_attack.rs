//! Under attack in a real lab: one node floods and scans, the outside scans, and another node's
//! transfer goes on, its new connections succeed, and the process does not grow without bound.
//!
//! The figures of each table by itself are in the gateway's own tests; here it is the whole path.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Sandbox, Wire, both_ways, in_netns, rooted, sum};
use crate::{READY, netns};

/// 02:00 and the address, as the lab gives them.
const GATEWAY: [u8; 6] = [2, 0, 10, 100, 0, 1];
const UPLINK: [u8; 6] = [2, 0, 203, 0, 113, 2];
/// What three full tables of sessions and everything else may take.
const BOUND_KIB: u64 = 160 * 1024;

/// An IPv4 frame; `payload` is what follows the header.
fn packet(
    (dst, src): ([u8; 6], [u8; 6]),
    (from, to): ([u8; 4], [u8; 4]),
    (protocol, id, fragment): (u8, u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
    header.extend([id.to_be_bytes(), fragment.to_be_bytes()].concat());
    header.extend([64, protocol, 0, 0]);
    header.extend([from, to].concat());
    let check = (!sum(&[&header])).to_be_bytes();
    header[10..12].copy_from_slice(&check);
    [&dst[..], &src, &[8, 0], &header, payload].concat()
}

fn ports(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

/// A SYN without a sum: a router does not look at it.
fn syn(from: u16, to: u16) -> Vec<u8> {
    [&ports(from, to)[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 255, 255, 0, 0, 0, 0]].concat()
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [&ports(from, to)[..], &[0, 9, 0, 0, 7]].concat()
}

/// All that one node can think of: SYNs, datagrams and pings to everywhere, fragments without a
/// first, forged errors, claims to others' addresses, strangers' sources.
fn node_attacks(wire: &mut Wire, stop: &AtomicBool) -> u64 {
    let (mac, me) = (wire.mac, [10, 100, 0, 10]);
    let mut sent = 0;
    for n in 0..u32::MAX {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let to = (0x0900_0000 + n / 60_000).to_be_bytes();
        let port = 1024 + u16::try_from(n % 60_000).unwrap();
        let id = u16::try_from(n % 65_536).unwrap();
        let ends = ((GATEWAY, mac), (me, to));
        let echo = [&[8, 0, 0, 0][..], &port.to_be_bytes(), &[0, 1]].concat();
        let error = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &[0x45; 28]].concat();
        let victim = [10, 100, 0, 20];
        let claim = [
            &[0xff; 6][..],
            &mac,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
            &mac,
            &victim,
            &[0; 6],
            &[10, 100, 0, 1],
        ];
        for frame in [
            packet(ends.0, ends.1, (6, 7, 0x4000), &syn(port, 80)),
            packet(ends.0, ends.1, (17, 7, 0x4000), &udp(port, 53)),
            packet(ends.0, ends.1, (1, 7, 0x4000), &echo),
            packet(ends.0, ends.1, (17, id, 185), &[0; 600]),
            packet(ends.0, ends.1, (1, 7, 0x4000), &error),
            packet(ends.0, (to, [8, 8, 8, 8]), (17, 7, 0x4000), &udp(port, 53)),
            claim.concat(),
        ] {
            wire.send(&frame);
            sent += 1;
        }
        // A core is for the lab and the victims.
        if n % 8 == 7 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    sent
}

/// From outside: a scan of every port by three protocols, packets for inside addresses, forged
/// errors. Gives how many were sent.
fn outside_attacks(wire: &mut Wire, stop: &AtomicBool) -> u64 {
    let (mac, own) = (wire.mac, [203, 0, 113, 2]);
    let mut sent = 0;
    for n in 1..u32::MAX {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let from = (0x0b00_0000 + n).to_be_bytes();
        let port = u16::try_from(n % 65_535 + 1).unwrap();
        let quoted = packet((mac, mac), (own, [9, 0, 0, 0]), (6, 7, 0x4000), &syn(port, 80));
        let mut error = [&[3, 1, 0, 0, 0, 0, 0, 0][..], &quoted[14..42]].concat();
        let check = (!sum(&[&error])).to_be_bytes();
        error[2..4].copy_from_slice(&check);
        for frame in [
            packet((UPLINK, mac), (from, own), (6, 7, 0x4000), &syn(80, port)),
            packet((UPLINK, mac), (from, own), (17, 7, 0x4000), &udp(53, port)),
            packet((UPLINK, mac), (from, own), (17, 7, 185), &[0; 600]),
            packet((UPLINK, mac), (from, [10, 100, 0, 20]), (17, 7, 0x4000), &udp(53, port)),
            packet((UPLINK, mac), (from, own), (1, 7, 0x4000), &error),
        ] {
            wire.send(&frame);
            sent += 1;
        }
        if n % 8 == 7 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    sent
}

/// net2's life goes on: a transfer both ways, then connections one after the other.
fn live(sandbox: &Sandbox, what: &str) {
    let begun = Instant::now();
    let at: SocketAddr = "8.8.8.8:7700".parse().unwrap();
    for (sent, received) in both_ways((&netns("net2"), &netns("inet")), at, 16 << 20) {
        assert_eq!(sent, received, "{what}");
    }
    let moved = begun.elapsed();
    let listener = in_netns(netns("inet"), || std::net::TcpListener::bind("1.1.1.1:7701").unwrap());
    for _ in 0..100 {
        let to = "1.1.1.1:7701".parse().unwrap();
        let patience = Duration::from_secs(30);
        let stream = in_netns(netns("net2"), || TcpStream::connect_timeout(&to, patience));
        stream.unwrap_or_else(|error| panic!("{what}: {error}"));
        listener.accept().unwrap();
    }
    let ping = ["netns", "exec", "net2", "ping", "-n", "-c", "20", "-i", "0.05", "-W", "5"];
    let out = sandbox.tool("ip", &[&ping[..], &["9.9.9.9"]].concat());
    println!(
        "{what}: 32 MiB in {moved:.1?}, 100 connections, {}",
        out.lines().rev().nth(1).unwrap()
    );
}

#[test]
fn a_node_under_attack_from_all_sides_goes_on() {
    rooted(|sandbox| {
        let mut lab = sandbox.start(&["run"]);
        lab.wait_for(READY);
        live(sandbox, "at peace");
        let before = lab.status("VmRSS");
        let mut inside = Wire::open(netns("net1"), "vethpeer1");
        let mut outside = Wire::open(netns("inet"), "vethpeerinet");
        let stop = AtomicBool::new(false);
        let sent = std::thread::scope(|scope| {
            let node = scope.spawn(|| node_attacks(&mut inside, &stop));
            let world = scope.spawn(|| outside_attacks(&mut outside, &stop));
            // Whatever fails, the attackers end.
            let attacked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                live(sandbox, "attacked by a node and from outside");
                live(sandbox, "still attacked");
            }));
            stop.store(true, Ordering::Relaxed);
            let sent = (node.join().unwrap(), world.join().unwrap());
            attacked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sent
        });
        let after = lab.status("VmRSS");
        println!(
            "{} frames of the node, {} from outside; {before} KiB, then {after}",
            sent.0, sent.1
        );
        assert!(sent.0 > 10_000 && sent.1 > 10_000, "that was no attack: {sent:?}");
        assert!(after < BOUND_KIB, "{after} KiB");
        assert!(lab.running());
        live(sandbox, "at peace again");
    });
}

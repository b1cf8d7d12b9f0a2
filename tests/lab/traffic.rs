//! Real TCP and UDP by the nodes' own kernels, through the switch and through the NAT.
//!
//! Offloads stay on: the segments travel as 64 KiB frames with partial checksums, which the
//! receiving kernel verifies. A byte changed, lost or moved changes the hash.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Arrived, Wire, both_ways, datagrams, rooted};
use crate::{lab, netns};

const GIB: u64 = 1 << 30;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// `bytes` each way over one connection, from net1 to `server` at `at`.
fn arrives_whole(server: &str, at: &str, bytes: u64) {
    for (sent, received) in both_ways((&netns("net1"), &netns(server)), address(at), bytes) {
        assert_eq!(sent.bytes, bytes);
        assert_eq!(sent, received, "what was sent is not what arrived");
    }
}

#[test]
fn a_gibibyte_through_the_switch() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        arrives_whole("net2", "10.100.0.20:7001", GIB);
    });
}

#[test]
fn a_gibibyte_through_the_nat() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        arrives_whole("inet", "8.8.8.8:7002", GIB);
    });
}

#[test]
fn offloads_are_carried_not_switched_off() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for node in ["net1", "net2"] {
            let interface = node.replace("net", "vethpeer");
            let features =
                sandbox.tool("ip", &["netns", "exec", node, "ethtool", "-k", &interface]);
            for feature in ["tx-checksumming: on", "tcp-segmentation-offload: on"] {
                assert!(features.contains(feature), "{node}: no {feature}:\n{features}");
            }
        }
        // A frame longer than the link's MTU at the receiver is a segment that came whole; one
        // whose checksum is that of its pseudo-header alone came with the rest still to be added.
        // Looked at while they come: what waits in a socket's buffer is the first few, and a
        // sender on a busy machine begins with small ones.
        let mut wire = Wire::open(netns("net2"), "vethpeer2");
        let wanted = |frame: &[u8]| frame.get(36..38) == Some(&7003u16.to_be_bytes());
        let over = AtomicBool::new(false);
        let [seen, large, partial] = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut counts = [0u32; 3];
                loop {
                    let ended = over.load(Ordering::Relaxed);
                    while let Some(frame) = wire.next(Duration::from_millis(50), wanted) {
                        let kinds = [true, frame.len() > 3000, checksum_is_partial(&frame)];
                        counts
                            .iter_mut()
                            .zip(kinds)
                            .for_each(|(count, is)| *count += u32::from(is));
                    }
                    if ended {
                        return counts;
                    }
                }
            });
            arrives_whole("net2", "10.100.0.20:7003", 64 << 20);
            over.store(true, Ordering::Relaxed);
            watcher.join().unwrap()
        });
        assert!(large > 0, "{large} of {seen} frames are longer than the MTU");
        assert!(partial > 0, "{partial} of {seen} checksums are partial");
    });
}

/// Whether the TCP checksum of an IPv4 frame is the folded sum of the pseudo-header alone.
fn checksum_is_partial(frame: &[u8]) -> bool {
    let (ip, header) = (&frame[14..], usize::from(frame[14] & 15) * 4);
    let word = |at: usize| u32::from(u16::from_be_bytes([ip[at], ip[at + 1]]));
    // A frame of more than 64 KiB has no length there (BIG TCP): it is not judged.
    let Some(length) = word(2).checked_sub(u32::try_from(header).unwrap()) else { return false };
    let sum = (12..20).step_by(2).map(word).sum::<u32>() + 6 + length;
    let folded = (sum & 0xffff) + (sum >> 16);
    word(header + 16) == (folded & 0xffff) + (folded >> 16)
}

#[test]
fn jumbo_frames_of_a_wide_lab() {
    rooted(|sandbox| {
        for mtu in [9000, 65_535] {
            let run = lab(sandbox, &["run", "--mtu", &mtu.to_string()]);
            for (server, interface, at) in
                [("net2", "vethpeer2", "10.100.0.20"), ("inet", "vethpeerinet", "9.9.9.9")]
            {
                let mut wire = Wire::open(netns(server), interface);
                all_arrive(server, &format!("{at}:7600"), 100, mtu - 28);
                // In one piece, as long as the link takes.
                let whole = wire.next(Duration::from_secs(10), |frame| frame.len() == mtu + 14);
                assert!(whole.is_some(), "{mtu} to {server}: in pieces");
                arrives_whole(server, &format!("{at}:7601"), 64 << 20);
            }
            run.signal(nix::sys::signal::Signal::SIGTERM);
            assert_eq!(run.ended().code, Some(0));
        }
    });
}

#[test]
fn connections_both_ways_at_once() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "4"]);
        let pairs = [("net1", "net2", "10.100.0.20"), ("net2", "net1", "10.100.0.10")];
        let more = [("net3", "net4", "10.100.0.40"), ("net4", "inet", "1.1.1.1")];
        std::thread::scope(|scope| {
            for (index, (client, server, host)) in
                pairs.into_iter().chain(more).cycle().take(12).enumerate()
            {
                scope.spawn(move || {
                    let at = address(&format!("{host}:{}", 7100 + index));
                    let ends = (netns(client), netns(server));
                    for (sent, received) in both_ways((&ends.0, &ends.1), at, 16 << 20) {
                        assert_eq!(sent, received, "{client} to {at}");
                    }
                });
            }
        });
    });
}

/// `count` datagrams of `size` bytes from net1 arrive, each once and in order.
fn all_arrive(server: &str, at: &str, count: u32, size: usize) {
    let ends = (netns("net1"), netns(server));
    let arrived = datagrams((&ends.0, &ends.1), address(at), count, size);
    let all = Arrived { whole: count, ..Arrived::default() };
    assert_eq!(arrived, all, "{count} of {size} bytes to {at}");
}

#[test]
fn many_small_datagrams() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for (server, at) in [("net2", "10.100.0.20:7200"), ("inet", "9.9.9.9:7200")] {
            for size in [4, 18, 100, 1472] {
                all_arrive(server, at, 20_000, size);
            }
        }
    });
}

#[test]
fn flows_keep_their_order_with_two_workers() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3", "--workers", "2"]);
        let counters = sandbox.uswitch(&["show", "counters", "-j"]).ok().out;
        let counters: serde_json::Value = serde_json::from_str(&counters).unwrap();
        assert_eq!(counters["switch"]["workers"], 2, "{counters:#}");
        std::thread::scope(|scope| {
            for port in 0..4 {
                let flow = move |server, at: &str| {
                    all_arrive(server, &format!("{at}:{}", 7500 + port), 5_000, 100);
                };
                scope.spawn(move || flow("net2", "10.100.0.20"));
                scope.spawn(move || flow("net3", "10.100.0.30"));
            }
            scope.spawn(|| all_arrive("inet", "9.9.9.9:7510", 5_000, 100));
            scope.spawn(|| arrives_whole("net2", "10.100.0.20:7511", 64 << 20));
            scope.spawn(|| arrives_whole("inet", "8.8.8.8:7512", 64 << 20));
        });
    });
}

#[test]
fn fragments_of_large_datagrams() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for (server, at) in [("net2", "10.100.0.20:7300"), ("inet", "8.8.4.4:7300")] {
            for size in [1473, 20_000, 65_507] {
                all_arrive(server, at, 300, size);
            }
        }
    });
}

//! Real TCP and UDP by the nodes' own kernels, through the switch and through the NAT.
//!
//! Offloads stay on: the segments travel as 64 KiB frames with partial checksums, which the
//! receiving kernel verifies. A byte changed, lost or moved changes the hash.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::READY;
use crate::support::{Arrived, Process, Sandbox, both_ways, datagrams, rooted};

const GIB: u64 = 1 << 30;

fn netns(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

fn lab(sandbox: &Sandbox, args: &[&str]) -> Process {
    let mut run = sandbox.start(args);
    run.wait_for(READY);
    run
}

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
        // A frame longer than the link's MTU at the receiver is a segment that came whole.
        let capture = sandbox.dir.join("large.pcap");
        let args = ["netns", "exec", "net2", "tcpdump", "-n", "-i", "vethpeer2", "-c", "1", "-w"];
        let mut command = sandbox.command(crate::support::As::Root, Path::new("ip"));
        command.args(args).arg(&capture).args(["tcp and dst port 7003 and greater 3000"]);
        let mut dump = Process::start(command, "tcpdump");
        dump.wait_for_complaint("listening on");
        arrives_whole("net2", "10.100.0.20:7003", 64 << 20);
        assert_eq!(dump.ended().code, Some(0));
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

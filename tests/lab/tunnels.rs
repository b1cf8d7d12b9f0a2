//! Tunnels between nodes and out through the NAT: TCP inside them, byte for byte, as segments that stay
//! together as those of plain TCP do. What the switch cannot tell of a frame, the links' ends do not
//! leave to it.

use std::time::Instant;

use serde_json::Value;

use crate::support::{Sandbox, both_ways, captures, rooted, rootless};
use crate::{lab, netns};

/// Bytes each way through a tunnel, and through none.
const INSIDE: u64 = 32 << 20;
const PLAIN: u64 = 128 << 20;
/// Bytes of a segment, and so many segments or more does a frame stand for on average: of 46 where nobody
/// holds the sender up, of one where they come one by one. Acknowledgements are frames too.
const SEGMENT: u64 = 1400;
const TOGETHER: u64 = 4;

/// A VXLAN's end in a node: where its other end is, and what lies in it.
fn vxlan(sandbox: &Sandbox, node: &str, remote: &str, inside: &[&str], options: &[&str]) {
    let ip = |args: &[&str]| sandbox.tool("ip", &[&["-n", node][..], args].concat());
    let link = ["link", "add", "vx0", "type", "vxlan", "id", "5", "dstport", "4789"];
    ip(&[&link[..], &["remote", remote], options].concat());
    ip(&["link", "set", "vx0", "up"]);
    inside.iter().for_each(|address| drop(ip(&["addr", "add", address, "dev", "vx0", "nodad"])));
}

fn gone(sandbox: &Sandbox, nodes: [&str; 2]) {
    for node in nodes {
        sandbox.tool("ip", &["-n", node, "link", "del", "vx0"]);
    }
}

/// `bytes` each way from net1 to `server`, unchanged; how many a second.
fn rate(server: &str, at: &str, bytes: u64) -> f64 {
    let begun = Instant::now();
    let at = at.parse().unwrap();
    for (sent, received) in both_ways((&netns("net1"), &netns(server)), at, bytes) {
        assert_eq!((sent.bytes, &sent), (bytes, &received), "what was sent is not what arrived");
    }
    bytes as f64 / begun.elapsed().as_secs_f64()
}

fn holds(sandbox: &Sandbox, nodes: [&str; 2]) {
    let said = sandbox.uswitch(&["show", "counters", "-j"]).ok().out;
    let counters: Value = serde_json::from_str(&said).unwrap();
    // A receiver that gets no time loses frames behind a bridge of the kernel too.
    let mut refused = counters["switch"]["refused"].as_object().unwrap().clone();
    refused.remove("queue-full");
    assert!(refused.is_empty(), "{counters:#}");
    assert_eq!(counters["switch"]["rings_renewed"], 0, "{counters:#}");
    assert_eq!(counters["gateway"]["drops"].get("bad-offload"), None, "{counters:#}");
    for node in nodes {
        let snmp = sandbox.tool("ip", &["netns", "exec", node, "cat", "/proc/net/snmp"]);
        for protocol in ["Tcp:", "Udp:"] {
            let mut lines = snmp.lines().filter(|line| line.starts_with(protocol));
            let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
            let mut columns = names.split(' ').zip(values.split(' '));
            let wrong = columns.find(|(name, _)| *name == "InCsumErrors").unwrap().1;
            assert_eq!(wrong, "0", "{node}: {protocol} checksums\n{snmp}");
        }
    }
}

/// Frames that the switch has sent to a node.
fn frames(sandbox: &Sandbox, number: &str) -> u64 {
    let said = sandbox.uswitch(&["show", "ports", "-j"]).ok().out;
    let ports: Value = serde_json::from_str(&said).unwrap();
    let name = format!("veth{number}");
    let port = ports.as_array().unwrap().iter().find(|one| one["ifname"] == name.as_str()).unwrap();
    port["stats64"]["tx"]["packets"].as_u64().unwrap()
}

/// TCP through a tunnel to `server`, whose segments pass the switch together.
fn together(sandbox: &Sandbox, (server, number): (&str, &str), at: &str, plain: f64) {
    let before = frames(sandbox, number);
    let tunnel = rate(server, at, INSIDE);
    let sent = frames(sandbox, number) - before;
    println!("{at}: 1 of {:.1} of plain TCP, {sent} frames", plain / tunnel);
    assert!(sent * TOGETHER < INSIDE / SEGMENT, "{at}: {sent} frames");
}

#[test]
fn tcp_in_a_tunnel_between_nodes() {
    between_nodes("off");
}

#[test]
fn tcp_in_a_tunnel_that_the_kernel_carries() {
    if captures() {
        between_nodes("on");
    }
}

fn between_nodes(fast: &str) {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "--fast-path", fast]);
        let plain = rate("net2", "10.100.0.20:7700", PLAIN);
        for (node, link, address) in
            [("net1", "vethpeer1", "fd10::1"), ("net2", "vethpeer2", "fd10::2")]
        {
            let address = [address, "/64"].concat();
            let add = ["-n", node, "addr", "add", &address, "dev", link, "nodad"];
            sandbox.tool("ip", &add);
        }
        for (ends, options) in [
            (["10.100.0.10", "10.100.0.20"], &["noudpcsum"][..]),
            (["10.100.0.10", "10.100.0.20"], &["udpcsum"]),
            (["fd10::1", "fd10::2"], &["udp6zerocsumtx", "udp6zerocsumrx"]),
            (["fd10::1", "fd10::2"], &[]),
        ] {
            vxlan(sandbox, "net1", ends[1], &["192.168.77.1/24", "fd77::1/64"], options);
            vxlan(sandbox, "net2", ends[0], &["192.168.77.2/24", "fd77::2/64"], options);
            for at in ["192.168.77.2:7701", "[fd77::2]:7702"] {
                together(sandbox, ("net2", "2"), at, plain);
            }
            gone(sandbox, ["net1", "net2"]);
        }
        holds(sandbox, ["net1", "net2"]);
    });
}

/// The port is published, as VXLAN answers to the port it is known by and not to the one it hears.
#[test]
fn tcp_in_a_tunnel_through_the_nat() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        sandbox.uswitch(&["publish", "4789:net1:4789/udp"]).ok();
        let plain = rate("inet", "8.8.8.8:7700", PLAIN);
        for options in [&["noudpcsum"], &["udpcsum"]] {
            vxlan(sandbox, "net1", "8.8.8.8", &["192.168.77.1/24"], options);
            let there = [options[0], "local", "8.8.8.8"];
            vxlan(sandbox, "inet", "203.0.113.2", &["192.168.77.2/24"], &there);
            together(sandbox, ("inet", "inet"), "192.168.77.2:7701", plain);
            gone(sandbox, ["net1", "inet"]);
        }
        holds(sandbox, ["net1", "inet"]);
    });
}

/// In every topology, at links that come later too, as root and without privilege. A switch of root's
/// knows segments in tunnels of UDP by what is told of the segments.
fn offloads(sandbox: &Sandbox, tunnels: bool) {
    for (topology, ends) in [
        ("pair", &[("net1", "veth1"), ("net2", "veth2")][..]),
        ("mesh", &[("net1", "veth1-2"), ("net2", "veth2-1")]),
        ("switch", &[("net1", "vethpeer1"), ("inet", "vethpeerinet"), ("web", "vethpeer3")]),
    ] {
        let run = lab(sandbox, &["run", topology]);
        if topology == "switch" {
            sandbox.uswitch(&["add", "web"]).ok();
        }
        for (node, interface) in ends {
            let said = sandbox.uswitch(&["exec", node, "--", "ethtool", "-k", interface]).ok().out;
            let on = said.lines().filter_map(|line| line.trim().strip_suffix(": on"));
            let segments = on.filter(|name| name.ends_with("-segmentation") && !name.is_empty());
            let tunnels = tunnels && topology == "switch";
            let more = if tunnels { &["tx-udp_tnl-", "tx-udp_tnl-csum-"][..] } else { &[] };
            for name in more {
                let on = format!("{name}segmentation: on");
                assert!(said.contains(&on), "{topology}: {node}:\n{said}");
            }
            for name in segments.filter(|name| name.starts_with("tx-")) {
                let told = [&["tx-tcp-", "tx-tcp6-", "tx-tcp-ecn-", "tx-udp-"], more].concat();
                let is_told =
                    told.iter().any(|kind| name.strip_suffix("segmentation") == Some(kind));
                assert!(is_told, "{topology}: {node} has {name}");
            }
            assert!(said.contains("tx-tcp-segmentation: on"), "{topology}: {node}:\n{said}");
            assert!(!said.contains("tx-checksum-sctp: on"), "{topology}: {node}:\n{said}");
        }
        run.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(run.ended().code, Some(0));
    }
}

#[test]
fn every_link_offloads_what_a_frame_can_tell() {
    rooted(|sandbox| offloads(sandbox, true));
}

#[test]
fn every_link_offloads_what_a_frame_can_tell_without_root() {
    rootless(|sandbox| offloads(sandbox, false));
}

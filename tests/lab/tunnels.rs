//! Tunnels between nodes and out through the NAT: TCP inside them, byte for byte, at a speed that
//! shows that nothing of it is lost on the way. What a frame of the switch cannot tell, the links'
//! ends do not leave to it.

use std::time::Instant;

use serde_json::Value;

use crate::support::{Sandbox, both_ways, captures, rooted, rootless};
use crate::{lab, netns};

/// Bytes each way through a tunnel, and through none.
const INSIDE: u64 = 32 << 20;
const PLAIN: u64 = 128 << 20;
/// How much slower a tunnel may be here, where others use the machine too: each of its segments is
/// a frame of its own as far as the switch, where without one a frame stands for a hundred.
const SLOWER: f64 = 40.0;

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

/// Segments of a tunnel leave the switch together: its port counts each, the node's link what came.
fn come_together(sandbox: &Sandbox, node: &str, number: &str) {
    let ours = sandbox.uswitch(&["show", "ports", "-j"]).ok().out;
    let interface = format!("vethpeer{number}");
    let link = sandbox.tool("ip", &["-n", node, "-s", "-j", "link", "show", &interface]);
    let [ours, link]: [Value; 2] = [ours, link].map(|text| serde_json::from_str(&text).unwrap());
    let name = format!("veth{number}");
    let port = ours.as_array().unwrap().iter().find(|one| one["ifname"] == name.as_str()).unwrap();
    let sent = port["stats64"]["tx"]["packets"].as_u64().unwrap();
    let came = link[0]["stats64"]["rx"]["packets"].as_u64().unwrap();
    println!("{node}: {sent} frames came as {came}");
    assert!(came * 2 < sent, "{node}: {sent} frames came as {came}");
}

#[test]
fn tcp_in_a_tunnel_between_nodes() {
    between_nodes("off");
}

/// The kernel carries each segment by itself, and none is the worse for it.
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
        ] {
            vxlan(sandbox, "net1", ends[1], &["192.168.77.1/24", "fd77::1/64"], options);
            vxlan(sandbox, "net2", ends[0], &["192.168.77.2/24", "fd77::2/64"], options);
            for at in ["192.168.77.2:7701", "[fd77::2]:7702"] {
                let tunnel = rate("net2", at, INSIDE);
                println!("{at} {options:?}: 1 of {:.1} of plain TCP", plain / tunnel);
                assert!(tunnel * SLOWER > plain, "{tunnel:.0} bytes a second of {plain:.0}");
            }
            gone(sandbox, ["net1", "net2"]);
        }
        // The worker alone bundles segments.
        if fast == "off" {
            come_together(sandbox, "net2", "2");
        } else {
            let topology = sandbox.uswitch(&["show", "topology", "-j"]).ok().out;
            let topology: Value = serde_json::from_str(&topology).unwrap();
            let carried = topology["fast_path"]["packets"].as_u64().unwrap();
            // Segments of 1,400 bytes or so, five times the bytes of a tunnel each way.
            assert!(carried > 6 * INSIDE / 1400, "{carried} frames went by the kernel");
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
            let tunnel = rate("inet", "192.168.77.2:7701", INSIDE);
            println!("{options:?}: 1 of {:.1} of plain TCP", plain / tunnel);
            assert!(tunnel * SLOWER > plain, "{tunnel:.0} bytes a second of {plain:.0}");
            gone(sandbox, ["net1", "inet"]);
        }
        come_together(sandbox, "inet", "inet");
        holds(sandbox, ["net1", "inet"]);
    });
}

/// In every topology, at links that come later too, as root and without privilege.
fn offloads(sandbox: &Sandbox) {
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
            for name in segments.filter(|name| name.starts_with("tx-")) {
                let told = ["tx-tcp-", "tx-tcp6-", "tx-tcp-ecn-", "tx-udp-"];
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
    rooted(offloads);
}

#[test]
fn every_link_offloads_what_a_frame_can_tell_without_root() {
    rootless(offloads);
}

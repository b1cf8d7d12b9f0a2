//! Frames the switch has to carry without understanding them, and frames no kernel would send.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{Process, Sandbox, Wire, both_ways, rooted, sum};
use crate::{lab, netns};

/// A stream both ways from net1 to net2 at `at`.
fn stream(at: &str) {
    for (sent, got) in both_ways((&netns("net1"), &netns("net2")), at.parse().unwrap(), 32 << 20) {
        assert_eq!(sent, got, "{at}");
    }
}

#[test]
fn ipv6_passes_as_it_is() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for node in ["1", "2"] {
            let (name, interface) = (format!("net{node}"), format!("vethpeer{node}"));
            let address = format!("fd00::{node}/64");
            sandbox.tool("ip", &["-n", &name, "addr", "add", &address, "dev", &interface, "nodad"]);
        }
        let ping = ["netns", "exec", "net1", "ping", "-6", "-c", "2", "-i", "0.2", "-W", "20"];
        sandbox.tool("ip", &[&ping[..], &["fd00::2"]].concat());
        stream("[fd00::2]:7400");
    });
}

/// Ethernet around `payload`, from `src` to `dst`.
fn frame(dst: [u8; 6], src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst[..], &src, &ethertype.to_be_bytes(), payload].concat()
}

/// Frames with something wrong in them, all from `src`.
fn malformed(src: [u8; 6], gateway: [u8; 6]) -> Vec<Vec<u8>> {
    let good = [
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 100, 0, 10, 10, 100, 0, 1, 8, 0, 0xf7, 0xff,
        0, 0, 0, 0,
    ];
    let with = |at: usize, value: u8| {
        let mut bytes = good;
        bytes[at] = value;
        frame(gateway, src, 0x0800, &bytes)
    };
    let mut frames = vec![
        vec![0; 14],
        vec![0; 60],
        vec![0; 1514],
        frame(gateway, src, 0x0800, &[]),
        frame(gateway, src, 0x0800, &good[..19]),
        frame(gateway, src, 0x0806, &[0, 1, 8, 0, 6, 4, 0]),
        frame(gateway, src, 0x0806, &[0xff; 28]),
        frame([0xff; 6], src, 0x0806, &[0; 46]),
        frame(gateway, src, 0x8100, &[0]),
        frame(gateway, [0xff; 6], 0x0800, &good),
        frame(gateway, [1, 0, 0x5e, 0, 0, 1], 0x0800, &good),
        frame(gateway, [0; 6], 0x0800, &good),
        frame([0x01, 0x80, 0xc2, 0, 0, 2], src, 3, &[0x42, 0x42, 3]),
        with(0, 0x40),  // header length 0
        with(0, 0x4f),  // header longer than the packet
        with(0, 0x65),  // version 6 in an IPv4 frame
        with(2, 0xff),  // total length beyond the frame
        with(3, 4),     // total length inside the header
        with(8, 0),     // no time to live
        with(10, 0xaa), // header checksum
        with(12, 127),  // from loopback
        with(12, 224),  // from multicast
        with(22, 1),    // ICMP checksum
    ];
    // And bytes of no plan at all behind an honest Ethernet header.
    let mut state = 0x1234_5678_9abc_def1_u64;
    for length in 0..400 {
        let payload = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        let payload: Vec<u8> = payload.collect();
        let ethertype = [0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8][length % 5];
        frames.push(frame(
            if length % 2 == 0 { gateway } else { [0xff; 6] },
            src,
            ethertype,
            &payload,
        ));
    }
    frames
}

/// What the running lab has dropped, by reason.
fn drops(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let text = sandbox.uswitch(&["metrics"]).ok().out;
    let lines = text.lines().filter(|line| line.contains("drop") && line.contains("reason="));
    let number = |line: &str| {
        let (name, count) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), count.parse().unwrap())
    };
    lines.map(number).collect()
}

#[test]
fn malformed_frames_are_counted_and_traffic_goes_on() {
    rooted(|sandbox| {
        let mut run = lab(sandbox, &["run"]);
        let neighbours = sandbox.tool("ip", &["-n", "net1", "neigh", "show", "10.100.0.1"]);
        let gateway = neighbours.split("lladdr ").nth(1).unwrap().split(' ').next().unwrap();
        let gateway: Vec<u8> =
            gateway.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let before = drops(sandbox);
        let mut wire = Wire::open(netns("net1"), "vethpeer1");
        let frames = malformed(wire.mac, gateway.try_into().unwrap());
        for _ in 0..20 {
            for frame in &frames {
                wire.send(frame);
            }
        }
        for to in ["10.100.0.1", "10.100.0.20", "8.8.8.8"] {
            sandbox.tool(
                "ip",
                &["netns", "exec", "net1", "ping", "-c", "2", "-i", "0.2", "-W", "20", to],
            );
        }
        stream("10.100.0.20:7600");
        let after = drops(sandbox);
        let counted = |name: &str| {
            let of = |drops: &BTreeMap<String, u64>| drops.get(name).copied().unwrap_or(0);
            of(&after) - of(&before)
        };
        // Twenty of each that the switch refuses; what the gateway refuses is more mixed.
        for (reason, frames) in [("zero-source", 80), ("group-source", 40), ("link-local", 20)] {
            let name = format!("uswitch_switch_dropped_frames_total{{reason=\"{reason}\"}}");
            assert_eq!(counted(&name), frames, "{name} in {after:#?}");
        }
        for reason in ["bad-header", "bad-checksum", "bad-arp", "not-ipv4", "tagged", "not-for-me"]
        {
            let name = format!("uswitch_gateway_dropped_frames_total{{reason=\"{reason}\"}}");
            assert!(counted(&name) >= 20, "{name} in {after:#?}");
        }
        assert!(run.running());
    });
}

/// ICMPv6 of `kind` from fe80::1 to `dst`, its checksum right, in a frame to `mac`.
fn icmp6(mac: [u8; 6], src: [u8; 6], dst: Ipv6Addr, kind: u8, rest: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0][..], rest].concat();
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets();
    let pseudo = [&from[..], &dst.octets(), &[0, 0], &length, &[0, 0, 0, 58], &message].concat();
    let mut message = message;
    message[2..4].copy_from_slice(&(!sum(&[&pseudo])).to_be_bytes());
    let header = [0x60, 0, 0, 0, length[0], length[1], 58, 255];
    frame(mac, src, 0x86dd, &[&header[..], &from, &dst.octets(), &message].concat())
}

/// Questions for whoever is at the switch's end of a veth, whose address is `port`.
fn questions(port: [u8; 6], src: [u8; 6]) -> Vec<Vec<u8>> {
    let [a, b, c, d, e, f] = port;
    let own = [0xfe80, 0, 0, 0, u16::from_be_bytes([a ^ 2, b]), u16::from_be_bytes([c, 0xff])];
    let [.., ab, c_ff] = own;
    let low = [0xfe00 | u16::from(d), u16::from_be_bytes([e, f])];
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, ab, c_ff, low[0], low[1]);
    let solicited = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(d), low[1]);
    let everybody = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let solicit = [&[0; 4][..], &link_local.octets(), &[1, 1], &src].concat();
    let arp = |target: [u8; 4]| {
        let asker = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &src, &[10, 100, 0, 10]].concat();
        [asker, [&[0; 6][..], &target].concat()].concat()
    };
    let echo = [
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x65, 0x97, 10, 100, 0, 10, 10, 100, 255, 255, 8, 0,
        0xf7, 0xff, 0, 0, 0, 0,
    ];
    vec![
        icmp6([0x33, 0x33, 0xff, d, e, f], src, solicited, 135, &solicit),
        icmp6(port, src, link_local, 135, &solicit),
        icmp6([0x33, 0x33, 0, 0, 0, 1], src, everybody, 128, &[0, 7, 0, 1]),
        icmp6(port, src, link_local, 128, &[0, 7, 0, 2]),
        frame([0xff; 6], src, 0x0806, &arp([127, 0, 0, 1])),
        frame([0xff; 6], src, 0x0806, &arp([10, 100, 0, 99])),
        frame(port, src, 0x0806, &arp([127, 0, 0, 1])),
        frame([0xff; 6], src, 0x0800, &echo),
        frame(port, src, 0x0800, &echo),
    ]
}

/// The namespace the lab's process holds and no name leads to.
fn switch_namespace(sandbox: &Sandbox, lab: &Process) -> PathBuf {
    let has_ports = |path: &PathBuf| {
        let net = std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("net:"));
        net && sandbox.tool("nsenter", &[&within(path), "ip", "link"]).contains(" veth1@")
    };
    let held = std::fs::read_dir(format!("/proc/{}/fd", lab.pid())).unwrap();
    held.map(|entry| entry.unwrap().path()).find(has_ports).expect("no switch's namespace")
}

fn within(netns: &Path) -> String {
    format!("--net={}", netns.display())
}

#[test]
fn nothing_in_the_switchs_namespace_answers() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "none"]);
        let netns = switch_namespace(sandbox, &run);
        let links =
            sandbox.tool("nsenter", &[&within(&netns), "ip", "-j", "link", "show", "veth1"]);
        let links: serde_json::Value = serde_json::from_str(&links).unwrap();
        let port = links[0]["address"].as_str().unwrap().split(':');
        let port: Vec<u8> = port.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let port: [u8; 6] = port.try_into().unwrap();
        // By whichever hardware address of its own that kernel would answer.
        let mut wire = Wire::open(self::netns("net1"), "vethpeer1");
        let asked = questions(port, wire.mac);
        let gateway = [2, 0, 10, 100, 0, 1];
        let mut answers = |patience| {
            asked.iter().for_each(|frame| wire.send(frame));
            let known = [wire.mac, [2, 0, 10, 100, 0, 20], gateway];
            wire.next(patience, |seen| !known.iter().any(|mac| seen[6..12] == *mac))
        };
        for _ in 0..3 {
            let heard = answers(Duration::from_millis(500));
            assert!(heard.is_none(), "the switch's namespace says {heard:x?}");
        }
        // The witness is not deaf: with IPv6 let loose there, the questions are answered.
        let on = "echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6";
        sandbox.tool("nsenter", &[&within(&netns), "sh", "-c", on]);
        let limit = Instant::now() + Duration::from_secs(30);
        while answers(Duration::from_secs(1)).is_none() {
            assert!(Instant::now() < limit, "nobody ever answers");
        }
    });
}

#[test]
fn a_node_does_not_hear_its_own_frames() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let mut wire = Wire::open(netns("net1"), "vethpeer1");
        let mut other = Wire::open(netns("net2"), "vethpeer2");
        let marked = frame([0xff; 6], [2, 0, 0, 0, 0, 0x77], 0x88b5, b"once around");
        let second = Duration::from_secs(1);
        wire.send(&marked);
        let patience = Duration::from_secs(60);
        assert!(other.next(patience, |seen| seen.starts_with(&marked)).is_some(), "not flooded");
        // A packet socket does not see what it sends itself: what it sees has come back.
        assert!(wire.next(second, |seen| seen.starts_with(&marked)).is_none(), "echoed");
        // And it does see what comes by the same way.
        let answer = frame([0xff; 6], [2, 0, 0, 0, 0, 0x78], 0x88b5, b"and back");
        other.send(&answer);
        assert!(wire.next(patience, |seen| seen.starts_with(&answer)).is_some(), "deaf");
    });
}

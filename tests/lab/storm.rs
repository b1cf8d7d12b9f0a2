//! Storm control: what a node may have flooded is cut to its limit, by kind, and nothing else is.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Sandbox, Wire, rooted};
use crate::{lab, netns};

const ALL: [u8; 6] = [0xff; 6];
const GROUP: [u8; 6] = [0x01, 0, 0x5e, 1, 2, 3];
const NOBODY: [u8; 6] = [2, 0, 0, 0, 0, 0xee];
/// Frames of each kind in a storm.
const STORM: u64 = 500;

/// A frame that no stack takes for its own.
fn frame(dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    let mut frame = [&dst[..], &src, &[0x88, 0xb5]].concat();
    frame.resize(60, 0x5a);
    frame
}

fn wire(number: u32) -> Wire {
    Wire::open(netns(&format!("net{number}")), &format!("vethpeer{number}"))
}

/// A node's port as `show ports -j` tells of it.
fn port(sandbox: &Sandbox, name: &str) -> Value {
    let ports = sandbox.uswitch(&["show", "ports", "-j"]).ok().out;
    let ports: Value = serde_json::from_str(&ports).unwrap();
    let port = ports.as_array().unwrap().iter().find(|port| port["ifname"] == name);
    port.unwrap_or_else(|| panic!("no {name} in {ports:#}")).clone()
}

/// Sends a storm to `dst`; gives how many frames of it another node heard, how many were dropped
/// for it, and the most that a limit a second could have let pass meanwhile.
fn storm(sandbox: &Sandbox, dst: [u8; 6], limit: u64) -> (u64, u64, u64) {
    let (mut from, mut to) = (wire(1), wire(2));
    let dropped = || port(sandbox, "veth1")["drops"]["storm"].as_u64().unwrap_or(0);
    let before = dropped();
    let sent = frame(dst, from.mac);
    let begun = Instant::now();
    let mut heard = 0;
    // A few at a time, so that every one of them reaches the switch.
    for _ in 0..STORM / 50 {
        for _ in 0..50 {
            from.send(&sent);
        }
        while to.next(Duration::from_millis(40), |seen| seen == sent).is_some() {
            heard += 1;
        }
    }
    let took = begun.elapsed();
    while to.next(Duration::from_millis(200), |seen| seen == sent).is_some() {
        heard += 1;
    }
    (heard, dropped() - before, limit * (took.as_secs() + 2))
}

#[test]
fn a_storm_is_cut_and_all_else_goes_on() {
    rooted(|sandbox| {
        let limits = "broadcast=40,unknown=30";
        let _lab = lab(sandbox, &["run", "-n", "3", "--uplink", "none", "--storm", limits]);
        for (dst, limit) in [(ALL, 40), (NOBODY, 30)] {
            let (heard, dropped, most) = storm(sandbox, dst, limit);
            assert_eq!(heard + dropped, STORM, "to {dst:x?}: {heard} heard, {dropped} dropped");
            // A question for a neighbour may have had a share.
            assert!(
                (limit / 2..=most).contains(&heard),
                "to {dst:x?}: {heard} of {limit} a second"
            );
        }
        assert_eq!(storm(sandbox, GROUP, 0).0, STORM, "multicast has no limit");

        // What is known is no flood, however much of it there is.
        let (mut from, mut to) = (wire(1), wire(2));
        to.send(&frame(from.mac, to.mac));
        assert!(from.next(Duration::from_secs(10), |seen| seen[6..12] == to.mac).is_some());
        let sent = frame(to.mac, from.mac);
        for n in 0..STORM {
            from.send(&sent);
            let came = to.next(Duration::from_secs(10), |seen| seen == sent);
            assert!(came.is_some(), "frame {n} to a known address is lost");
        }

        let shown = port(sandbox, "veth1");
        assert_eq!(shown["storm"], serde_json::json!({ "broadcast": 40, "unknown": 30 }));
        let table = sandbox.uswitch(&["show", "ports"]).ok().out;
        assert!(table.contains("STORM LIMIT") && table.contains(limits), "{table}");
    });
}

#[test]
fn a_node_can_have_limits_of_its_own() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "--uplink", "none"]);
        sandbox.uswitch(&["add", "loud", "--storm", "0"]).ok();
        let all = serde_json::json!({ "broadcast": 0, "multicast": 0, "unknown": 0 });
        assert_eq!(port(sandbox, "veth3")["storm"], all);
        assert_eq!(port(sandbox, "veth1").get("storm"), None);
        // Not even its question for a neighbour gets through.
        let ping = ["netns", "exec", "loud", "ping", "-c", "1", "-W", "1", "10.100.0.10"];
        let outcome = std::process::Command::new("ip").args(ping).output().unwrap();
        assert!(!outcome.status.success(), "a node that may flood nothing was answered");
        assert!(port(sandbox, "veth3")["drops"]["storm"].as_u64().unwrap() > 0);
        let complaint = sandbox.uswitch(&["add", "--storm", "arp=3"]);
        assert!(complaint.complaint(2).contains("no kind of flood"), "{}", complaint.err);
        let complaint = sandbox.uswitch(&["run", "pair", "--storm", "3", "--check"]);
        assert!(complaint.complaint(2).contains("a pair has none"), "{}", complaint.err);
    });
}

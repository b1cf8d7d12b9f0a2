//! A wire beside the switch, from one node to another: the loop is named, and the port that asked for
//! it is shut.

use std::time::{Duration, Instant};

use crate::door::{json, row};
use crate::lab;
use crate::support::{Sandbox, rooted};

/// Joins the links of net1 and net2 beside the switch.
fn join(sandbox: &Sandbox) {
    let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    for n in [1, 2] {
        ip(&format!("-n net{n} link add loop type bridge forward_delay 0 mcast_snooping 0"));
        ip(&format!("-n net{n} link set loop up"));
        ip(&format!("-n net{n} link set vethpeer{n} master loop"));
    }
    ip("-n net1 link add wire1 type veth peer name wire2 netns net2");
    for n in [1, 2] {
        ip(&format!("-n net{n} link set wire{n} master loop up"));
    }
}

#[test]
fn a_loop_is_named_and_its_port_shut_and_opened() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "4"]);
        let mut monitor = sandbox.start(&["monitor", "-j"]);
        sandbox.uswitch(&["port", "net1", "--loop-protect", "on"]).ok();
        join(sandbox);
        let state = || {
            let shown = json(sandbox, &["port", "-j"]);
            row(&shown, "ifname", "veth1").clone()
        };
        let limit = Instant::now() + Duration::from_secs(60);
        while state()["state"] != "disabled" {
            assert!(Instant::now() < limit, "the loop goes on");
            // An address that is heard from both sides: a question to everybody.
            let ask = ["exec", "net3", "--", "ping", "-q", "-c", "1", "-W", "1", "10.100.0.99"];
            let _ = sandbox.uswitch(&ask);
        }
        let shut = state();
        assert!(shut["loops"].as_u64().unwrap() > 0 && shut["loop_shut"].as_u64().is_some());
        monitor.wait_for("loop_found");
        // The others are served.
        let ask = ["exec", "net3", "--", "ping", "-q", "-c", "3", "-W", "5", "10.100.0.40"];
        sandbox.uswitch(&ask).ok();
        let why = sandbox.uswitch(&["explain", "net3", "10.100.0.10"]);
        assert!(why.out.contains("loop-protect") || why.out.contains("no-answer"), "{}", why.out);
        // Once the wire is gone a person opens it.
        sandbox.tool("ip", &["-n", "net1", "link", "del", "wire1"]);
        sandbox.uswitch(&["port", "net1", "--loop-protect", "on"]).ok();
        assert_eq!(state()["state"], "forwarding");
    });
}

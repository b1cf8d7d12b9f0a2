//! Explanations of IPv6, which is switched and not routed: beside the pings they foretell.

use std::path::Path;

use serde_json::Value;

use super::{lab, ping, until};
use crate::support::{As, Process, Sandbox, captured, rooted};

const FILE: &str = "networks: {lan: {subnets: [10.1.0.0/24, 'fd00:1::/64'], gateway: true}}
nodes: {'h[1-3]': {network: lan}}
";

pub(super) fn file(sandbox: &Sandbox, more: &str) -> String {
    let path = sandbox.dir.join("v6.yaml");
    std::fs::write(&path, format!("{FILE}{more}")).unwrap();
    path.display().to_string()
}

/// Whether a ping is answered; the first waits for neighbour discovery.
fn reaches(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    let inside = ["netns", "exec", from, "ping", "-6", "-n", "-W", "2", "-c", "2", "-i", "0.2", to];
    command.args(inside);
    Process::start(command, "ping").ended().code == Some(0)
}

/// Asks, then sends: it arrives or not as it was told.
fn agrees(sandbox: &Sandbox, (from, to): (&str, &str), arrives: bool, said: &str) {
    let foretold = sandbox.uswitch(&["explain", from, to]);
    assert_eq!(foretold.code, Some(i32::from(!arrives)), "{to}: {}{}", foretold.out, foretold.err);
    assert!(foretold.out.contains(said), "{to}: {said}: {}", foretold.out);
    assert_eq!(reaches(sandbox, from, to), arrives, "{to}: {}", foretold.out);
    if !arrives {
        // The kernel goes on asking for a while, and then gives up what waits.
        sandbox.tool("ip", &["-n", from, "neigh", "flush", "dev", "eth0"]);
    }
}

#[test]
fn what_is_foretold_of_ipv6_is_what_happens() {
    rooted(|sandbox| {
        let path = file(sandbox, "");
        let _lab = lab(sandbox, &["run", &path]);
        let discovery = "asks by neighbour discovery who has fd00:1::3: h2, at 02:00:0a:01:00:03";
        agrees(sandbox, ("h1", "fd00:1::3"), true, discovery);
        agrees(sandbox, ("h1", "fd00:1::3"), true, "as it knows already");
        agrees(sandbox, ("h1", "fd00:1::99"), false, "nobody here has that address");
        // The gateway is of IPv4 alone, whatever the file says of its address.
        agrees(sandbox, ("h1", "fd00:1::1"), false, "is of IPv4 alone");
        agrees(sandbox, ("h1", "fd00:9::1"), false, "no-route");
        // Addresses of a link, with the interface and without.
        let own = link_local(sandbox, "h2");
        agrees(sandbox, ("h1", &format!("{own}%eth0")), true, "h2");
        assert!(sandbox.uswitch(&["explain", "h1", &own]).ok().out.contains("icmp6 echo request"));
        agrees(sandbox, ("h1", "fe80::7:7%eth0"), false, "nobody here");
        let group = sandbox.uswitch(&["explain", "h1", "ff02::fb"]).ok().out;
        assert!(group.contains("33:33:00:00:00:fb"), "{group}");
        for (to, says) in [("fd00:1::2", "stays inside the node"), ("::1", "stays inside")] {
            assert!(sandbox.uswitch(&["explain", "h1", to]).ok().out.contains(says), "{to}");
        }
        let said = sandbox.uswitch(&["explain", "h1", "[fd00:1::3]:80"]).ok().out;
        assert!(said.contains("> [fd00:1::3]:80 tcp S"), "{said}");
        assert!(sandbox.uswitch(&["explain", "inet", "fd00:1::3"]).complaint(2).contains("IPv4"));
        let mapped = sandbox.uswitch(&["explain", "h1", "::ffff:10.1.0.3"]);
        assert!(mapped.complaint(2).contains("10.1.0.3"), "{}", mapped.err);
        // A frame to the gateway's hardware address is the gateway's, which has no use for it.
        let gateway = "02:00:0a:01:00:01";
        let known = ["-n", "h1", "neigh", "replace", "fd00:1::1", "lladdr", gateway, "dev", "eth0"];
        sandbox.tool("ip", &known);
        agrees(sandbox, ("h1", "fd00:1::1"), false, "not-ipv4");
    });
}

/// The address that a node's kernel has given its interface.
fn link_local(sandbox: &Sandbox, node: &str) -> String {
    let shown = sandbox.tool("ip", &["-n", node, "-j", "-6", "addr", "show", "dev", "eth0"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let own = shown[0]["addr_info"].as_array().unwrap().iter();
    let link = own.filter(|own| own["scope"] == "link");
    link.map(|own| own["local"].as_str().unwrap().to_owned()).next().unwrap()
}

#[test]
fn settings_that_stop_ipv6_are_named() {
    rooted(|sandbox| {
        let path = file(sandbox, "");
        let _lab = lab(sandbox, &["run", &path]);
        let set = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
        set("port h1 --isolated on");
        set("port h2 --isolated on");
        agrees(sandbox, ("h1", "fd00:1::3"), false, "isolated");
        set("port h2 --isolated off");
        agrees(sandbox, ("h1", "fd00:1::3"), true, "h2");
        set("port h3 --mcast-flood off");
        agrees(sandbox, ("h1", "fd00:1::4"), false, "mcast_flood off");
        set("port h3 --mcast-flood on");
        agrees(sandbox, ("h1", "fd00:1::4"), true, "h3");
        set("port h3 --locked on");
        set("fdb flush");
        let said = sandbox.uswitch(&["explain", "h3", "fd00:1::2"]).out;
        assert!(said.contains("locked"), "{said}");
    });
}

/// The question goes to the members of its group where a network snoops, and is answered by the switch
/// where a port suppresses.
#[test]
fn who_answers_by_neighbour_discovery_is_foretold() {
    captured(|sandbox| {
        let path = file(sandbox, "ports: {h2: {neigh_suppress: true}}\n");
        let _lab = lab(sandbox, &["run", &path]);
        ping(sandbox, "h1", "fd00:1::3", "2");
        let forget = || sandbox.tool("ip", &["-n", "h1", "neigh", "flush", "dev", "eth0"]);
        forget();
        let said = sandbox.uswitch(&["explain", "h1", "fd00:1::3"]).ok().out;
        assert!(said.contains("the switch answers for h2"), "{said}");
        sandbox.uswitch(&["port", "h2", "--neigh-suppress", "off"]).ok();
        let snooping = "network set lan --mcast-snooping on --mcast-querier on";
        sandbox.uswitch(&snooping.split(' ').collect::<Vec<_>>()).ok();
        until("h2 has told of its groups", || {
            let groups = sandbox.uswitch(&["show", "mdb"]).out;
            groups.contains("ff02::1:ff00:3")
        });
        forget();
        let said = sandbox.uswitch(&["explain", "h1", "fd00:1::3"]).ok().out;
        assert!(said.contains("asks by neighbour discovery who has fd00:1::3: h2"), "{said}");
        ping(sandbox, "h1", "fd00:1::3", "2");
    });
}

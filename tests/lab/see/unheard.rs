//! What comes to a node's port and is not heard there: `explain` says so, and so it happens.

use super::rooted;
use crate::lab;
use crate::support::Sandbox;

fn reaches(sandbox: &Sandbox, to: &str) -> bool {
    let line = format!("ip netns exec net1 ping -n -c 1 -W 1 {to}");
    sandbox.shell(&line).code == Some(0)
}

/// What is said of net1 to net2, and that it is true.
#[track_caller]
fn said(sandbox: &Sandbox, arrives: bool, part: &str) {
    let ended = sandbox.uswitch(&["explain", "net1", "net2"]);
    let out = &ended.out;
    assert_eq!(ended.code, Some(i32::from(!arrives)), "{out}");
    assert!(out.contains(part), "no {part} in {out}");
    assert_eq!(reaches(sandbox, "10.100.0.20"), arrives, "{out}");
}

#[test]
fn a_node_without_the_address_or_the_vlan_hears_nothing() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
        let does = |line: &str| drop(sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok());
        said(sandbox, true, "it would arrive");
        let lost = "it does not have 10.100.0.20 any more";
        ip("-n net2 addr flush dev vethpeer2");
        // net1 knows the neighbour as yet, and then asks for it.
        said(sandbox, false, lost);
        ip("-n net1 neigh flush all");
        said(sandbox, false, lost);
        ip("-n net2 addr add 10.100.0.20/16 dev vethpeer2");
        said(sandbox, true, "it would arrive");
        does("network set lan --vlan-filtering on");
        does("vlan add net1 10 --pvid --untagged");
        does("vlan add net2 10");
        let tagged = "it comes tagged 10, and who has 10.100.0.20 takes what comes without a tag";
        said(sandbox, false, tagged);
        ip("-n net1 neigh flush all");
        said(sandbox, false, tagged);
        does("vlan add net2 10 --pvid --untagged");
        said(sandbox, true, "it would arrive");
    });
}

/// The node's own kernel takes the longest route, and where that refuses, no shorter one.
#[test]
fn a_route_that_refuses_is_no_way_on() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for kind in ["blackhole", "unreachable", "prohibit", "throw"] {
            let set = |verb| format!("ip -n net1 route {verb} {kind} 8.8.8.8/32");
            sandbox.shell(&set("add")).ok();
            let ended = sandbox.uswitch(&["explain", "net1", "8.8.8.8"]);
            let part = "no-route: net1 has a route that refuses 8.8.8.8";
            assert!(ended.code == Some(1) && ended.out.contains(part), "{kind}: {}", ended.out);
            assert!(!reaches(sandbox, "8.8.8.8"), "{kind}");
            sandbox.shell(&set("del")).ok();
        }
        sandbox.uswitch(&["explain", "net1", "8.8.8.8"]).ok();
        // Of IPv6 the same.
        sandbox.shell("ip -n net1 -6 route add unreachable fd00:9::/64").ok();
        sandbox.shell("ip -n net1 -6 route add fd00::/16 dev vethpeer1").ok();
        let ended = sandbox.uswitch(&["explain", "net1", "fd00:9::1"]);
        assert!(ended.out.contains("has a route that refuses fd00:9::1"), "{}", ended.out);
    });
}

//! The walkthrough's open question, why `ip_forward` and the masquerade rule: each switched off in a
//! running lab, and what becomes of the ping then.

use serde_json::Value;

use crate::lab;
use crate::support::{Sandbox, rooted, rootless};

fn explained(sandbox: &Sandbox) -> String {
    sandbox.uswitch(&["explain", "net1", "8.8.8.8"]).out
}

fn ping(sandbox: &Sandbox, to: &str) -> Option<i32> {
    sandbox.uswitch(&["ping", "net1", to, "-c", "1", "-W", "1"]).code
}

fn each_is_needed(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run"]);
    let set = |args: &[&str]| sandbox.uswitch(&[&["set", "gateway"], args].concat());
    assert_eq!(ping(sandbox, "8.8.8.8"), Some(0));
    let said = set(&["--forwarding", "off"]).ok().out;
    assert_eq!(said, "the gateway: forwarding off, NAT port-restricted-cone\n");
    assert_eq!(ping(sandbox, "8.8.8.8"), Some(1));
    assert!(explained(sandbox).contains("forwarding-off"), "{}", explained(sandbox));
    // The gateway itself answers, and nodes of a network need no router.
    assert_eq!(ping(sandbox, "10.100.0.1"), Some(0));
    assert_eq!(ping(sandbox, "10.100.0.20"), Some(0));
    let shown = sandbox.uswitch(&["show"]).ok().out;
    assert!(shown.contains("(forwarding off)"), "{shown}");

    let said = set(&["--forwarding", "on", "--nat", "none"]).ok().out;
    assert_eq!(said, "the gateway: forwarding on, NAT none\n");
    assert_eq!(ping(sandbox, "8.8.8.8"), Some(1));
    let told = explained(sandbox);
    assert!(told.contains("10.100.0.10 > 8.8.8.8") && !told.contains("203.0.113.2 >"), "{told}");
    let shown = sandbox.uswitch(&["show", "-j"]).ok().out;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["uplink"]["nat"], "none");

    set(&["--nat", "port-restricted-cone"]).ok();
    assert_eq!(ping(sandbox, "8.8.8.8"), Some(0));
    for (args, says) in [
        (&["--nat", "symmetric"][..], "as long as it runs"),
        (&[], "nothing to set"),
        (&["--forwarding", "maybe"], "maybe"),
    ] {
        let ended = set(args);
        assert!(ended.complaint(2).contains(says), "{args:?}: {}", ended.err);
    }
}

#[test]
fn forwarding_and_the_nat_are_each_needed_as_root() {
    rooted(each_is_needed);
}

#[test]
fn forwarding_and_the_nat_are_each_needed_as_an_ordinary_user() {
    rootless(each_is_needed);
}

#[test]
fn whoever_knows_the_way_back_is_reached_without_the_nat() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        sandbox.uswitch(&["set", "gateway", "--nat", "none"]).ok();
        let route = ["-n", "inet", "route", "add", "10.100.0.0/16", "via", "203.0.113.2"];
        sandbox.tool("ip", &route);
        assert_eq!(ping(sandbox, "8.8.8.8"), Some(0));
        // And the other way, which no NAT would allow.
        sandbox.tool("ip", &["netns", "exec", "inet", "ping", "-c", "1", "-W", "5", "10.100.0.20"]);
    });
}

#[test]
fn a_lab_without_a_gateway_says_so() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "pair"]);
        let ended = sandbox.uswitch(&["set", "gateway", "--forwarding", "off"]);
        assert!(ended.complaint(1).contains("has no gateway"), "{}", ended.err);
    });
}

fn pulled_and_plugged(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run", "-n", "3"]);
    let routes = || sandbox.uswitch(&["exec", "net1", "--", "ip", "route"]).ok().out;
    let before = routes();
    assert_eq!(sandbox.uswitch(&["link", "net1", "down"]).ok().out, "the link of net1 is down\n");
    assert_eq!(ping(sandbox, "10.100.0.20"), Some(1));
    let down: Value = serde_json::from_str(&sandbox.uswitch(&["show", "-j"]).ok().out).unwrap();
    assert_eq!(down["nodes"][0]["up"], false);
    // The others go on.
    let others = sandbox.uswitch(&["ping", "net2", "10.100.0.30", "-c", "1"]);
    assert_eq!(others.code, Some(0), "{}", others.out);
    sandbox.uswitch(&["link", "net1", "up"]).ok();
    for to in ["10.100.0.20", "8.8.8.8"] {
        let back = sandbox.uswitch(&["ping", "net1", to, "-c", "1"]);
        assert_eq!(back.code, Some(0), "{to}: {}", back.out);
    }
    assert_eq!(routes(), before);
    for (args, says) in [
        (&["link", "net9", "down"][..], "net9"),
        (&["link", "net1", "down", "--network", "dmz"], "not in network dmz"),
    ] {
        let ended = sandbox.uswitch(args);
        assert!(ended.complaint(2).contains(says), "{args:?}: {}", ended.err);
    }
}

#[test]
fn a_cable_is_pulled_and_plugged_in_as_root() {
    rooted(pulled_and_plugged);
}

#[test]
fn a_cable_is_pulled_and_plugged_in_as_an_ordinary_user() {
    rootless(pulled_and_plugged);
}

#[test]
fn a_link_from_node_to_node_has_its_routes_again() {
    rooted(|sandbox| {
        let text = "nodes:\n  a: {routes: [10.2.0.0/24 via 10.1.0.2]}\n  b: {kind: router}\n  \
                    c: {routes: [10.1.0.0/24 via 10.2.0.1]}\nlinks:\n\
                    - endpoints: [{node: a, addresses: [10.1.0.1/24]}, {node: b, addresses: [10.1.0.2/24]}]\n\
                    - endpoints: [{node: b, addresses: [10.2.0.1/24]}, {node: c, addresses: [10.2.0.2/24]}]\n";
        let file = crate::file::write(sandbox, "line.yaml", text);
        let _lab = lab(sandbox, &["run", &file]);
        let reaches = || sandbox.uswitch(&["ping", "a", "10.2.0.2", "-c", "1", "-W", "2"]).code;
        assert_eq!(reaches(), Some(0));
        sandbox.uswitch(&["link", "a", "down"]).ok();
        assert_ne!(reaches(), Some(0));
        sandbox.uswitch(&["link", "a", "up"]).ok();
        assert_eq!(reaches(), Some(0));
        // Up already: nothing to do, nothing wrong.
        sandbox.uswitch(&["link", "a", "up"]).ok();
    });
}

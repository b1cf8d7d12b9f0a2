//! `iperf`: what it says has passed has passed.

use nix::mount::{MsFlags, mount};
use serde_json::Value;

use crate::lab;
use crate::support::{Sandbox, rooted, rootless};

/// Bytes the node has received, by its kernel.
fn received(sandbox: &Sandbox, node: &str) -> u64 {
    let args = ["exec", node, "--", "cat", "/proc/net/dev"];
    let text = sandbox.uswitch(&args).ok().out;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("vethpeer2:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn measured(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run"]);
    let before = received(sandbox, "net2");
    let said = sandbox.uswitch(&["iperf", "net1", "net2", "-t", "2", "-P", "2", "-j"]).ok().out;
    let said: Value = serde_json::from_str(&said).unwrap();
    let bytes = said["sum"]["bytes"].as_u64().unwrap();
    let came = received(sandbox, "net2") - before;
    // What was on its way at the end is not counted, headers are not its bytes.
    assert!(bytes > 1 << 20 && bytes <= came, "{bytes} of {came}: {said}");
    let intervals = said["intervals"].as_array().unwrap();
    let sum: u64 = intervals.iter().map(|one| one["bytes"].as_u64().unwrap()).sum();
    assert_eq!((intervals.len(), sum), (2, bytes), "{said}");
    assert_eq!((&said["address"], &said["streams"]), (&"10.100.0.20".into(), &2.into()));
    // Through the NAT, and as text.
    let text = sandbox.uswitch(&["iperf", "net2", "inet", "-t", "1"]).ok().out;
    let last = text.lines().last().unwrap();
    assert!(text.lines().count() == 2 && last.ends_with("net2 to inet, 1 stream"), "{text}");
    for (args, code, says) in [
        (&["iperf", "net1", "net9"][..], 2, "net9"),
        (&["iperf", "net1", "net1"], 2, "from net1 to itself"),
        (&["iperf", "net1", "net2", "-t", "0"], 2, "0"),
    ] {
        let ended = sandbox.uswitch(args);
        assert!(ended.complaint(code).contains(says), "{args:?}: {}", ended.err);
    }
}

#[test]
fn what_has_passed_is_told_as_root() {
    rooted(measured);
}

#[test]
fn what_has_passed_is_told_as_an_ordinary_user() {
    rootless(measured);
}

#[test]
fn what_ends_before_the_measurement_is_an_error() {
    rooted(|sandbox| {
        for (mid, says) in [
            ("remove net2", "node net2 of lab uswitch has gone"),
            ("down", "lab uswitch has ended"),
        ] {
            sandbox.uswitch(&["up"]).ok();
            let mut iperf = sandbox.start(&["iperf", "net1", "net2", "-t", "30"]);
            iperf.wait_for("0.0-1.0 s");
            sandbox.shell(&format!("uswitch {mid}")).ok();
            let ended = iperf.ended();
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.err.contains(says), "{}", ended.err);
            assert!(!ended.out.contains("1 stream"), "a sum of what was not: {}", ended.out);
            sandbox.uswitch(&["down"]).ok();
        }
    });
}

/// Without XDG_RUNTIME_DIR, as after `su`, a user's labs are in a folder called by the user's number, which
/// looks like another one once the lab's user namespace is entered.
#[test]
fn what_has_passed_is_told_where_the_user_s_number_names_the_run_directory() {
    rootless(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        let none = MsFlags::empty();
        mount(Some("tmpfs"), "/tmp", Some("tmpfs"), none, Some("mode=1777")).unwrap();
        let measured = "uswitch iperf net1 net2 -t 1";
        let line = format!(
            "unset XDG_RUNTIME_DIR; uswitch up >&2 && {measured}; code=$?; \
                            uswitch down >&2; exit $code"
        );
        let out = sandbox.shell(&line).ok().out;
        assert!(out.ends_with("net1 to net2, 1 stream\n"), "{out}");
    });
}

#[test]
fn nodes_may_be_named_as_their_namespaces_are() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "--name", "x"]);
        let said = sandbox.uswitch(&["iperf", "x-net1", "x-net2", "-t", "1", "-j"]).ok().out;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["address"], "10.100.0.20", "{said}");
        sandbox.uswitch(&["iperf", "x-net1", "x-inet", "-t", "1"]).ok();
    });
}

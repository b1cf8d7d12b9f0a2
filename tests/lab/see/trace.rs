//! Traces beside tcpdump on both sides of the gateway, explanations beside the pings they foretell.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{fields, lab, ping, tcpdump, until};
use crate::support::{As, Process, Sandbox, captured, rooted};

/// Starts a trace in JSON that sees whatever happens from now on.
pub(super) fn trace(sandbox: &Sandbox, args: &[&str]) -> Process {
    let mut process = sandbox.start(&[&["trace", "-j"], args].concat());
    process.wait_for_complaint("following frames");
    process
}

pub(super) fn walks(out: &str) -> Vec<Value> {
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["trace"] == "frame").collect()
}

fn decisions(walk: &Value) -> Vec<(String, String)> {
    let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = walk["steps"].as_array().unwrap().iter();
    steps.map(|step| (word(step, "at"), word(step, "decision"))).collect()
}

fn change<'a>(walk: &'a Value, field: &str) -> (&'a str, &'a str) {
    let changes = walk["changes"].as_array().unwrap();
    let found = changes.iter().find(|change| change["field"] == field);
    let found = found.unwrap_or_else(|| panic!("{field} did not change: {walk}"));
    (found["before"].as_str().unwrap(), found["after"].as_str().unwrap())
}

#[test]
fn a_trace_says_what_tcpdump_sees_on_both_sides() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let (inside, near) = tcpdump(sandbox, ("net1", "vethpeer1"), 2, "icmp");
        let (outside, far) = tcpdump(sandbox, ("inet", "vethpeerinet"), 2, "icmp");
        let ours = trace(sandbox, &["-c", "2", "icmp"]);
        ping(sandbox, "net1", "8.8.8.8", "1");
        let walks = walks(&ours.ended().ok().out);
        inside.ended().ok();
        outside.ended().ok();
        let names = ["eth.src", "eth.dst", "ip.src", "ip.dst", "ip.ttl", "ip.checksum"];
        let (near, far) = (fields(sandbox, &near, &names), fields(sandbox, &far, &names));
        for (walk, (before, after)) in walks.iter().zip([(&near[0], &far[0]), (&far[1], &near[1])])
        {
            for (name, (was, is)) in names.iter().zip(before.iter().zip(after)) {
                if was != is {
                    assert_eq!(change(walk, name), (was.as_str(), is.as_str()), "{walk}");
                }
            }
        }
        assert_eq!(change(&walks[0], "ip.src"), ("10.100.0.10", "203.0.113.2"));
        assert_eq!(change(&walks[0], "ip.ttl"), ("64", "63"));
        assert_eq!(change(&walks[1], "ip.dst"), ("203.0.113.2", "10.100.0.10"));
        let row = |at: &str, decision: &str| (at.to_owned(), decision.to_owned());
        assert_eq!(
            decisions(&walks[0]),
            [
                row("port veth1", "came"),
                row("table", "refreshed"),
                row("table", "local"),
                row("gateway", "route"),
                row("gateway", "nat"),
                row("gateway", "neighbour"),
                row("gateway", "forwards"),
                row("port vethinet", "sent"),
            ]
        );
        assert_eq!(
            decisions(&walks[1]),
            [
                row("port vethinet", "came"),
                row("gateway", "route"),
                row("gateway", "nat"),
                row("gateway", "neighbour"),
                row("gateway", "forwards"),
                row("table", "hit"),
                row("port veth1", "sent"),
            ]
        );
        let said = |walk: &Value, text: &str| walk["steps"].to_string().contains(text);
        assert!(said(&walks[0], "a new session and mapping"), "{}", walks[0]);
        assert!(said(&walks[1], "a running session"), "{}", walks[1]);
        assert!(walks[0]["spent"]["switch"].as_u64().unwrap() > 0);
    });
}

/// Asks about a ping, then sends one: the decisions are the same, and it arrives or not as told.
fn agrees(sandbox: &Sandbox, to: &str, arrives: bool) {
    let foretold = sandbox.uswitch(&["explain", "-j", "net1", to]);
    assert_eq!(foretold.code, Some(i32::from(!arrives)), "{}{}", foretold.out, foretold.err);
    let foretold: Value = serde_json::from_str(&foretold.out).unwrap();
    assert_eq!(foretold["arrives"], arrives, "{foretold}");
    let ours = trace(sandbox, &["-c", "1", "icmp and src host net1 and icmp"]);
    let inside = ["netns", "exec", "net1", "ping", "-n", "-W", "2", "-c", "1", to];
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(inside);
    let answered = Process::start(command, "ping").ended().code == Some(0);
    assert_eq!(answered, arrives, "{to}: {foretold}");
    ours.signal(Signal::SIGINT);
    let ended = ours.ended().ok();
    let walks = walks(&ended.out);
    let mut expected = decisions(&foretold);
    expected.retain(|(at, _)| at != "net1" && at != "inet");
    match walks.first() {
        None => assert!(expected.is_empty(), "{to}: {foretold}, but nothing came"),
        Some(walk) => {
            assert_eq!(decisions(walk), expected, "{to}");
            assert_eq!(walk["verdict"], foretold["verdict"], "{to}");
            assert_eq!(walk["to"], foretold["to"], "{to}");
        }
    }
}

#[test]
fn what_explain_foretells_is_what_happens() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        for (to, arrives) in [
            ("10.100.0.20", true),
            ("10.100.0.30", true),
            ("10.100.0.1", true),
            ("8.8.8.8", true),
            ("203.0.113.2", true),
            ("10.100.0.99", false),
            ("7.7.7.7", false),
            ("240.0.0.1", false),
        ] {
            agrees(sandbox, to, arrives);
        }
        // A link that is down, seen from the other side.
        sandbox.tool("ip", &["-n", "net3", "link", "set", "vethpeer3", "down"]);
        until("the lab hears of the link", || {
            sandbox.uswitch(&["explain", "net1", "net3"]).code == Some(1)
        });
        // And from its own.
        let ended = sandbox.uswitch(&["explain", "net3", "net1"]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.contains("no-route"), "{}", ended.out);
    });
}

#[test]
fn explain_knows_the_table_of_a_large_lab() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "40", "-p", "8080:net35:80"]);
        ping(sandbox, "net35", "8.8.8.8", "1");
        // By the address it is sent to nobody could tell where it ends.
        let ended = sandbox.uswitch(&["explain", "-j", "inet", "203.0.113.2:8080"]).ok();
        let walk: Value = serde_json::from_str(&ended.out).unwrap();
        let steps = walk["steps"].as_array().unwrap();
        let hit = steps.iter().find(|step| step["at"] == "table" && step["decision"] == "hit");
        let hit = hit.unwrap_or_else(|| panic!("{walk}"));
        assert!(hit["text"].as_str().unwrap().contains("is at veth35 (net35)"), "{walk}");
        assert_eq!(walk["to"], serde_json::json!(["veth35"]), "{walk}");
    });
}

#[test]
fn explain_names_what_stops_a_packet() {
    rooted(|sandbox| {
        let mut run = lab(sandbox, &["run", "--uplink", "none"]);
        agrees(sandbox, "8.8.8.8", false);
        let ended = sandbox.uswitch(&["explain", "net1", "8.8.8.8"]);
        assert!(ended.out.contains("dropped: no-route"), "{}", ended.out);
        run.signal(Signal::SIGINT);
        assert!(!run.running() || run.ended().code == Some(0));
        let _lab = lab(sandbox, &["run"]);
        for (args, code, word) in [
            (["inet", "203.0.113.2:80"], 1, "unsolicited-syn"),
            (["inet", "203.0.113.2:53/udp"], 1, "no-session"),
            (["inet", "10.100.0.10:80"], 1, "inside-from-outside"),
            (["net1", "10.100.0.1:80"], 1, "no-service"),
            (["net1", "8.8.8.8:443"], 0, "a new session and mapping"),
            (["net1", "net1"], 0, "stays inside the node"),
            (["net1", "255.255.255.255:67/udp"], 0, "a broadcast goes to every other port: veth2"),
            (["net1", "10.100.255.255:9/udp"], 0, "a broadcast goes to every other port: veth2"),
            (["net1", "224.0.0.251:5353/udp"], 0, "01:00:5e:00:00:fb is a group"),
        ] {
            let ended = sandbox.uswitch(&["explain", args[0], args[1]]);
            assert_eq!(ended.code, Some(code), "{args:?}: {}{}", ended.out, ended.err);
            assert!(ended.out.contains(word), "{args:?}: {}", ended.out);
        }
        let unknown = sandbox.uswitch(&["explain", "net9", "net1"]);
        assert!(unknown.complaint(2).contains("net1, net2"), "{}", unknown.err);
        // Nothing was opened by asking.
        // What has a name besides nodes.
        for (name, address) in [("gateway", "10.100.0.1"), ("internet", "8.8.8.8")] {
            let said = sandbox.uswitch(&["explain", "net1", name]).ok().out;
            assert!(said.contains(&format!("> {address} icmp")), "{said}");
        }
        let traced = sandbox.uswitch(&["explain", "net1", "8.8.8.8:443"]).ok();
        assert!(traced.out.contains("a new session and mapping"), "{}", traced.out);
    });
}

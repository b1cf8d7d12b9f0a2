//! `ping --split` in a lab, held against tcpdump's stamps at the nodes' own interfaces; and probes
//! lost on purpose, each told where.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answerer::Answerer;
use super::{objects, replies};
use crate::lab;
use crate::support::{As, Ended, Process, Sandbox, captured, in_netns, rooted, rootless};

/// Where a namespace is told not to answer.
const SILENT: &str = "/proc/sys/net/ipv4/icmp_echo_ignore_all";

fn split(sandbox: &Sandbox, words: &str) -> Ended {
    let words: Vec<_> = words.split(' ').collect();
    sandbox.uswitch(&[&["ping", "--split", "--json"], &words[..]].concat())
}

/// Places and legs of an answer's parts, and their microseconds, which come to the round trip.
fn parts(reply: &Value) -> Vec<(String, f64)> {
    let parts = reply["split"].as_array().unwrap_or_else(|| panic!("not split: {reply}"));
    let word = |part: &Value, key: &str| part[key].as_str().unwrap().to_owned();
    let named = |part: &Value| {
        (word(part, "where") + " " + &word(part, "leg"), part["us"].as_f64().unwrap())
    };
    let parts: Vec<_> = parts.iter().map(named).collect();
    let sum: f64 = parts.iter().map(|(_, us)| us).sum();
    assert!((sum - reply["rtt_us"].as_f64().unwrap()).abs() < 0.01, "{reply}");
    assert!(parts.iter().all(|(_, us)| *us >= 0.0), "{reply}");
    parts
}

/// What tcpdump saw at an interface: nanoseconds since 1970 of each echo, requests and replies.
fn stamps(lines: &str) -> Vec<u64> {
    let nanos = |line: &str| {
        let (seconds, rest) = line.split_once(' ').unwrap().0.split_once('.').unwrap();
        seconds.parse::<u64>().unwrap() * 1_000_000_000 + rest.parse::<u64>().unwrap()
    };
    lines.lines().filter(|line| line.contains("ICMP echo")).map(nanos).collect()
}

fn tcpdump(sandbox: &Sandbox, (node, interface): (&str, &str), echoes: u32) -> Process {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", node, "tcpdump", "-n", "-tt", "--immediate-mode", "-l"]);
    command.args(["--time-stamp-precision=nano", "-i", interface]);
    command.args(["-c", &(2 * echoes).to_string(), "icmp"]);
    let mut dump = Process::start(command, "tcpdump");
    dump.wait_for_complaint("listening on");
    dump
}

/// Five parts, whose ends lie on the right side of what tcpdump saw beside the switch.
fn agrees(sandbox: &Sandbox, to: &str, far: (&str, &str), switch: &str) {
    const ECHOES: u32 = 5;
    let near = tcpdump(sandbox, ("net1", "vethpeer1"), ECHOES);
    let beyond = tcpdump(sandbox, far, ECHOES);
    let ended = split(sandbox, &format!("net1 {to} -c {ECHOES} -i 0.1")).ok();
    let near = stamps(&near.ended().ok().out);
    let beyond = stamps(&beyond.ended().ok().out);
    let replies = replies(&ended.out);
    assert_eq!((replies.len(), near.len(), beyond.len()), (5, 10, 10), "{}", ended.out);
    for (n, reply) in replies.iter().enumerate() {
        let parts = parts(reply);
        let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let there = format!("{switch} there");
        let back = format!("{switch} back");
        let turn = format!("{} turn", far.0);
        assert_eq!(names, ["net1 there", &there, &turn, &back, "net1 back"], "{reply}");
        let [out, sent, turned, returned, home] = [0, 1, 2, 3, 4].map(|at| parts[at].1);
        let span = |from: u64, to: u64| (to as f64 - from as f64) / 1000.0;
        let ([left, came], [reached, answered]) =
            ([near[2 * n], near[2 * n + 1]], [beyond[2 * n], beyond[2 * n + 1]]);
        // The same clock on both sides; what differs is the round trip's beginning, by its blur.
        let blur = 5.0;
        assert!(turned + blur >= span(reached, answered), "{reply}");
        assert!(sent <= span(left, reached) + blur, "{reply}");
        assert!(returned <= span(answered, came) + blur, "{reply}");
        assert!(sent + turned + returned <= span(left, came) + blur, "{reply}");
        assert!(out + home + blur >= reply["rtt_us"].as_f64().unwrap() - span(left, came));
    }
    let summary = objects(&ended.out).pop().unwrap();
    let rows = summary["split"]["parts"].as_array().unwrap();
    assert_eq!(rows.len(), 5, "{summary}");
    assert!(rows.iter().all(|row| row["count"] == ECHOES), "{summary}");
    assert_eq!(summary["split"]["losses"], Value::Array(Vec::new()), "{summary}");
}

#[test]
fn a_split_agrees_with_tcpdump_on_both_sides() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        agrees(sandbox, "net2", ("net2", "vethpeer2"), "switch");
        agrees(sandbox, "8.8.8.8", ("inet", "vethpeerinet"), "switch+gateway");
    });
}

fn in_a_lab(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run"]);
    let ended = split(sandbox, "net1 10.100.0.1 -c 2 -i 0.1").ok();
    for reply in replies(&ended.out) {
        let parts = parts(&reply);
        let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["net1 there", "switch+gateway turn", "net1 back"], "{reply}");
    }
    let args = ["ping", "net1", "net2", "--split", "-c", "2", "-i", "0.1"];
    let text = sandbox.uswitch(&args).ok().out;
    let lines = text.lines().filter(|line| {
        line.starts_with("    net1 ") && line.contains(" > net2 ") && line.ends_with(" µs")
    });
    assert_eq!(lines.count(), 2, "{text}");
    assert!(text.contains("\nnet2's stack "), "{text}");
    // A flood tells no lines; its parts are in the summary.
    let flood = sandbox.uswitch(&["ping", "net1", "net2", "--split", "-f", "-q", "-c", "200"]);
    assert!(flood.ok().out.contains("\nnet2's stack "));
    for (words, said) in
        [("net1 net1 -c 1", "is net1 itself"), ("net1 net2 net1 -c 1", "one destination")]
    {
        assert!(split(sandbox, words).complaint(2).contains(said), "{words}");
    }
}

#[test]
fn in_a_lab_of_root() {
    rooted(in_a_lab);
}

#[test]
fn in_a_lab_of_an_ordinary_user() {
    rootless(in_a_lab);
}

#[test]
fn where_there_is_no_switch_nothing_is_split() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "pair"]);
        assert!(split(sandbox, "net1 net2 -c 1").complaint(2).contains("has no switch"));
    });
}

/// Three probes to `to`, none of which is answered; where and why they were lost.
fn lost(sandbox: &Sandbox, to: &str) -> (String, String) {
    let ended = split(sandbox, &format!("net1 {to} -c 3 -i 0.2 -W 0.5"));
    assert_eq!(ended.code, Some(1), "{to}: {}{}", ended.out, ended.err);
    let summary = objects(&ended.out).pop().unwrap();
    let losses = summary["split"]["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 1, "{to}: {summary}");
    assert_eq!(losses[0]["count"], 3, "{to}: {summary}");
    let told = objects(&ended.out).into_iter().filter(|object| object["stopped"].is_object());
    for object in told {
        assert_eq!(object["stopped"]["seen"], losses[0]["seen"], "{to}: {object}");
    }
    let word = |key: &str| losses[0][key].as_str().unwrap().to_owned();
    (word("seen"), word("reason"))
}

#[track_caller]
fn is_lost(sandbox: &Sandbox, to: &str, seen: &str, reason: &str) {
    let told = lost(sandbox, to);
    assert!(told.0 == seen && told.1.contains(reason), "{to}: {told:?}, not {seen}: {reason}");
}

#[test]
fn a_lost_probe_is_told_where_it_was_seen_last() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // Nobody has the address: net1's own stack does not send.
        is_lost(sandbox, "10.100.0.99", "unseen", "net1 still asks for its neighbour by ARP");
        // Too long to leave.
        is_lost(sandbox, "net2 -M do -s 2000", "unseen", "net1 refused to send it");
        // The gateway refuses.
        is_lost(sandbox, "240.0.0.1", "dropped", "dropped by the gateway: no-route");
        // It leaves by the uplink, where nobody has the address.
        is_lost(sandbox, "7.7.7.7", "unanswered", "handed to inet, and no reply came back");
        // The receiver takes it and is silent.
        in_netns("/run/netns/net2", || std::fs::write(SILENT, "1").unwrap());
        is_lost(sandbox, "net2", "unanswered", "handed to net2, and no reply came back");
        in_netns("/run/netns/net2", || std::fs::write(SILENT, "0").unwrap());
        // The answer comes back to a sender that does not take it.
        let nft = |words: &str| {
            let words: Vec<_> = words.split(' ').collect();
            sandbox.tool("ip", &[&["netns", "exec", "net1", "nft"], &words[..]].concat());
        };
        nft("add table ip deaf");
        nft("add chain ip deaf in { type filter hook input priority 0 ; }");
        nft("add rule ip deaf in icmp type echo-reply drop");
        is_lost(sandbox, "net2", "undelivered", "the answer was handed to net1, and not heard");
        nft("delete table ip deaf");
        // The receiver's link is down: there is no other port to flood it to. Its address must not
        // be asked for first.
        let neighbour = ["-n", "net1", "neigh", "replace", "10.100.0.20", "lladdr"];
        let rest = ["02:00:0a:64:00:14", "dev", "vethpeer1", "nud", "permanent"];
        sandbox.tool("ip", &[&neighbour[..], &rest[..]].concat());
        sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "down"]);
        let limit = Instant::now() + Duration::from_secs(60);
        while sandbox.uswitch(&["explain", "net1", "net2"]).code != Some(1) {
            assert!(Instant::now() < limit, "the lab does not hear of the link");
        }
        is_lost(sandbox, "net2", "dropped", "dropped by the switch: ");
    });
}

#[test]
fn an_answer_that_the_gateway_drops_is_told() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // The outside's answer has no hop left to live.
        in_netns("/run/netns/inet", || std::fs::write(SILENT, "1").unwrap());
        let outside = "/run/netns/inet";
        let _peer = Answerer::at(outside, "vethpeerinet", |r| vec![r.answer().ttl(1)]);
        is_lost(sandbox, "8.8.8.8", "answer_dropped", "dropped by the gateway: ttl-exceeded");
        is_lost(sandbox, "8.8.8.8", "answer_dropped", "answered by inet; ");
    });
}

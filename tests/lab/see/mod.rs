//! `capture`, `trace` and `explain` held against tcpdump and tshark at the nodes' own interfaces.
//!
//! | module | what it shows |
//! |---|---|
//! | `by_hand` | what users have changed in their nodes |
//! | `capture` | the same frames, read by tshark and tcpdump; pipes, full disks, slow readers |
//! | `extcap` | labs as interfaces of Wireshark |
//! | `leaving` | the tag at each port, the switch's own words, ports whose number was another's |
//! | `protocols` | the same of packets without ports, with and without NAT |
//! | `trace` | what a trace and an explanation say is what happens |
//! | `unheard` | what comes to a node's port and is not heard there |
//! | `v6` | the same of IPv6 |

mod by_hand;
mod capture;
mod extcap;
mod leaving;
mod protocols;
mod trace;
mod unheard;
mod v6;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::door::json;
use crate::lab;
use crate::support::{As, Process, Sandbox, captured, rooted};

/// For what takes a moment on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// tcpdump at an interface of a namespace, listening, for `count` packets.
fn tcpdump(sandbox: &Sandbox, at: (&str, &str), count: usize, filter: &str) -> (Process, String) {
    let file = sandbox.dir.join(format!("{}.pcap", at.1)).display().to_string();
    let count = count.to_string();
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", at.0, "tcpdump", "-n", "--immediate-mode", "-U"]);
    command.args(["-i", at.1, "-c", &count, "-w", &file, filter]);
    let mut dump = Process::start(command, "tcpdump");
    dump.wait_for_complaint("listening on");
    (dump, file)
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Fields of each packet of a file, as tshark reads them.
fn fields(sandbox: &Sandbox, file: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut args = vec!["-n", "-r", file, "-T", "fields", "-E", "separator=|"];
    for name in names {
        args.extend(["-e", name]);
    }
    let out = sandbox.tool("tshark", &args);
    out.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

fn ping(sandbox: &Sandbox, from: &str, to: &str, count: &str) {
    let inside = ["netns", "exec", from, "ping", "-n", "-i", "0.02", "-W", "5", "-c", count, to];
    sandbox.tool("ip", &inside);
}

/// A question that the switch answers itself is foretold so, in a lab made by a file too.
#[test]
fn who_answers_for_a_neighbour_is_foretold() {
    captured(|sandbox| {
        let path = sandbox.dir.join("suppressed.yaml");
        let file = "networks: {lan: {subnet: 10.1.0.0/24}}\n\
                    nodes: {'h[1-3]': {network: lan}}\n\
                    ports: {h2: {neigh_suppress: true}}\n";
        std::fs::write(&path, file).unwrap();
        let _lab = lab(sandbox, &["run", path.to_str().unwrap()]);
        let nodes = json(sandbox, &["show", "topology", "-j"])["nodes"].clone();
        let [from, to] = [0, 1].map(|n| nodes[n]["address"].as_str().unwrap().to_owned());
        let to = to.as_str();
        // Both are known to the switch now, and h1 forgets the other.
        ping(sandbox, "h1", to, "2");
        sandbox.tool("ip", &["-n", "h1", "neigh", "flush", "all"]);
        let said = sandbox.uswitch(&["explain", "h1", to]).ok().out;
        assert!(said.contains("the switch answers for h2"), "{said}");
        // And so it happens: the question does not reach h2.
        let filter = format!("ether broadcast and arp and src host {from}");
        let (mut heard, _) = tcpdump(sandbox, ("h2", "eth0"), 1, &filter);
        let (asked, _) = tcpdump(sandbox, ("h1", "eth0"), 1, &filter);
        ping(sandbox, "h1", to, "2");
        asked.ended().ok();
        assert!(heard.running());
        sandbox.uswitch(&["port", "h2", "--neigh-suppress", "off"]).ok();
        sandbox.tool("ip", &["-n", "h1", "neigh", "flush", "all"]);
        let said = sandbox.uswitch(&["explain", "h1", to]).ok().out;
        assert!(!said.contains("the switch answers"), "{said}");
        ping(sandbox, "h1", to, "2");
        heard.ended().ok();
    });
}

#[test]
fn a_wrong_filter_is_pointed_at() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for verb in ["capture", "trace"] {
            let ended = sandbox.uswitch(&[verb, "net1", "icmp and hots net2"]);
            assert_eq!(ended.code, Some(2), "{}", ended.err);
            assert!(ended.err.contains("was `host` meant?"), "{}", ended.err);
            assert!(ended.err.ends_with("icmp and hots net2\n           ^^^^\n"), "{}", ended.err);
        }
    });
}

#[test]
fn a_filter_that_begins_with_a_join_is_told_as_it_was_meant() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for (words, meant) in [
            ("net1 and net2", "write \"host net1 and host net2\""),
            ("net1 or icmp and net2", "write \"host net1 or icmp and host net2\""),
            ("net1 && dst net2", "write \"host net1 && dst net2\""),
            ("veth1 and icmp", "write \"veth1 icmp\""),
        ] {
            let ended = sandbox.shell(&format!("uswitch trace {}", words.replace("&&", "'&&'")));
            assert!(ended.err.contains(meant), "{words}: {}", ended.err);
            assert_eq!(ended.code, Some(2), "{words}");
        }
    });
}

#[test]
fn times_are_local() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // As the C library has it, which needs no files for such a zone.
        let hour = |zone: &str| {
            let out = sandbox.shell(&format!("TZ={zone} date +%H"));
            out.out.trim().to_owned()
        };
        for zone in ["JST-9", "NST+3:30", "UTC0"] {
            let line = format!("TZ={zone} uswitch capture -c 1 icmp");
            let mut ours = sandbox.start_shell(&line);
            ours.wait_for_complaint("until Ctrl-C; times are");
            let before = hour(zone);
            ping(sandbox, "net1", "10.100.0.20", "1");
            let ended = ours.ended().ok();
            let hours = [before, hour(zone)];
            assert!(hours.iter().any(|hour| ended.out.starts_with(hour)), "{zone}: {}", ended.out);
            assert!(ended.err.contains("1 frame recorded,"), "{}", ended.err);
        }
    });
}

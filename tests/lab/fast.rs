//! The fast path as a user has it: what the switch has decided the kernel repeats, every frame is
//! counted and shown as without it, and it goes when the lab goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::door::show::both;
use crate::door::until;
use crate::support::{Process, Sandbox, Wire, captured, rootless};
use crate::{lab, netns};

fn shown(sandbox: &Sandbox, what: &str) -> Value {
    serde_json::from_str(&sandbox.uswitch(&["show", what, "-j"]).ok().out).unwrap()
}

/// The frames of all flows.
fn carried(sandbox: &Sandbox) -> u64 {
    let flows = shown(sandbox, "flows");
    flows.as_array().unwrap().iter().map(|flow| flow["packets"].as_u64().unwrap()).sum()
}

/// The programs and maps of a process.
fn held(process: &Process) -> BTreeSet<(String, u32)> {
    let folder = std::fs::read_dir(format!("/proc/{}/fdinfo", process.pid())).unwrap();
    let texts = folder.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let ids = |text: &str| {
        let pair = |line: &str| {
            let (name, number) = line.split_once(':')?;
            let wanted = matches!(name, "prog_id" | "map_id" | "link_id");
            Some((name.to_owned(), number.trim().parse::<u32>().ok().filter(|_| wanted)?))
        };
        text.lines().filter_map(pair).collect::<Vec<_>>()
    };
    texts.flat_map(|text| ids(&text)).collect()
}

#[test]
fn what_the_kernel_carries_is_counted_shown_and_watched_as_ever() {
    captured(|sandbox| {
        let run = ["run", "--uplink", "none", "-n", "3", "--fast-path", "on"];
        let _lab = lab(sandbox, &run);
        let fast = shown(sandbox, "topology")["fast_path"].clone();
        assert!(fast["asked"] == "on" && fast["runs"] == true, "{fast}");
        let ping = |count: &str| {
            let args = ["ping", "-q", "-c", count, "-i", "0.01", "net1", "10.100.0.20"];
            sandbox.uswitch(&args).ok();
        };
        ping("20");
        let (before, pings) = ([both(sandbox, 1), both(sandbox, 2)], 200);
        ping(&pings.to_string());
        let by_flows = carried(sandbox);
        assert!(by_flows > pings, "the kernel has carried {by_flows} frames of {pings} pings");
        for (number, (kernel, ours)) in (1..).zip(before) {
            let counted = until("the counts agree", || {
                let (kernel_now, ours_now) = both(sandbox, number);
                let (theirs, ours) = (kernel_now.since(kernel), ours_now.since(ours));
                (theirs == ours).then_some(ours)
            });
            assert!(counted.0[0] >= pings && counted.0[2] >= pings, "net{number}: {counted:?}");
        }
        let explained = || {
            let text = sandbox.uswitch(&["explain", "net1", "net2", "-j"]).ok().out;
            serde_json::from_str::<Value>(&text).unwrap()["kernel"].clone()
        };
        ping("5");
        assert_eq!(explained(), Value::Bool(true));
        // While somebody looks, every frame passes the switch.
        let mut trace = sandbox.start(&["trace", "-j", "-c", "100", "icmp"]);
        trace.wait_for_complaint("following frames");
        let begun = Instant::now();
        while shown(sandbox, "flows").as_array().is_some_and(|flows| !flows.is_empty()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "flows while somebody looks");
        }
        ping("50");
        let seen = trace.ended().ok().out;
        let lines = seen.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let echoes = lines.filter(|line| line["trace"] == "frame").count();
        assert_eq!(echoes, 100, "of 100 echoes and replies:\n{seen}");
    });
}

#[test]
fn nothing_of_it_outlives_the_process() {
    captured(|sandbox| {
        let mut run = lab(sandbox, &["run", "--uplink", "none", "--fast-path", "on"]);
        sandbox.uswitch(&["ping", "-q", "-c", "5", "-i", "0.01", "net1", "10.100.0.20"]).ok();
        let ours = held(&run);
        assert!(ours.iter().any(|(kind, _)| kind == "link_id"), "{ours:?}");
        run.signal(Signal::SIGKILL);
        while run.running() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let there = || -> BTreeSet<(String, u32)> {
            let programs = aya::programs::loaded_programs().flatten();
            let programs = programs.map(|program| ("prog_id".to_owned(), program.id()));
            let maps =
                aya::maps::loaded_maps().flatten().map(|map| ("map_id".to_owned(), map.id()));
            programs.chain(maps).collect()
        };
        let begun = Instant::now();
        while !there().is_disjoint(&ours) {
            let left: Vec<_> = there().intersection(&ours).cloned().collect();
            assert!(begun.elapsed() < Duration::from_secs(20), "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn where_it_cannot_be_had_on_is_one_error_and_auto_says_why() {
    rootless(|sandbox| {
        let before = sandbox.state();
        let refused = sandbox.uswitch(&["run", "--check", "--fast-path", "on"]);
        let line = refused.complaint(1).to_owned();
        assert!(line.contains("--fast-path on") && line.contains("root"), "{line}");
        assert_eq!(sandbox.state(), before, "something was left");
        let _lab = lab(sandbox, &["run", "--uplink", "none", "--fast-path", "auto"]);
        let fast = shown(sandbox, "topology")["fast_path"].clone();
        assert_eq!(fast["runs"], Value::Bool(false));
        assert!(fast["why_not"].as_str().unwrap().contains("root"), "{fast}");
        let text = sandbox.uswitch(&["show"]).ok().out;
        assert!(text.contains("fast path (auto): not in use: "), "{text}");
        assert_eq!(shown(sandbox, "flows"), Value::Array(Vec::new()));
    });
}

#[test]
fn what_it_does_not_go_with_is_a_usage_error() {
    rootless(|sandbox| {
        for args in [
            &["run", "--fast-path", "on", "--workers", "2"][..],
            &["run", "pair", "--fast-path", "on"],
            &["run", "--fast-path", "perhaps"],
        ] {
            let ended = sandbox.uswitch(args);
            assert!(ended.complaint(2).contains("fast-path"), "{args:?}: {}", ended.err);
        }
    });
}

/// A file says it as the command does, which goes before it, and a running lab's file says what was asked for.
#[test]
fn a_file_may_ask_for_it_too() {
    captured(|sandbox| {
        let file = |said: &str| {
            let path = sandbox.dir.join("fast.yaml");
            let text =
                format!("uplink: none\nnetworks: {{lan: {{subnet: 10.1.0.0/24}}}}\n{said}\n");
            std::fs::write(&path, text + "nodes: {h1: {network: lan}}\n").unwrap();
            path.display().to_string()
        };
        for (said, option, asked) in [
            ("fast_path: on", &[][..], "on"),
            ("fast_path: \"auto\"", &[], "auto"),
            ("fast_path: on", &["--fast-path", "off"], ""),
            ("fast_path: off", &["--fast-path", "on"], "on"),
        ] {
            let path = file(said);
            let words = [&["run", path.as_str()], option].concat();
            let run = lab(sandbox, &words);
            let fast = shown(sandbox, "topology")["fast_path"].clone();
            assert_eq!(fast["asked"].as_str().unwrap_or_default(), asked, "{words:?}");
            let written = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
            let line = written.lines().find_map(|line| line.strip_prefix("fast_path: "));
            assert_eq!(line.unwrap_or_default().trim_matches('"'), asked, "{written}");
            run.signal(Signal::SIGINT);
            run.ended().ok();
        }
        let refused = sandbox.uswitch(&["run", "--check", &file("fast_path: perhaps")]);
        let line = refused.complaint(2);
        assert!(line.contains("perhaps") && line.contains("off, on, auto"), "{line}");
    });
}

/// The gateway would refuse them all alike, and counts them as if it had been shown each.
#[test]
fn what_the_kernel_floods_the_gateway_counts_too() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "--uplink", "none", "-n", "4", "--fast-path", "on"]);
        let counted = || {
            let counters = shown(sandbox, "counters");
            let count = |of: &Value| of.as_u64().unwrap_or(0);
            let gateway = &counters["gateway"];
            let refused = ["not-ipv4", "not-for-me"].map(|why| count(&gateway["drops"][why]));
            (count(&counters["switch"]["flooded"]), refused, count(&gateway["lan_in"]))
        };
        let carried = || shown(sandbox, "topology")["fast_path"]["packets"].as_u64().unwrap();
        let mut wire = Wire::open(netns("net1"), "vethpeer1");
        for (ethertype, refused) in [([0x88, 0xb5], [1, 0]), ([8, 0], [0, 1])] {
            let mut frame = [0xff; 60];
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0x77, ethertype[0]]);
            frame[12..14].copy_from_slice(&ethertype);
            let ((flooded, before, entered), by_kernel) = (counted(), carried());
            let begun = Instant::now();
            let mut sent = 0;
            // It looks at a port once there is something to repeat.
            while carried() < by_kernel + 500 {
                assert!(begun.elapsed() < Duration::from_secs(20), "{sent} frames");
                (0..50).for_each(|_| wire.send(&frame));
                sent += 50;
            }
            until("each is counted once", || {
                let (now, drops, came) = counted();
                // Nodes say something to groups of their own accord.
                let alike = |more: u64, sent: u64| (sent..=sent + 20).contains(&more);
                let drops = [0, 1].map(|n| alike(drops[n] - before[n], sent * refused[n]));
                let all = alike(now - flooded, sent) && alike(came - entered, sent);
                (all && drops == [true; 2]).then_some(())
            });
        }
    });
}

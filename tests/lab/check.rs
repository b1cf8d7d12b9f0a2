//! Every topology: built, its pings answered, undone without a trace.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::READY;
use crate::support::{Sandbox, rooted, rootless};

/// Each topology with its checks, and a few sizes of it.
const RUNS: &[&[&str]] = &[
    &["run", "--check"],
    &["run", "switch", "-n", "5", "--uplink", "none", "--check"],
    &["run", "pair", "--check"],
    &["run", "mesh", "-n", "4", "--check"],
];

fn every_run(sandbox: &Sandbox) {
    let before = sandbox.state();
    for args in RUNS {
        let ended = sandbox.uswitch(args).ok();
        assert_eq!(ended.err, "", "{args:?} complained");
        assert_eq!(sandbox.state(), before, "{args:?} left something behind");
    }
}

#[test]
fn every_topology_as_root() {
    rooted(every_run);
}

#[test]
fn every_topology_as_an_ordinary_user() {
    rootless(every_run);
}

#[test]
fn no_first_probe_is_lost() {
    rooted(|sandbox| {
        for turn in 0..12 {
            for args in [&["run", "pair", "--check"][..], &["run", "mesh", "-n", "5", "--check"]] {
                let ended = sandbox.uswitch(args);
                assert_eq!(ended.code, Some(0), "{args:?}, turn {turn}:\n{}", ended.out);
            }
        }
    });
}

/// More neighbours than the kernel holds over all namespaces, and each node's first words are
/// flooded to all the others.
#[test]
fn a_crowd_is_answered() {
    rooted(|sandbox| {
        let run = sandbox.start(&["run", "-n", "600", "--uplink", "none", "--check"]);
        let ended = run.ended_within(Duration::from_secs(300)).ok();
        assert!(ended.out.contains("600 of 600 pings answered"), "{}", ended.out);
    });
}

#[test]
fn the_walkthrough_can_be_followed_with_ip() {
    rooted(|sandbox| {
        let mut run = sandbox.start(&["run"]);
        run.wait_for(READY);
        for (node, interface, address) in
            [("net1", "vethpeer1", "10.100.0.10/16"), ("net2", "vethpeer2", "10.100.0.20/16")]
        {
            let inside = ["netns", "exec", node, "ip"];
            let addresses = sandbox.tool("ip", &[&inside[..], &["-o", "-4", "addr"]].concat());
            assert!(
                addresses.lines().any(|line| line.contains(interface) && line.contains(address)),
                "{node}: {addresses}"
            );
            let routes = sandbox.tool("ip", &[&inside[..], &["route"]].concat());
            assert!(routes.contains("default via 10.100.0.1"), "{node}: {routes}");
            let links = sandbox.tool("ip", &[&inside[..], &["-o", "link"]].concat());
            assert!(links.lines().all(|line| line.contains("UP")), "{node}: {links}");
            let ping = ["netns", "exec", node, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "20"];
            for to in ["10.100.0.1", "10.100.0.10", "10.100.0.20", "8.8.8.8", "1.1.1.1"] {
                sandbox.tool("ip", &[&ping[..], &[to]].concat());
            }
        }
        // The host shows no clutter, and the internet has no way back of its own.
        assert_eq!(sandbox.tool("ip", &["-o", "link"]).lines().count(), 1);
        let routes = sandbox.tool("ip", &["netns", "exec", "inet", "ip", "route"]);
        assert!(!routes.contains("10.100"), "{routes}");
        run.signal(Signal::SIGINT);
        assert_eq!(run.ended().code, Some(0));
    });
}

#[test]
fn ctrl_c_and_sigterm_undo_everything() {
    rooted(|sandbox| {
        let before = sandbox.state();
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut run = sandbox.start(&["run"]);
            run.wait_for(READY);
            assert_ne!(sandbox.state(), before);
            run.signal(signal);
            let ended = run.ended();
            assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
            assert_eq!(sandbox.state(), before, "{signal} left something behind");
        }
    });
}

#[test]
fn up_and_down_and_again() {
    rooted(up_down);
}

#[test]
fn up_and_down_as_an_ordinary_user() {
    rootless(up_down);
}

fn up_down(sandbox: &Sandbox) {
    let before = sandbox.state();
    for _ in 0..2 {
        sandbox.uswitch(&["up"]).ok();
        let _down = Down(sandbox);
        let second = sandbox.uswitch(&["up"]);
        assert!(second.complaint(1).contains("uswitch"), "{}", second.err);
        let shown = sandbox.uswitch(&["ping", "net1", "8.8.8.8", "-c", "1"]).ok().out;
        assert!(shown.contains("1 received"), "{shown}");
        sandbox.uswitch(&["down"]).ok();
        assert_eq!(sandbox.state(), before);
        sandbox.uswitch(&["down"]).ok();
    }
}

/// A lab in the background must not outlive a failed test.
struct Down<'a>(&'a Sandbox);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.uswitch(&["down"]);
        }
    }
}

#[test]
fn two_labs_side_by_side() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut one = sandbox.start(&["run"]);
        one.wait_for(READY);
        let mut two = sandbox.start(&["run", "--name", "two"]);
        two.wait_for(READY);
        let names = sandbox.tool("ip", &["netns", "list"]);
        for name in ["net1", "net2", "inet", "two-net1", "two-net2", "two-inet"] {
            assert!(names.split_whitespace().any(|word| word == name), "no {name} in {names}");
        }
        let held = sandbox.uswitch(&["run", "--name", "two"]);
        let pid = two.pid().to_string();
        assert!(held.complaint(1).contains(&pid), "does not say who holds it: {}", held.err);
        // The end of one is nothing to the other.
        one.signal(Signal::SIGTERM);
        assert_eq!(one.ended().code, Some(0));
        sandbox.tool("ip", &["netns", "exec", "two-net1", "ping", "-c1", "-W20", "10.100.0.20"]);
        two.signal(Signal::SIGTERM);
        assert_eq!(two.ended().code, Some(0));
        assert_eq!(sandbox.state(), before);
    });
}

/// A checked run costs little: processor time, which does not grow where others have the cores. What
/// waits in vain or asks again and again shows here; seconds on the clock are `benches/startup`'s.
#[test]
fn a_checked_run_takes_little_work() {
    rooted(|sandbox| {
        let said = sandbox.shell("uswitch run --check >&2; times").ok().out;
        // The shell's own time, then that of what it has started: user and system.
        let times = said.lines().last().unwrap();
        let seconds = |time: &str| {
            let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
            minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
        };
        let work: f64 = times.split_whitespace().map(seconds).sum();
        assert!(work < 0.5, "{work} s: {said}");
    });
}

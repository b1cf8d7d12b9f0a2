//! A frame whose kind no vnet header can tell stops the switch's ring: only that frame is lost, and
//! for a moment what the others send; then all goes on, told and counted.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab;
use crate::support::{As, Process, Sandbox, rooted, skip};

const GIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/unspeakable.pl");

/// Whether such frames can be made; says so where not: of some machines' taps root alone may make use.
fn taps() -> bool {
    let tun = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = &tun {
        skip(format!("/dev/net/tun: {error}"));
    }
    tun.is_ok()
}

/// Lets such frames out of net1, as a stack does whose link offloads them.
fn give(sandbox: &Sandbox, count: u32) {
    let mut perl = sandbox.command(As::Root, Path::new("ip"));
    perl.args(["netns", "exec", "net1", "perl", GIVER]);
    perl.env("NAME", "tap1").env("PEER", "vethpeer1").env("COUNT", count.to_string());
    Process::start(perl, "perl").ended().ok();
}

fn counters(sandbox: &Sandbox) -> Value {
    let said = sandbox.uswitch(&["show", "counters", "-j"]).ok().out;
    serde_json::from_str::<Value>(&said).unwrap()["switch"].clone()
}

/// Whether others hear each other.
fn pings(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let mut ping = sandbox.command(As::Root, Path::new("ip"));
    ping.args(["netns", "exec", from, "ping", "-q", "-c", "1", "-W", "1", to]);
    Process::start(ping, "ping").ended().code == Some(0)
}

#[test]
fn others_go_on_and_it_is_told_once_and_counted() {
    if !taps() {
        return;
    }
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "3"]);
        let monitor = sandbox.start(&["monitor", "-j"]);
        let mut text = sandbox.start(&["monitor"]);
        assert!(pings(sandbox, "net2", "10.100.0.30"));
        for round in 1..=2 {
            give(sandbox, 1);
            let begun = Instant::now();
            while !pings(sandbox, "net2", "10.100.0.30") || !pings(sandbox, "net3", "8.8.8.8") {
                let limit = Duration::from_secs(15);
                assert!(begun.elapsed() < limit, "it stands still: {:#}", counters(sandbox));
            }
            // The kernel's count is the sum of ours, as soon as nothing is on its way.
            let begun = Instant::now();
            loop {
                let seen = counters(sandbox);
                assert_eq!(seen["rings_renewed"], round, "{seen:#}");
                assert!(seen["ring_drops"].as_u64() >= Some(round), "{seen:#}");
                let count = |name: &str| seen[name].as_u64().unwrap();
                if count("ring_packets") == count("received") + count("ring_drops") {
                    break;
                }
                assert!(begun.elapsed() < Duration::from_secs(20), "{seen:#}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        text.wait_for("the ring of the nodes had stopped and was opened anew");
        let told = || monitor.out().matches(r#""event":"ring_renewed""#).count();
        let limit = Instant::now() + Duration::from_secs(20);
        while told() < 2 {
            assert!(Instant::now() < limit, "{}", monitor.out());
            std::thread::sleep(Duration::from_millis(20));
        }
        let metrics = sandbox.uswitch(&["metrics"]).ok().out;
        assert!(metrics.contains("switch_renewed_rings_total 2"), "{metrics}");
        let shown = sandbox.uswitch(&["show", "counters"]).ok().out;
        assert!(shown.lines().any(|line| line.starts_with("rings renewed")), "{shown}");
        run.signal(nix::sys::signal::Signal::SIGTERM);
        let ended = run.ended().ok();
        assert_eq!(ended.err.matches("has stopped the ring").count(), 1, "{}", ended.err);
    });
}

/// How many frames of others it costs, counted and not timed: one is sent each 10 ms, while programs
/// keep all cores busy.
#[test]
fn others_lose_few_frames_though_all_cores_are_busy() {
    if !taps() {
        return;
    }
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3", "--uplink", "none"]);
        let busy = || {
            let mut spin = sandbox.command(As::Root, Path::new("perl"));
            spin.args(["-e", "1 while 1"]);
            Process::start(spin, "perl")
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let hogs: Vec<_> = (0..cores).map(|_| busy()).collect();
        let mut ping = sandbox.command(As::Root, Path::new("ip"));
        ping.args(["netns", "exec", "net2", "ping", "-c", "400", "-i", "0.01", "-W", "1"]);
        ping.arg("10.100.0.30");
        let ping = Process::start(ping, "ping");
        std::thread::sleep(Duration::from_millis(500));
        give(sandbox, 1);
        let said = ping.ended();
        for hog in hogs {
            hog.signal(nix::sys::signal::Signal::SIGKILL);
            hog.ended();
        }
        let words = said.out.split_whitespace().collect::<Vec<_>>();
        let at = words.iter().position(|word| *word == "received,").unwrap();
        let came: u32 = words[at - 1].parse().unwrap();
        assert_eq!(counters(sandbox)["rings_renewed"], 1, "{:#}", counters(sandbox));
        assert!(came >= 360, "{} of 400 lost: {}", 400 - came, said.out);
    });
}

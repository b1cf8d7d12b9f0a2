//! A frame whose kind the vnet header cannot tell stops a ring for good: the switch opens another,
//! and only what came meanwhile is lost, counted to the frame.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rig::frames::{mac, number, plain};
use rig::{Rig, eventually, on_a_rig, settled};
use uswitch_switch::{Config, Elsewhere, Event, PortId, PortRole, PortSpec, Switch};
use wire::MacAddr;

/// `perl` is on every Debian, and has ioctl.
const TAP: &str = include_str!("../../tests/support/unspeakable.pl");

/// A tap of the calling thread's namespace, until it is dropped.
struct Tap(Child, ChildStdin, BufReader<ChildStdout>);

impl Tap {
    fn new(name: &str) -> Self {
        let mut perl = Command::new("perl");
        perl.args(["-e", TAP]).env("NAME", name).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = perl.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut tap = Self(child, input, BufReader::new(output));
        tap.says("up");
        tap
    }

    #[track_caller]
    fn says(&mut self, word: &str) {
        let mut line = String::new();
        self.2.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }

    /// Lets frames of UDP fragments in.
    fn unspeakable(&mut self, count: usize) {
        writeln!(self.1, "{count}").unwrap();
        self.says("given");
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Frames of node 0 to everybody, numbered, until they reach node 1: how many it sent, and how many
/// were lost before the first that came. To everybody, for those always go through the ring: a flow
/// in the kernel does not notice that one has stopped.
fn passes(rig: &mut Rig, from: u32) -> (u32, u32) {
    let begun = Instant::now();
    for n in from.. {
        rig.nodes[0].send(&plain(1, MacAddr::BROADCAST, n, 60));
        if let Some(got) = rig.nodes[1].receive_within(Duration::from_millis(20)) {
            let first = number(&got.bytes);
            for next in first + 1..=n {
                assert_eq!(number(&rig.nodes[1].receive().bytes), next, "once and in order");
            }
            return (n - from + 1, first - from);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the switch stands still");
    }
    unreachable!()
}

fn renewed(switch: &Switch) -> Vec<(bool, u64)> {
    let told = |event| match event {
        Event::Renewed { uplink, lost } => Some((uplink, lost)),
        _ => None,
    };
    switch.events().try_iter().filter_map(told).collect()
}

#[test]
fn a_ring_that_has_stopped_is_opened_anew_and_the_books_balance() {
    on_a_rig(2, |rig| {
        let mut tap = Tap::new("tap0");
        let switch = rig.switch(Config::default(), None);
        rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].receive();
        let mut offered = 1;
        for round in 1..=3 {
            offered += u64::from(passes(rig, 1000 * round).0);
            tap.unspeakable(1);
            let begun = Instant::now();
            let (sent, missed) = passes(rig, 1000 * round + 500);
            let silence = begun.elapsed();
            assert!(missed > 0, "the frame stopped nothing: this kernel needs none of it");
            assert!(silence < Duration::from_secs(5), "it stood still for {silence:?}");
            offered += 1 + u64::from(sent);
            eventually("it is counted", || switch.counters().rings_renewed == u64::from(round));
            let counters = settled(&switch, offered);
            let [(false, lost)] = renewed(&switch)[..] else { panic!("not told, or not once") };
            // The one that stopped it may have come while frames still came out.
            let lost = lost - u64::from(missed);
            assert!(lost <= 1, "{lost} more than those that did not arrive: {counters:?}");
        }
    });
}

#[test]
fn frames_that_stop_a_ring_while_it_is_busy() {
    on_a_rig(2, |rig| {
        let mut tap = Tap::new("tap0");
        let switch = rig.switch(Config { slots: 255, ..Config::default() }, None);
        for n in 0..50 {
            (0..100).for_each(|_| rig.nodes[0].queue(&plain(1, mac(2), n, 60)));
            assert_eq!(rig.nodes[0].flush(), 0);
            if n % 10 == 5 {
                tap.unspeakable(3);
            }
        }
        rig.nodes[1].count(Duration::from_secs(2));
        passes(rig, 9999);
        eventually("it is counted", || switch.counters().rings_renewed > 0);
    });
}

#[test]
fn one_of_two_rings_that_share_flows() {
    on_a_rig(2, |rig| {
        let mut tap = Tap::new("tap0");
        let switch = rig.switch(Config { workers: 2, ..Config::default() }, None);
        tap.unspeakable(1);
        // Whichever of the two it was: flows of both pass.
        let wanted = || switch.counters().rings_renewed == 1;
        let begun = Instant::now();
        while !wanted() {
            for n in 0..8 {
                rig.nodes[0].send(&plain(n + 1, MacAddr::BROADCAST, 0, 60));
            }
            tap.unspeakable(1);
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", switch.counters());
            std::thread::sleep(Duration::from_millis(20));
        }
        eventually("both forward", || {
            rig.nodes[1].count(Duration::from_millis(300));
            (0..16).all(|n| {
                rig.nodes[0].send(&plain(n + 1, MacAddr::BROADCAST, n.into(), 60));
                rig.nodes[1].receive_within(Duration::from_millis(300)).is_some()
            })
        });
    });
}

#[test]
fn the_ring_of_an_uplink_elsewhere() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config::default(), None);
        let outside = rig.nodes[1].netns.try_clone().unwrap();
        let (mut tap, ifindex) = rig.nodes[1].inside(|| {
            let tap = Tap::new("tap0");
            (tap, nix::net::if_::if_nametoindex("tap0").unwrap())
        });
        let (netns, pass) = (Arc::new(outside), sys::packet::Pass::All);
        let netns = Some(Elsewhere { netns, pass, crossing: None });
        let spec = PortSpec::bridged("tap0".into(), ifindex, 1500);
        let id = switch.add_port(PortSpec { role: PortRole::Routed, netns, ..spec });
        assert_eq!(id.unwrap(), PortId(2));
        tap.unspeakable(2);
        eventually("it is counted", || {
            tap.unspeakable(1);
            std::thread::sleep(Duration::from_millis(20));
            switch.counters().rings_renewed > 0
        });
        assert!(renewed(&switch).iter().all(|(uplink, _)| *uplink));
        // The nodes' own ring has nothing to do with it.
        assert_eq!(switch.counters().ring_drops, switch.counters().ring_packets);
    });
}

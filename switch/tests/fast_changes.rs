//! The fast path while everything changes: after a change has returned no frame goes where the path
//! without it would not have sent it, and both count and show the same.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as Cases, TestRunner};
use rig::frames::{mac, number, plain};
use rig::{Node, Rig, eventually, on_a_rig, settled};
use uswitch_switch::core::{Memberships, PortVlans, VlanFilter};
use uswitch_switch::{
    Config, EntryKind, FastPath, NetworkConfig, NetworkId, PortId, PortSettings, StormLimits,
    Switch,
};
use wire::{MacAddr, Timestamp, VlanId, VlanTag, VnetHeader};

const NODES: u8 = 4;

/// What may happen; numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An address, at home at the node of its number, sends to another, so many times.
    Send(u8, u8, u8),
    /// An address sends from another node than its own.
    Move(u8, u8, u8),
    /// An address sends to all, so many times.
    Broadcast(u8, u8),
    Link(u8, bool),
    Settings(u8, u8),
    Mtu(u8, bool),
    Flush(Option<u8>),
    Static(u8, u8),
    Blackhole(u8),
    Forget(u8),
    Vlans(u8, u8),
    /// To the second network, or back.
    Network(u8, bool),
    Again(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..NODES;
    prop_oneof![
        8 => (n.clone(), n.clone(), 1..12u8).prop_map(|(a, b, c)| Step::Send(a, b, c)),
        2 => (n.clone(), n.clone(), n.clone()).prop_map(|(a, b, c)| Step::Move(a, b, c)),
        2 => (n.clone(), 1..24u8).prop_map(|(a, b)| Step::Broadcast(a, b)),
        1 => (n.clone(), any::<bool>()).prop_map(|(a, b)| Step::Link(a, b)),
        1 => (n.clone(), 0..9u8).prop_map(|(a, b)| Step::Settings(a, b)),
        1 => (n.clone(), any::<bool>()).prop_map(|(a, b)| Step::Mtu(a, b)),
        1 => proptest::option::of(n.clone()).prop_map(Step::Flush),
        1 => (n.clone(), n.clone()).prop_map(|(a, b)| Step::Static(a, b)),
        1 => n.clone().prop_map(Step::Blackhole),
        1 => n.clone().prop_map(Step::Forget),
        1 => (n.clone(), 0..3u8).prop_map(|(a, b)| Step::Vlans(a, b)),
        1 => (n.clone(), any::<bool>()).prop_map(|(a, b)| Step::Network(a, b)),
        1 => n.prop_map(Step::Again),
    ]
}

/// All that can be seen of a run: what each node got, frame by frame, and what was counted and known
/// after each step.
#[derive(Debug, PartialEq, Eq, Default)]
struct Seen {
    got: Vec<Vec<(Option<VlanTag>, u32)>>,
    counted: Vec<String>,
}

fn settings(which: u8) -> PortSettings {
    let plain = PortSettings::default();
    match which {
        0 => PortSettings { isolation: Some(1), ..plain },
        1 => PortSettings { learning: false, ..plain },
        2 => PortSettings { locked: true, ..plain },
        3 => PortSettings { hairpin: true, ..plain },
        4 => PortSettings { learn_limit: 1, ..plain },
        5 => PortSettings { bcast_flood: false, ..plain },
        // None a second, for a second may end anywhere.
        6 => PortSettings { storm: StormLimits { broadcast: Some(0), ..plain.storm }, ..plain },
        _ => plain,
    }
}

fn vlans(which: u8) -> (Memberships, Option<VlanTag>) {
    let vid = VlanId::from_tci(1);
    let mut port = PortVlans::none();
    match which {
        0 => (PortVlans::access(vid).into(), None),
        1 => {
            port.add(vid, false);
            (port.into(), Some(VlanTag { tpid: 0x8100, tci: 1 }))
        }
        _ => (port.into(), None),
    }
}

/// Does the steps one by one, each to its end.
fn run(rig: &mut Rig, steps: &[Step], filtering: bool, fast: bool) -> (Seen, u64) {
    let vlan = filtering.then_some(VlanFilter { protocol: 0x8100 });
    let network = NetworkConfig { vlans: vlan, ..NetworkConfig::default() };
    let fast = fast.then(|| FastPath::load().unwrap());
    let second = network.clone();
    let switch = rig.switch(Config { network, fast, ..Config::default() }, None);
    let second = switch.add_network(second).unwrap();
    // Whose number is which changes as they are plugged in again.
    let mut ids: Vec<_> = (0..NODES).map(|n| PortId(n.into())).collect();
    for id in &ids {
        switch.repeat_from(*id);
    }
    let mut seen = Seen { got: vec![Vec::new(); rig.nodes.len()], counted: Vec::new() };
    let mut tags: Vec<Option<VlanTag>> = vec![None; rig.nodes.len()];
    let (mut sent, mut base) = (0u32, vec![0; rig.nodes.len()]);
    let scope = |switch: &Switch| {
        let vlan = if filtering { VlanId::from_tci(1) } else { VlanId::NONE };
        switch.table().scope(NetworkId::FIRST, vlan).unwrap()
    };
    for step in steps {
        let mut send = |rig: &mut Rig, at: u8, src: u8, dst: MacAddr| {
            let frame = plain(src, dst, sent, 60 + usize::from(src));
            rig.nodes[usize::from(at)].send_with(
                VnetHeader::default(),
                tags[usize::from(at)],
                &frame,
            );
            sent += 1;
            settled(&switch, sent.into());
        };
        match *step {
            Step::Send(from, to, times) => {
                (0..times).for_each(|_| send(rig, from, from, mac(to)));
            }
            Step::Move(who, at, to) => send(rig, at, who, mac(to)),
            Step::Broadcast(from, times) => {
                (0..times).for_each(|_| send(rig, from, from, MacAddr::BROADCAST));
            }
            Step::Link(at, up) => switch.set_link(ids[usize::from(at)], up).unwrap(),
            Step::Settings(at, which) => {
                switch.set_settings(ids[usize::from(at)], settings(which)).unwrap();
            }
            Step::Mtu(at, small) => {
                switch.set_mtu(ids[usize::from(at)], if small { 46 } else { 1500 }).unwrap();
            }
            Step::Flush(port) => drop(switch.flush_fdb(port.map(|port| ids[usize::from(port)]))),
            Step::Static(who, at) => {
                let (scope, kind) = (scope(&switch), EntryKind::Static);
                switch.table().set(mac(who), scope, ids[usize::from(at)], kind, Timestamp::ZERO);
            }
            Step::Blackhole(who) => {
                let (scope, kind) = (scope(&switch), EntryKind::Blackhole);
                switch.table().set(mac(who), scope, PortId::LOCAL, kind, Timestamp::ZERO);
            }
            Step::Forget(who) => drop(switch.table().remove(mac(who), scope(&switch))),
            Step::Vlans(at, which) if filtering => {
                let (members, tag) = vlans(which);
                switch.set_vlans(ids[usize::from(at)], members).unwrap();
                tags[usize::from(at)] = tag;
            }
            Step::Vlans(..) => {}
            Step::Network(at, moves) => {
                let network = if moves { second } else { NetworkId::FIRST };
                switch.move_port(ids[usize::from(at)], network, &Memberships::default()).unwrap();
                tags[usize::from(at)] = None;
            }
            Step::Again(at) => {
                take(rig, (&switch, &ids), &mut base, &mut seen);
                base[usize::from(at)] = 0;
                switch.remove_port(ids[usize::from(at)]).unwrap();
                let id = switch.add_port(rig.nodes[usize::from(at)].spec(1500)).unwrap();
                switch.repeat_from(id);
                ids[usize::from(at)] = id;
                tags[usize::from(at)] = None;
            }
        }
        switch.sync().unwrap();
        take(rig, (&switch, &ids), &mut base, &mut seen);
        let ports: Vec<_> = switch.ports().into_iter().map(|port| port.stats).collect();
        let mut rows: Vec<_> =
            switch.fdb().iter().map(|row| (row.mac.0, row.port, row.kind as u8)).collect();
        rows.sort_unstable();
        let vlans: Vec<_> = ids.iter().map(|id| switch.vlan_stats(*id)).collect();
        let all = switch.counters();
        seen.counted.push(format!("{step:?} {all:?} {ports:?} {rows:?} {vlans:?}"));
    }
    let by_kernel = switch.repeated().unwrap_or(0);
    rig.nodes.iter_mut().for_each(Node::hears_nothing);
    switch.stop().unwrap();
    (seen, by_kernel)
}

/// Takes what was sent to each node, which has to be as much as was counted.
fn take(rig: &mut Rig, (switch, ids): (&Switch, &[PortId]), base: &mut [u64], seen: &mut Seen) {
    for port in switch.ports() {
        let n = ids.iter().position(|id| *id == port.id).unwrap();
        while base[n] < port.stats.tx_packets {
            let got = rig.nodes[n].receive();
            seen.got[n].push((got.vlan, number(&got.bytes)));
            base[n] += 1;
        }
    }
}

#[test]
fn whatever_changes_both_paths_do_and_count_the_same() {
    let (by_kernel, ran) = (AtomicU32::new(0), AtomicBool::new(false));
    let cases =
        Cases { cases: 24, failure_persistence: None, max_shrink_iters: 60, ..Cases::default() };
    let ways = (proptest::collection::vec(step(), 1..40), any::<bool>());
    let outcome = TestRunner::new(cases).run(&ways, |(steps, filtering)| {
        let mut seen = Vec::new();
        for fast in [false, true] {
            on_a_rig(NODES.into(), |rig| {
                ran.store(true, Ordering::Relaxed);
                let (run, frames) = run(rig, &steps, filtering, fast);
                seen.push(run);
                if fast {
                    by_kernel.fetch_add(u32::try_from(frames).unwrap(), Ordering::Relaxed);
                }
            });
        }
        if let [without, with] = &seen[..] {
            prop_assert_eq!(&without.got, &with.got);
            for (without, with) in without.counted.iter().zip(&with.counted) {
                prop_assert_eq!(without, with);
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
    if !ran.into_inner() {
        return; // said aloud
    }
    let by_kernel = by_kernel.into_inner();
    assert!(by_kernel > 100, "{by_kernel} frames went by the kernel");
}

/// Under traffic that does not wait: of frames sent after a change has returned, and before the next
/// begins, none arrives where it must not.
#[test]
fn under_traffic_no_frame_goes_by_what_held_before() {
    on_a_rig(4, |rig| {
        let fast = Some(FastPath::load().unwrap());
        let switch = rig.switch(Config { fast, ..Config::default() }, None);
        let [sender, nodes @ ..] = &mut rig.nodes[..] else { panic!("no nodes") };
        let (stop, next) = (AtomicBool::new(false), AtomicU32::new(0));
        // The mover speaks by a socket of its own, so that its frames are not in the way.
        let mut intervals: Vec<(u32, u32, BTreeSet<usize>)> = Vec::new();
        let mut heard: Vec<Vec<u32>> = Vec::new();
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                sender.send(&plain(0, MacAddr::BROADCAST, u32::MAX, 60));
                while !stop.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    sender.send(&plain(0, mac(9), n, 60));
                    if n % 32 == 0 {
                        std::thread::sleep(Duration::from_micros(300));
                    }
                }
            });
            // Each node's frames to the wanderer are sent by its own thread, on demand.
            let (asks, listeners): (Vec<_>, Vec<_>) = nodes
                .iter_mut()
                .map(|node| {
                    let (ask, asked) = std::sync::mpsc::channel::<()>();
                    let stop = &stop;
                    let thread = scope.spawn(move || {
                        let mut heard = Vec::new();
                        let mut last = Instant::now();
                        loop {
                            if asked.try_recv().is_ok() {
                                node.send(&plain(9, MacAddr::BROADCAST, u32::MAX, 60));
                            }
                            match node.receive_within(Duration::from_micros(500)) {
                                Some(got) if got.bytes[..6] == mac(9).0 => {
                                    heard.push(number(&got.bytes));
                                    last = Instant::now();
                                }
                                Some(_) => last = Instant::now(),
                                None => {
                                    let over = stop.load(Ordering::SeqCst);
                                    if over && last.elapsed() > Duration::from_millis(300) {
                                        return heard;
                                    }
                                }
                            }
                        }
                    });
                    (ask, thread)
                })
                .unzip();
            let all: BTreeSet<usize> = [1, 2, 3].into();
            let (mut hellos, mut by_kernel) = (1, 0);
            let mut home = None::<usize>;
            let mut down = BTreeSet::new();
            let mut random = TestRunner::deterministic();
            let numbers = proptest::collection::vec((0..5u8, 1..4usize), 60);
            let plan = numbers.new_tree(&mut random).unwrap().current();
            let mut from = None::<u32>;
            for (what, at) in plan {
                if let Some(from) = from {
                    std::thread::sleep(Duration::from_millis(5));
                    // The last one may be on its way into the ring, and others be in it.
                    let until = next.load(Ordering::SeqCst).saturating_sub(1);
                    eventually("what was sent has been forwarded", || {
                        switch.counters().received >= u64::from(until) + hellos
                    });
                    by_kernel = switch.repeated().unwrap();
                    let may = match home {
                        Some(at) if down.contains(&at) => BTreeSet::new(),
                        Some(at) => [at].into(),
                        None => all.difference(&down).copied().collect(),
                    };
                    intervals.push((from, until, may));
                }
                let id = PortId(u16::try_from(at).unwrap());
                match what {
                    0 | 1 if !down.contains(&at) => {
                        asks[at - 1].send(()).unwrap();
                        hellos += 1;
                        eventually("the wanderer is known there", || {
                            switch.fdb().iter().any(|row| row.mac == mac(9) && row.port == id)
                        });
                        home = Some(at);
                    }
                    2 => {
                        switch.flush_fdb(Some(id));
                        home = home.filter(|home| *home != at);
                    }
                    3 => {
                        switch.set_link(id, false).unwrap();
                        home = home.filter(|home| *home != at);
                        down.insert(at);
                    }
                    _ => {
                        switch.set_link(id, true).unwrap();
                        down.remove(&at);
                    }
                }
                from = Some(next.load(Ordering::SeqCst) + 1);
            }
            stop.store(true, Ordering::SeqCst);
            sending.join().unwrap();
            assert!(by_kernel > 0, "the kernel has carried nothing");
            heard = listeners.into_iter().map(|thread| thread.join().unwrap()).collect();
        });
        for (node, heard) in heard.iter().enumerate() {
            for n in heard {
                let found = intervals.iter().find(|(from, until, _)| (from..until).contains(&n));
                if let Some((from, until, may)) = found {
                    assert!(
                        may.contains(&(node + 1)),
                        "frame {n} of {from}..{until} came to node {}, and may to {may:?}",
                        node + 1
                    );
                }
            }
        }
        let counters = switch.counters();
        assert_eq!(counters.accounted(), counters.received);
    });
}

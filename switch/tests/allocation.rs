//! No allocation for a frame: the whole process is watched while frames pass.
//!
//! Alone in its binary, because the counter counts every thread.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::alloc::System;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rig::frames::{Kind, mac, offloaded, plain};
use rig::{on_a_rig, settled};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use uswitch_switch::{Arrival, Config, Handling, Outlet, SharedStation, Station};
use wire::{FrameMut, MacAddr, Timestamp, VlanTag, VnetHeader};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Answers each frame with one of its own.
struct Parrot;

impl Station for Parrot {
    fn mac(&self) -> MacAddr {
        mac(0xfe)
    }

    fn on_bridge(
        &mut self,
        from: Arrival,
        f: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        _: Timestamp,
    ) -> Handling {
        let mut answer = [0x5a; 60];
        answer[..6].copy_from_slice(&f.bytes[6..12]);
        answer[6..12].copy_from_slice(&mac(0xfe).0);
        out.to_bridge(from.leg, VnetHeader::default(), &answer);
        Handling::Consumed
    }

    fn on_uplink(&mut self, _: &mut FrameMut<'_>, _: &mut dyn Outlet, _: Timestamp) -> Handling {
        Handling::Consumed
    }

    fn tick(&mut self, _: &mut dyn Outlet, now: Timestamp) -> Option<Timestamp> {
        Some(now + Duration::from_millis(1))
    }
}

/// Whether the thread of this name waits for something.
fn is_asleep(name: &str) -> bool {
    let threads =
        std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let status = threads.filter_map(|path| std::fs::read_to_string(path.join("status")).ok());
    let is = |line: &str, key: &str, value: &str| {
        line.split_once(':').is_some_and(|(k, v)| k == key && v.trim().starts_with(value))
    };
    status
        .filter(|text| text.lines().any(|line| is(line, "Name", name)))
        .any(|text| text.lines().any(|line| is(line, "State", "S")))
}

#[test]
fn frames_pass_without_an_allocation() {
    on_a_rig(3, |rig| {
        let station: SharedStation = Arc::new(Mutex::new(Parrot));
        let switch = rig.switch(Config::default(), Some(station));
        let tag = Some(VlanTag { tpid: 0x8100, tci: 5 });
        let (vnet, large) = offloaded(1, 2, Kind::TcpV4, 30_000, 1448, None);
        let frames = [
            (VnetHeader::default(), None, plain(1, mac(2), 0, 60)),
            (VnetHeader::default(), None, plain(1, MacAddr::BROADCAST, 0, 60)),
            (VnetHeader::default(), None, plain(1, mac(0xfe), 0, 60)),
            (VnetHeader::default(), tag, plain(1, mac(2), 0, 1514)),
            (VnetHeader::default(), None, vec![0; 60]),
            (vnet, None, large),
        ];
        let learned = plain(2, mac(1), 0, 60);
        let round = |rig: &mut rig::Rig, salt: u16| {
            for (vnet, tag, frame) in &frames {
                rig.nodes[0].send_with(*vnet, *tag, frame);
            }
            // New addresses too: learning takes no memory either.
            let mut new = [0x77; 60];
            new[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 9, 9, 9, 0, 0]);
            new[10..12].copy_from_slice(&salt.to_be_bytes());
            rig.nodes[1].send(&new);
        };
        rig.nodes[1].send(&learned);
        (0..20).for_each(|salt| round(rig, salt));
        settled(&switch, 141);
        // On a busy machine it begins late, and a thread's first wait takes memory.
        while !is_asleep("keeper") {
            std::thread::yield_now();
        }
        let region = Region::new(COUNTING);
        for n in 0..500u16 {
            round(rig, 100 + n);
            // `settled` would allocate, so that it can report.
            while switch.counters().received < 141 + 7 * (u64::from(n) + 1) {
                std::thread::yield_now();
            }
        }
        let change = region.change();
        assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
        assert_eq!(settled(&switch, 3641).ring_drops, 0);
    });
}

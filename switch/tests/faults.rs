//! What must not stop the switch: full rings, ports that come and go, frames nobody can use. After
//! each of them the books balance to the frame.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rig::frames::{mac, number, plain};
use rig::{dropped, eventually, ip, on_a_rig, sent, settled};
use uswitch_switch::{
    Config, DropReason, Event, NetworkConfig, PortId, PortRole, PortSpec, Refusal, Switch,
};
use wire::{MacAddr, VnetHeader};

const SILENCE: Duration = Duration::from_millis(200);

fn small_ring() -> Config {
    Config { slots: 15, ..Config::default() }
}

/// A frame from node 0 to node 1 still passes.
#[track_caller]
fn still_forwards(rig: &mut rig::Rig) {
    rig.nodes[1].count(SILENCE);
    rig.nodes[0].send(&plain(1, mac(2), 4711, 60));
    let mut got = rig.nodes[1].receive();
    while number(&got.bytes) != 4711 {
        got = rig.nodes[1].receive();
    }
}

#[test]
fn a_full_ring_drops_what_the_kernel_says_it_drops() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(small_ring(), None);
        let frame = plain(1, mac(2), 0, 60);
        let mut offered = 0;
        for _ in 0..100 {
            for _ in 0..500 {
                rig.nodes[0].queue(&frame);
            }
            offered += 500 - rig.nodes[0].flush();
        }
        let counters = settled(&switch, offered);
        assert!(counters.ring_drops > 0, "15 slots held a burst of 500: {counters:?}");
        assert_eq!(counters.flooded, counters.received);
        assert_eq!(sent(&switch, PortId(1)), (counters.received, 0));
        still_forwards(rig);
    });
}

#[test]
fn frames_of_a_flow_keep_their_order_with_two_workers() {
    on_a_rig(3, |rig| {
        let switch = rig.switch(Config { workers: 2, slots: 255, ..Config::default() }, None);
        rig.nodes[2].send(&plain(3, mac(9), 0, 60));
        rig.nodes[0].count(SILENCE);
        rig.nodes[1].count(SILENCE);
        let (mut last, mut heard) = ([0; 2], 0);
        for round in 0..200u32 {
            for n in 0..20 {
                let number = round * 20 + n + 1;
                for node in 0..2u8 {
                    let frame = plain(node + 1, mac(3), number, 60);
                    rig.nodes[usize::from(node)].queue(&frame);
                }
            }
            assert_eq!(rig.nodes[0].flush() + rig.nodes[1].flush(), 0);
            for _ in 0..40 {
                let got = rig.nodes[2].receive();
                let from = usize::from(got.bytes[11] - 1);
                let number = number(&got.bytes);
                assert!(number > last[from], "{number} after {} from node {from}", last[from]);
                (last[from], heard) = (number, heard + 1);
            }
        }
        assert_eq!(heard, 8000);
        let counters = settled(&switch, 8001);
        assert_eq!((counters.forwarded, counters.flooded), (8000, 1), "no echo, no copies");
    });
}

#[test]
fn own_transmissions_do_not_come_back() {
    for workers in [1, 2] {
        on_a_rig(3, |rig| {
            let switch = rig.switch(Config { workers, ..small_ring() }, None);
            for n in 0..50 {
                rig.nodes[0].send(&plain(1, MacAddr::BROADCAST, n, 60));
                assert_eq!(number(&rig.nodes[1].receive().bytes), n);
                assert_eq!(number(&rig.nodes[2].receive().bytes), n);
            }
            rig.nodes[0].hears_nothing();
            rig.nodes[1].hears_nothing();
            assert_eq!(settled(&switch, 50).flooded, 50);
        });
    }
}

#[test]
fn nothing_in_the_switchs_namespace_answers() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(small_ring(), None);
        // Who has 10.0.0.9, and who is fe80::1? Asked of everybody, also of the switch's own MACs.
        let mut arp = rig::frames::ethernet(mac(1), MacAddr::BROADCAST, 0x0806);
        arp.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        arp.extend_from_slice(&[0, 0, 0, 0, 0, 0, 10, 0, 0, 9]);
        arp.resize(60, 0);
        rig.nodes[0].send(&arp);
        assert_eq!(rig.nodes[1].receive().bytes, arp);
        let (_, mut echo) = rig::frames::offloaded(1, 9, rig::frames::Kind::UdpV4, 30, 0, None);
        echo[..6].copy_from_slice(&MacAddr::BROADCAST.0);
        rig.nodes[0].send(&echo);
        assert_eq!(rig.nodes[1].receive().bytes, echo);
        rig.nodes[0].hears_nothing();
        rig.nodes[1].hears_nothing();
        settled(&switch, 2);
    });
}

#[test]
fn runts_and_zeros_are_counted_and_traffic_goes_on() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(small_ring(), None);
        // Below fourteen bytes the sender's own kernel refuses.
        let none = VnetHeader::default();
        assert_eq!(rig.nodes[0].try_send(none, None, &plain(1, mac(2), 0, 13)), Some(22));
        let header_only = plain(1, mac(2), 0, 14);
        rig.nodes[0].send(&header_only);
        assert_eq!(rig.nodes[1].receive().bytes, header_only);
        for len in [14, 60, 1514] {
            rig.nodes[0].send(&vec![0; len]);
            rig.nodes[0].send(&vec![0xff; len]);
        }
        rig.nodes[1].hears_nothing();
        let counters = settled(&switch, 7);
        assert_eq!(dropped(&counters, DropReason::ZeroSource), 3);
        assert_eq!(dropped(&counters, DropReason::GroupSource), 3);
        still_forwards(rig);
    });
}

#[test]
fn a_refused_message_is_counted_and_the_next_goes_on() {
    on_a_rig(3, |rig| {
        // A device that is down refuses what the switch sends, but says nothing to a program.
        let switch = rig.plain_switch(small_ring(), None);
        rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].count(SILENCE);
        rig.nodes[2].count(SILENCE);
        // Down, and nobody has told the switch.
        ip("link set v1 down\n");
        for n in 0..10 {
            rig.nodes[0].send(&plain(1, mac(2), n, 60));
            rig.nodes[0].send(&plain(1, MacAddr::BROADCAST, n, 60));
            assert_eq!(number(&rig.nodes[2].receive().bytes), n, "the other target gets its copy");
        }
        let counters = settled(&switch, 21);
        let down = counters.refused[Refusal::LinkDown.index()];
        assert_eq!((counters.forwarded, counters.flooded, down), (10, 11, 20));
        assert_eq!(sent(&switch, PortId(1)), (0, 20));
        assert_eq!(switch.ports()[1].stats.tx_bytes, 0, "bytes of refused frames were not sent");
        ip("link set v1 up\n");
        eventually("the veth carries again", || {
            rig.nodes[0].send(&plain(1, mac(2), 99, 60));
            rig.nodes[1].receive_within(Duration::from_millis(20)).is_some()
        });
        // Larger than the kernel takes for that port, while the switch believes otherwise.
        ip("link set v1 mtu 500\n");
        rig.nodes[1].count(SILENCE);
        rig.nodes[0].send(&plain(1, mac(2), 0, 1000));
        rig.nodes[1].hears_nothing();
        let counters = switch.counters();
        assert_eq!(counters.refused[Refusal::TooLong.index()], 1, "{counters:?}");
        assert_eq!(sent(&switch, PortId(1)).1, counters.send_errors());
        still_forwards(rig);
    });
}

#[test]
fn ports_of_different_mtu_get_what_they_can_take() {
    on_a_rig(1, |rig| {
        rig.grow(1, 9000, 15);
        rig.grow(1, 9000, 15);
        let switch = rig.switch(small_ring(), None);
        switch.set_mtu(PortId(1), 9000).unwrap();
        switch.set_mtu(PortId(2), 9000).unwrap();
        let large = plain(2, MacAddr::BROADCAST, 7, 9014);
        rig.nodes[1].send(&large);
        assert_eq!(rig.nodes[2].receive().bytes, large);
        rig.nodes[0].hears_nothing();
        rig.nodes[0].send(&plain(1, MacAddr::BROADCAST, 0, 60));
        rig.nodes[1].receive();
        rig.nodes[1].send(&plain(2, mac(1), 0, 1515));
        rig.nodes[1].send(&plain(2, mac(1), 1, 1514));
        assert_eq!(rig.nodes[0].receive().bytes.len(), 1514);
        let counters = settled(&switch, 4);
        assert_eq!(dropped(&counters, DropReason::TooBig), 1);
        assert_eq!(counters.send_errors(), 0);
    });
}

/// Sends from node 0 without pause while `meanwhile` runs; says how many frames went in.
fn under_load(rig: &mut rig::Rig, meanwhile: impl FnOnce() + Send) -> u64 {
    let done = AtomicBool::new(false);
    let (mut offered, frame) = (0, plain(1, mac(2), 0, 60));
    let node = &mut rig.nodes[0];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            meanwhile();
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            for _ in 0..8 {
                node.queue(&frame);
            }
            offered += 8 - node.flush();
        }
    });
    offered
}

#[test]
fn a_port_goes_down_and_up_under_load() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config::default(), None);
        rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].receive();
        let offered = under_load(rig, || {
            for _ in 0..20 {
                switch.set_link(PortId(1), false).unwrap();
                std::thread::sleep(Duration::from_millis(3));
                switch.set_link(PortId(1), true).unwrap();
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let counters = settled(&switch, offered + 1);
        // Its addresses were forgotten with the link, so frames found nobody, or the port down.
        let down =
            dropped(&counters, DropReason::NoTarget) + dropped(&counters, DropReason::EgressDown);
        assert!(down > 0 && down < offered, "{down} of {offered}: {counters:?}");
        let arrived = rig.nodes[1].count(SILENCE);
        let (ok, refused) = sent(&switch, PortId(1));
        assert_eq!((ok, refused), (counters.forwarded + counters.flooded - 1, 0));
        assert!(arrived <= ok, "{arrived} arrived of {ok}");
        still_forwards(rig);
    });
}

#[test]
fn a_port_is_removed_and_plugged_in_again_under_load() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config::default(), None);
        let spec = rig.nodes[1].spec(1500);
        rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].receive();
        let offered = under_load(rig, || {
            let mut id = PortId(1);
            for _ in 0..20 {
                switch.remove_port(id).unwrap();
                std::thread::sleep(Duration::from_millis(3));
                id = switch.add_port(spec.clone()).unwrap();
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let counters = settled(&switch, offered + 1);
        assert!(dropped(&counters, DropReason::NoTarget) > 0, "{counters:?}");
        assert!(counters.flooded > 1, "{counters:?}");
        still_forwards(rig);
    });
}

#[test]
fn an_interface_vanishes_under_load() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config::default(), None);
        rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].receive();
        let offered = under_load(rig, || {
            ip("link del v1\n");
            std::thread::sleep(Duration::from_millis(20));
        });
        let counters = settled(&switch, offered + 1);
        let (_, refused) = sent(&switch, PortId(1));
        assert!(refused > 0 && refused == counters.send_errors(), "{counters:?}");
        switch.remove_port(PortId(1)).unwrap();
        rig.nodes[0].send(&plain(1, mac(2), 0, 60));
        let counters = settled(&switch, offered + 2);
        assert_eq!(dropped(&counters, DropReason::NoTarget), 1);
        switch.stop().unwrap();
    });
}

#[test]
fn frames_of_an_interface_that_is_no_port_are_strays() {
    on_a_rig(2, |rig| {
        let switch =
            Switch::start(small_ring(), std::os::fd::AsFd::as_fd(&rig.netns), None).unwrap();
        rig.nodes[0].send(&plain(1, mac(2), 0, 60));
        let counters = settled(&switch, 1);
        assert_eq!(dropped(&counters, DropReason::UnknownPort), 1);
        // A routed port without a station takes nothing either.
        let spec = PortSpec { role: PortRole::Routed, ..rig.nodes[1].spec(1500) };
        switch.add_port(spec).unwrap();
        rig.nodes[1].send(&plain(2, mac(1), 0, 60));
        let counters = settled(&switch, 2);
        assert_eq!(dropped(&counters, DropReason::NoStation), 1);
    });
}

#[test]
fn aged_addresses_are_forgotten_and_told() {
    on_a_rig(2, |rig| {
        let ageing_time = Duration::from_secs(1);
        let network = NetworkConfig { ageing_time, ..NetworkConfig::default() };
        let switch = rig.switch(Config { network, ..Config::default() }, None);
        let events = switch.events();
        rig.nodes[0].send(&plain(1, mac(9), 0, 60));
        let (mut learned, mut aged) = (0, 0);
        eventually("what was learned ages", || {
            for event in events.try_iter() {
                match event {
                    Event::Learned { .. } => learned += 1,
                    Event::Aged(count) => aged += count,
                    _ => {}
                }
            }
            learned > 0 && learned == aged
        });
        assert_eq!(switch.table().len(), 0);
    });
}

//! The fast path with real frames: what the worker has decided the kernel repeats, and nothing that
//! can be seen is different; the path without it is the oracle.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rig::frames::{Kind, mac, number, offloaded, plain};
use rig::{Rig, eventually, ip, on_a_rig, sent as told, settled};
use uswitch_switch::core::{Memberships, PortVlans, VlanFilter};
use uswitch_switch::{
    Config, FastPath, NetworkConfig, PortId, PortSpec, Refusal, Switch, Tap, TapRecord,
};
use wire::{MacAddr, VlanId, VlanTag, VnetHeader};

const Q: u16 = 0x8100;

fn fast(rig: &Rig, config: Config) -> Switch {
    let fast = Some(FastPath::load().unwrap());
    rig.switch(Config { fast, ..config }, None)
}

/// Each of two nodes says something, so that both are known.
fn meet(rig: &mut Rig, pair: [usize; 2]) -> u64 {
    for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        let hello = plain(u8::try_from(from).unwrap(), MacAddr::BROADCAST, 0, 60);
        rig.nodes[from].send(&hello);
        for n in (0..rig.nodes.len()).filter(|n| *n != from) {
            assert_eq!(rig.nodes[n].receive().bytes, hello);
        }
        let _ = to;
    }
    2
}

/// Frames each way until the kernel carries them all; how many that took. It looks at a port only
/// once there is something to repeat.
fn carried(rig: &mut Rig, switch: &Switch, ways: &[(u8, Option<VlanTag>, usize, u8)]) -> u64 {
    let mut sent = 0;
    eventually("the kernel carries them", || {
        for (from, tag, at, to) in ways {
            let frame = plain(*from, mac(*to), 0, 60);
            rig.nodes[usize::from(*from)].send_with(VnetHeader::default(), *tag, &frame);
            rig.nodes[*at].receive();
            sent += 1;
        }
        switch.flows().unwrap().len() >= ways.len()
    });
    sent
}

#[test]
fn what_is_known_goes_by_the_kernel_in_order_and_is_counted_once() {
    on_a_rig(3, |rig| {
        let switch = fast(rig, Config::default());
        let mut sent = meet(rig, [0, 1]);
        let early = carried(rig, &switch, &[(0, None, 1, 1), (1, None, 0, 0)]);
        sent += early;
        for n in 0..200 {
            for (from, to) in [(0u8, 1u8), (1, 0)] {
                let frame = plain(from, mac(to), n, 60 + usize::try_from(n).unwrap());
                rig.nodes[usize::from(from)].send(&frame);
                assert_eq!(rig.nodes[usize::from(to)].receive().bytes, frame);
                sent += 1;
            }
        }
        let counters = settled(&switch, sent);
        assert_eq!((counters.forwarded, counters.flooded), (400 + early, 2));
        let by_flows = switch.repeated().unwrap();
        assert!(by_flows > 300, "the kernel has carried {by_flows} of 400");
        let bytes: u64 = (0..200).map(|n| 60 + n).sum();
        let early = early / 2;
        for port in &switch.ports()[..2] {
            let stats = &port.stats;
            assert_eq!((stats.rx_packets, stats.rx_bytes), (201 + early, bytes + 60 + 60 * early));
            assert_eq!((stats.tx_packets, stats.tx_bytes), (201 + early, bytes + 60 + 60 * early));
            assert_eq!((stats.tx_errors, stats.dropped()), (0, 0));
        }
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
    });
}

/// With bursts, so that frames are in the ring when their flow is written.
#[test]
fn bursts_keep_their_order_while_the_kernel_takes_over() {
    on_a_rig(2, |rig| {
        let switch = fast(rig, Config::default());
        assert!(switch.repeat_from(PortId(0)));
        let mut sent = meet(rig, [0, 1]);
        for burst in 0..60u32 {
            for n in 0..50 {
                rig.nodes[0].queue(&plain(0, mac(1), burst * 50 + n, 60));
            }
            assert_eq!(rig.nodes[0].flush(), 0);
            sent += 50;
            for n in 0..50 {
                assert_eq!(number(&rig.nodes[1].receive().bytes), burst * 50 + n);
            }
            if burst % 10 == 9 {
                // All flows end, and begin anew.
                assert_eq!(switch.flush_fdb(Some(PortId(77))), 0);
                switch.set_mtu(PortId(0), 1500).unwrap();
            }
        }
        settled(&switch, sent);
        assert!(switch.repeated().unwrap() > 0);
    });
}

#[test]
fn the_peers_own_address_is_handed_over_and_others_go_through_its_device() {
    on_a_rig(2, |rig| {
        let fast = Some(FastPath::load().unwrap());
        let switch = Switch::start(Config { fast, ..Config::default() }, rig.netns.as_fd(), None);
        let switch = switch.unwrap();
        for (n, node) in rig.nodes.iter().enumerate() {
            let behind = Some(mac(u8::try_from(n).unwrap()));
            switch.add_port(PortSpec { behind, ..node.spec(1500) }).unwrap();
        }
        let mut sent = meet(rig, [0, 1]);
        // Another host behind the second port.
        rig.nodes[1].send(&plain(9, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].receive();
        sent += 1;
        sent += carried(rig, &switch, &[(0, None, 1, 1), (0, None, 1, 9)]);
        for n in 0..50 {
            for to in [1, 9] {
                let frame = plain(0, mac(to), n, 100);
                rig.nodes[0].send(&frame);
                assert_eq!(rig.nodes[1].receive().bytes, frame);
                sent += 1;
            }
        }
        settled(&switch, sent);
        assert!(switch.flows().unwrap().len() >= 2);
        assert!(switch.repeated().unwrap() > 80);
    });
}

#[test]
fn tags_are_kept_put_on_and_taken_off() {
    on_a_rig(3, |rig| {
        let network =
            NetworkConfig { vlans: Some(VlanFilter { protocol: Q }), ..NetworkConfig::default() };
        let switch = fast(rig, Config { network, ..Config::default() });
        let vid = VlanId::from_tci(10);
        let trunk = || {
            let mut port = PortVlans::none();
            port.add(vid, false);
            Memberships::from(port)
        };
        switch.set_vlans(PortId(0), PortVlans::access(vid).into()).unwrap();
        switch.set_vlans(PortId(1), trunk()).unwrap();
        switch.set_vlans(PortId(2), trunk()).unwrap();
        let tag = |tci| Some(VlanTag { tpid: Q, tci });
        let ways = [
            (0, None, 1, tag(10)),
            (1, tag(10), 0, None),
            (1, tag(0xa00a), 2, tag(0xa00a)),
            (2, tag(10), 1, tag(10)),
        ];
        let mut sent = 0;
        for (n, own) in [(0u8, None), (1, tag(10)), (2, tag(10))] {
            let hello = plain(n, MacAddr::BROADCAST, 0, 60);
            rig.nodes[usize::from(n)].send_with(VnetHeader::default(), own, &hello);
            sent += 1;
            (0..3).filter(|m| *m != usize::from(n)).for_each(|m| drop(rig.nodes[m].receive()));
        }
        let each = ways.map(|(from, own, to, _)| (from, own, usize::from(to), to));
        sent += carried(rig, &switch, &each);
        for n in 0..50 {
            for (from, own, to, wanted) in ways {
                let frame = plain(from, mac(to), n, 100);
                rig.nodes[usize::from(from)].send_with(VnetHeader::default(), own, &frame);
                let got = rig.nodes[usize::from(to)].receive();
                assert_eq!((got.vlan, got.bytes), (wanted, frame), "{from} to {to}");
                sent += 1;
            }
        }
        settled(&switch, sent);
        assert!(switch.repeated().unwrap() > 150, "{}", switch.repeated().unwrap());
        // In a VLAN of which the port is no member, it is refused as ever.
        rig.nodes[1].send_with(VnetHeader::default(), tag(11), &plain(1, mac(0), 0, 60));
        settled(&switch, sent + 1);
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
    });
}

#[test]
fn segments_are_judged_by_their_size_and_stay_in_order() {
    on_a_rig(2, |rig| {
        let switch = fast(rig, Config::default());
        assert!(switch.repeat_from(PortId(0)));
        let mut sent = meet(rig, [0, 1]);
        for kind in [Kind::TcpV4, Kind::TcpV6, Kind::UdpV4] {
            for n in 0..30 {
                let (vnet, frame) = offloaded(0, 1, kind, 6000, 1400, None);
                rig.nodes[0].send_with(vnet, None, &frame);
                let got = rig.nodes[1].receive();
                assert_eq!(got.vnet.gso_size, 1400, "{kind:?} {n}");
                assert_eq!(got.bytes.len(), frame.len());
                let small = plain(0, mac(1), n, 60);
                rig.nodes[0].send(&small);
                assert_eq!(rig.nodes[1].receive().bytes, small);
                sent += 2;
            }
        }
        settled(&switch, sent);
        assert!(switch.repeated().unwrap() > 60);
        // Too long for the port, once it is set so: as a whole, and by its segments.
        switch.set_mtu(PortId(1), 1000).unwrap();
        let (vnet, frame) = offloaded(0, 1, Kind::TcpV4, 6000, 1400, None);
        rig.nodes[0].send_with(vnet, None, &frame);
        rig.nodes[0].send(&plain(0, mac(1), 7, 1200));
        let (vnet, fits) = offloaded(0, 1, Kind::TcpV4, 6000, 900, None);
        rig.nodes[0].send_with(vnet, None, &fits);
        assert_eq!(rig.nodes[1].receive().vnet.gso_size, 900);
        let counters = settled(&switch, sent + 3);
        let too_big = uswitch_switch::DropReason::TooBig.index();
        assert_eq!(counters.drops[too_big], 2);
        rig.nodes[1].hears_nothing();
    });
}

#[test]
fn a_watcher_sees_every_frame() {
    struct Count(std::sync::atomic::AtomicU64);
    impl Tap for Count {
        fn frame(&self, _: &TapRecord<'_>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    on_a_rig(2, |rig| {
        let switch = fast(rig, Config::default());
        let mut sent = meet(rig, [0, 1]);
        sent += carried(rig, &switch, &[(0, None, 1, 1)]);
        let mut pass = |n: u32| {
            (0..n).for_each(|n| {
                rig.nodes[0].send(&plain(0, mac(1), n, 60));
                rig.nodes[1].receive();
            });
        };
        pass(50);
        let before = switch.repeated().unwrap();
        assert!(before > 30);
        let tap = std::sync::Arc::new(Count(0.into()));
        switch.set_tap(Some(tap.clone())).unwrap();
        assert!(switch.flows().unwrap().is_empty());
        pass(50);
        eventually("all were shown", || tap.0.load(std::sync::atomic::Ordering::SeqCst) == 50);
        switch.set_tap(None).unwrap();
        assert_eq!(switch.repeated(), Some(before));
        pass(50);
        assert_eq!(tap.0.load(std::sync::atomic::Ordering::SeqCst), 50);
        assert!(switch.repeated().unwrap() > before + 30);
        assert_eq!(settled(&switch, sent + 150).forwarded, sent - 2 + 150);
    });
}

/// An address of which nothing is heard but what the kernel forwards stays known, and one that says
/// nothing ages although frames go to it.
#[test]
fn what_the_kernel_carries_keeps_its_source_known() {
    on_a_rig(3, |rig| {
        let ageing_time = Duration::from_secs(2);
        let network = NetworkConfig { ageing_time, ..NetworkConfig::default() };
        let switch = fast(rig, Config { network, ..Config::default() });
        meet(rig, [0, 1]);
        let begun = Instant::now();
        let (mut n, mut flooded) = (0, None);
        while flooded.is_none() {
            rig.nodes[0].send(&plain(0, mac(1), n, 60));
            rig.nodes[1].receive();
            flooded = rig.nodes[2].receive_within(Duration::ZERO).map(|_| begun.elapsed());
            n += 1;
            assert!(begun.elapsed() < Duration::from_secs(10), "it never aged");
            std::thread::sleep(Duration::from_millis(2));
        }
        let rows = switch.fdb();
        assert!(rows.iter().any(|row| row.mac == mac(0) && row.idle <= Duration::from_secs(1)));
        assert!(switch.repeated().unwrap() > 0);
    });
}

/// Nobody tells the switch of it, and a redirect to such an interface tells nobody.
#[test]
fn what_would_go_to_an_interface_that_is_no_more_counts_as_refused() {
    for peer in [false, true] {
        on_a_rig(2, |rig| {
            let fast = Some(FastPath::load().unwrap());
            let switch =
                Switch::start(Config { fast, ..Config::default() }, rig.netns.as_fd(), None);
            let switch = switch.unwrap();
            for (n, node) in rig.nodes.iter().enumerate() {
                let behind = Some(mac(u8::try_from(n).unwrap())).filter(|_| peer);
                switch.add_port(PortSpec { behind, ..node.spec(1500) }).unwrap();
            }
            let hellos = meet(rig, [0, 1]);
            let known = carried(rig, &switch, &[(0, None, 1, 1)]);
            settled(&switch, hellos + known);
            let before = switch.repeated().unwrap();
            let (arrived, _) = told(&switch, PortId(1));
            ip("link del v1\n");
            (0..50).for_each(|n| rig.nodes[0].send(&plain(0, mac(1), n, 60)));
            eventually("all are told as refused", || {
                let refused = switch.counters().refused[Refusal::LinkDown.index()];
                refused == 50 && told(&switch, PortId(1)) == (arrived, 50)
            });
            let counters = switch.counters();
            let all = known + 50;
            assert_eq!((counters.received, counters.forwarded), (hellos + all, all));
            assert_eq!(counters.send_errors(), 50);
            assert!(switch.repeated().unwrap() > before, "one met the kernel");
        });
    }
}

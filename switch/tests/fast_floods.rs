//! Groups flooded by the kernel: to the ports the switch has decided on, each copy counted, and none
//! where something has to look at them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::sync::{Arc, Mutex};

use rig::frames::{mac, number, plain};
use rig::{Rig, eventually, ip, on_a_rig, settled};
use uswitch_switch::core::{McastConfig, Memberships, PortVlans, StormLimits, VlanFilter};
use uswitch_switch::{
    Arrival, Config, FastPath, Handling, Ignored, NetworkConfig, Outlet, PortId, PortSettings,
    Refusal, SharedStation, Station, Switch, Way,
};
use wire::{FrameMut, MacAddr, Timestamp, VlanId, VlanTag, VnetHeader};

/// Frames after which the kernel has a kind that comes often.
const SOME: u32 = 12;

fn fast(rig: &Rig, network: NetworkConfig) -> Switch {
    let fast = Some(FastPath::load().unwrap());
    let switch = rig.switch(Config { network, fast, ..Config::default() }, None);
    assert!(switch.repeat_from(PortId(0)));
    switch
}

/// So many broadcasts of the first node's, each of which the nodes at `to` get, as they say.
fn floods(rig: &mut Rig, numbers: std::ops::Range<u32>, to: &[(usize, Option<VlanTag>)]) {
    for n in numbers {
        let frame = plain(0, MacAddr::BROADCAST, n, 60);
        rig.nodes[0].send(&frame);
        for (at, tag) in to {
            let got = rig.nodes[*at].receive();
            assert_eq!((number(&got.bytes), got.vlan), (n, *tag));
        }
    }
}

fn untagged(nodes: std::ops::Range<usize>) -> Vec<(usize, Option<VlanTag>)> {
    nodes.map(|n| (n, None)).collect()
}

#[test]
fn a_flood_that_comes_often_goes_by_the_kernel_and_each_copy_counts() {
    on_a_rig(6, |rig| {
        let switch = fast(rig, NetworkConfig::default());
        floods(rig, 0..200, &untagged(1..6));
        let counters = settled(&switch, 200);
        assert_eq!((counters.flooded, counters.forwarded), (200, 0));
        let by_kernel = switch.repeated().unwrap();
        assert!(by_kernel > 150, "{by_kernel}");
        let flows = switch.flows().unwrap();
        let others: Vec<_> = (2..6).map(PortId).collect();
        assert_eq!((flows.len(), flows[0].egress, &flows[0].others), (1, PortId(1), &others));
        let ports = switch.ports();
        assert_eq!((ports[0].stats.rx_packets, ports[0].stats.rx_multicast), (200, 200));
        assert_eq!((ports[0].stats.rx_bytes, ports[0].stats.tx_packets), (12_000, 0));
        for port in &ports[1..] {
            let stats = &port.stats;
            assert_eq!((stats.tx_packets, stats.tx_bytes, stats.tx_errors), (200, 12_000, 0));
        }
        // One that is isolated from it gets none from then on, and no frame is lost to the others.
        for n in [0, 3] {
            let apart = PortSettings { isolation: Some(1), ..PortSettings::default() };
            switch.set_settings(PortId(n), apart).unwrap();
        }
        let near = [(1, None), (2, None), (4, None), (5, None)];
        floods(rig, 200..300, &near);
        eventually("the others' flow is there again", || {
            floods(rig, 300..301, &near);
            switch.repeated().unwrap() > by_kernel + 20
        });
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
    });
}

#[test]
fn what_is_too_long_for_a_port_or_seldom_goes_by_the_ring() {
    on_a_rig(3, |rig| {
        let switch = fast(rig, NetworkConfig::default());
        floods(rig, 0..5, &untagged(1..3));
        assert_eq!(settled(&switch, 5).flooded, 5);
        assert_eq!(switch.repeated(), Some(0));
        switch.set_mtu(PortId(2), 100).unwrap();
        let long = plain(0, MacAddr::BROADCAST, 7, 200);
        for _ in 0..SOME {
            rig.nodes[0].send(&long);
            assert_eq!(rig.nodes[1].receive().bytes, long);
        }
        // A flow for the long ones would leave the short ones' third port out.
        floods(rig, 10..60, &untagged(1..3));
        let before = switch.repeated().unwrap();
        assert!(before > 30);
        rig.nodes[0].send(&long);
        assert_eq!(rig.nodes[1].receive().bytes, long);
        assert_eq!(switch.repeated(), Some(before));
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
    });
}

#[test]
fn nothing_is_flooded_by_the_kernel_that_has_to_be_looked_at() {
    let limited = StormLimits { broadcast: Some(1_000_000), ..StormLimits::default() };
    let snooping = McastConfig { snooping: true, ..McastConfig::default() };
    let plain = || (NetworkConfig::default(), [PortSettings::default(); 2]);
    let all = [
        (NetworkConfig { mcast: snooping, ..plain().0 }, plain().1),
        (NetworkConfig { local: Some(mac(77)), legs: legs(), ..plain().0 }, plain().1),
        (plain().0, [PortSettings { storm: limited, ..plain().1[0] }, plain().1[1]]),
        (plain().0, [plain().1[0], PortSettings { loop_protect: true, ..plain().1[1] }]),
        (plain().0, [plain().1[0], PortSettings { neigh_suppress: true, ..plain().1[1] }]),
    ];
    for (network, settings) in all {
        on_a_rig(3, |rig| {
            let switch = fast(rig, network.clone());
            for (n, settings) in (0..).map(PortId).zip(settings) {
                switch.set_settings(n, settings).unwrap();
            }
            for n in 0..30 {
                rig.nodes[0].send(&rig::frames::plain(0, MacAddr::BROADCAST, n, 60));
                rig.nodes[2].receive();
            }
            assert_eq!(switch.repeated(), Some(0), "{network:?} {settings:?}");
        });
    }
}

/// It refuses all of one EtherType, and says so.
struct Deaf {
    fast: Arc<FastPath>,
    to: u16,
    /// What it was shown, and what it was told of.
    shown: u64,
    told: u64,
}

impl Station for Deaf {
    fn mac(&self) -> MacAddr {
        mac(77)
    }

    fn on_bridge(
        &mut self,
        _: Arrival,
        _: &mut FrameMut<'_>,
        _: &mut dyn Outlet,
        _: Timestamp,
    ) -> Handling {
        self.shown += 1;
        Handling::Drop("deaf")
    }

    fn on_uplink(&mut self, _: &mut FrameMut<'_>, _: &mut dyn Outlet, _: Timestamp) -> Handling {
        Handling::Drop("deaf")
    }

    fn ignores(&self) -> Option<Ignored> {
        let way = Way { session: None, course: 5 };
        Some(Ignored { ethertype: self.to, way })
    }

    fn catch_up(&mut self) {
        for done in self.fast.take() {
            assert_eq!(done.way, Way { session: None, course: 5 });
            self.told += done.frames;
        }
    }

    fn tick(&mut self, _: &mut dyn Outlet, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

#[test]
fn a_station_that_would_refuse_them_is_told_how_many_there_were() {
    let frame = plain(0, MacAddr::BROADCAST, 0, 60);
    let kind = u16::from_be_bytes([frame[12], frame[13]]);
    for (to, shown) in [(kind, false), (kind + 1, true)] {
        on_a_rig(3, |rig| {
            let path = FastPath::load().unwrap();
            let fast = Arc::clone(&path);
            let station = Arc::new(Mutex::new(Deaf { fast, to, shown: 0, told: 0 }));
            let network =
                NetworkConfig { local: Some(mac(77)), legs: legs(), ..NetworkConfig::default() };
            let config = Config { network, fast: Some(path), ..Config::default() };
            let switch = rig.switch(config, Some(station.clone() as SharedStation));
            assert!(switch.repeat_from(PortId(0)));
            floods(rig, 0..200, &untagged(1..3));
            assert_eq!(settled(&switch, 200).flooded, 200);
            eventually("each was shown or told of", || {
                let mut station = station.lock().unwrap();
                station.catch_up();
                assert!(station.shown + station.told <= 200);
                station.shown + station.told == 200
            });
            let told = station.lock().unwrap().told;
            assert_eq!(told > 150, !shown, "{told}");
            assert_eq!(switch.repeated(), Some(told));
        });
    }
}

fn legs() -> Vec<(VlanId, uswitch_switch::core::Leg)> {
    vec![(VlanId::NONE, uswitch_switch::core::Leg(0))]
}

#[test]
fn members_of_a_vlan_alone_get_its_floods_with_the_tag_they_share() {
    on_a_rig(4, |rig| {
        let vlans = Some(VlanFilter { protocol: 0x8100 });
        let switch = fast(rig, NetworkConfig { vlans, ..NetworkConfig::default() });
        let vid = VlanId::from_tci(10);
        let access: Memberships = PortVlans::access(vid).into();
        let trunk: Memberships = {
            let mut trunk = PortVlans::none();
            trunk.add(vid, false);
            trunk.into()
        };
        for (n, members) in [&access, &trunk, &trunk].into_iter().enumerate() {
            switch.set_vlans(PortId(u16::try_from(n).unwrap()), members.clone()).unwrap();
        }
        let tag = Some(VlanTag { tpid: 0x8100, tci: 10 });
        floods(rig, 0..50, &[(1, tag), (2, tag)]);
        let before = switch.repeated().unwrap();
        assert!(before > 30, "{before}");
        let vlans = switch.vlan_stats(PortId(2));
        assert!(format!("{vlans:?}").contains("50"), "{vlans:?}");
        // One of them gets them without a tag: that is more than one copy of the same frame.
        switch.set_vlans(PortId(2), access).unwrap();
        floods(rig, 50..100, &[(1, tag), (2, None)]);
        assert_eq!(switch.repeated(), Some(before));
        // From a trunk to the others: the tag is taken off.
        switch.set_vlans(PortId(0), trunk).unwrap();
        switch.set_vlans(PortId(1), PortVlans::access(vid).into()).unwrap();
        for n in 0..50 {
            let frame = plain(0, MacAddr::BROADCAST, n, 60);
            rig.nodes[0].send_with(VnetHeader::default(), tag, &frame);
            for at in [1, 2] {
                let got = rig.nodes[at].receive();
                assert_eq!((number(&got.bytes), got.vlan), (n, None));
            }
        }
        assert!(switch.repeated().unwrap() > before + 30);
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
    });
}

/// Nobody tells the switch of either; the copies to the others arrive.
#[test]
fn a_port_that_is_down_or_gone_counts_as_refused_and_the_others_get_theirs() {
    for (end, gone) in [("set v1 down", 1), ("delete v2", 2), ("set v3 down", 3)] {
        on_a_rig(4, |rig| {
            let switch = fast(rig, NetworkConfig::default());
            floods(rig, 0..50, &untagged(1..4));
            let before = switch.repeated().unwrap();
            assert!(before > 30);
            ip(&format!("link {end}\n"));
            let rest: Vec<_> = untagged(1..4).into_iter().filter(|(n, _)| *n != gone).collect();
            floods(rig, 50..80, &rest);
            let counters = settled(&switch, 80);
            assert_eq!(counters.flooded, 80);
            assert!(switch.repeated().unwrap() > before);
            for port in switch.ports().iter().skip(1) {
                let stats = &port.stats;
                if port.id.index() == gone {
                    assert_eq!((stats.tx_packets, stats.tx_errors), (50, 30), "{end}");
                } else {
                    assert_eq!((stats.tx_packets, stats.tx_errors), (80, 0), "{end}");
                }
            }
            assert_eq!(counters.refused[Refusal::LinkDown.index()], 30, "{end}");
        });
    }
}

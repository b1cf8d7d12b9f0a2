//! Networks and VLANs with real frames: what enters one leaves by no port of another, with the tag
//! its port is to have it with.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::time::Duration;

use rig::frames::{mac, plain};
use rig::{on_a_rig, settled};
use uswitch_switch::core::{Memberships, PortVlans, VlanFilter};
use uswitch_switch::{
    Config, DropReason, EntryKind, Error, NetworkConfig, NetworkId, PortSettings, PortSpec, Reach,
    VlanStats,
};
use wire::{MacAddr, Timestamp, VlanId, VlanTag, VnetHeader};

const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;

fn vid(n: u16) -> VlanId {
    VlanId::from_tci(n)
}

fn tag(tpid: u16, tci: u16) -> Option<VlanTag> {
    Some(VlanTag { tpid, tci })
}

fn trunk(vlans: &[u16]) -> Memberships {
    let mut port = PortVlans::none();
    vlans.iter().for_each(|vlan| port.add(vid(*vlan), false));
    port.into()
}

fn filtering(protocol: u16) -> NetworkConfig {
    NetworkConfig { vlans: Some(VlanFilter { protocol }), ..NetworkConfig::default() }
}

#[test]
fn a_frame_of_one_network_is_heard_in_no_other() {
    on_a_rig(4, |rig| {
        let switch = rig.switch(Config { slots: 64, ..Config::default() }, None);
        let dc = switch.add_network(NetworkConfig::default()).unwrap();
        for n in [2, 3] {
            switch.remove_port(uswitch_switch::PortId(n)).unwrap();
            let node = &rig.nodes[usize::from(n)];
            switch.add_port(PortSpec { network: dc, ..node.spec(1500) }).unwrap();
        }
        switch.sync().unwrap();
        // The same addresses live in both networks, at ports of their own.
        for n in [0, 2] {
            rig.nodes[n].send(&plain(7, MacAddr::BROADCAST, 1, 60));
            assert_eq!(rig.nodes[n + 1].receive().bytes, plain(7, MacAddr::BROADCAST, 1, 60));
        }
        for n in [1, 3] {
            rig.nodes[n].send(&plain(8, mac(7), 2, 60));
            assert_eq!(rig.nodes[n - 1].receive().bytes, plain(8, mac(7), 2, 60));
        }
        settled(&switch, 4);
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
        let rows = switch.fdb();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows.iter().filter(|row| row.network == dc).count(), 2);
        assert!(matches!(switch.remove_network(dc), Err(Error::Busy(_))));
        for info in switch.ports().into_iter().filter(|info| info.spec.network == dc) {
            switch.remove_port(info.id).unwrap();
        }
        switch.remove_network(dc).unwrap();
        assert!(switch.fdb().iter().all(|row| row.network == NetworkId::FIRST));
    });
}

#[test]
fn a_port_that_moves_is_reached_by_its_new_network_alone() {
    on_a_rig(3, |rig| {
        let switch = rig.switch(Config { slots: 64, ..Config::default() }, None);
        let dc = switch.add_network(NetworkConfig::default()).unwrap();
        let ids: Vec<_> = switch.ports().iter().map(|info| info.id).collect();
        let shout = |rig: &mut rig::Rig, n: u8, number| {
            rig.nodes[usize::from(n)].send(&plain(n, MacAddr::BROADCAST, number, 60));
        };
        // It is known, and an address was set at it.
        shout(rig, 1, 0);
        assert!(
            rig.nodes[0].receive().bytes.len() == 60 && rig.nodes[2].receive().bytes.len() == 60
        );
        let scope = switch.table().scope(NetworkId::FIRST, VlanId::NONE).unwrap();
        assert!(switch.table().set(mac(9), scope, ids[1], EntryKind::Static, Timestamp::ZERO));
        let (own, _) = switch.port(ids[1]).unwrap();
        let apart = PortSettings { reach: Reach::Near, ..own.settings };
        switch.set_settings(ids[1], apart).unwrap();
        switch.move_port(ids[1], dc, &Memberships::default()).unwrap();
        assert!(switch.fdb().iter().all(|row| row.port != ids[1]));
        // Other hosts of the network it was in have no say in this one.
        assert_eq!(switch.port(ids[1]).unwrap().0.settings.reach, Reach::All);
        // From one network to the other nothing is heard, in both directions.
        rig.nodes[0].send(&plain(0, mac(1), 1, 60));
        assert_eq!(rig.nodes[2].receive().bytes, plain(0, mac(1), 1, 60));
        shout(rig, 1, 2);
        settled(&switch, 3);
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
        // A second port there is found by the flood, and its own address goes where it is.
        switch.move_port(ids[2], dc, &Memberships::default()).unwrap();
        shout(rig, 1, 3);
        assert_eq!(rig.nodes[2].receive().bytes, plain(1, MacAddr::BROADCAST, 3, 60));
        // Out of all networks what it says goes nowhere, and is counted so.
        switch.move_port(ids[2], NetworkId::NONE, &Memberships::default()).unwrap();
        shout(rig, 2, 4);
        settled(&switch, 5);
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
        let drops = switch.ports()[2].stats.drops[DropReason::NoNetwork.index()];
        assert_eq!(drops, 1);
        assert!(matches!(
            switch.move_port(ids[2], NetworkId(9), &Memberships::default()),
            Err(Error::NoNetwork(_))
        ));
        assert!(matches!(switch.remove_network(dc), Err(Error::Busy(_))));
        switch.move_port(ids[1], NetworkId::FIRST, &Memberships::default()).unwrap();
        switch.remove_network(dc).unwrap();
    });
}

#[test]
fn tags_come_and_go_as_the_ports_vlans_say() {
    on_a_rig(3, |rig| {
        let network = filtering(Q);
        let switch = rig.switch(Config { slots: 64, network, ..Config::default() }, None);
        let ids: Vec<_> = switch.ports().iter().map(|info| info.id).collect();
        switch.set_vlans(ids[0], PortVlans::access(vid(10)).into()).unwrap();
        switch.set_vlans(ids[1], trunk(&[10, 20])).unwrap();
        switch.set_vlans(ids[2], PortVlans::access(vid(20)).into()).unwrap();
        switch.sync().unwrap();
        let frame = plain(1, MacAddr::BROADCAST, 0, 100);
        // From the access port to the trunk, with the tag.
        rig.nodes[0].send(&frame);
        let got = rig.nodes[1].receive();
        assert_eq!((got.vlan, &got.bytes), (tag(Q, 10), &frame));
        // Back by the trunk, known by now, without it; priority and all.
        let back = plain(2, mac(1), 1, 100);
        rig.nodes[1].send_with(VnetHeader::default(), tag(Q, 0xa00a), &back);
        let got = rig.nodes[0].receive();
        assert_eq!((got.vlan, &got.bytes), (None, &back));
        // In the other VLAN the address is not known, and its port not reached.
        rig.nodes[1].send_with(VnetHeader::default(), tag(Q, 20), &back);
        let got = rig.nodes[2].receive();
        assert_eq!((got.vlan, &got.bytes), (None, &back));
        // What no port of the VLAN takes counts as let in, and what no VLAN takes does not count.
        rig.nodes[1].send_with(VnetHeader::default(), tag(Q, 30), &back);
        rig.nodes[1].send(&back);
        settled(&switch, 5);
        rig.nodes.iter_mut().for_each(rig::Node::hears_nothing);
        // Each way by the bytes behind the Ethernet header and the tag, as the kernel's bridge has it.
        let (none, one) = ((0, 0), (1, 86));
        let counted = |n: usize| {
            let of = |stats: VlanStats| {
                ((stats.rx_packets, stats.rx_bytes), (stats.tx_packets, stats.tx_bytes))
            };
            let all = switch.vlan_stats(ids[n]).into_iter();
            all.map(|(vlan, stats)| (vlan.get(), of(stats))).collect::<Vec<_>>()
        };
        assert_eq!(counted(0), [(10, (one, one))]);
        assert_eq!(counted(1), [(10, (one, one)), (20, (one, none))]);
        assert_eq!(counted(2), [(20, (none, one))]);
    });
}

#[test]
fn a_provider_puts_its_tag_before_the_customers() {
    on_a_rig(2, |rig| {
        let network = filtering(AD);
        let switch = rig.switch(Config { slots: 64, network, ..Config::default() }, None);
        let ids: Vec<_> = switch.ports().iter().map(|info| info.id).collect();
        switch.set_vlans(ids[0], PortVlans::access(vid(100)).into()).unwrap();
        switch.set_vlans(ids[1], trunk(&[100])).unwrap();
        switch.sync().unwrap();
        let frame = plain(1, MacAddr::BROADCAST, 0, 100);
        rig.nodes[0].send_with(VnetHeader::default(), tag(Q, 7), &frame);
        let got = rig.nodes[1].receive();
        assert_eq!(got.vlan, tag(AD, 100));
        // The customer's tag stands in the bytes, before the EtherType.
        assert_eq!(got.bytes[12..16], [0x81, 0, 0, 7]);
        assert_eq!((&got.bytes[..12], &got.bytes[16..]), (&frame[..12], &frame[12..]));
        settled(&switch, 1);
    });
}

#[test]
fn a_tagged_frame_finds_an_address_that_was_learned_without_a_tag() {
    on_a_rig(3, |rig| {
        let switch = rig.switch(Config { slots: 64, ..Config::default() }, None);
        rig.nodes[0].send(&plain(1, MacAddr::BROADCAST, 0, 60));
        (1..3).for_each(|n| drop(rig.nodes[n].receive()));
        for own in [tag(Q, 5), tag(AD, 5), tag(Q, 0)] {
            let frame = plain(2, mac(1), 1, 60);
            rig.nodes[1].send_with(VnetHeader::default(), own, &frame);
            let got = rig.nodes[0].receive();
            assert_eq!((got.vlan, &got.bytes), (own, &frame));
        }
        settled(&switch, 4);
        rig.nodes[2].hears_nothing();
    });
}

#[test]
fn settings_hold_from_the_moment_they_are_set() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config { slots: 64, ..Config::default() }, None);
        let ageing_time = Duration::from_secs(1);
        let config =
            NetworkConfig { ageing_time, fdb_max_learned: Some(2), ..NetworkConfig::default() };
        switch.set_network(NetworkId::FIRST, config).unwrap();
        switch.sync().unwrap();
        for n in 1..6 {
            rig.nodes[0].send(&plain(n, MacAddr::BROADCAST, 0, 60));
        }
        settled(&switch, 5);
        assert_eq!(switch.table().network_len(NetworkId::FIRST), 2);
        std::thread::sleep(Duration::from_millis(2100));
        assert!(switch.fdb().is_empty(), "they have aged");
    });
}

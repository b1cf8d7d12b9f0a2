//! Groups of a running switch: what becomes of them where a network's settings change, with several workers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::sync::Arc;

use rig::frames::{ethernet, mac};
use rig::{eventually, on_a_rig};
use uswitch_switch::core::{Group, McastConfig, VlanFilter};
use uswitch_switch::{Config, NetworkConfig, NetworkId, PortId, PortSettings};
use wire::{MacAddr, Timestamp, VlanId, checksum};

const FIRST: NetworkId = NetworkId::FIRST;
const GROUP: [u8; 4] = [239, 1, 2, 3];

fn snooping(snooping: bool) -> NetworkConfig {
    let mcast = McastConfig { snooping, querier: true, ..McastConfig::default() };
    NetworkConfig { mcast, ..NetworkConfig::default() }
}

/// A report of IGMPv2 from node `n`.
fn join(n: u8) -> Vec<u8> {
    let mut report = [&[0x16, 0, 0, 0][..], &GROUP].concat();
    let sum = checksum::checksum(&report).to_be_bytes();
    report[2..4].copy_from_slice(&sum);
    let header = [0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0];
    let to = MacAddr([1, 0, 0x5e, 1, 2, 3]);
    [&ethernet(mac(n), to, 0x0800)[..], &header, &[10, 0, 0, n], &GROUP, &report].concat()
}

#[test]
fn what_is_set_by_hand_stays_and_what_was_learned_goes_with_how_vlans_are_told_apart() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config { workers: 2, slots: 64, ..Config::default() }, None);
        switch.set_network(FIRST, snooping(true)).unwrap();
        switch.sync().unwrap();
        let members = || switch.groups(FIRST).map_or(0, |groups| groups.counts().members);
        let set = Group::Ip("239.9.9.9".parse().unwrap());
        let at = (PortId(1), &PortSettings::default());
        let groups = switch.groups(FIRST).unwrap();
        assert!(groups.set(VlanId::NONE, set, at, Timestamp::ZERO));
        drop(groups);
        rig.nodes[0].send(&join(0));
        eventually("the report is heard", || members() == 2);
        let filtering = NetworkConfig { vlans: Some(VlanFilter::default()), ..snooping(true) };
        switch.set_network(FIRST, filtering).unwrap();
        assert_eq!(members(), 1, "no row is left of no VLAN");
        switch.set_network(FIRST, snooping(true)).unwrap();
        // Off and on in one go, again and again: all workers have the same groups then.
        for _ in 0..200 {
            switch.set_network(FIRST, snooping(false)).unwrap();
            switch.set_network(FIRST, snooping(true)).unwrap();
        }
        switch.sync().unwrap();
        let groups = switch.groups(FIRST).unwrap();
        assert_eq!(groups.counts().members, 1);
        // The switch's, the two workers', and this one.
        eventually("all have the same", || Arc::strong_count(&groups) == 4);
    });
}

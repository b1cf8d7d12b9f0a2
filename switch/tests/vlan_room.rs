//! How many VLANs there can be: identifiers are given back, and where there are none left that is said.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use rig::frames::{mac, plain};
use rig::on_a_rig;
use uswitch_switch::core::{Memberships, PortVlans, VlanFilter};
use uswitch_switch::{Config, EntryKind, Error, FdbConfig, NetworkConfig, NetworkId, PortId};
use wire::{MacAddr, Timestamp, VlanId, VlanTag, VnetHeader};

fn trunk(vlans: impl IntoIterator<Item = u16>) -> Memberships {
    let mut port = PortVlans::none();
    vlans.into_iter().for_each(|vlan| port.add(VlanId::from_tci(vlan), false));
    port.into()
}

fn filtering() -> NetworkConfig {
    NetworkConfig { vlans: Some(VlanFilter::default()), ..NetworkConfig::default() }
}

#[test]
fn vlans_that_are_left_make_room_for_others() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(Config { slots: 64, ..Config::default() }, None);
        let ports = [PortId(0), PortId(1)];
        // More of them, one after another, than there can be at once: by networks that go, by ports that move
        // and by VLANs that ports leave.
        for n in 0..18 {
            let network = switch.add_network(filtering()).unwrap();
            let all = trunk(1..4095);
            ports.iter().for_each(|id| switch.move_port(*id, network, &all).unwrap());
            if n % 2 == 0 {
                ports.iter().for_each(|id| switch.set_vlans(*id, trunk([])).unwrap());
            } else {
                let aside = |id: &PortId| switch.move_port(*id, NetworkId::NONE, &all).unwrap();
                ports.iter().for_each(aside);
                switch.remove_network(network).unwrap();
            }
        }
        let network = switch.add_network(filtering()).unwrap();
        ports.iter().for_each(|id| switch.move_port(*id, network, &trunk(1..4095)).unwrap());
        switch.sync().unwrap();
        let tag = Some(VlanTag { tpid: 0x8100, tci: 4094 });
        rig.nodes[0].send_with(VnetHeader::default(), tag, &plain(7, MacAddr::BROADCAST, 1, 60));
        assert_eq!(rig.nodes[1].receive().vlan, tag);
    });
}

#[test]
fn where_there_is_no_room_that_is_said_and_nothing_changes() {
    on_a_rig(1, |rig| {
        let fdb = FdbConfig { max_entries: 1 << 18 };
        let switch = rig.switch(Config { slots: 64, fdb, ..Config::default() }, None);
        switch.set_network(NetworkId::FIRST, filtering()).unwrap();
        // An entry in each.
        let (table, now) = (switch.table(), Timestamp::ZERO);
        let all = (1..17).flat_map(|n| (1..4095).map(move |vlan| (NetworkId(n), vlan)));
        let scopes = all.filter_map(|(n, vlan)| table.scope(n, VlanId::from_tci(vlan)));
        scopes.for_each(|s| _ = table.set(mac(1), s, PortId::LOCAL, EntryKind::Blackhole, now));
        let set = |vlans: Memberships| switch.set_vlans(PortId(0), vlans);
        assert!(matches!(set(trunk([1, 2])), Err(Error::NoRoomForVlans)));
        assert!(!switch.port(PortId(0)).unwrap().0.vlans.has(VlanId::from_tci(2)));
        // One entry less.
        let scope = table.scope(NetworkId(1), VlanId::from_tci(9)).unwrap();
        table.remove(mac(1), scope);
        set(trunk([1, 2])).unwrap();
        assert!(matches!(set(trunk([1, 2, 3])), Err(Error::NoRoomForVlans)));
    });
}

//! Which VLAN a frame belongs to, who may have it, and with which tag: as tables.

use std::sync::Arc;

use proptest::prelude::*;
use wire::{MacAddr, Timestamp, VlanId, VlanTag};

use super::{Memberships, PortVlans, Tagging, VlanFilter};
use crate::core::{
    Bridge, DropReason, Exit, Fdb, FdbConfig, Frame, Leg, NetworkConfig, NetworkId, Path, PortId,
    PortSettings, PortState, Verdict,
};

const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;
const NOW: Timestamp = Timestamp::from_nanos(5_000_000_000);
const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xff]);

fn vid(n: u16) -> VlanId {
    VlanId::from_tci(n)
}

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, n])
}

fn tag(tpid: u16, tci: u16) -> Option<VlanTag> {
    Some(VlanTag { tpid, tci })
}

/// A port of VLANs with tags.
fn trunk(vlans: &[u16]) -> Memberships {
    let mut port = PortVlans::none();
    vlans.iter().for_each(|vlan| port.add(vid(*vlan), false));
    port.into()
}

/// The same, with one VLAN more that goes without.
fn native(pvid: u16, vlans: &[u16]) -> Memberships {
    let mut port = PortVlans::access(vid(pvid));
    vlans.iter().for_each(|vlan| port.add(vid(*vlan), false));
    port.into()
}

fn bridge(filter: Option<VlanFilter>, ports: &[Memberships]) -> Bridge {
    let config = NetworkConfig { vlans: filter, ..NetworkConfig::default() };
    let mut bridge = Bridge::new(config, Arc::new(Fdb::new(FdbConfig::default())));
    for (id, vlans) in (0..).map(PortId).zip(ports) {
        let state = PortState::up(PortSettings::default(), 1500);
        bridge.set_port(id, PortState { vlans: vlans.clone(), ..state });
    }
    bridge
}

/// What a broadcast with this tag becomes at each port it reaches.
fn sent(bridge: &Bridge, ingress: u16, own: Option<VlanTag>) -> Vec<(u16, [Option<VlanTag>; 2])> {
    let mut path = Path::default();
    let frame = Frame::new(MacAddr::BROADCAST, mac(1), own, 100);
    bridge.decide(&frame, PortId(ingress), NOW, &mut path);
    let at = |Exit { port, tagging }: &Exit| (port.0, tagging.tags(own));
    path.exits().iter().map(at).collect()
}

fn said(bridge: &Bridge, ingress: u16, own: Option<VlanTag>, dst: MacAddr) -> Verdict {
    let frame = Frame::new(dst, mac(9), own, 100);
    bridge.decide(&frame, PortId(ingress), NOW, &mut Path::default()).verdict
}

#[test]
fn access_ports_of_two_vlans_are_apart() {
    let [a, b] = [PortVlans::access(vid(10)), PortVlans::access(vid(20))];
    let ports = [a.clone().into(), a.into(), b.clone().into(), b.into()];
    let bridge = bridge(Some(VlanFilter::default()), &ports);
    assert_eq!(sent(&bridge, 0, None), [(1, [None, None])]);
    assert_eq!(sent(&bridge, 2, None), [(3, [None, None])]);
    assert_eq!(said(&bridge, 0, tag(Q, 20), mac(2)), Verdict::Drop(DropReason::VlanIngress));
}

#[test]
fn a_trunk_carries_tags_and_an_access_port_has_none() {
    let ports = [PortVlans::access(vid(10)).into(), trunk(&[10, 20]), trunk(&[20])];
    let bridge = bridge(Some(VlanFilter::default()), &ports);
    // What comes without a tag gets one; what comes with one loses it, priority and all.
    assert_eq!(sent(&bridge, 0, None), [(1, [tag(Q, 10), None])]);
    assert_eq!(sent(&bridge, 1, tag(Q, 0x600a)), [(0, [None, None])]);
    assert_eq!(sent(&bridge, 1, tag(Q, 0x6014)), [(2, [tag(Q, 0x6014), None])]);
    assert_eq!(said(&bridge, 1, None, mac(2)), Verdict::Drop(DropReason::NoPvid));
    assert_eq!(said(&bridge, 1, tag(Q, 0x6000), mac(2)), Verdict::Drop(DropReason::NoPvid));
}

#[test]
fn a_priority_tag_names_the_pvid_and_keeps_its_priority() {
    let ports = [native(5, &[]), trunk(&[5]), native(5, &[])];
    let bridge = bridge(Some(VlanFilter::default()), &ports);
    let to = sent(&bridge, 0, tag(Q, 0xa000));
    assert_eq!(to, [(1, [tag(Q, 0xa005), None]), (2, [None, None])]);
}

#[test]
fn a_tag_of_another_protocol_is_payload() {
    let ports = [native(100, &[]), trunk(&[100]), native(100, &[])];
    let bridge = bridge(Some(VlanFilter { protocol: AD }), &ports);
    // Provider bridging: the customer's tag stays inside, whatever number it has.
    let to = sent(&bridge, 0, tag(Q, 7));
    assert_eq!(to, [(1, [tag(AD, 100), tag(Q, 7)]), (2, [tag(Q, 7), None])]);
    assert_eq!(sent(&bridge, 1, tag(AD, 100)), [(0, [None, None]), (2, [None, None])]);
}

#[test]
fn without_ingress_filtering_a_frame_of_any_vlan_of_the_network_is_let_in() {
    let mut open = PortVlans::access(vid(10));
    open.ingress_filter = false;
    let ports = [open.into(), trunk(&[20])];
    let bridge = bridge(Some(VlanFilter::default()), &ports);
    assert_eq!(sent(&bridge, 0, tag(Q, 20)), [(1, [tag(Q, 20), None])]);
    let nobodys = said(&bridge, 0, tag(Q, 30), mac(2));
    assert_eq!(nobodys, Verdict::Drop(DropReason::VlanIngress), "no port is a member");
}

#[test]
fn without_filtering_there_is_one_table_and_tags_are_left_alone() {
    let bridge = bridge(None, &[Memberships::default(), trunk(&[7]), trunk(&[])]);
    for own in [None, tag(Q, 7), tag(Q, 0x6000), tag(AD, 7)] {
        assert_eq!(sent(&bridge, 0, own), [(1, [own, None]), (2, [own, None])]);
        // mac(1) has been seen at port 0, and that holds for every tag.
        assert_eq!(said(&bridge, 2, own, mac(1)), Verdict::Forward(PortId(0)));
    }
    assert_eq!(bridge.fdb().len(), 2);
}

#[test]
fn an_address_lives_in_each_vlan_by_itself() {
    let both = || native(10, &[20]);
    let bridge = bridge(Some(VlanFilter::default()), &[both(), both(), both()]);
    sent(&bridge, 0, None);
    assert_eq!(said(&bridge, 1, tag(Q, 10), mac(1)), Verdict::Forward(PortId(0)));
    assert_eq!(said(&bridge, 1, tag(Q, 20), mac(1)), Verdict::Flood);
    sent(&bridge, 2, tag(Q, 20));
    assert_eq!(said(&bridge, 1, tag(Q, 20), mac(1)), Verdict::Forward(PortId(2)));
    assert_eq!(said(&bridge, 1, None, mac(1)), Verdict::Forward(PortId(0)));
}

#[test]
fn a_known_address_behind_a_port_that_left_the_vlan_is_not_reached() {
    let mut bridge = bridge(Some(VlanFilter::default()), &[native(10, &[]), native(10, &[])]);
    sent(&bridge, 0, None);
    let state = bridge.port(PortId(0)).unwrap();
    bridge.set_port(PortId(0), PortState { vlans: trunk(&[20]), ..state });
    assert_eq!(said(&bridge, 1, None, mac(1)), Verdict::Drop(DropReason::VlanEgress));
}

#[test]
fn the_station_has_a_leg_in_some_vlans() {
    let legs = vec![(vid(10), Leg(3)), (vid(20), Leg(4))];
    let vlans = Some(VlanFilter::default());
    let config = NetworkConfig { local: Some(STATION), legs, vlans, ..NetworkConfig::default() };
    let mut bridge = Bridge::new(config, Arc::new(Fdb::new(FdbConfig::default())));
    for (id, vlans) in (0..).zip([trunk(&[10, 20, 30]), native(20, &[])]) {
        let state = PortState::up(PortSettings::default(), 1500);
        bridge.set_port(PortId(id), PortState { vlans, ..state });
    }
    let mut path = Path::default();
    let mut at_leg = |vlan, dst| {
        let frame = Frame::new(dst, mac(1), tag(Q, vlan), 100);
        (bridge.decide(&frame, PortId(0), NOW, &mut path).verdict, path.leg())
    };
    assert_eq!(at_leg(10, STATION), (Verdict::Local, Some(Leg(3))));
    assert_eq!(at_leg(20, STATION), (Verdict::Local, Some(Leg(4))));
    assert_eq!(at_leg(30, STATION), (Verdict::Drop(DropReason::VlanEgress), None));
    assert_eq!(at_leg(10, MacAddr::BROADCAST), (Verdict::Flood, Some(Leg(3))));
    assert_eq!(at_leg(30, MacAddr::BROADCAST), (Verdict::Drop(DropReason::NoTarget), None));
    // What the station says by a leg goes out with that VLAN's tag, or without.
    let own = Frame::new(MacAddr::BROADCAST, STATION, None, 100);
    assert_eq!(bridge.send(&own, Leg(4), NOW, &mut path), Verdict::Flood);
    let exits = path.exits().to_vec();
    assert_eq!(exits[0].tagging.tags(None), [tag(Q, 20), None]);
    assert_eq!(exits[1], Exit { port: PortId(1), tagging: Tagging::Keep });
    assert_eq!(bridge.send(&own, Leg(9), NOW, &mut path), Verdict::Drop(DropReason::UnknownPort));
}

/// What is left of a tag where the station is given the frame: not the one that told the VLAN.
#[test]
fn the_station_is_given_no_tag_that_told_a_vlan() {
    let ports = [trunk(&[10]), native(10, &[20])];
    let filtered = |protocol| bridge(Some(VlanFilter { protocol }), &ports);
    for (protocol, other) in [(Q, AD), (AD, Q)] {
        let bridge = filtered(protocol);
        for (ingress, own, left) in [
            (0, None, None),
            (0, tag(protocol, 10), None),
            (0, tag(protocol, 0x600a), None),
            (1, tag(protocol, 20), None),
            // A priority alone, which is the native VLAN's.
            (1, tag(protocol, 0x6000), None),
            // Payload, and what is not let in at all.
            (1, tag(other, 10), tag(other, 10)),
            (0, tag(protocol, 30), tag(protocol, 30)),
        ] {
            assert_eq!(bridge.tag_given(own, PortId(ingress)), left, "{ingress} {own:x?}");
        }
    }
    let plain = bridge(None, &ports);
    assert_eq!(plain.tag_given(tag(Q, 10), PortId(0)), tag(Q, 10));
}

/// A random world: networks, ports in them, VLANs of the ports.
fn world() -> impl Strategy<Value = Vec<(u16, bool, Vec<u16>, Option<u16>)>> {
    let port =
        (0..4u16, any::<bool>(), prop::collection::vec(1..6u16, 0..4), prop::option::of(1..6u16));
    prop::collection::vec(port, 2..12)
}

proptest! {
    /// Whatever comes in, nothing leaves its network or its VLAN; and what leaves has the tag that
    /// its port is to have it with.
    #[test]
    fn no_frame_crosses_a_network_or_a_vlan(
        ports in world(),
        frames in prop::collection::vec((0..12u16, 0..6u8, 0..6u8, prop::option::of((any::<bool>(), 0..7u16))), 1..80),
    ) {
        let fdb = Arc::new(Fdb::new(FdbConfig::default()));
        let mut bridge = Bridge::new(NetworkConfig::default(), fdb);
        for n in 1..4u16 {
            let vlans = (n % 2 == 1).then(VlanFilter::default);
            let legs = vec![(VlanId::NONE, Leg(n))];
            bridge.set_network(NetworkId(n), NetworkConfig { vlans, legs, ..NetworkConfig::default() });
        }
        let mut vlans = Vec::new();
        for (id, (network, untagged, members, pvid)) in (0..).zip(&ports) {
            let mut port = PortVlans::none();
            members.iter().for_each(|vlan| port.add(vid(*vlan), *untagged));
            port.pvid = pvid.map(vid);
            vlans.push(port.clone());
            let state = PortState::up(PortSettings::default(), 1500);
            let state = PortState { network: NetworkId(*network), vlans: port.into(), ..state };
            bridge.set_port(PortId(id), state);
        }
        let mut path = Path::default();
        for (ingress, src, dst, own) in frames {
            let own = own.and_then(|(ad, tci)| tag(if ad { AD } else { Q }, tci));
            let dst = if dst == 5 { MacAddr::BROADCAST } else { mac(dst) };
            let frame = Frame::new(dst, mac(src), own, 100);
            bridge.decide(&frame, PortId(ingress), NOW, &mut path);
            let Some(from) = ports.get(usize::from(ingress)) else {
                prop_assert!(path.exits().is_empty());
                continue;
            };
            let filters = from.0 % 2 == 1;
            let theirs = own.filter(|tag| tag.tpid == Q && tag.id() != VlanId::NONE);
            let vlan = theirs.map(VlanTag::id).or(vlans[usize::from(ingress)].pvid);
            for Exit { port, tagging } in path.exits() {
                let to = &ports[port.index()];
                prop_assert_eq!(from.0, to.0, "it left its network");
                prop_assert_ne!(port.0, ingress);
                if !filters {
                    prop_assert_eq!(tagging.tags(own), [own, None]);
                    continue;
                }
                let vlan = vlan.unwrap();
                prop_assert!(vlans[usize::from(ingress)].members.has(vlan));
                prop_assert!(vlans[port.index()].members.has(vlan));
                let [outer, inner] = tagging.tags(own);
                let foreign = own.filter(|tag| tag.tpid != Q);
                if vlans[port.index()].untagged.has(vlan) {
                    prop_assert_eq!([outer, inner], [foreign, None]);
                } else {
                    prop_assert_eq!(outer.map(|tag| (tag.tpid, tag.id())), Some((Q, vlan)));
                    prop_assert_eq!(inner, foreign);
                }
            }
        }
    }
}

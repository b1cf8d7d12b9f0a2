//! Decisions, as tables: what a frame meets on its way.

use std::sync::Arc;

use wire::{MacAddr, Timestamp, VlanId};

use super::{Bridge, BridgeConfig, Frame};
use crate::core::{
    DropReason, EntryKind, Fdb, FdbConfig, Learned, PortId, PortSettings, PortState, Verdict,
};

const A: PortId = PortId(0);
const B: PortId = PortId(1);
const C: PortId = PortId(2);
const GATEWAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
const NOW: Timestamp = Timestamp::from_nanos(5_000_000_000);

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn frame(src: MacAddr, dst: MacAddr) -> Frame {
    Frame { dst, src, vlan: VlanId::NONE, packet_len: 100 }
}

fn up() -> PortState {
    PortState { settings: PortSettings::default(), mtu: 1500, up: true }
}

/// Three ports, a station, and address 2 known at B.
fn bridge() -> Bridge {
    let config = BridgeConfig { local: Some(GATEWAY), link_local_mask: 1 << 14 };
    let mut bridge = Bridge::new(config, Arc::new(Fdb::new(FdbConfig::default())));
    for id in [A, B, C] {
        bridge.set_port(id, up());
    }
    assert_eq!(bridge.decide(&frame(mac(2), mac(9)), B, NOW).learned, Learned::New);
    bridge
}

fn drop_of(bridge: &mut Bridge, frame: &Frame, ingress: PortId) -> DropReason {
    match bridge.decide(frame, ingress, NOW).verdict {
        Verdict::Drop(reason) => reason,
        other => panic!("not dropped: {other:?}"),
    }
}

#[test]
fn known_unknown_group_and_own() {
    let mut b = bridge();
    assert_eq!(b.decide(&frame(mac(1), mac(2)), A, NOW).verdict, Verdict::Forward(B));
    assert_eq!(b.decide(&frame(mac(1), mac(7)), A, NOW).verdict, Verdict::Flood);
    assert_eq!(b.decide(&frame(mac(1), MacAddr::BROADCAST), A, NOW).verdict, Verdict::Flood);
    assert_eq!(b.decide(&frame(mac(1), GATEWAY), A, NOW).verdict, Verdict::Local);
    let set: Vec<_> = b.flood_set(&frame(mac(1), mac(7)), A).collect();
    assert_eq!(set, [B, C]);
}

#[test]
fn sources_that_are_never_right() {
    let mut b = bridge();
    assert_eq!(drop_of(&mut b, &frame(MacAddr::BROADCAST, mac(2)), A), DropReason::GroupSource);
    assert_eq!(drop_of(&mut b, &frame(MacAddr::ZERO, mac(2)), A), DropReason::ZeroSource);
    assert_eq!(drop_of(&mut b, &frame(GATEWAY, mac(2)), A), DropReason::OwnSource);
}

#[test]
fn link_local_groups_stay_unless_let_through() {
    let mut b = bridge();
    let stp = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]);
    let lldp = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    assert_eq!(drop_of(&mut b, &frame(mac(1), stp), A), DropReason::LinkLocal);
    assert_eq!(b.decide(&frame(mac(1), lldp), A, NOW).verdict, Verdict::Flood);
}

#[test]
fn the_port_itself_and_hairpin() {
    let mut b = bridge();
    assert_eq!(drop_of(&mut b, &frame(mac(3), mac(2)), B), DropReason::SamePort);
    let settings = PortSettings { hairpin: true, ..PortSettings::default() };
    b.set_port(B, PortState { settings, ..up() });
    assert_eq!(b.decide(&frame(mac(3), mac(2)), B, NOW).verdict, Verdict::Forward(B));
}

#[test]
fn links_down_removed_and_too_small() {
    let mut b = bridge();
    b.set_port(B, PortState { mtu: 99, ..up() });
    assert_eq!(drop_of(&mut b, &frame(mac(1), mac(2)), A), DropReason::TooBig);
    b.set_port(B, PortState { up: false, ..up() });
    assert_eq!(drop_of(&mut b, &frame(mac(1), mac(2)), A), DropReason::EgressDown);
    assert_eq!(drop_of(&mut b, &frame(mac(5), mac(1)), B), DropReason::IngressDown);
    b.remove_port(B);
    assert_eq!(drop_of(&mut b, &frame(mac(1), mac(2)), A), DropReason::EgressDown);
    assert_eq!(drop_of(&mut b, &frame(mac(5), mac(1)), B), DropReason::UnknownPort);
}

#[test]
fn isolation_is_by_group() {
    let mut b = bridge();
    let isolated = |group| PortState {
        settings: PortSettings { isolation: Some(group), ..PortSettings::default() },
        ..up()
    };
    b.set_port(A, isolated(1));
    b.set_port(B, isolated(1));
    b.set_port(C, isolated(2));
    assert_eq!(drop_of(&mut b, &frame(mac(1), mac(2)), A), DropReason::Isolated);
    assert_eq!(b.flood_set(&frame(mac(1), mac(7)), A).collect::<Vec<_>>(), [C]);
    assert_eq!(b.decide(&frame(mac(3), mac(2)), C, NOW).verdict, Verdict::Forward(B));
}

#[test]
fn set_entries_black_hole_and_stick() {
    let mut b = bridge();
    b.fdb().set(mac(8), VlanId::NONE, A, EntryKind::Blackhole);
    b.fdb().set(mac(6), VlanId::NONE, A, EntryKind::Sticky);
    assert_eq!(drop_of(&mut b, &frame(mac(1), mac(8)), A), DropReason::Blackhole);
    assert_eq!(drop_of(&mut b, &frame(mac(6), mac(2)), C), DropReason::StickyMoved);
}

#[test]
fn storm_control_counts_floods_of_a_second() {
    let mut b = bridge();
    let settings = PortSettings { storm_limit: Some(3), ..PortSettings::default() };
    b.set_port(A, PortState { settings, ..up() });
    let flood = frame(mac(1), MacAddr::BROADCAST);
    for _ in 0..3 {
        assert_eq!(b.decide(&flood, A, NOW).verdict, Verdict::Flood);
    }
    assert_eq!(drop_of(&mut b, &flood, A), DropReason::Storm);
    assert_eq!(b.decide(&frame(mac(1), mac(2)), A, NOW).verdict, Verdict::Forward(B));
    let later = Timestamp::from_nanos(6_000_000_000);
    assert_eq!(b.decide(&flood, A, later).verdict, Verdict::Flood);
}

#[test]
fn alone_there_is_nobody_to_flood_to() {
    let mut b = bridge();
    b.remove_port(B);
    b.remove_port(C);
    assert_eq!(drop_of(&mut b, &frame(mac(1), mac(7)), A), DropReason::NoTarget);
    assert_eq!(b.decide(&frame(mac(1), MacAddr::BROADCAST), A, NOW).verdict, Verdict::Flood);
}

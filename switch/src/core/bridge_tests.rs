//! Decisions, as tables: what is set up, what comes in, what must come out.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::core::{
    Decision, DropReason, EntryKind, FdbConfig, Frame, Learned, Path, PortSettings, PortVlans,
    Scope, SourceGuard, StormLimits, Verdict, VlanFilter,
};

#[path = "bridge_drops.rs"]
mod drops;
#[path = "bridge_host.rs"]
mod host;
#[path = "bridge_loops.rs"]
mod loops;
#[path = "bridge_mcast.rs"]
mod mcast;
#[path = "bridge_other_gateway.rs"]
mod other_gateway;
#[path = "bridge_settings.rs"]
mod settings;

const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xff]);

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 + n)
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

fn frame(src: MacAddr, dst: MacAddr) -> Frame {
    Frame::new(dst, src, None, 100)
}

fn up() -> PortState {
    PortState::up(PortSettings::default(), 1500)
}

/// Ports 0 to 3, up; address n lives at port n.
fn bridge(local: Option<MacAddr>) -> Bridge {
    let mut bridge =
        Bridge::new(NetworkConfig::with(local), Arc::new(Fdb::new(FdbConfig::default())));
    for n in 0..4u16 {
        bridge.set_port(PortId(n), up());
        bridge.fdb().learn(mac(n.into()), Scope::default(), PortId(n), 100, at(1));
    }
    bridge
}

fn change(bridge: &mut Bridge, id: u16, change: impl FnOnce(&mut PortState)) {
    let mut state = bridge.port(PortId(id)).unwrap();
    change(&mut state);
    bridge.set_port(PortId(id), state);
}

/// A port belongs to the host of this address, and to no addresses of IP.
fn guard(bridge: &mut Bridge, id: u16, mac: MacAddr) {
    change(bridge, id, |port| port.sources = Some(Arc::new(SourceGuard::new(mac, []))));
}

fn verdict(bridge: &mut Bridge, frame: Frame, ingress: u16) -> Verdict {
    decide(bridge, &frame, ingress, at(2)).verdict
}

fn decide(bridge: &Bridge, frame: &Frame, ingress: u16, now: Timestamp) -> Decision {
    bridge.decide(frame, PortId(ingress), now, &mut Path::default())
}

/// The ports a frame reaches.
fn reached(bridge: &Bridge, frame: &Frame, ingress: u16) -> Vec<u16> {
    let mut path = Path::default();
    bridge.decide(frame, PortId(ingress), at(2), &mut path);
    path.ports().map(|id| id.0).collect()
}

#[test]
fn a_known_address_gets_the_frame_alone() {
    let mut bridge = bridge(None);
    assert_eq!(verdict(&mut bridge, frame(mac(0), mac(2)), 0), Verdict::Forward(PortId(2)));
}

#[test]
fn an_unknown_address_and_groups_are_flooded_to_all_but_the_ingress() {
    let mut bridge = bridge(None);
    for dst in [mac(99), MacAddr::BROADCAST, MacAddr([0x33, 0x33, 0, 0, 0, 1])] {
        let frame = frame(mac(1), dst);
        assert_eq!(verdict(&mut bridge, frame, 1), Verdict::Flood);
        assert_eq!(reached(&bridge, &frame, 1), [0, 2, 3]);
    }
}

#[test]
fn flooding_is_set_for_each_kind_and_port() {
    let mut bridge = bridge(None);
    change(&mut bridge, 1, |port| port.settings.flood = false);
    change(&mut bridge, 2, |port| port.settings.mcast_flood = false);
    change(&mut bridge, 3, |port| port.settings.bcast_flood = false);
    assert_eq!(reached(&bridge, &frame(mac(0), mac(99)), 0), [2, 3]);
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr([1, 0, 0x5e, 0, 0, 1])), 0), [1, 3]);
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [1, 2]);
}

#[test]
fn a_flood_leaves_out_ports_that_are_down_too_narrow_or_isolated() {
    let mut bridge = bridge(None);
    change(&mut bridge, 1, |port| port.up = false);
    change(&mut bridge, 2, |port| port.mtu = 99);
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [3]);
    change(&mut bridge, 0, |port| port.settings.isolation = Some(7));
    change(&mut bridge, 3, |port| port.settings.isolation = Some(8));
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [3], "other groups talk");
    change(&mut bridge, 3, |port| port.settings.isolation = Some(7));
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [0u16; 0]);
}

#[test]
fn ports_that_are_cut_off_from_other_hosts_reach_each_other() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| port.settings.reach = crate::core::Reach::Near);
    change(&mut bridge, 1, |port| port.settings.reach = crate::core::Reach::Near);
    change(&mut bridge, 2, |port| port.settings.reach = crate::core::Reach::Far);
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [1, 3]);
    assert_eq!(reached(&bridge, &frame(mac(2), MacAddr::BROADCAST), 2), [3]);
    assert_eq!(reached(&bridge, &frame(mac(3), MacAddr::BROADCAST), 3), [0, 1, 2]);
    // Two tunnels of one network carry for each other no less than before.
    change(&mut bridge, 3, |port| port.settings.reach = crate::core::Reach::Far);
    assert_eq!(reached(&bridge, &frame(mac(2), MacAddr::BROADCAST), 2), [3]);
}

#[test]
fn a_port_whose_link_is_yet_to_come_is_heard_and_sent_nothing() {
    let mut bridge = bridge(None);
    change(&mut bridge, 1, |port| (port.up, port.expected) = (false, true));
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [2, 3]);
    assert_eq!(verdict(&mut bridge, frame(mac(1), mac(0)), 1), Verdict::Forward(PortId(0)));
    let back = verdict(&mut bridge, frame(mac(0), mac(1)), 0);
    assert_eq!(back, Verdict::Drop(DropReason::EgressDown));
}

#[test]
fn the_station_is_reached_by_address_and_hears_groups() {
    let mut bridge = bridge(Some(STATION));
    assert_eq!(verdict(&mut bridge, frame(mac(0), STATION), 0), Verdict::Local);
    for n in 1..4 {
        bridge.remove_port(PortId(n));
    }
    // With nobody else plugged in, a broadcast still has the station, an unknown address nobody.
    assert_eq!(verdict(&mut bridge, frame(mac(0), MacAddr::BROADCAST), 0), Verdict::Flood);
    let to_nobody = verdict(&mut bridge, frame(mac(0), mac(99)), 0);
    assert_eq!(to_nobody, Verdict::Drop(DropReason::NoTarget));
    // Its own frames come in by LOCAL and do not come back to it.
    let mut path = Path::default();
    let mut own = |dst| bridge.send(&frame(STATION, dst), Leg::default(), at(2), &mut path);
    assert_eq!(own(MacAddr::BROADCAST), Verdict::Flood);
    assert_eq!(own(mac(0)), Verdict::Forward(PortId(0)));
    assert_eq!(path.leg(), None);
}

#[test]
fn names_and_numbers_of_reasons_are_their_own() {
    for (n, reason) in DropReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), n);
        let same = DropReason::ALL.iter().filter(|other| other.name() == reason.name());
        assert_eq!(same.count(), 1, "{}", reason.name());
    }
}

#[test]
fn a_refused_frame_teaches_nothing() {
    let bridge = bridge(Some(STATION));
    let before = bridge.fdb().len();
    for bad in [
        frame(MacAddr([3, 0, 0, 0, 0, 1]), mac(1)),
        frame(MacAddr::ZERO, mac(1)),
        frame(STATION, mac(1)),
    ] {
        decide(&bridge, &bad, 0, at(2));
    }
    assert_eq!(bridge.fdb().len(), before);
}

#[test]
fn the_source_of_a_frame_that_bridges_keep_is_learned() {
    let bridge = bridge(None);
    let lldp = MacAddr([1, 0x80, 0xc2, 0, 0, 0x0e]);
    let said = decide(&bridge, &frame(mac(70), lldp), 0, at(2));
    assert_eq!(said.verdict, Verdict::Drop(DropReason::LinkLocal));
    assert_eq!(said.learned, Learned::New);
}

/// As the kernel's bridge has it, which lets no mask pass it either.
#[test]
fn of_pause_frames_no_source_is_learned() {
    let bridge = bridge(None);
    let to = |last| frame(mac(77), MacAddr([1, 0x80, 0xc2, 0, 0, last]));
    let said = decide(&bridge, &to(0x01), 0, at(1));
    assert_eq!((said.verdict, said.learned), (Verdict::Drop(DropReason::LinkLocal), Learned::Off));
    assert_eq!(decide(&bridge, &to(0x02), 0, at(1)).learned, Learned::New);
}

#[test]
fn a_locked_port_lets_in_those_alone_that_are_known_there() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| port.settings.locked = true);
    assert_eq!(verdict(&mut bridge, frame(mac(0), mac(1)), 0), Verdict::Forward(PortId(1)));
    for stranger in [mac(80), mac(2)] {
        let said = verdict(&mut bridge, frame(stranger, mac(1)), 0);
        assert_eq!(said, Verdict::Drop(DropReason::Locked));
    }
    assert!(bridge.fdb().set(mac(80), Scope::default(), PortId(0), EntryKind::Static, at(1)));
    assert_eq!(verdict(&mut bridge, frame(mac(80), mac(1)), 0), Verdict::Forward(PortId(1)));
    // To it everybody may speak.
    assert_eq!(verdict(&mut bridge, frame(mac(1), mac(0)), 1), Verdict::Forward(PortId(0)));
}

#[test]
fn the_mask_lets_link_local_groups_through() {
    let config = NetworkConfig { group_fwd_mask: 1 << 0xe, ..NetworkConfig::default() };
    let mut bridge = Bridge::new(config, Arc::new(Fdb::new(FdbConfig::default())));
    bridge.set_port(PortId(0), up());
    bridge.set_port(PortId(1), up());
    let to = |last| frame(mac(0), MacAddr([1, 0x80, 0xc2, 0, 0, last]));
    assert_eq!(verdict(&mut bridge, to(0x0e), 0), Verdict::Flood);
    assert_eq!(verdict(&mut bridge, to(0x02), 0), Verdict::Drop(DropReason::LinkLocal));
    // Nobody speaks a spanning tree here, so those who do have to hear each other.
    assert_eq!(verdict(&mut bridge, to(0x00), 0), Verdict::Flood);
}

#[test]
fn a_providers_bridge_passes_its_customers_groups() {
    let to = |last| frame(mac(0), MacAddr([1, 0x80, 0xc2, 0, 0, last]));
    let passed = |protocol| {
        let vlans = Some(VlanFilter { protocol });
        let config = NetworkConfig { vlans, ..NetworkConfig::default() };
        let mut bridge = Bridge::new(config, Arc::new(Fdb::new(FdbConfig::default())));
        (0..2).for_each(|n| bridge.set_port(PortId(n), up()));
        let passes = |last: &u8| verdict(&mut bridge, to(*last), 0) == Verdict::Flood;
        (0..16).filter(passes).collect::<Vec<u8>>()
    };
    assert_eq!(passed(0x88a8), [0, 0xb, 0xc, 0xd, 0xf]);
    assert_eq!(passed(0x8100), [0]);
}

#[test]
fn a_sticky_address_stays_while_its_frames_pass() {
    let mut bridge = bridge(None);
    assert!(bridge.fdb().set(mac(61), Scope::default(), PortId(1), EntryKind::Sticky, at(1)));
    assert_eq!(verdict(&mut bridge, frame(mac(61), mac(2)), 0), Verdict::Forward(PortId(2)));
    assert_eq!(verdict(&mut bridge, frame(mac(0), mac(61)), 0), Verdict::Forward(PortId(1)));
}

#[test]
fn hairpin_lets_a_frame_leave_where_it_came_in() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| port.settings.hairpin = true);
    assert_eq!(verdict(&mut bridge, frame(mac(50), mac(0)), 0), Verdict::Forward(PortId(0)));
    assert_eq!(reached(&bridge, &frame(mac(50), MacAddr::BROADCAST), 0), [0, 1, 2, 3]);
}

#[test]
fn a_moved_address_is_followed_and_reported() {
    let mut bridge = bridge(None);
    let said = decide(&bridge, &frame(mac(1), mac(0)), 3, at(2));
    assert_eq!(said.learned, Learned::Moved(PortId(1)));
    assert_eq!(verdict(&mut bridge, frame(mac(0), mac(1)), 0), Verdict::Forward(PortId(3)));
}

#[test]
fn an_aged_address_is_flooded_until_seen_again() {
    let bridge = bridge(None);
    let late = at(302);
    let frame = frame(mac(0), mac(1));
    assert_eq!(decide(&bridge, &frame, 0, late).verdict, Verdict::Flood);
    decide(&bridge, &self::frame(mac(1), mac(0)), 1, late);
    assert_eq!(decide(&bridge, &frame, 0, late).verdict, Verdict::Forward(PortId(1)));
}

#[test]
fn a_storm_is_cut_to_its_limit_each_second_and_unicast_goes_on() {
    let mut bridge = bridge(None);
    let limits = StormLimits { broadcast: Some(10), multicast: Some(20), unknown: Some(30) };
    change(&mut bridge, 0, |port| port.settings.storm = limits);
    let group = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let kinds = [(MacAddr::BROADCAST, 10), (group, 20), (mac(99), 30)];
    let mut passed = [0; 3];
    for n in 0..1000u64 {
        let now = at(5) + Duration::from_millis(n);
        for ((dst, _), passed) in kinds.iter().zip(&mut passed) {
            let said = decide(&bridge, &frame(mac(0), *dst), 0, now).verdict;
            *passed += u32::from(said == Verdict::Flood);
            let other = decide(&bridge, &frame(mac(1), *dst), 1, now).verdict;
            assert_eq!(other, Verdict::Flood, "another port's storm");
        }
        let known = decide(&bridge, &frame(mac(0), mac(1)), 0, now).verdict;
        assert_eq!(known, Verdict::Forward(PortId(1)));
    }
    assert_eq!(passed, kinds.map(|(_, limit)| limit));
    let next = decide(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0, at(6)).verdict;
    assert_eq!(next, Verdict::Flood);
}

#[test]
fn workers_count_a_port_s_floods_together() {
    let (fdb, shared) = (Arc::new(Fdb::new(FdbConfig::default())), Shared::default());
    let one = || Bridge::counting(NetworkConfig::default(), Arc::clone(&fdb), shared.clone());
    let mut bridges = [one(), one()];
    let storm = StormLimits { broadcast: Some(100), ..StormLimits::default() };
    let settings = PortSettings { storm, ..PortSettings::default() };
    for bridge in &mut bridges {
        bridge.set_port(PortId(0), PortState::up(settings, 1500));
        bridge.set_port(PortId(1), PortState::up(settings, 1500));
    }
    // Most by one, some by the other: no more in all than if one had seen them.
    let flood = |bridge: &mut Bridge| {
        let broadcast = frame(mac(0), MacAddr::BROADCAST);
        decide(bridge, &broadcast, 0, at(5)).verdict == Verdict::Flood
    };
    let passed = (0..300).filter(|n| flood(&mut bridges[usize::from(n % 4 == 0)])).count();
    assert_eq!(passed, 100);
}

#[test]
fn a_port_that_does_not_learn_leaves_the_table_alone() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| port.settings.learning = false);
    let said = decide(&bridge, &frame(mac(80), mac(1)), 0, at(2));
    assert_eq!((said.learned, said.verdict), (Learned::Off, Verdict::Forward(PortId(1))));
    assert!(bridge.fdb().lookup(mac(80), Scope::default(), at(2)).is_none());
}

proptest! {
    /// Whatever comes, a path never leads back, to a port that is down, or to one the frame does not
    /// fit; and it is what the verdict says.
    #[test]
    fn a_verdict_names_only_ports_that_may_have_the_frame(
        downs in prop::collection::vec(any::<bool>(), 4),
        mtus in prop::collection::vec(prop_oneof![Just(99u32), Just(1500)], 4),
        groups in prop::collection::vec(prop::option::of(0..2u8), 4),
        frames in prop::collection::vec((0..6u64, 0..8u64, 0..5u16), 1..50),
    ) {
        let mut bridge = bridge(Some(STATION));
        for n in 0..4u16 {
            let i = usize::from(n);
            change(&mut bridge, n, |port| {
                port.up = !downs[i];
                port.mtu = mtus[i];
                port.settings.isolation = groups[i];
            });
        }
        for (src, dst, ingress) in frames {
            let dst = match dst { 6 => MacAddr::BROADCAST, 7 => STATION, n => mac(n) };
            let frame = frame(mac(src), dst);
            let mut path = Path::default();
            let said = bridge.decide(&frame, PortId(ingress), at(2), &mut path).verdict;
            let targets: Vec<u16> = path.ports().map(|id| id.0).collect();
            match said {
                Verdict::Forward(id) => prop_assert_eq!(&targets, &[id.0]),
                Verdict::Flood | Verdict::Members => prop_assert!(!targets.is_empty() || path.leg().is_some()),
                Verdict::Local => prop_assert_eq!((dst, targets.len()), (STATION, 0)),
                Verdict::Drop(_) => prop_assert!(targets.is_empty()),
            }
            for id in targets {
                let i = usize::from(id);
                prop_assert!(id != ingress && !downs[i] && mtus[i] >= 100);
                let apart = groups[i].is_some() && groups[i] == groups[usize::from(ingress)];
                prop_assert!(!apart);
            }
        }
    }
}

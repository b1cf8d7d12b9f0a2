//! Groups and ports: those that come up, arrive, get other VLANs, are shut; thousands of VLANs; what is set by
//! hand while nobody snoops.

use super::*;
use crate::core::Snoops;

const FIRST: NetworkId = NetworkId::FIRST;

fn vid(vlan: u16) -> VlanId {
    VlanId::from_tci(vlan)
}

fn trunk(vlans: impl IntoIterator<Item = u16>) -> PortVlans {
    let mut port = PortVlans::none();
    vlans.into_iter().for_each(|vlan| port.add(vid(vlan), false));
    port
}

fn set_vlans(bridge: &mut Bridge, port: u16, vlans: PortVlans) {
    change(bridge, port, |port| port.vlans = vlans.into());
}

/// One that tells VLANs apart, and asks in them.
fn filtering(ports: [PortVlans; 4]) -> Switch {
    let mut switch = Switch::with(McastConfig { querier: true, ..McastConfig::default() });
    let mcast = McastConfig { snooping: true, querier: true, ..McastConfig::default() };
    let vlans = Some(VlanFilter::default());
    switch.bridge.set_network(FIRST, NetworkConfig { mcast, vlans, ..NetworkConfig::default() });
    for (n, vlans) in (0..).zip(ports) {
        set_vlans(&mut switch.bridge, n, vlans);
    }
    switch
}

/// Where questions of IGMP were said, and in which VLAN; forgotten then.
fn asked(switch: &mut Switch) -> Vec<(u16, u16)> {
    let of_ipv4 = switch.said.drain(..).filter(|(bytes, _)| bytes[12..14] == [8, 0]);
    let vlan = |tagging| match tagging {
        Tagging::Push(tag) => tag.id().get(),
        _ => 0,
    };
    of_ipv4.map(|(_, exit)| (exit.port.0, vlan(exit.tagging))).collect()
}

#[test]
fn a_port_that_gets_or_leaves_a_vlan_is_as_ever_in_the_others() {
    let access = || PortVlans::access(vid(10));
    let mut switch = filtering([access(), access(), trunk([10, 20]), access()]);
    switch.tick(at(100));
    let tagged = |switch: &mut Switch, bytes: &[u8]| {
        let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
        let tag = Some(VlanTag { tpid: 0x8100, tci: 10 });
        let frame = Frame::new(mac(0), mac(6), tag, 100);
        let mut path = Path::default();
        switch.bridge.decide_reading(&frame, bytes, PortId(2), at(111), &mut path);
    };
    tagged(&mut switch, &join(2));
    switch.hear(3, &query(3), at(111));
    let reached = |switch: &mut Switch| switch.reached(0, &data(0), at(125));
    assert_eq!(reached(&mut switch), [2, 3]);
    set_vlans(&mut switch.bridge, 2, trunk([10, 20, 30]));
    set_vlans(&mut switch.bridge, 3, PortVlans { pvid: Some(vid(10)), ..trunk([10, 40]) });
    assert_eq!(reached(&mut switch), [2, 3], "others came");
    set_vlans(&mut switch.bridge, 2, trunk([10]));
    assert_eq!(reached(&mut switch), [2, 3], "others went");
    for n in [2, 3] {
        set_vlans(&mut switch.bridge, n, trunk([20]));
        set_vlans(&mut switch.bridge, n, trunk([10, 20]));
    }
    // Nobody asks any more, who was heard at port 3: its group is not kept from anybody.
    let counts = switch.bridge.snoops.get(FIRST).unwrap().counts();
    assert_eq!(counts.members, 0, "what is left is forgotten");
}

#[test]
fn who_comes_is_asked_at_once_and_nobody_else() {
    let mut switch = Switch::asking(McastConfig::default());
    switch.tick(at(132));
    assert_eq!(asked(&mut switch).len(), 4, "the start is over");
    change(&mut switch.bridge, 2, |port| port.up = false);
    switch.tick(at(140));
    assert_eq!(asked(&mut switch), []);
    change(&mut switch.bridge, 2, |port| port.up = true);
    switch.tick(at(141));
    assert_eq!(asked(&mut switch), [(2, 0)]);
    switch.tick(at(173));
    assert_eq!(asked(&mut switch), [(2, 0)], "twice, as at the start");
    switch.tick(at(240));
    assert_eq!(asked(&mut switch), []);
    switch.bridge.set_port(PortId(4), up());
    switch.tick(at(241));
    assert_eq!(asked(&mut switch), [(4, 0)], "one that is plugged in");
    // A port that was shut for a loop.
    switch.bridge.guards.shut(PortId(1), at(241));
    switch.bridge.heed(at(241));
    switch.tick(at(258));
    assert_eq!(
        asked(&mut switch),
        [(0, 0), (2, 0), (3, 0), (4, 0)],
        "all but the one that is shut"
    );
    switch.bridge.guards.open(PortId(1));
    switch.bridge.heed(at(259));
    switch.tick(at(259));
    assert_eq!(asked(&mut switch), [(1, 0)]);
    // Where another one asks, it does.
    switch.hear(3, &query(3), at(260));
    change(&mut switch.bridge, 2, |port| port.up = false);
    change(&mut switch.bridge, 2, |port| port.up = true);
    switch.tick(at(261));
    assert_eq!(asked(&mut switch), []);
}

#[test]
fn a_port_is_asked_in_its_new_vlans() {
    let access = || PortVlans::access(vid(10));
    let mut switch = filtering([access(), trunk([20]), trunk([10, 20]), access()]);
    switch.tick(at(100));
    switch.tick(at(132));
    asked(&mut switch);
    set_vlans(&mut switch.bridge, 1, trunk([10, 20]));
    switch.tick(at(133));
    assert_eq!(asked(&mut switch), [(1, 10)]);
}

#[test]
fn thousands_of_vlans_are_asked_one_after_another() {
    let switch = filtering([trunk(1..4095), trunk(1..4095), trunk([]), trunk([])]);
    let mut path = Path::default();
    let (mut said, mut turns) = (0, 0);
    while switch.bridge.tick(at(100), &mut path) == Some(at(100)) {
        let now = path.take_said().len();
        assert!(now <= 2 * QUESTIONS, "{now} frames in one go");
        (said, turns) = (said + now, turns + 1);
    }
    assert_eq!(said + path.take_said().len(), 2 * 2 * 4094);
    assert!(turns >= 100);
}

/// As many as stand in one batch of nodes' frames.
const QUESTIONS: usize = 64;

#[test]
fn what_is_set_by_hand_outlives_the_snooping() {
    let mut switch = Switch::asking(McastConfig::default());
    let group = Group::Ip(Ipv4Addr::from(GROUP).into());
    let set = |switch: &Switch| {
        let snoop = switch.bridge.snoops.get(FIRST).unwrap();
        snoop.set(VlanId::NONE, group, (PortId(3), &PortSettings::default()), at(111))
    };
    assert!(set(&switch));
    switch.hear(1, &join(1), at(111));
    let snooping = |switch: &mut Switch, snooping| {
        let mcast = McastConfig { snooping, querier: true, ..McastConfig::default() };
        switch.bridge.set_network(FIRST, NetworkConfig { mcast, ..NetworkConfig::default() });
    };
    snooping(&mut switch, false);
    assert!(switch.bridge.snoops.get(FIRST).is_none(), "nobody snoops");
    let frame = frame(mac(0), MacAddr([1, 0, 0x5e, 1, 2, 3]));
    assert_eq!(reached(&switch.bridge, &frame, 0), [1, 2, 3]);
    snooping(&mut switch, true);
    switch.tick(at(120));
    assert_eq!(switch.reached(0, &data(0), at(131)), [3], "what was learned is gone");
    // With its port it goes.
    snooping(&mut switch, false);
    switch.bridge.remove_port(PortId(3));
    snooping(&mut switch, true);
    assert_eq!(switch.bridge.snoops.get(FIRST).unwrap().counts().members, 0);
}

#[test]
fn a_bridge_that_is_told_late_changes_nothing_for_the_others() {
    let snoops = Snoops::default();
    let config = McastConfig { snooping: true, ..McastConfig::default() };
    let group = Group::Ip(Ipv4Addr::from(GROUP).into());
    let port = (PortId(1), &PortSettings::default());
    let before = snoops.of(FIRST, config).unwrap();
    assert!(before.set(VlanId::NONE, group, port, at(1)));
    assert!(snoops.of(FIRST, McastConfig::default()).is_none());
    // It hears by what it has.
    assert!(before.set(VlanId::NONE, group, (PortId(2), port.1), at(1)));
    let after = snoops.of(FIRST, config).unwrap();
    assert!(Arc::ptr_eq(&after, &snoops.get(FIRST).unwrap()));
    let ports: Vec<_> = after.entries(at(2)).iter().map(|row| row.port).collect();
    assert_eq!(ports, [PortId(1)]);
}

#[test]
fn behind_a_tag_of_another_protocol_nothing_is_read() {
    let all = || PortVlans::access(vid(10));
    let mut switch = filtering([all(), all(), all(), all()]);
    switch.tick(at(100));
    change(&mut switch.bridge, 2, |port| port.settings.neigh_suppress = true);
    switch.bridge.fdb().learn(
        mac(2),
        switch.bridge.scope(None, PortId(2)).unwrap(),
        PortId(2),
        9,
        at(111),
    );
    switch.bridge.set_neighbours(FIRST, Arc::new([(IpAddr::from(host(2)), mac(2))].into()));
    let decide = |switch: &mut Switch, tpid, bytes: &[u8]| {
        let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
        let frame = Frame::new(mac(0), mac(6), Some(VlanTag { tpid, tci: 0 }), 100);
        let mut path = Path::default();
        let said = switch.bridge.decide_reading(&frame, bytes, PortId(0), at(111), &mut path);
        (said.verdict, path.take_said().len())
    };
    let members = |switch: &Switch| switch.bridge.snoops.get(FIRST).unwrap().counts().members;
    assert_eq!(decide(&mut switch, 0x88a8, &join(0)), (Verdict::Flood, 0));
    assert_eq!(decide(&mut switch, 0x88a8, &request(0, host(2))), (Verdict::Flood, 0));
    assert_eq!(members(&switch), 0);
    // A priority of the network's own protocol is a tag like none.
    assert_eq!(decide(&mut switch, 0x8100, &request(0, host(2))), (Verdict::Flood, 1));
    decide(&mut switch, 0x8100, &join(0));
    assert_eq!(members(&switch), 1);
}

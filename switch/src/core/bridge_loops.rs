//! Loops: addresses that move to and fro, probes that come back, ports shut and opened.

use super::*;
use crate::core::{Flaps, Loop};

#[test]
fn an_address_that_moves_to_and_fro_is_a_loop_and_one_that_moves_is_none() {
    let ports = [[PortId(1), PortId(2)], [PortId(2), PortId(1)]];
    let play = |pause: u64| {
        let mut flaps = Flaps::default();
        let moves = (0..20u64).map(|n| {
            let now = at(1) + Duration::from_millis(n * pause);
            flaps.moved(mac(1), VlanId::NONE, ports[usize::from(n % 2 == 1)], now)
        });
        moves.filter(|seen| *seen).count()
    };
    assert_eq!(play(10), 1, "told once");
    assert_eq!(play(2_000), 0, "a host that is moved now and then");
    let mut flaps = Flaps::default();
    for n in 0..20u16 {
        // From port to port, as one that is carried through the house.
        let way = [PortId(n), PortId(n + 1)];
        assert!(!flaps.moved(mac(1), VlanId::NONE, way, at(1)));
    }
}

#[test]
fn a_probe_leaves_as_frames_of_its_port_do() {
    let mut bridge = bridge(None);
    let config = NetworkConfig { vlans: Some(VlanFilter::default()), ..NetworkConfig::default() };
    bridge.set_network(NetworkId::FIRST, config);
    let trunk = |vlans: &[u16]| {
        let mut port = PortVlans::none();
        vlans.iter().for_each(|vlan| port.add(VlanId::from_tci(*vlan), false));
        port
    };
    let native = PortVlans { pvid: Some(VlanId::from_tci(30)), ..trunk(&[20, 30]) };
    for (id, vlans) in (0..).zip([PortVlans::default(), trunk(&[30, 20]), native, trunk(&[])]) {
        change(&mut bridge, id, |port| {
            port.settings.loop_protect = true;
            port.vlans = vlans.clone().into();
        });
    }
    let mut path = Path::default();
    bridge.tick(at(10), &mut path);
    let said = path.take_said();
    let tag = |tci| crate::core::Tagging::Push(VlanTag { tpid: 0x8100, tci });
    let exits: Vec<_> = said.iter().map(|(_, exit)| (exit.port.0, exit.tagging)).collect();
    let wanted = [(0, crate::core::Tagging::Keep), (1, tag(20)), (2, tag(30))];
    assert_eq!(exits, wanted, "none by a port of no VLAN");
    // What the trunk has sent is known where it comes back by the other trunk.
    let tagged = Frame::new(
        MacAddr([3, 0x75, 0x73, 0x77, 0, 1]),
        mac(70),
        Some(VlanTag { tpid: 0x8100, tci: 20 }),
        46,
    );
    let back = bridge.decide_reading(&tagged, &said[1].0, PortId(2), at(11), &mut path);
    assert_eq!(back.verdict, Verdict::Drop(DropReason::LoopProtect));
    assert_eq!(path.take_loop().map(|seen| seen.ports), Some([PortId(1), PortId(2)]));
}

#[test]
fn a_probe_that_comes_back_shuts_a_port_for_a_while() {
    let mut bridge = bridge(None);
    for id in [1, 2] {
        change(&mut bridge, id, |port| port.settings.loop_protect = true);
    }
    let mut path = Path::default();
    assert!(bridge.has_clock() && bridge.tick(at(10), &mut path) == Some(at(15)));
    let said = path.take_said();
    let ports: Vec<u16> = said.iter().map(|(_, exit)| exit.port.0).collect();
    assert_eq!(ports, [1, 2], "ports that are not set send none");
    bridge.tick(at(14), &mut path);
    assert!(path.take_said().is_empty());
    // Port 2 hears what port 1 has sent: one of the two is shut, whoever sees it.
    let hear = |bridge: &Bridge, port: u16, bytes: &[u8]| {
        let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
        let frame = Frame::new(mac(0), mac(6), None, 60);
        let mut path = Path::default();
        let said = bridge.decide_reading(&frame, bytes, PortId(port), at(15), &mut path);
        (said.verdict, path.take_loop())
    };
    let (verdict, seen) = hear(&bridge, 2, &said[0].0);
    assert_eq!(verdict, Verdict::Drop(DropReason::LoopProtect));
    let seen = seen.unwrap();
    assert_eq!(seen, Loop { mac: None, ports: [PortId(1), PortId(2)] });
    assert_eq!(bridge.break_loop(&seen, VlanId::NONE, at(15)), Some(PortId(2)));
    assert!(bridge.is_behind());
    bridge.heed(at(15));
    assert_eq!(
        verdict_of(&bridge, frame(mac(2), mac(0)), 2, at(16)),
        Verdict::Drop(DropReason::LoopProtect)
    );
    assert_eq!(
        verdict_of(&bridge, frame(mac(0), mac(2)), 0, at(16)),
        Verdict::Drop(DropReason::LoopProtect)
    );
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [1, 3]);
    // What was on its way in the loop is heard by the other port, and nobody of that is there.
    let known = |bridge: &Bridge, n: u64| bridge.entry(mac(n), None, PortId(1), at(16)).is_some();
    verdict_of(&bridge, frame(mac(9), mac(0)), 1, at(15));
    assert!(known(&bridge, 9));
    assert_eq!(bridge.heed(at(16)), Some(at(315)));
    assert!(!known(&bridge, 9));
    verdict_of(&bridge, frame(mac(9), mac(0)), 1, at(16));
    bridge.heed(at(17));
    assert!(known(&bridge, 9), "who speaks later is there");
    // It opens by itself, or by hand.
    assert_eq!(bridge.heed(at(314)), Some(at(315)));
    assert!(!bridge.is_behind());
    bridge.heed(at(315));
    let passes = Verdict::Forward(PortId(0));
    assert_eq!(verdict_of(&bridge, frame(mac(2), mac(0)), 2, at(315)), passes);
    bridge.break_loop(&seen, VlanId::NONE, at(316));
    bridge.heed(at(316));
    assert!(bridge.guards.open(PortId(2)));
    bridge.heed(at(317));
    assert_eq!(verdict_of(&bridge, frame(mac(2), mac(0)), 2, at(317)), passes);
}

fn verdict_of(bridge: &Bridge, frame: Frame, ingress: u16, now: Timestamp) -> Verdict {
    // The table's entries are of second 1, and living.
    bridge.fdb().learn(mac(0), Scope::default(), PortId(0), 100, now);
    bridge.fdb().learn(mac(2), Scope::default(), PortId(2), 100, now);
    decide(bridge, &frame, ingress, now).verdict
}

#[test]
fn another_switch_s_probe_is_a_frame_like_any_other() {
    let (mut ours, mut theirs) = (bridge(None), bridge(None));
    for bridge in [&mut ours, &mut theirs] {
        change(bridge, 1, |port| port.settings.loop_protect = true);
    }
    let mut path = Path::default();
    theirs.tick(at(10), &mut path);
    let (bytes, _) = path.take_said().remove(0);
    let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
    let frame = Frame::new(mac(0), mac(6), None, 60);
    let said = ours.decide_reading(&frame, &bytes, PortId(1), at(11), &mut path);
    assert_eq!((said.verdict, path.take_loop()), (Verdict::Flood, None));
    // A loop nobody asked to be broken is told, and no port shut.
    let seen = Loop { mac: None, ports: [PortId(2), PortId(3)] };
    assert_eq!(ours.break_loop(&seen, VlanId::NONE, at(11)), None);
}

/// A link joins two networks as a cable does two switches.
#[test]
fn a_probe_that_a_link_carries_to_another_network_has_not_come_back() {
    let mut bridge = bridge(None);
    let far = NetworkId(1);
    bridge.set_network(far, NetworkConfig::default());
    for (id, network) in [(1, NetworkId::FIRST), (2, far)] {
        change(&mut bridge, id, |port| {
            port.settings.loop_protect = true;
            port.network = network;
        });
    }
    let mut path = Path::default();
    bridge.tick(at(10), &mut path);
    let (bytes, _) = path.take_said().remove(0);
    let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
    let frame = Frame::new(mac(0), mac(6), None, 60);
    let over = bridge.decide_reading(&frame, &bytes, PortId(2), at(10), &mut path);
    assert_eq!((over.verdict, path.take_loop()), (Verdict::Drop(DropReason::NoTarget), None));
    let back = bridge.decide_reading(&frame, &bytes, PortId(0), at(10), &mut path);
    assert_eq!(back.verdict, Verdict::Drop(DropReason::LoopProtect));
    assert_eq!(path.take_loop().map(|seen| seen.ports), Some([PortId(1), PortId(0)]));
}

#[test]
fn probes_alone_leave_by_a_port_that_is_held() {
    let mut bridge = bridge(None);
    change(&mut bridge, 1, |port| port.settings.loop_protect = true);
    bridge.guards.hold(PortId(1));
    bridge.heed(at(10));
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [2, 3]);
    let shut = Verdict::Drop(DropReason::LoopProtect);
    assert_eq!(decide(&bridge, &frame(mac(1), mac(0)), 1, at(10)).verdict, shut);
    bridge.guards.ask(PortId(1));
    assert_eq!(bridge.guards.asked(PortId(1)), None);
    let mut path = Path::default();
    bridge.tick(at(10), &mut path);
    assert_eq!(path.take_said().len(), 1);
    assert_eq!(bridge.guards.asked(PortId(1)), Some(at(10)));
    // None has come back.
    bridge.guards.release(PortId(1));
    bridge.heed(at(10));
    assert_eq!(reached(&bridge, &frame(mac(0), MacAddr::BROADCAST), 0), [1, 2, 3]);
}

/// The probe that has left by a port.
fn probe_of(bridge: &Bridge, port: u16, now: Timestamp) -> Vec<u8> {
    let mut path = Path::default();
    bridge.tick(now, &mut path);
    let mut said = path.take_said().into_iter();
    said.find(|(_, exit)| exit.port == PortId(port)).unwrap().0
}

#[test]
fn who_has_a_probe_knows_no_other_port_s() {
    let mut bridge = bridge(None);
    (0..4).for_each(|id| change(&mut bridge, id, |port| port.settings.loop_protect = true));
    let own = probe_of(&bridge, 1, at(10));
    let mut forged = own.clone();
    forged[34..36].copy_from_slice(&3u16.to_be_bytes());
    let hear = |bytes: &[u8]| {
        let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
        let frame = Frame::new(mac(0), mac(6), None, 60);
        let mut path = Path::default();
        let said = bridge.decide_reading(&frame, bytes, PortId(1), at(10), &mut path);
        (said.verdict, path.take_loop().map(|seen| seen.ports))
    };
    assert_eq!(hear(&forged), (Verdict::Flood, None));
    let shut = Verdict::Drop(DropReason::LoopProtect);
    assert_eq!(hear(&own), (shut, Some([PortId(1), PortId(1)])), "its own port is its own affair");
}

#[test]
fn an_address_that_moves_shuts_no_port_and_has_both_probed_in_its_vlan() {
    let mut bridge = bridge(None);
    let config = NetworkConfig { vlans: Some(VlanFilter::default()), ..NetworkConfig::default() };
    bridge.set_network(NetworkId::FIRST, config);
    for id in 0..4 {
        let mut trunk = PortVlans::default();
        trunk.add(VlanId::from_tci(20), false);
        change(&mut bridge, id, |port| {
            port.vlans = trunk.clone().into();
            port.settings.loop_protect = id != 1;
        });
    }
    let said = |bridge: &Bridge, now| {
        let mut path = Path::default();
        bridge.tick(now, &mut path);
        path.take_said()
    };
    assert_eq!(said(&bridge, at(10)).len(), 3);
    // Whoever is at port 1 speaks by the address of who is at port 2.
    let seen = Loop { mac: Some(mac(2)), ports: [PortId(1), PortId(2)] };
    for _ in 0..9 {
        assert_eq!(bridge.break_loop(&seen, VlanId::from_tci(20), at(11)), None);
    }
    assert!(bridge.guards.shut_ports(at(11)).is_empty());
    let probes = said(&bridge, at(12));
    let tagged = crate::core::Tagging::Push(VlanTag { tpid: 0x8100, tci: 20 });
    let exits: Vec<_> = probes.iter().map(|(_, exit)| (exit.port.0, exit.tagging)).collect();
    assert_eq!(exits, [(2, tagged)], "once, and where a loop is looked for");
    assert!(said(&bridge, at(14)).is_empty());
    assert_eq!(said(&bridge, at(17)).len(), 4, "with those of all ports");
    // It is a loop after all.
    let (bytes, _) = &probes[0];
    let tag = Some(VlanTag { tpid: 0x8100, tci: 20 });
    let frame = Frame::new(MacAddr([3, 0x75, 0x73, 0x77, 0, 1]), mac(70), tag, 60);
    let mut path = Path::default();
    bridge.decide_reading(&frame, bytes, PortId(1), at(17), &mut path);
    let seen = path.take_loop().unwrap();
    assert_eq!(bridge.break_loop(&seen, VlanId::from_tci(20), at(17)), Some(PortId(2)));
    assert!(
        said(&bridge, at(60)).iter().all(|(_, exit)| exit.tagging != tagged),
        "it is forgotten"
    );
}

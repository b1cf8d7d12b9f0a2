//! Settings of ports and networks, each by what it changes: MAC authentication bypass, masks of
//! link-local groups, the ports' own addresses, the gateway's.

use super::*;

fn kind(bridge: &Bridge, mac: MacAddr) -> Option<EntryKind> {
    bridge.fdb().lookup(mac, Scope::default(), at(3)).map(|(_, kind)| kind)
}

#[test]
fn a_locked_port_notes_who_knocks_and_lets_in_who_is_set() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| (port.settings.locked, port.settings.mab) = (true, true));
    let knock = frame(mac(80), mac(1));
    let said = decide(&bridge, &knock, 0, at(2));
    assert_eq!(said.verdict, Verdict::Drop(DropReason::Locked));
    assert_eq!(said.learned, Learned::Locked);
    assert_eq!(kind(&bridge, mac(80)), Some(EntryKind::Locked));
    // Refreshed, and still kept out; it counts as learned, and ages.
    let again = decide(&bridge, &knock, 0, at(200));
    assert_eq!((again.verdict, again.learned), (said.verdict, Learned::Known));
    assert_eq!(bridge.fdb().port_len(PortId(0)), 2);
    assert!(bridge.fdb().lookup(mac(80), Scope::default(), at(400)).is_some());
    assert!(bridge.fdb().lookup(mac(80), Scope::default(), at(501)).is_none());
    // To it frames go, as to any entry.
    assert_eq!(verdict(&mut bridge, frame(mac(1), mac(80)), 1), Verdict::Forward(PortId(0)));
    // Set by hand it is let in.
    assert!(bridge.fdb().set(mac(80), Scope::default(), PortId(0), EntryKind::Static, at(1)));
    assert_eq!(decide(&bridge, &knock, 0, at(2)).verdict, Verdict::Forward(PortId(1)));
}

#[test]
fn a_locked_entry_roams_to_a_port_that_is_open_and_goes_with_the_bypass() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| (port.settings.locked, port.settings.mab) = (true, true));
    decide(&bridge, &frame(mac(80), mac(1)), 0, at(2));
    let said = decide(&bridge, &frame(mac(80), mac(1)), 2, at(2));
    assert_eq!(said.learned, Learned::Moved(PortId(0)));
    assert_eq!(kind(&bridge, mac(80)), Some(EntryKind::Learned));
    // An address that is at home elsewhere is not noted here.
    let said = decide(&bridge, &frame(mac(80), mac(1)), 0, at(2));
    assert_eq!((said.verdict, said.learned), (Verdict::Drop(DropReason::Locked), Learned::Off));
    decide(&bridge, &frame(mac(81), mac(1)), 0, at(2));
    assert_eq!(bridge.fdb().flush_locked(PortId(0)), 1);
    assert_eq!((kind(&bridge, mac(81)), kind(&bridge, mac(0))), (None, Some(EntryKind::Learned)));
}

#[test]
fn noted_addresses_keep_to_the_ports_limit() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| {
        (port.settings.locked, port.settings.mab, port.settings.learn_limit) = (true, true, 3);
    });
    for n in 80..100 {
        decide(&bridge, &frame(mac(n), mac(1)), 0, at(2));
    }
    assert_eq!(bridge.fdb().port_len(PortId(0)), 3);
}

#[test]
fn a_port_lets_in_link_local_groups_of_its_own() {
    let mut bridge = bridge(None);
    change(&mut bridge, 0, |port| port.settings.group_fwd_mask = 1 << 2 | 1 << 0xe);
    let to = |last| frame(mac(0), MacAddr([1, 0x80, 0xc2, 0, 0, last]));
    for (last, ingress, passes) in [(2, 0, true), (0xe, 0, true), (3, 0, false), (0xe, 1, false)] {
        let said = verdict(&mut bridge, to(last), ingress);
        let wanted = if passes { Verdict::Flood } else { Verdict::Drop(DropReason::LinkLocal) };
        assert_eq!(said, wanted, "group {last} by port {ingress}");
    }
}

#[test]
fn frames_to_the_switch_s_own_interfaces_go_nowhere() {
    let mut bridge = bridge(Some(STATION));
    change(&mut bridge, 2, |port| port.mac = Some(mac(200)));
    for ingress in [0, 2] {
        let said = verdict(&mut bridge, frame(mac(ingress.into()), mac(200)), ingress);
        assert_eq!(said, Verdict::Drop(DropReason::OwnPort));
    }
    // The gateway's frames neither.
    let own = frame(STATION, mac(200));
    let said = bridge.send(&own, Leg::default(), at(2), &mut Path::default());
    assert_eq!(said, Verdict::Drop(DropReason::OwnPort));
    // The settings of the network may change, ports come and go: it is known as long as its port is.
    bridge.set_network(NetworkId::FIRST, NetworkConfig::with(Some(STATION)));
    assert_eq!(
        verdict(&mut bridge, frame(mac(0), mac(200)), 0),
        Verdict::Drop(DropReason::OwnPort)
    );
    bridge.remove_port(PortId(2));
    assert_eq!(verdict(&mut bridge, frame(mac(0), mac(200)), 0), Verdict::Flood);
}

#[test]
fn a_source_with_the_gateway_s_address_is_refused_unless_asked_otherwise() {
    let mut bridge = bridge(Some(STATION));
    let forged = frame(STATION, mac(1));
    assert_eq!(verdict(&mut bridge, forged, 0), Verdict::Drop(DropReason::OwnSource));
    let config = NetworkConfig { gateway_guard: false, ..NetworkConfig::with(Some(STATION)) };
    bridge.set_network(NetworkId::FIRST, config);
    assert_eq!(verdict(&mut bridge, forged, 0), Verdict::Forward(PortId(1)));
    // Frames to the address stay the gateway's.
    assert_eq!(verdict(&mut bridge, frame(mac(1), STATION), 1), Verdict::Local);
}

#[test]
fn what_another_program_has_learned_stays_until_it_moves() {
    let bridge = bridge(None);
    assert!(bridge.fdb().set(mac(90), Scope::default(), PortId(1), EntryKind::Extern, at(1)));
    assert_eq!(bridge.fdb().port_len(PortId(1)), 1, "it counts against no limit");
    let there = |when| decide(&bridge, &frame(mac(0), mac(90)), 0, when).verdict;
    assert_eq!(there(at(9_000)), Verdict::Forward(PortId(1)));
    let said = decide(&bridge, &frame(mac(90), mac(0)), 3, at(9_001));
    assert_eq!(said.learned, Learned::Moved(PortId(1)));
    assert_eq!(kind(&bridge, mac(90)), Some(EntryKind::Learned));
    assert_eq!((bridge.fdb().port_len(PortId(1)), bridge.fdb().port_len(PortId(3))), (1, 2));
    assert_eq!(bridge.fdb().network_len(NetworkId::FIRST), 5);
    assert_eq!(there(at(9_500)), Verdict::Flood);
}

#[test]
fn a_port_that_belongs_to_a_host_speaks_for_it_alone_and_teaches_nothing_else() {
    let mut bridge = bridge(Some(STATION));
    guard(&mut bridge, 0, mac(0));
    let say = |src: MacAddr| {
        let bytes = [&mac(1).0[..], &src.0, &[0x88, 0xcc, 0, 0]].concat();
        let (frame, mut path) = (frame(src, mac(1)), Path::default());
        assert!(bridge.reads(&frame, PortId(0)));
        bridge.decide_reading(&frame, &bytes, PortId(0), at(2), &mut path)
    };
    let spoofed = Verdict::Drop(DropReason::Spoofed);
    assert_eq!(say(mac(0)).verdict, Verdict::Forward(PortId(1)));
    for other in [mac(2), mac(77), STATION] {
        assert_eq!((say(other).verdict, say(other).learned), (spoofed, Learned::Off), "{other}");
    }
    assert_eq!(bridge.entry(mac(77), None, PortId(0), at(2)), None);
    // Others speak as before, to it as well.
    assert!(!bridge.reads(&frame(mac(1), mac(0)), PortId(1)));
}

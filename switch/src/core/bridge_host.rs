//! A host that has the station's address too, at a port of its own.

use super::*;

/// Port 3 is the host's.
const HOST: PortId = PortId(3);

fn hosted() -> Bridge {
    let mut bridge = bridge(Some(STATION));
    let config = NetworkConfig { host: Some(HOST), ..NetworkConfig::with(Some(STATION)) };
    bridge.set_network(NetworkId::FIRST, config);
    bridge
}

#[test]
fn the_stations_address_comes_from_the_hosts_port_alone() {
    let mut bridge = hosted();
    let ask = frame(STATION, MacAddr::BROADCAST);
    assert_eq!(reached(&bridge, &ask, HOST.0), [0, 1, 2]);
    assert_eq!(verdict(&mut bridge, frame(STATION, mac(1)), HOST.0), Verdict::Forward(PortId(1)));
    for port in 0..3 {
        let forged = verdict(&mut bridge, ask, port);
        assert_eq!(forged, Verdict::Drop(DropReason::OwnSource), "{port}");
    }
    // What is sent there is the station's first, wherever the address was seen.
    assert_eq!(verdict(&mut bridge, frame(mac(1), STATION), 1), Verdict::Local);
}

#[test]
fn what_the_station_hands_on_reaches_the_host_and_what_it_says_does_not() {
    let mut bridge = hosted();
    let mut path = Path::default();
    let leg = crate::core::Leg::default();
    let handed = frame(mac(1), STATION);
    assert_eq!(bridge.send_to_host(&handed, leg, &mut path), Verdict::Forward(HOST));
    assert_eq!(path.ports().collect::<Vec<_>>(), [HOST]);
    let said = frame(STATION, MacAddr::BROADCAST);
    assert_eq!(bridge.send(&said, leg, at(2), &mut path), Verdict::Flood);
    assert_eq!(path.ports().map(|port| port.0).collect::<Vec<_>>(), [0, 1, 2]);
    change(&mut bridge, HOST.0, |port| port.up = false);
    let down = Verdict::Drop(DropReason::EgressDown);
    assert_eq!(bridge.send_to_host(&handed, leg, &mut path), down);
    bridge.set_network(NetworkId::FIRST, NetworkConfig::with(Some(STATION)));
    let nobody = Verdict::Drop(DropReason::NoTarget);
    assert_eq!(bridge.send_to_host(&handed, leg, &mut path), nobody);
}

#[test]
fn groups_that_the_gateway_speaks_to_reach_ports_that_are_flooded_with_none() {
    let mut bridge = hosted();
    change(&mut bridge, 1, |port| {
        let settings = &mut port.settings;
        (settings.flood, settings.mcast_flood, settings.bcast_flood) = (false, false, false);
    });
    let leg = crate::core::Leg::default();
    let said = |dst| {
        let mut path = Path::default();
        bridge.send(&frame(STATION, dst), leg, at(2), &mut path);
        path.ports().map(|port| port.0).collect::<Vec<_>>()
    };
    for group in [MacAddr::BROADCAST, MacAddr([0x33, 0x33, 0, 0, 0, 1])] {
        assert_eq!(said(group), [0, 1, 2]);
        assert_eq!(reached(&bridge, &frame(STATION, group), HOST.0), [0, 1, 2], "of the host");
        assert_eq!(bridge.withheld(&frame(STATION, group), HOST, PortId(1)), None);
        assert_eq!(reached(&bridge, &frame(mac(0), group), 0), [2, 3], "of others");
    }
    assert_eq!(said(mac(99)), [0, 2], "nobody's address is as ever");
}

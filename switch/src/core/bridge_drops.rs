//! Each reason for which the bridge drops a frame, brought about once.

use super::*;

/// VLANs told apart, in none of which the station has a leg.
fn with_vlans(bridge: &mut Bridge, ports: [PortVlans; 2]) {
    let (local, legs) = (Some(STATION), Vec::new());
    let vlans = Some(VlanFilter::default());
    let config = NetworkConfig { local, legs, vlans, ..NetworkConfig::default() };
    bridge.set_network(NetworkId::FIRST, config);
    for (id, vlans) in (0..).zip(ports) {
        change(bridge, id, |port| port.vlans = vlans.into());
    }
}

/// A way to bring a drop about: what is set up, the frame, and the port it comes in by.
type Scene = fn(&mut Bridge) -> (Frame, u16);

/// Every reason that is the bridge's to give. The others are the worker's, which sees frames
/// before they have a header: `switch/tests` produces those.
const DROPS: &[(DropReason, Scene)] = &[
    (DropReason::UnknownPort, |_| (frame(mac(0), mac(1)), 77)),
    (DropReason::NoNetwork, |b| {
        change(b, 0, |port| port.network = NetworkId::NONE);
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::IngressDown, |b| {
        change(b, 0, |port| port.up = false);
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::GroupSource, |_| (frame(MacAddr([3, 0, 0, 0, 0, 1]), mac(1)), 0)),
    (DropReason::ZeroSource, |_| (frame(MacAddr::ZERO, MacAddr::ZERO), 0)),
    (DropReason::OwnSource, |_| (frame(STATION, mac(1)), 0)),
    (DropReason::Spoofed, |b| {
        guard(b, 0, mac(0));
        (frame(mac(50), mac(1)), 0)
    }),
    (DropReason::LinkLocal, |_| (frame(mac(0), MacAddr([1, 0x80, 0xc2, 0, 0, 0x0e])), 0)),
    (DropReason::SamePort, |_| (frame(mac(50), mac(0)), 0)),
    (DropReason::Blackhole, |b| {
        assert!(b.fdb().set(mac(60), Scope::default(), PortId(1), EntryKind::Blackhole, at(1)));
        (frame(mac(0), mac(60)), 0)
    }),
    (DropReason::OwnPort, |b| {
        change(b, 2, |port| port.mac = Some(mac(200)));
        (frame(mac(0), mac(200)), 0)
    }),
    (DropReason::NoPvid, |b| {
        with_vlans(b, [PortVlans::none(), PortVlans::none()]);
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::VlanIngress, |b| {
        with_vlans(b, [PortVlans::access(VlanId::from_tci(5)), PortVlans::default()]);
        let tag = VlanTag { tpid: 0x8100, tci: 6 };
        (Frame::new(mac(1), mac(0), Some(tag), 100), 0)
    }),
    (DropReason::VlanEgress, |b| {
        with_vlans(b, [PortVlans::default(), PortVlans::access(VlanId::from_tci(5))]);
        (frame(mac(0), STATION), 0)
    }),
    (DropReason::Locked, |b| {
        change(b, 0, |port| port.settings.locked = true);
        (frame(mac(77), mac(1)), 0)
    }),
    (DropReason::Isolated, |b| {
        change(b, 0, |port| port.settings.isolation = Some(1));
        change(b, 1, |port| port.settings.isolation = Some(1));
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::EgressDown, |b| {
        change(b, 1, |port| port.up = false);
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::TooBig, |b| {
        change(b, 1, |port| port.mtu = 99);
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::NoTarget, |b| {
        (1..4).for_each(|n| b.remove_port(PortId(n)));
        (frame(mac(0), mac(99)), 0)
    }),
    (DropReason::LoopProtect, |b| {
        change(b, 0, |port| port.settings.loop_protect = true);
        let seen = crate::core::Loop { mac: None, ports: [PortId(0), PortId(1)] };
        b.break_loop(&seen, VlanId::NONE, at(2));
        b.heed(at(2));
        (frame(mac(0), mac(1)), 0)
    }),
    (DropReason::Storm, |b| {
        change(b, 0, |port| port.settings.storm.broadcast = Some(0));
        (frame(mac(0), MacAddr::BROADCAST), 0)
    }),
];

#[test]
fn each_reason_of_the_bridge_is_reached() {
    for (reason, scene) in DROPS {
        let mut bridge = bridge(Some(STATION));
        let (frame, ingress) = scene(&mut bridge);
        assert_eq!(verdict(&mut bridge, frame, ingress), Verdict::Drop(*reason), "{reason:?}");
    }
    use DropReason::{Clipped, NoStation, Overload, Runt, Station};
    let theirs = [Runt, Clipped, Overload, Station, NoStation];
    for reason in DropReason::ALL {
        let here = DROPS.iter().any(|(r, _)| r == reason);
        let read = super::mcast::REASONS.contains(reason);
        assert!(here || read || theirs.contains(reason), "{reason:?} is never produced");
    }
}

//! A host inside the switch, an uplink in another namespace, a tap: each with real frames.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::any::Any;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use rig::frames::{ethernet, mac, plain};
use rig::{dropped, on_a_rig, settled};
use uswitch_switch::core::{Scope, VlanFilter};
use uswitch_switch::{Arrival, Leg, Path};
use uswitch_switch::{
    Config, DropReason, Elsewhere, EntryKind, FdbEntry, Handling, Learned, NetworkConfig,
    NetworkId, Outcome, Outlet, PortId, PortRole, PortSpec, Refusal, SharedStation, Station,
    Switch, Tap, TapRecord, VlanStats,
};
use wire::{FrameMut, MacAddr, Timestamp, VlanTag, VnetHeader};

const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

/// Does with a frame what the frame's first byte after the header says.
struct Obedient;

const UP: u8 = 0;
const KEEP: u8 = 1;
const REFUSE: u8 = 2;
const BACK: u8 = 3;
const ANSWER: u8 = 4;

/// What it says of each frame.
const REMARK: u8 = 7;

impl Station for Obedient {
    fn mac(&self) -> MacAddr {
        STATION
    }

    fn on_bridge(
        &mut self,
        Arrival { leg, .. }: Arrival,
        f: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        _: Timestamp,
    ) -> Handling {
        let from: [u8; 6] = f.bytes[6..12].try_into().unwrap();
        match f.bytes.get(14) {
            Some(&UP) => {
                f.bytes[6..12].copy_from_slice(&STATION.0);
                Handling::ToUplink
            }
            Some(&BACK) => {
                f.bytes[..6].copy_from_slice(&from);
                f.bytes[6..12].copy_from_slice(&STATION.0);
                Handling::ToBridge(leg)
            }
            Some(&ANSWER) => {
                let mut answer = ethernet(STATION, MacAddr(from), 0x88b5);
                answer.resize(60, 42);
                out.to_bridge(leg, VnetHeader::default(), &answer);
                Handling::Consumed
            }
            Some(&REFUSE) => Handling::Drop("told to"),
            _ => Handling::Consumed,
        }
    }

    fn note(&self) -> Option<&dyn Any> {
        Some(&REMARK)
    }

    fn on_uplink(&mut self, f: &mut FrameMut<'_>, _: &mut dyn Outlet, _: Timestamp) -> Handling {
        f.bytes[..6].copy_from_slice(&mac(1).0);
        f.bytes[6..12].copy_from_slice(&STATION.0);
        Handling::ToBridge(Leg::default())
    }

    fn tick(&mut self, _: &mut dyn Outlet, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

fn station() -> Option<SharedStation> {
    Some(Arc::new(Mutex::new(Obedient)))
}

fn elsewhere(node: &rig::Node) -> Option<Elsewhere> {
    let netns = Arc::new(node.netns.try_clone().unwrap());
    Some(Elsewhere { netns, pass: sys::packet::Pass::All, crossing: None })
}

fn order(to: MacAddr, what: u8) -> Vec<u8> {
    let mut frame = plain(1, to, 0, 60);
    frame[14] = what;
    frame
}

/// Node 0 on the bridge, node 1 the uplink: in the switch's namespace, or in one of its own.
fn with_uplink(rig: &rig::Rig, foreign: bool) -> Switch {
    let switch =
        Switch::start(Config { slots: 15, ..Config::default() }, rig.netns.as_fd(), station());
    let switch = switch.unwrap();
    switch.add_port(rig.nodes[0].spec(1500)).unwrap();
    let uplink = PortSpec { role: PortRole::Routed, ..rig.nodes[1].spec(1500) };
    let uplink = if foreign {
        // The other end of the veth plays the host's interface: the veth is seen from behind.
        let netns = elsewhere(&rig.nodes[1]);
        PortSpec { ifindex: rig.nodes[1].ifindex, netns, ..uplink }
    } else {
        uplink
    };
    switch.add_port(uplink).unwrap();
    switch
}

#[test]
fn a_station_sends_up_back_keeps_refuses_and_answers() {
    on_a_rig(2, |rig| {
        let switch = with_uplink(rig, false);
        rig.nodes[0].send(&order(STATION, UP));
        let got = rig.nodes[1].receive();
        assert_eq!((&got.bytes[6..12], got.bytes[14]), (&STATION.0[..], UP));
        rig.nodes[0].send(&order(STATION, BACK));
        assert_eq!(rig.nodes[0].receive().bytes[..12], [mac(1).0, STATION.0].concat());
        rig.nodes[0].send(&order(STATION, ANSWER));
        assert_eq!(rig.nodes[0].receive().bytes[14], 42);
        rig.nodes[0].send(&order(MacAddr::BROADCAST, ANSWER));
        assert_eq!(rig.nodes[0].receive().bytes[14], 42, "it hears broadcasts");
        rig.nodes[0].send(&order(STATION, KEEP));
        rig.nodes[0].send(&order(STATION, REFUSE));
        rig.nodes[1].send(&plain(9, STATION, 5, 60));
        assert_eq!(rig.nodes[0].receive().bytes[..12], [mac(1).0, STATION.0].concat());
        let counters = settled(&switch, 7);
        assert_eq!(dropped(&counters, DropReason::Station), 1);
        assert_eq!((counters.local, counters.uplink, counters.flooded), (4, 1, 1));
        assert_eq!((counters.station_to_uplink, counters.station_to_bridge), (1, 4));
        assert_eq!(counters.station_lost, 0);
    });
}

#[test]
fn an_uplink_in_another_namespace_has_rings_of_its_own() {
    on_a_rig(2, |rig| {
        let switch = with_uplink(rig, true);
        // What leaves by the uplink comes out at the veth's other end, which is no port of ours.
        let before = switch.counters().received;
        rig.nodes[0].send(&order(STATION, UP));
        rig::eventually("the frame passed the uplink and came in as a stray", || {
            dropped(&switch.counters(), DropReason::UnknownPort) == 1
        });
        assert_eq!(switch.counters().received - before, 2);
        // And what comes in by it reaches the bridge.
        let there = rig.nodes[1].port;
        let mut io = sys::netns::inside(rig.netns.as_fd(), || {
            sys::packet::PacketIo::open(sys::packet::RingConfig { slots: 15, ..Default::default() })
        })
        .unwrap();
        assert!(io.queue_copy([&[0; 10], &plain(9, STATION, 5, 60)], there, [None; 2]));
        io.flush(&mut |failure| panic!("{failure:?}"));
        assert_eq!(rig.nodes[0].receive().bytes[..12], [mac(1).0, STATION.0].concat());
        let counters = switch.counters();
        assert_eq!((counters.uplink, counters.station_to_bridge), (1, 1));
        assert_eq!(counters.accounted(), counters.received);
        // Its going down does not stop the rest, nor make it spin.
        rig.nodes[1].inside(|| rig::ip("link set p1 down\n"));
        rig.nodes[0].send(&order(STATION, ANSWER));
        assert_eq!(rig.nodes[0].receive().bytes[14], 42);
        rig.nodes[0].send(&order(STATION, UP));
        rig::eventually("refused by a link that is down", || switch.counters().send_errors() == 1);
        assert_eq!(switch.counters().refused[Refusal::LinkDown.index()], 1);
        switch.remove_port(PortId(1)).unwrap();
        rig.nodes[0].send(&order(STATION, ANSWER));
        assert_eq!(rig.nodes[0].receive().bytes[14], 42);
        switch.stop().unwrap();
    });
}

#[test]
fn only_an_uplink_may_lie_elsewhere_and_there_is_one() {
    on_a_rig(3, |rig| {
        let switch = with_uplink(rig, false);
        let second = PortSpec { role: PortRole::Routed, ..rig.nodes[2].spec(1500) };
        assert!(switch.add_port(second).unwrap_err().to_string().contains("uplink's place"));
        let netns = elsewhere(&rig.nodes[2]);
        let bridged = PortSpec { netns, ..rig.nodes[2].spec(1500) };
        assert!(switch.add_port(bridged).unwrap_err().to_string().contains("must be moved"));
        let again = rig.nodes[0].spec(1500);
        assert!(switch.add_port(again).unwrap_err().to_string().contains("already"));
    });
}

/// Ingress, outcome, egress, bytes before, bytes after; what the table and the station say.
type Note = (Option<PortId>, Outcome, Vec<PortId>, Vec<u8>, Option<Vec<u8>>, Facts);

/// What the table made of the source and knew of both ends, and the station's remark.
type Facts = (Option<Learned>, Option<PortId>, Option<PortId>, Option<u8>);

/// Writes down what it is shown.
#[derive(Default)]
struct Notebook(Mutex<Vec<Note>>);

impl Tap for Notebook {
    fn frame(&self, record: &TapRecord<'_>) {
        let after = record.after.map(<[u8]>::to_vec);
        let port = |entry: Option<FdbEntry>| entry.map(|entry| entry.port);
        let remark = record.note.and_then(|note| note.downcast_ref::<u8>().copied());
        let facts = (record.learned, port(record.source), port(record.target), remark);
        let egress = record.egress.iter().map(|exit| exit.port).collect();
        let before = record.before.to_vec();
        let row = (record.ingress, record.outcome, egress, before, after, facts);
        self.0.lock().unwrap().push(row);
    }
}

/// One frame of each outcome: flooded, forwarded, up, answered, dropped.
fn exchange(rig: &mut rig::Rig, switch: &Switch, flood: &[u8]) {
    rig.nodes[0].send(flood);
    rig.nodes[2].receive();
    rig.nodes[2].send(&plain(3, mac(1), 4, 60));
    rig.nodes[0].receive();
    rig.nodes[0].send(&order(STATION, UP));
    rig.nodes[1].receive();
    rig.nodes[0].send(&order(STATION, ANSWER));
    rig.nodes[0].receive();
    rig.nodes[0].send(&[0; 60]);
    settled(switch, 5);
}

#[test]
fn a_tap_sees_each_frame_with_its_outcome() {
    on_a_rig(3, |rig| {
        let switch = with_uplink(rig, false);
        let third = switch.add_port(rig.nodes[2].spec(1500)).unwrap();
        let notes = Arc::new(Notebook::default());
        switch.set_tap(Some(Arc::clone(&notes) as Arc<dyn Tap>)).unwrap();
        let flood = plain(1, mac(9), 3, 60);
        exchange(rig, &switch, &flood);
        switch.set_tap(None).unwrap();
        rig.nodes[0].send(&flood);
        settled(&switch, 6);
        let notes = std::mem::take(&mut *notes.0.lock().unwrap());
        let here = Some(PortId(0));
        let said: Vec<_> = notes.iter().map(|n| (n.0, n.1, n.2.as_slice())).collect();
        assert_eq!(
            said,
            [
                (here, Outcome::Flooded, &[third][..]),
                (Some(third), Outcome::Forwarded(PortId(0)), &[PortId(0)]),
                (here, Outcome::Station(Handling::ToUplink), &[PortId(1)]),
                (here, Outcome::Station(Handling::Consumed), &[]),
                (Some(PortId::LOCAL), Outcome::Forwarded(PortId(0)), &[PortId(0)]),
                (here, Outcome::Dropped(DropReason::ZeroSource), &[]),
            ]
        );
        let (known, new) = (Some(Learned::Known), Some(Learned::New));
        let facts: Vec<_> = notes.iter().map(|n| n.5).collect();
        assert_eq!(
            facts,
            [
                (new, None, None, None),
                (new, None, here, None),
                (known, here, None, Some(REMARK)),
                (known, here, None, Some(REMARK)),
                (None, None, here, None),
                (Some(Learned::Off), None, None, None),
            ]
        );
        assert_eq!(notes[0].3, flood);
        // Before: as node 0 sent it. After: with the station's address as its source.
        assert_eq!(notes[2].3, order(STATION, UP));
        assert_eq!(notes[2].4.as_ref().unwrap()[6..12], STATION.0);
        assert!(notes[0].4.is_none() && notes[5].4.is_none());
    });
}

/// Wants what has the station's address as its source.
#[derive(Default)]
struct Picky(Notebook);

impl Tap for Picky {
    fn wants(&self, bytes: &[u8], _: Option<VlanTag>, _: u32) -> bool {
        bytes.get(6..12) == Some(&STATION.0[..])
    }

    fn frame(&self, record: &TapRecord<'_>) {
        self.0.frame(record);
    }
}

#[test]
fn a_tap_is_not_told_of_what_it_does_not_want() {
    on_a_rig(3, |rig| {
        let switch = with_uplink(rig, false);
        let third = switch.add_port(rig.nodes[2].spec(1500)).unwrap();
        let picky = Arc::new(Picky::default());
        switch.set_tap(Some(Arc::clone(&picky) as Arc<dyn Tap>)).unwrap();
        exchange(rig, &switch, &plain(1, mac(9), 3, 60));
        // What was not told was forwarded and counted all the same.
        assert_eq!(switch.counters().accounted(), 5);
        assert_eq!(switch.fdb().iter().filter(|entry| entry.port == third).count(), 1);
        let notes = std::mem::take(&mut *picky.0.0.lock().unwrap());
        let said: Vec<_> = notes.iter().map(|n| (n.0, n.1)).collect();
        let here = Some(PortId(0));
        assert_eq!(
            said,
            [
                (here, Outcome::Station(Handling::ToUplink)),
                (here, Outcome::Station(Handling::Consumed)),
                (Some(PortId::LOCAL), Outcome::Forwarded(PortId(0))),
            ]
        );
        // What the station makes of a frame is told with the frame as it came.
        assert_eq!(notes[0].3, order(STATION, UP));
        assert_eq!(notes[0].4.as_ref().unwrap()[6..12], STATION.0);
    });
}

#[test]
fn a_picture_says_what_would_happen_and_sends_nothing() {
    on_a_rig(3, |rig| {
        let switch = rig.switch(Config { slots: 15, ..Config::default() }, station());
        let ports = |dst| {
            let frame = uswitch_switch::Frame::new(dst, mac(1), None, 46);
            let mut path = Path::default();
            switch.picture().decide(&frame, PortId(0), Timestamp::ZERO, &mut path);
            path.ports().collect::<Vec<_>>()
        };
        assert_eq!(ports(mac(2)), [PortId(1), PortId(2)]);
        switch.table().set(mac(2), Scope::default(), PortId(1), EntryKind::Static, Timestamp::ZERO);
        assert_eq!(ports(mac(2)), [PortId(1)]);
        assert_eq!(switch.counters().received, 0);
    });
}

#[test]
fn a_leg_counts_by_vlan_what_the_station_says_and_is_given() {
    on_a_rig(2, |rig| {
        let vlan = wire::VlanId::from_tci(1);
        let network = NetworkConfig {
            vlans: Some(VlanFilter::default()),
            legs: vec![(vlan, Leg::default())],
            ..NetworkConfig::default()
        };
        let switch =
            rig.switch(Config { network: network.clone(), ..Config::default() }, station());
        switch
            .set_network(NetworkId::FIRST, NetworkConfig { local: Some(STATION), ..network })
            .unwrap();
        // One that is sent back where it lies, one that is answered, one that is kept: a copy of it.
        for what in [BACK, ANSWER] {
            rig.nodes[0].send(&order(STATION, what));
            assert_eq!(rig.nodes[0].receive().bytes[6..12], STATION.0);
        }
        rig.nodes[0].send(&order(MacAddr::BROADCAST, KEEP));
        rig.nodes[1].receive();
        settled(&switch, 3);
        let counted = switch.leg_stats(Leg::default());
        // Without their Ethernet headers.
        let wanted = VlanStats { rx_packets: 2, rx_bytes: 92, tx_packets: 3, tx_bytes: 138 };
        assert_eq!(counted.into_iter().collect::<Vec<_>>(), [(vlan, wanted)]);
        // Whoever has its number next begins anew.
        let config = NetworkConfig {
            vlans: Some(VlanFilter::default()),
            legs: vec![(vlan, Leg::default())],
            ..NetworkConfig::default()
        };
        switch.add_network(config).unwrap();
        assert!(switch.leg_stats(Leg::default()).is_empty());
    });
}

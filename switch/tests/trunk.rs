//! What a station is given of frames that come with a VLAN's tag, and what it hands on of them to the host
//! that has its address too.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::sync::{Arc, Mutex};

use rig::frames::plain;
use rig::on_a_rig;
use uswitch_switch::core::{Memberships, PortVlans, VlanFilter};
use uswitch_switch::{
    Arrival, Config, Handling, Leg, NetworkConfig, NetworkId, Outlet, PortId, Station,
};
use wire::{FrameMut, MacAddr, Timestamp, VlanId, VlanTag, VnetHeader};

const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
const HOST: PortId = PortId(1);
const TEN: VlanTag = VlanTag { tpid: 0x8100, tci: 10 };
const OTHER: VlanTag = VlanTag { tpid: 0x88a8, tci: 0 };

/// Hands all on to the host, and keeps what tag each had.
struct Porter(Arc<Mutex<Vec<Option<VlanTag>>>>);

impl Station for Porter {
    fn mac(&self) -> MacAddr {
        STATION
    }

    fn on_bridge(
        &mut self,
        Arrival { leg, .. }: Arrival,
        frame: &mut FrameMut<'_>,
        _: &mut dyn Outlet,
        _: Timestamp,
    ) -> Handling {
        self.0.lock().unwrap().push(frame.vlan);
        Handling::ToHost(leg)
    }

    fn on_uplink(&mut self, _: &mut FrameMut<'_>, _: &mut dyn Outlet, _: Timestamp) -> Handling {
        Handling::Consumed
    }

    fn tick(&mut self, _: &mut dyn Outlet, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// A port that is a member of VLAN 10, which is also where its untagged frames belong.
fn member(untagged: bool) -> Memberships {
    let vid = VlanId::from_tci(10);
    let mut vlans = PortVlans::access(vid);
    vlans.add(vid, untagged);
    vlans.pvid = Some(vid);
    vlans.into()
}

#[test]
fn a_station_is_given_no_tag_that_told_a_vlan_and_its_host_gets_the_ports_own() {
    on_a_rig(2, |rig| {
        let network = NetworkConfig {
            vlans: Some(VlanFilter::default()),
            legs: vec![(VlanId::from_tci(10), Leg::default())],
            local: Some(STATION),
            host: Some(HOST),
            ..NetworkConfig::default()
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let station = Arc::new(Mutex::new(Porter(Arc::clone(&seen))));
        let switch = rig.switch(Config::default(), Some(station));
        switch.set_network(NetworkId::FIRST, network).unwrap();
        switch.set_vlans(PortId(0), member(false)).unwrap();
        // What comes with that tag, what it is at the host, where that is untagged there, and tagged.
        let cases = [
            (Some(TEN), [None, Some(TEN)]),
            (Some(VlanTag { tci: 0x6000, ..TEN }), [None, Some(TEN)]),
            (None, [None, Some(TEN)]),
        ];
        for (n, untagged) in [true, false].into_iter().enumerate() {
            switch.set_vlans(HOST, member(untagged)).unwrap();
            for (came, left) in cases {
                let frame = plain(1, STATION, 7, 60);
                rig.nodes[0].send_with(VnetHeader::default(), came, &frame);
                let got = rig.nodes[1].receive();
                assert_eq!((got.vlan, got.bytes), (left[n], frame), "{came:?} {untagged}");
            }
        }
        // A tag of another protocol is no tag of the network's: the station is shown it.
        rig.nodes[0].send_with(VnetHeader::default(), Some(OTHER), &plain(1, STATION, 8, 60));
        rig.nodes[1].receive();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen, [[None; 6].as_slice(), &[Some(OTHER)]].concat());
    });
}

//! Any group frames in a network that reads them, and time: nothing panics, no port gets a frame that
//! may not have it, what is known of groups keeps its bounds and ends when nobody reports any more.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use switch::core::{
    Bridge, Fdb, Frame, McastConfig, NetworkConfig, Path, PortSettings, PortState, Shared,
};
use switch::{FdbConfig, NetworkId, PortId};
use wire::{MacAddr, Timestamp};

const PORTS: u16 = 4;
const GROUPS: u32 = 8;

fuzz_target!(|input: (u8, Vec<(u8, u8, Vec<u8>)>)| {
    let (kind, steps) = input;
    let shared = Shared::default();
    let mcast = McastConfig {
        snooping: true,
        querier: kind & 1 == 1,
        igmp_version: 2 + (kind >> 1 & 1),
        mld_version: 1 + (kind >> 1 & 1),
        hash_max: GROUPS,
        ..McastConfig::default()
    };
    let config = NetworkConfig { mcast, ..NetworkConfig::default() };
    let mut bridge =
        Bridge::counting(config, Arc::new(Fdb::new(FdbConfig::default())), shared.clone());
    for id in 0..PORTS {
        let settings = PortSettings {
            fastleave: id == 1,
            neigh_suppress: id == 2,
            loop_protect: id == 3,
            mcast_max_groups: if id == 1 { 2 } else { 0 },
            ..PortSettings::default()
        };
        bridge.set_port(PortId(id), PortState::up(settings, 1500));
    }
    let snoop = shared.snoops.get(NetworkId::FIRST).expect("it snoops");
    let (mut now, mut path) = (Timestamp::from_nanos(1), Path::default());
    for (port, pause, bytes) in steps {
        now = Timestamp::from_nanos(now.as_nanos() + u64::from(pause) * 100_000_000);
        bridge.tick(now, &mut path);
        let _ = path.take_said();
        let ingress = PortId(u16::from(port) % PORTS);
        let mut frame = vec![0x01, 0x00, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, port];
        frame.extend(&bytes);
        let header =
            Frame::new(MacAddr([1, 0, 0x5e, 1, 2, 3]), MacAddr([2, 0, 0, 0, 0, port]), None, 60);
        let _ = bridge.decide_reading(&header, &frame, ingress, now, &mut path);
        assert!(path.ports().all(|id| id != ingress && id.0 < PORTS));
        for (said, exit) in path.take_said() {
            assert!(exit.port.0 < PORTS && said.len() >= 14);
        }
        let counts = snoop.counts();
        assert!(counts.groups <= GROUPS && snoop.of_port(PortId(1)) <= 2);
        assert_eq!(snoop.entries(now).len() <= counts.members as usize, true);
    }
    let late = Timestamp::from_nanos(now.as_nanos() + 1_000_000_000_000);
    bridge.tick(late, &mut path);
    assert_eq!(snoop.counts().members, 0, "what nobody reports ends");
});

//! Any sequence of frames, ports coming and going, and time: every verdict is one a port can
//! carry out, learning is what a plain map would have learned, and the table keeps its bounds.

#![no_main]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use switch::core::{Bridge, BridgeConfig, Fdb, FdbConfig, Frame, PortSettings, PortState};
use switch::{PortId, Verdict};
use wire::{MacAddr, Timestamp, VlanId};

const LOCAL: MacAddr = MacAddr([2, 0, 0, 0, 0, 0]);
const PORTS: u16 = 6;
const ENTRIES: usize = 64;

/// Few addresses, so that they meet again; 7 of 8 unicast.
fn address(byte: u8) -> MacAddr {
    match byte {
        0xff => MacAddr::BROADCAST,
        0xfe => MacAddr::ZERO,
        byte => MacAddr([if byte & 7 == 7 { 3 } else { 2 }, 0, 0, 0, 0, byte >> 3]),
    }
}

fuzz_target!(|steps: Vec<(u8, u8, u8, u8, u8)>| {
    let ageing = Duration::from_secs(300);
    let fdb = Arc::new(Fdb::new(FdbConfig { max_entries: ENTRIES, ageing }));
    let config = BridgeConfig { local: Some(LOCAL), link_local_mask: 0 };
    let mut bridge = Bridge::new(config, Arc::clone(&fdb));
    let mut seen: HashMap<(MacAddr, VlanId), PortId> = HashMap::new();
    let mut now = Timestamp::ZERO;
    for (kind, dst, src, port, vlan) in steps {
        let port = PortId(u16::from(port) % PORTS);
        match kind {
            // A port is plugged in or set, a port goes, the table is emptied.
            0..16 => {
                let up = kind % 4 != 0;
                let settings = PortSettings { hairpin: kind == 1, ..PortSettings::default() };
                bridge.set_port(port, PortState { settings, mtu: 1500, up });
                continue;
            }
            16..20 => {
                bridge.remove_port(port);
                fdb.forget_port(port);
                seen.retain(|_, at| *at != port);
                continue;
            }
            20 => {
                fdb.flush(None);
                seen.clear();
                continue;
            }
            _ => {}
        }
        now = Timestamp::from_nanos(now.as_nanos() + u64::from(kind) * 1_000_000);
        let (dst, src) = (address(dst), address(src));
        let vlan = VlanId::from_tci(u16::from(vlan % 4));
        let packet_len = if kind == 255 { 1501 } else { 60 };
        let frame = Frame { dst, src, vlan, packet_len };
        let decision = bridge.decide(&frame, port, now);
        let refused = matches!(decision.verdict, Verdict::Drop(_));
        if refused && bridge.port(port).is_none_or(|state| !state.up) {
            continue;
        }
        if !src.is_group() && src != MacAddr::ZERO && src != LOCAL {
            seen.insert((src, vlan), port);
        }
        let usable = |id: PortId| {
            let state = bridge.port(id).expect("a port that is not plugged in");
            assert!(state.up && packet_len <= state.mtu, "a port that cannot take it");
            assert!(id != port || state.settings.hairpin, "back where it came from");
        };
        match decision.verdict {
            Verdict::Forward(to) => {
                usable(to);
                assert!(!dst.is_group());
                assert_eq!(seen.get(&(dst, vlan)), Some(&to), "not where it was last seen");
            }
            Verdict::Flood => {
                bridge.flood_set(&frame, port).for_each(usable);
                let known = seen.get(&(dst, vlan)).is_some() && seen.len() < ENTRIES / 2;
                assert!(dst.is_group() || !known, "flooded though known");
            }
            Verdict::Local => assert_eq!(dst, LOCAL),
            Verdict::Drop(_) => {}
        }
        assert!(fdb.len() <= ENTRIES, "{} entries", fdb.len());
        let shares: u32 = (0..PORTS).map(|id| fdb.port_len(PortId(id))).sum();
        assert_eq!(shares as usize, fdb.len(), "the ports' shares do not add up");
    }
});

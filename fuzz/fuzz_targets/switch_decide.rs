//! Any sequence of frames, ports coming and going, and time: every verdict is one a port can
//! carry out, learning is what a plain map would have learned, what is flooded keeps to its limits,
//! and the table keeps its bounds.

#![no_main]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use switch::core::{Bridge, Fdb, FdbConfig, Frame, NetworkConfig, Path, PortSettings, PortState};
use switch::{DropReason, PortId, StormLimits, Verdict};
use wire::{MacAddr, Timestamp, VlanTag};

const LOCAL: MacAddr = MacAddr([2, 0, 0, 0, 0, 0]);
const PORTS: u16 = 6;
const ENTRIES: usize = 24;
const AGEING: Duration = Duration::from_secs(300);

/// Few addresses, so that they meet again; 7 of 8 unicast.
fn address(byte: u8) -> MacAddr {
    match byte {
        0xff => MacAddr::BROADCAST,
        0xfe => MacAddr::ZERO,
        byte => MacAddr([if byte & 7 == 7 { 3 } else { 2 }, 0, 0, 0, 0, byte >> 3]),
    }
}

fuzz_target!(|steps: Vec<(u8, u8, u8, u8, u8)>| {
    let fdb = Arc::new(Fdb::new(FdbConfig { max_entries: ENTRIES }));
    let config =
        NetworkConfig { local: Some(LOCAL), ageing_time: AGEING, ..NetworkConfig::default() };
    let mut bridge = Bridge::new(config, Arc::clone(&fdb));
    let mut path = Path::default();
    let mut seen: HashMap<MacAddr, (PortId, Timestamp)> = HashMap::new();
    // Frames flooded in the running second, by port.
    let mut flooded: HashMap<(PortId, u64), u32> = HashMap::new();
    let mut settings_since: HashMap<PortId, u64> = HashMap::new();
    let mut now = Timestamp::ZERO;
    for (kind, dst, src, port, vlan) in steps {
        let port = PortId(u16::from(port) % PORTS);
        match kind {
            // A port is plugged in or set, a port goes, the table is emptied.
            0..16 => {
                let up = kind % 4 != 0;
                let limit = (kind >= 8).then_some(u32::from(dst % 8));
                let storm = StormLimits { broadcast: limit, multicast: limit, unknown: limit };
                let settings =
                    PortSettings { hairpin: kind == 1, storm, ..PortSettings::default() };
                settings_since.insert(port, now.as_secs());
                bridge.set_port(port, PortState { up, ..PortState::up(settings, 1500) });
                continue;
            }
            16..20 => {
                bridge.remove_port(port);
                fdb.forget_port(port);
                seen.retain(|_, at| at.0 != port);
                continue;
            }
            20 => {
                fdb.flush(None);
                seen.clear();
                continue;
            }
            // Time passes, and what has aged is forgotten.
            21..24 => {
                now = Timestamp::from_nanos(now.as_nanos() + u64::from(dst) * 2_000_000_000);
                let before = fdb.len();
                let gone = fdb.expire(now);
                assert_eq!(before - gone, fdb.len());
                assert_eq!(fdb.snapshot(now).len(), fdb.len(), "aged ones are left");
                continue;
            }
            _ => {}
        }
        now = Timestamp::from_nanos(now.as_nanos() + u64::from(kind) * 1_000_000);
        let (dst, src) = (address(dst), address(src));
        // Tags mean nothing here, whatever they say.
        let tag = (vlan % 4 > 0).then_some(VlanTag { tpid: 0x8100, tci: u16::from(vlan) });
        let packet_len = if kind == 255 { 1501 } else { 60 };
        let frame = Frame::new(dst, src, tag, packet_len);
        let decision = bridge.decide(&frame, port, now, &mut path);
        let refused = matches!(decision.verdict, Verdict::Drop(_));
        if refused && bridge.port(port).is_none_or(|state| !state.up) {
            continue;
        }
        if !src.is_group() && src != MacAddr::ZERO && src != LOCAL {
            seen.insert(src, (port, now));
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
                let (at, when) = seen[&dst];
                assert_eq!(at, to, "not where it was last seen");
                assert!(now.since(when) <= AGEING + Duration::from_secs(1), "it has aged");
            }
            Verdict::Flood => {
                path.ports().for_each(usable);
                let fresh =
                    |at: &(PortId, Timestamp)| now.since(at.1) + Duration::from_secs(2) < AGEING;
                let known = seen.get(&dst).is_some_and(fresh) && seen.len() < ENTRIES / 2;
                assert!(dst.is_group() || !known, "flooded though known");
                let count = flooded.entry((port, now.as_secs())).or_default();
                *count += 1;
                // A limit for each of three kinds.
                let limit = bridge.port(port).and_then(|state| state.settings.storm.unknown);
                let begun = settings_since.get(&port).copied().unwrap_or(0);
                if let Some(limit) = limit.filter(|_| begun < now.as_secs()) {
                    assert!(*count <= 3 * limit, "{count} flooded, {limit} allowed of each kind");
                }
            }
            Verdict::Members => panic!("nobody snoops here"),
            Verdict::Local => assert_eq!(dst, LOCAL),
            Verdict::Drop(DropReason::Storm) => {
                let storm = bridge.port(port).expect("a port").settings.storm;
                assert_ne!(storm, StormLimits::default(), "a storm without a limit");
            }
            Verdict::Drop(_) => {}
        }
        assert!(fdb.len() <= ENTRIES, "{} entries", fdb.len());
        let shares: u32 = (0..PORTS).map(|id| fdb.port_len(PortId(id))).sum();
        assert_eq!(shares as usize, fdb.len(), "the ports' shares do not add up");
    }
});

//! A port that belongs to one host, with the fast path: what the kernel carries comes from the host's
//! own address, and what would be refused is refused although a flow for its hardware addresses holds.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::os::fd::AsFd;
use std::sync::Arc;

use rig::frames::mac;
use rig::{on_a_rig, settled};
use uswitch_switch::core::SourceGuard;
use uswitch_switch::{Config, DropReason, FastPath, PortId, PortSpec, Switch};
use wire::MacAddr;

const OWN: [u8; 4] = [10, 0, 0, 1];

/// A packet of a protocol, whose first eight bytes are these.
fn packet(from: [u8; 4], protocol: u8, head: [u8; 8], n: u8) -> Vec<u8> {
    let header = [0x45, 0, 0, 46, 0, 0, 0, 0, 64, protocol, 0, 0];
    let ethernet = [&mac(1).0[..], &mac(0).0, &[8, 0]].concat();
    [&ethernet[..], &header, &from, &[10, 0, 0, 2], &head, &[n; 18]].concat()
}

/// A datagram.
fn datagram(from: [u8; 4], ports: [u16; 2], n: u8) -> Vec<u8> {
    let [[a, b], [c, d]] = ports.map(u16::to_be_bytes);
    packet(from, 17, [a, b, c, d, 0, 26, 0, 0], n)
}

/// A message of ICMP.
fn message(kind: u8, n: u8) -> Vec<u8> {
    packet(OWN, 1, [kind, 0, 0, 0, 0, 0, 0, 0], n)
}

#[test]
fn a_flow_carries_what_its_host_may_say_and_nothing_else() {
    on_a_rig(2, |rig| {
        let fast = Some(FastPath::load().unwrap());
        let config = Config { fast, ..Config::default() };
        let switch = Switch::start(config, rig.netns.as_fd(), None).unwrap();
        let own = SourceGuard::new(mac(0), [OWN.into()]);
        let sources = [Some(Arc::new(own)), None];
        for (node, sources) in rig.nodes.iter().zip(sources) {
            switch.add_port(PortSpec { sources, ..node.spec(1500) }).unwrap();
        }
        assert!(switch.repeat_from(PortId(0)));
        // So that it is known where the second is; nothing is asked of what it says.
        let hello = [&MacAddr::BROADCAST.0[..], &mac(1).0, &[0x88, 0xcc], &[0; 46]].concat();
        rig.nodes[1].send(&hello);
        assert_eq!(rig.nodes[0].receive().bytes, hello);
        let (mut sent, mut refused) = (1, 0);
        // The flow is laid while nothing else is in the ring.
        for n in 0..100 {
            let good = datagram(OWN, [5, 9], n);
            rig.nodes[0].send(&good);
            assert_eq!(rig.nodes[1].receive().bytes, good);
            sent += 1;
        }
        for n in 0..100 {
            let good = datagram(OWN, [5, 9], n);
            rig.nodes[0].send(&good);
            assert_eq!(rig.nodes[1].receive().bytes, good);
            let ipv6 = [&mac(1).0[..], &mac(0).0, &[0x86, 0xdd, 0x60], &[0; 59]].concat();
            let bad = [
                datagram([10, 0, 0, 9], [5, 9], n),
                datagram(OWN, [67, 9], n),
                datagram(OWN, [1067, 68], n),
                message(5, n),
                message(9, n),
                ipv6,
            ];
            bad.iter().for_each(|frame| rig.nodes[0].send(frame));
            sent += 7;
            refused += 6;
        }
        let counters = settled(&switch, sent);
        let spoofed = DropReason::Spoofed.index();
        assert_eq!((counters.forwarded, counters.drops[spoofed]), (200, refused));
        assert_eq!(switch.ports()[0].stats.drops[spoofed], refused);
        let by_flows = switch.repeated().unwrap();
        assert!(by_flows > 150, "the kernel has carried {by_flows} of 200");
        rig.nodes[1].hears_nothing();
    });
}

//! Remote ends of tunnels: nodes send them nothing that they would take for the host's.

use std::collections::BTreeSet;

use gateway::{DropReason, Endpoint, Outcome, Probe, Protocol, Published, Side};
use wire::tcp;

use crate::world::{OUTSIDE, Pkt, World, config};

fn ends(all: &[(&str, u16)]) -> BTreeSet<Endpoint> {
    all.iter().map(|(address, port)| Endpoint::new(address.parse().unwrap(), *port)).collect()
}

#[test]
fn no_datagram_leaves_for_a_tunnels_remote_end() {
    let mut world = World::new(config());
    let vxlan = Pkt::udp("10.100.0.10:4000", "9.9.9.9:4789", b"a frame");
    let others = [
        Pkt::udp("10.100.0.10:4000", "9.9.9.9:4790", b"x"),
        Pkt::udp("10.100.0.10:4000", "8.8.8.8:4789", b"x"),
        Pkt::tcp("10.100.0.10:4000", "9.9.9.9:4789", tcp::Flags::SYN, b""),
    ];
    world.lan(&vxlan).on(Side::Uplink);
    assert_eq!(world.sessions().len(), 1);
    // What was opened before there was a tunnel ends, for whoever repeats it too.
    world.gateway.bar(ends(&[("9.9.9.9", 4789), ("9.9.9.8", 4789)]));
    assert!(world.sessions().is_empty());
    let out = world.lan(&vxlan);
    assert_eq!(out.dropped(), DropReason::TunnelEnd);
    let told = out.frames.iter().map(|(_, _, frame)| crate::world::ip(frame)[20..22].to_vec());
    assert_eq!(told.collect::<Vec<_>>(), [[3, 13]]);
    // Nor in pieces, whichever comes first.
    let mut pieces = Pkt::udp("10.100.0.20:4000", "9.9.9.8:4789", &[7; 200]).may_be_cut().cut(64);
    pieces.reverse();
    for piece in pieces {
        assert!(world.lan(&piece).frames.iter().all(|(side, ..)| *side != Side::Uplink));
    }
    assert!(world.sessions().is_empty());
    for other in &others {
        world.lan(other).on(Side::Uplink);
    }
    let probe = Probe {
        side: Side::LAN,
        protocol: Protocol::Udp.into(),
        src: Endpoint::new("10.100.0.10".parse().unwrap(), 4000),
        dst: Endpoint::new("9.9.9.9".parse().unwrap(), 4789),
        flags: tcp::Flags(0),
        length: 60,
        ttl: 64,
        dont_fragment: true,
    };
    let foretold = world.gateway.preview(&probe, world.now).outcome;
    assert_eq!(foretold, Outcome::Dropped(DropReason::TunnelEnd));
    // Nor as an answer to what came in to a published port.
    let inside = Endpoint::new("10.100.0.10".parse().unwrap(), 80);
    let published = Published { protocol: Protocol::Udp, address: None, port: 80, inside };
    world.gateway.publish(published).unwrap();
    world.uplink(&Pkt::udp("9.9.9.9:4789", &format!("{OUTSIDE}:80"), b"ask me"));
    let out = world.lan(&Pkt::udp("10.100.0.10:80", "9.9.9.9:4789", b"a frame"));
    assert_eq!(out.dropped(), DropReason::TunnelEnd);
    // Without the tunnel it is an endpoint as others are.
    world.gateway.bar(BTreeSet::new());
    world.lan(&vxlan).on(Side::Uplink);
}

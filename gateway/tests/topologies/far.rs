//! Hosts behind tunnels: who others have told of is not asked for, and nobody is asked directly.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use gateway::{Consumed, Far, LegId, Node, Side, Verdict};
use wire::{MacAddr, VnetHeader};

use crate::world::packet::arp_reply;
use crate::world::{Pkt, World, config, mac};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 77);
const TUNNEL: Node = Node(9);

fn far(known: &[(Ipv4Addr, MacAddr)]) -> Arc<Far> {
    let known = known.iter().map(|(address, mac)| (*address, (*mac, TUNNEL)));
    Arc::new(Far { tunnels: [TUNNEL].into(), known: known.collect() })
}

/// A packet that the gateway sends on to THERE.
fn packet() -> Pkt {
    Pkt::udp("10.100.0.10:1", "10.100.0.77:2", b"x")
}

#[test]
fn who_is_told_of_is_asked_for_by_nobody_and_never_forgotten() {
    let mut world = World::new(config());
    world.gateway.set_far(LegId::FIRST, &far(&[(THERE, mac(THERE))]));
    for _ in 0..3 {
        let out = world.lan(&packet());
        assert_eq!((out.on(Side::LAN).to, out.arps.len()), (mac(THERE), 0));
        world.pass(Duration::from_secs(400));
    }
    // It is elsewhere now, and then nobody knows where.
    let other = MacAddr([2, 0, 0, 0, 9, 9]);
    world.gateway.set_far(LegId::FIRST, &far(&[(THERE, other)]));
    assert_eq!(world.lan(&packet()).on(Side::LAN).to, other);
    world.gateway.set_far(LegId::FIRST, &Arc::default());
    let out = world.lan(&packet());
    assert_eq!((out.verdict, out.arps.len()), (Verdict::Consumed(Consumed::Queued), 1));
    // Of a leg that is not there nothing is said.
    world.gateway.set_far(LegId(7), &far(&[(THERE, other)]));
}

#[test]
fn a_host_behind_a_tunnel_is_asked_for_by_a_question_to_all() {
    let mut world = World::new(config());
    world.gateway.set_far(LegId::FIRST, &far(&[]));
    let lan_mac = world.lan(&packet()).arps[0].1.sender_mac;
    let answer = arp_reply(lan_mac, mac(THERE), THERE, GATEWAY);
    world.put_from((Side::LAN, TUNNEL), VnetHeader::default(), answer);
    assert_eq!(world.lan(&packet()).on(Side::LAN).to, mac(THERE));
    world.jump(Duration::from_secs(61));
    let out = world.lan(&packet());
    assert_eq!((out.on(Side::LAN).to, out.arps.len()), (mac(THERE), 1), "it is used meanwhile");
    let asked = world.pass(Duration::from_secs(1));
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].2[..6], MacAddr::BROADCAST.0);
}

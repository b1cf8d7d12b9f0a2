//! What the lab does all day: ARP, ping, out to the world and back.

use std::time::Duration;

use crate::world::packet::{ACK, FIN, SYN, arp_reply, arp_request};
use crate::world::{LAN_MAC, OUTSIDE, Pkt, ROUTER, UPLINK_MAC, World, config, mac};
use gateway::{Consumed, Side, Verdict};
use wire::VnetHeader;

#[test]
fn arp_is_answered_for_the_gateway_alone() {
    let mut world = World::empty(config());
    let host = "10.100.0.10".parse().unwrap();
    let asked = arp_request(mac(host), host, "10.100.0.1".parse().unwrap());
    let out = world.put(Side::LAN, VnetHeader::default(), asked);
    assert_eq!(out.verdict, Verdict::Consumed(Consumed::Arp));
    let (side, reply) = out.arps[0];
    assert_eq!((side, out.arps.len()), (Side::LAN, 1));
    assert_eq!((reply.sender_mac, reply.target_mac, reply.target), (LAN_MAC, mac(host), host));
    for other in ["10.100.0.20", "203.0.113.2", "8.8.8.8"] {
        let asked = arp_request(mac(host), host, other.parse().unwrap());
        assert!(world.put(Side::LAN, VnetHeader::default(), asked).arps.is_empty(), "{other}");
    }
}

#[test]
fn the_gateway_answers_a_ping_in_place() {
    let mut world = World::new(config());
    for own in ["10.100.0.1", OUTSIDE] {
        let seen = world.lan(&Pkt::echo("10.100.0.10", own, 8, 77, &[9; 57])).on(Side::LAN);
        assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.ttl), (own, "10.100.0.10", 64));
        assert_eq!((seen.icmp.unwrap().0, seen.echo_id(), seen.data.len()), (0, 77, 57));
        assert_eq!(seen.to, mac("10.100.0.10".parse().unwrap()));
    }
    let seen = world.uplink(&Pkt::echo("8.8.8.8", OUTSIDE, 8, 5, &[1])).on(Side::Uplink);
    assert_eq!((seen.src.as_str(), seen.dst.as_str()), (OUTSIDE, "8.8.8.8"));
    assert_eq!(world.gateway.counters().echo_replies, 3);
}

#[test]
fn a_ping_to_the_world_leaves_masqueraded_and_its_reply_comes_home() {
    let mut world = World::new(config());
    let out = world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 77, &[3; 56])).on(Side::Uplink);
    assert_eq!((out.src.as_str(), out.dst.as_str(), out.ttl), (OUTSIDE, "8.8.8.8", 63));
    assert_eq!(out.to, mac(ROUTER));
    let back = Pkt::echo("8.8.8.8", OUTSIDE, 0, out.echo_id(), &[3; 56]).ttl(57);
    let seen = world.uplink(&back).on(Side::LAN);
    assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.ttl), ("8.8.8.8", "10.100.0.10", 56));
    assert_eq!((seen.echo_id(), seen.to), (77, mac("10.100.0.10".parse().unwrap())));
}

#[test]
fn a_tcp_connection_runs_from_syn_to_last_ack() {
    let mut world = World::new(config());
    let (inside, remote) = ("10.100.0.10:40000", "8.8.8.8:80");
    let outside = world.lan(&Pkt::tcp(inside, remote, SYN, &[])).on(Side::Uplink).src;
    assert_eq!(outside, "203.0.113.2:40000");
    for (from_inside, flags, state) in [
        (false, SYN | ACK, "opening"),
        (true, ACK, "established"),
        (true, ACK, "established"),
        (false, FIN, "fin-in"),
        (true, FIN, "closing"),
        (false, ACK, "closing"),
    ] {
        if from_inside {
            let seen = world.lan(&Pkt::tcp(inside, remote, flags, b"odd")).on(Side::Uplink);
            assert_eq!((seen.src.as_str(), seen.dst.as_str()), (outside.as_str(), remote));
        } else {
            let seen = world.uplink(&Pkt::tcp(remote, &outside, flags, b"even")).on(Side::LAN);
            assert_eq!((seen.src.as_str(), seen.dst.as_str()), (remote, inside));
        }
        assert_eq!(world.sessions()[0].state.as_str(), state);
    }
    assert_eq!(world.sessions()[0].remaining, Duration::from_secs(240));
}

#[test]
fn the_first_packet_waits_for_arp_and_then_goes() {
    let mut world = World::empty(config());
    let first = world.lan(&Pkt::udp("10.100.0.10:5000", "8.8.8.8:53", b"?"));
    assert_eq!(first.verdict, Verdict::Consumed(Consumed::Queued));
    let (_, question) = first.arps[0];
    assert_eq!((question.target, question.sender_mac), (ROUTER, UPLINK_MAC));
    let own = OUTSIDE.parse().unwrap();
    let answer = arp_reply(UPLINK_MAC, mac(ROUTER), ROUTER, own);
    let released = world.put(Side::Uplink, VnetHeader::default(), answer).on(Side::Uplink);
    assert_eq!((released.dst.as_str(), released.to), ("8.8.8.8:53", mac(ROUTER)));
}

#[test]
fn two_hosts_of_the_lan_are_routed_without_translation() {
    let mut world = World::new(config());
    let seen = world.lan(&Pkt::udp("10.100.0.10:1", "10.100.0.20:2", b"x")).on(Side::LAN);
    assert_eq!(
        (seen.src.as_str(), seen.dst.as_str(), seen.ttl),
        ("10.100.0.10:1", "10.100.0.20:2", 63)
    );
}

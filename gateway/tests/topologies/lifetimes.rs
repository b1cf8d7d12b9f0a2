//! How long sessions live, and what keeps them alive.

use std::time::Duration;

use gateway::{DropReason, Side};

use crate::world::packet::{ACK, FIN, RST, SYN};
use crate::world::{OUTSIDE, Pkt, World, config};

const INSIDE: &str = "10.100.0.10:4000";
const REMOTE: &str = "8.8.8.8:80";
const PUBLIC: &str = "203.0.113.2:4000";
const MS: Duration = Duration::from_millis(1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn udp_in(world: &mut World) -> bool {
    !world.uplink(&Pkt::udp(REMOTE, PUBLIC, b"y")).frames.is_empty()
}

#[test]
fn udp_lives_five_minutes_after_the_last_packet_out() {
    let mut world = World::new(config());
    world.lan(&Pkt::udp(INSIDE, REMOTE, b"x"));
    world.jump(secs(200));
    world.lan(&Pkt::udp(INSIDE, REMOTE, b"x"));
    world.jump(secs(299));
    // A packet in passes, and prolongs nothing (RFC 4787 REQ-6).
    assert!(udp_in(&mut world));
    world.jump(secs(1) - MS);
    assert!(udp_in(&mut world));
    world.jump(MS);
    assert!(!udp_in(&mut world), "at its end a session is gone, tick or no tick");
    world.pass(secs(2));
    assert_eq!(world.gateway.nat_usage()[1].1, 0);
}

#[test]
fn an_icmp_query_lives_a_minute() {
    let mut world = World::new(config());
    world.lan(&Pkt::echo("10.100.0.10", "8.8.8.8", 8, 9, b""));
    let reply = Pkt::echo("8.8.8.8", OUTSIDE, 0, 9, b"");
    world.jump(secs(60) - MS);
    assert_eq!(world.uplink(&reply).frames.len(), 1);
    world.jump(MS);
    assert!(world.uplink(&reply).frames.is_empty());
}

fn established() -> World {
    let mut world = World::new(config());
    world.lan(&Pkt::tcp(INSIDE, REMOTE, SYN, b""));
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, SYN | ACK, b""));
    world.lan(&Pkt::tcp(INSIDE, REMOTE, ACK, b""));
    world
}

#[test]
fn tcp_lives_two_hours_and_four_minutes_from_either_side() {
    let mut world = established();
    let data = Pkt::tcp(REMOTE, PUBLIC, ACK, b"data");
    for _ in 0..3 {
        world.pass(secs(7440) - MS);
        world.meet(Side::LAN, "10.100.0.10".parse().unwrap());
        assert_eq!(world.uplink(&data).on(Side::LAN).dst, INSIDE);
    }
    world.jump(secs(7440));
    assert_eq!(world.uplink(&data).dropped(), DropReason::Filtered);
    world.pass(secs(2));
    assert_eq!(world.uplink(&data).dropped(), DropReason::NoSession);
}

#[test]
fn tcp_opening_and_closing_live_four_minutes() {
    let mut world = World::new(config());
    world.lan(&Pkt::tcp(INSIDE, REMOTE, SYN, b""));
    assert_eq!(world.sessions()[0].remaining, secs(240));
    let mut world = established();
    world.lan(&Pkt::tcp(INSIDE, REMOTE, FIN, b""));
    assert_eq!(world.sessions()[0].remaining, secs(7440), "half closed is still open");
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, FIN, b""));
    assert_eq!(world.sessions()[0].remaining, secs(240));
    world.pass(secs(241));
    assert!(world.sessions().is_empty());
}

#[test]
fn a_reset_ends_a_connection_after_four_minutes_and_a_forged_one_does_not() {
    let mut world = established();
    assert_eq!(world.uplink(&Pkt::tcp(REMOTE, PUBLIC, RST, b"")).on(Side::LAN).dst, INSIDE);
    assert_eq!(world.sessions()[0].remaining, secs(240));
    world.pass(secs(100));
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, RST, b""));
    assert_eq!(world.sessions()[0].remaining, secs(140), "a second one does not prolong it");
    world.lan(&Pkt::tcp(INSIDE, REMOTE, ACK, b"still here"));
    assert_eq!(world.sessions()[0].state.as_str(), "established");
    assert_eq!(world.sessions()[0].remaining, secs(7440));
}

#[test]
fn an_idle_gateway_wants_no_ticks() {
    let mut world = World::empty(config());
    let mut out = gateway::Collected::default();
    assert_eq!(world.gateway.tick(&mut out, world.now), None);
    world = World::new(config());
    world.lan(&Pkt::udp(INSIDE, REMOTE, b"x"));
    let next = world.gateway.tick(&mut out, world.now).unwrap();
    assert!(next.since(world.now) >= secs(299), "{next:?}");
}

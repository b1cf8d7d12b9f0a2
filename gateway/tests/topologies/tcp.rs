//! TCP beyond the states: opening from both sides, and SYNs that nobody asked for.

use std::time::Duration;

use gateway::{DropReason, Side};

use crate::world::packet::{ACK, FIN, RST, SYN, Seen};
use crate::world::{Pkt, World, config};

const INSIDE: &str = "10.100.0.10:4000";
const REMOTE: &str = "8.8.8.8:80";
const PUBLIC: &str = "203.0.113.2:4000";

#[test]
fn a_simultaneous_open_succeeds_with_the_inside_first() {
    let mut world = World::new(config());
    world.lan(&Pkt::tcp(INSIDE, REMOTE, SYN, b""));
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, SYN, b"")).on(Side::LAN);
    world.lan(&Pkt::tcp(INSIDE, REMOTE, SYN | ACK, b"")).on(Side::Uplink);
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, SYN | ACK, b"")).on(Side::LAN);
    world.lan(&Pkt::tcp(INSIDE, REMOTE, ACK, b"")).on(Side::Uplink);
    assert_eq!(world.sessions()[0].state.as_str(), "established");
}

#[test]
fn a_simultaneous_open_succeeds_with_the_outside_first() {
    let mut world = World::new(config());
    let early = world.uplink(&Pkt::tcp(REMOTE, PUBLIC, SYN, b""));
    assert_eq!(early.dropped(), DropReason::UnsolicitedSyn);
    world.jump(Duration::from_secs(5));
    world.lan(&Pkt::tcp(INSIDE, REMOTE, SYN, b""));
    // No error follows, which would have ended the attempt.
    assert!(world.pass(Duration::from_secs(20)).is_empty());
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, SYN, b"")).on(Side::LAN);
}

#[test]
fn an_unsolicited_syn_meets_six_seconds_of_silence_and_then_port_unreachable() {
    for mapped in [false, true] {
        let mut world = World::new(config());
        if mapped {
            world.lan(&Pkt::tcp(INSIDE, "1.1.1.1:1", SYN, b""));
        }
        let syn = Pkt::tcp(REMOTE, PUBLIC, SYN, b"");
        assert!(world.uplink(&syn).frames.is_empty());
        // A retransmission does not start the wait anew.
        assert!(world.pass(Duration::from_millis(5900)).is_empty());
        assert!(world.uplink(&syn).frames.is_empty());
        let after = world.pass(Duration::from_millis(200));
        assert_eq!((after.len(), after[0].0), (1, Side::Uplink));
        let error = Seen::of(&after[0].2);
        assert_eq!((error.icmp.unwrap().0, error.icmp.unwrap().1), (3, 3));
        assert_eq!((error.dst.as_str(), error.quoted().dst.as_str()), ("8.8.8.8", PUBLIC));
        assert!(world.pass(Duration::from_secs(20)).is_empty());
    }
}

#[test]
fn a_connection_older_than_the_gateway_goes_on() {
    let mut world = World::new(config());
    let out = world.lan(&Pkt::tcp(INSIDE, REMOTE, ACK, b"data")).on(Side::Uplink);
    assert_eq!(out.src, PUBLIC);
    assert_eq!(world.sessions()[0].remaining, Duration::from_secs(240));
    world.uplink(&Pkt::tcp(REMOTE, PUBLIC, ACK, b"data")).on(Side::LAN);
    assert_eq!(world.sessions()[0].remaining, Duration::from_secs(7440));
    // After a flush as well.
    assert_eq!(world.gateway.flush_nat(world.now), 1);
    assert_eq!(world.lan(&Pkt::tcp(INSIDE, REMOTE, ACK, b"data")).on(Side::Uplink).src, PUBLIC);
}

#[test]
fn what_cannot_open_a_connection_does_not() {
    let mut world = World::new(config());
    for flags in [0, RST, FIN, SYN | ACK] {
        let out = world.lan(&Pkt::tcp(INSIDE, REMOTE, flags, b""));
        assert_eq!(out.dropped(), DropReason::NotAnOpening, "{flags:#x}");
    }
    assert!(world.sessions().is_empty());
}

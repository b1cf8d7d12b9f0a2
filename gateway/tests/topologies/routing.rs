//! A gateway that does not forward, or does not translate: what a host is before it is told.

use gateway::{DropReason, Routing, Side};

use crate::world::packet::{ACK, SYN};
use crate::world::{OUTSIDE, Pkt, World, config};

const FORWARDING_OFF: Routing = Routing { forwarding: false, nat: true };
const NAT_OFF: Routing = Routing { forwarding: true, nat: false };

#[test]
fn without_forwarding_it_answers_for_itself_alone() {
    let mut world = World::new(config());
    let out = Pkt::udp("10.100.0.10:1000", "8.8.8.8:53", b"x");
    let outside = world.lan(&out).on(Side::Uplink).src;
    world.gateway.set_routing(FORWARDING_OFF).unwrap();
    // Linux with ip_forward=0 says nothing to anybody, not even that a time to live ran out.
    for packet in [out.clone(), out.clone().ttl(1), Pkt::echo("10.100.0.10", "8.8.8.8", 8, 7, b"")]
    {
        let said = world.lan(&packet);
        assert_eq!(said.dropped(), DropReason::ForwardingOff);
        assert!(said.frames.is_empty());
    }
    let back = Pkt::udp("8.8.8.8:53", &outside, b"y");
    assert_eq!(world.uplink(&back).dropped(), DropReason::ForwardingOff);
    // Its own addresses are reached, from both sides.
    for own in ["10.100.0.1", OUTSIDE] {
        let seen = world.lan(&Pkt::echo("10.100.0.10", own, 8, 77, b"")).on(Side::LAN);
        assert_eq!((seen.src.as_str(), seen.icmp.unwrap().0), (own, 0));
    }
    world.uplink(&Pkt::echo("8.8.8.8", OUTSIDE, 8, 5, b"")).on(Side::Uplink);
    // Switched on again, the session goes on.
    world.gateway.set_routing(Routing::default()).unwrap();
    assert_eq!(world.uplink(&back).on(Side::LAN).dst, "10.100.0.10:1000");
    assert_eq!(world.lan(&out).on(Side::Uplink).src, outside);
}

#[test]
fn without_the_nat_packets_keep_their_sender() {
    let mut world = World::new(config());
    world.gateway.set_routing(NAT_OFF).unwrap();
    let seen = world.lan(&Pkt::tcp("10.100.0.10:1000", "8.8.8.8:80", SYN, b"")).on(Side::Uplink);
    assert_eq!(
        (seen.src.as_str(), seen.dst.as_str(), seen.ttl),
        ("10.100.0.10:1000", "8.8.8.8:80", 63)
    );
    // Whoever knows the way back gets through to the node itself.
    let back = Pkt::tcp("8.8.8.8:80", "10.100.0.10:1000", SYN | ACK, b"");
    let seen = world.uplink(&back).on(Side::LAN);
    assert_eq!((seen.src.as_str(), seen.dst.as_str()), ("8.8.8.8:80", "10.100.0.10:1000"));
    assert!(world.sessions().is_empty());
    // An inside address cannot come from outside, as ever.
    let forged = Pkt::udp("10.100.0.20:1", "10.100.0.10:2", b"");
    assert_eq!(world.uplink(&forged).dropped(), DropReason::Martian);
    // Fragments and ICMP errors pass as they are.
    for piece in Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[7; 3000]).cut(1480) {
        assert_eq!(world.lan(&piece).on(Side::Uplink).src.split(':').next(), Some("10.100.0.10"));
    }
    let quoted = Pkt::udp("8.8.8.8:53", "10.100.0.10:1000", b"x").ip();
    let error = Pkt::error("10.100.0.10", "8.8.8.8", (3, 3, 0), &quoted);
    assert_eq!(world.lan(&error).on(Side::Uplink).src, "10.100.0.10");
    // With both off nothing goes on.
    world.gateway.set_routing(Routing { forwarding: false, nat: false }).unwrap();
    assert_eq!(world.uplink(&back).dropped(), DropReason::ForwardingOff);
    world.gateway.set_routing(Routing::default()).unwrap();
    assert_eq!(world.uplink(&back).dropped(), DropReason::InsideFromOutside);
}

#[test]
fn on_the_host_s_own_address_there_is_no_doing_without_the_nat() {
    let mut config = config();
    let uplink = config.uplink.as_mut().unwrap();
    (uplink.shared, uplink.ports) = (true, 20_000..=29_999);
    let mut world = World::new(config);
    assert!(world.gateway.set_routing(NAT_OFF).is_err());
    assert_eq!(world.gateway.routing(), Routing::default());
    world.gateway.set_routing(FORWARDING_OFF).unwrap();
    // The host's own packets are the host's still.
    let host = Pkt::tcp("8.8.8.8:80", "203.0.113.2:22", SYN, b"");
    assert_eq!(world.uplink(&host).dropped(), DropReason::NotOurs);
}

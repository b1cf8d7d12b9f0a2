//! What the gateway meets with silence, as Linux does.

use gateway::{DropReason, Endpoint, Outcome, Probe, Protocol, Side, Verdict};
use wire::{VnetHeader, tcp, vnet};

use crate::world::packet::{ACK, SYN};
use crate::world::{OUTSIDE, Pkt, World, config};

const NODE: &str = "10.100.0.10";
const GATEWAY: &str = "10.100.0.1";

/// A packet whose sum, at `field` of what follows the IP header, is wrong.
fn spoilt(mut packet: Pkt, field: usize) -> Pkt {
    packet.body[field] ^= 0x55;
    packet
}

/// A message of a kind, with room for what it quotes.
fn message(src: &str, dst: &str, kind: u8) -> Pkt {
    let quoted = Pkt::udp(dst, src, b"about").ip();
    Pkt::error(src, dst, (kind, 0, 0), &quoted)
}

/// Of all that may be an error, or tell of another packet, nobody is told an error; of all else he is.
#[test]
fn no_error_is_sent_about_what_tells_of_another_packet() {
    for kind in 0..=255 {
        let told = !matches!(kind, 3 | 4 | 5 | 11 | 12 | 19..);
        let mut world = World::new(config());
        // Its hops run out; and a host of the same link, which is a detour.
        let out = world.lan(&message(NODE, "8.8.8.8", kind).ttl(1));
        let about = (kind, out.lines());
        // What the NAT does not pass is refused before that.
        let hops = matches!(kind, 0 | 8 | 13 | 14).then_some(DropReason::TtlExceeded);
        if kind == 8 || kind == 13 {
            assert_eq!(Some(out.dropped()), hops, "{about:?}");
            assert_eq!(out.one().icmp.unwrap().0, 11, "{about:?}");
        } else {
            assert!(out.frames.is_empty(), "{about:?}");
        }
        let out = world.lan(&message(NODE, "10.100.0.20", kind).ttl(1));
        assert_eq!(out.dropped(), DropReason::TtlExceeded);
        assert_eq!(out.frames.len(), usize::from(told), "{kind}");
        world.lan(&message(NODE, "10.100.0.20", kind));
        assert_eq!(world.gateway.counters().redirects, u64::from(told), "{kind}");
    }
}

#[test]
fn what_is_for_the_gateway_and_does_not_sum_up_is_discarded() {
    let mut world = World::new(config());
    let at = |port: u16| format!("{GATEWAY}:{port}");
    let from = format!("{NODE}:7");
    let mut discards = |packet: Pkt, field| {
        assert!(!world.lan(&packet).frames.is_empty(), "{packet:?} is answered");
        let out = world.lan(&spoilt(packet, field));
        assert_eq!((out.dropped(), out.frames.len()), (DropReason::BadChecksum, 0));
    };
    discards(Pkt::echo(NODE, GATEWAY, 8, 1, b"ping"), 2);
    discards(Pkt::udp(&from, &at(33434), b"data"), 6);
    discards(Pkt::tcp(&from, &at(81), SYN, b""), 16);
    discards(Pkt::tcp(&from, &at(81), ACK, b"data"), 16);
    // The other way, and without a NAT.
    let mut echo = Pkt::echo("8.8.8.8", OUTSIDE, 8, 1, b"ping");
    assert_eq!(world.uplink(&echo).frames.len(), 1);
    echo = spoilt(echo, 2);
    assert_eq!(world.uplink(&echo).dropped(), DropReason::BadChecksum);
}

/// A datagram may have none, what a device was to sum up has come from beside us, and of a fragment nobody
/// can tell.
#[test]
fn what_has_no_sum_yet_is_no_worse_for_it() {
    let mut world = World::new(config());
    let mut plain = Pkt::udp("10.100.0.10:7", "10.100.0.1:33434", b"data");
    plain.body[6..8].copy_from_slice(&[0, 0]);
    assert_eq!(world.lan(&plain).one().icmp.unwrap(), (3, 3, 0));
    let partial = Pkt {
        vnet: VnetHeader {
            flags: vnet::NEEDS_CSUM,
            csum_start: 34,
            csum_offset: 6,
            ..VnetHeader::default()
        },
        ..spoilt(Pkt::udp("10.100.0.10:7", "10.100.0.1:33434", b"data"), 6)
    };
    assert_eq!(world.lan(&partial).one().icmp.unwrap(), (3, 3, 0));
    let pieces = Pkt::echo(NODE, GATEWAY, 8, 1, &[7; 64]).cut(32);
    assert_eq!(world.lan(&pieces[0]).verdict, Verdict::Leg(gateway::LegId::FIRST));
}

/// What is to nobody's address is told nobody, and foretold so.
#[test]
fn addresses_that_no_host_has_are_met_with_silence() {
    let mut world = World::new(config());
    for (to, reason) in [
        ("0.0.0.0", DropReason::Multicast),
        ("255.255.255.255", DropReason::Multicast),
        ("224.0.0.251", DropReason::Multicast),
        ("127.0.0.1", DropReason::Martian),
        ("127.9.9.9", DropReason::Martian),
    ] {
        let out = world.lan(&Pkt::udp("10.100.0.10:7", &format!("{to}:9"), b"data"));
        assert_eq!((out.dropped(), out.frames.len()), (reason, 0), "{to}");
        let probe = Probe {
            side: Side::LAN,
            protocol: Protocol::Udp.into(),
            src: Endpoint::new(NODE.parse().unwrap(), 7),
            dst: Endpoint::new(to.parse().unwrap(), 9),
            flags: tcp::Flags(0),
            length: 32,
            ttl: 64,
            dont_fragment: true,
        };
        assert_eq!(world.gateway.preview(&probe, world.now).outcome, Outcome::Dropped(reason));
    }
    let out = world.lan(&Pkt::udp("10.100.0.10:7", "240.0.0.1:9", b"data"));
    assert_eq!((out.dropped(), out.one().icmp.unwrap()), (DropReason::NoRoute, (3, 0, 0)));
}

//! ICMP errors: through the NAT in both directions, and of the gateway's own.

use std::time::Duration;

use gateway::{DropReason, Side};
use wire::VnetHeader;

use crate::world::packet::{SYN, Seen, arp_request};
use crate::world::{OUTSIDE, Pkt, ROUTER, World, config, ip, mac};

/// A packet goes out from another port than its own, so that the translation shows.
fn crowded() -> World {
    let mut world = World::new(config());
    for to in ["1.1.1.1:1", "8.8.8.8:33434"] {
        world.lan(&Pkt::udp("10.100.0.20:4000", to, b"x"));
        world.lan(&Pkt::tcp("10.100.0.20:4000", to, SYN, b""));
    }
    world.lan(&Pkt::echo("10.100.0.20", "8.8.8.8", 8, 4000, b""));
    world
}

fn probes() -> [Pkt; 3] {
    [
        Pkt::udp("10.100.0.10:4000", "8.8.8.8:33434", b"probe"),
        Pkt::tcp("10.100.0.10:4000", "8.8.8.8:80", SYN, b""),
        Pkt::echo("10.100.0.10", "8.8.8.8", 8, 4000, b"probe"),
    ]
}

#[test]
fn an_error_from_outside_reaches_the_host_whose_packet_it_quotes() {
    for (n, probe) in probes().into_iter().enumerate() {
        for error in [(11, 0, 0), (3, 4, 1400), (3, 3, 0), (12, 0, 0)] {
            // RFC 792 quotes eight bytes; RFC 1812 as much as fits.
            for length in [28, usize::MAX] {
                let mut world = crowded();
                let sent = world.lan(&probe);
                let seen = sent.one();
                assert_ne!(
                    (seen.src_port(), seen.icmp.map(|_| seen.echo_id())),
                    (4000, Some(4000))
                );
                let quoted = ip(&sent.frames[0].2);
                let quoted = &quoted[..quoted.len().min(length)];
                let error = Pkt::error("198.51.100.1", OUTSIDE, error, quoted);
                let got = world.uplink(&error).on(Side::LAN);
                assert_eq!((got.src.as_str(), got.dst.as_str()), ("198.51.100.1", "10.100.0.10"));
                assert_eq!((got.icmp.unwrap().0, got.icmp.unwrap().2), {
                    let sent = Seen::packet(&error.ip()).icmp.unwrap();
                    (sent.0, sent.2)
                });
                // What the host sent, but for the hop it has gone.
                let inner = got.quoted();
                let original = Seen::packet(&probe.ip());
                assert_eq!((&inner.src, &inner.dst), (&original.src, &original.dst), "probe {n}");
                assert_eq!(inner.icmp, original.icmp);
                if length > 28 {
                    let (mut a, mut b) = (inner.ip, original.ip);
                    (a[8], b[8], a[10], b[10], a[11], b[11]) = (0, 0, 0, 0, 0, 0);
                    assert_eq!(a, b, "embedded checksums are those of the original");
                }
            }
        }
    }
}

#[test]
fn an_error_quotes_the_identification_its_host_has_chosen() {
    for (n, probe) in probes().into_iter().enumerate() {
        let mut world = crowded();
        // Several are on their way when the answers come, in another order; whole and cut.
        let sent: Vec<_> = (500..532u16)
            .flat_map(|id| {
                let probe = probe.clone().may_be_cut().id(id);
                let whole = world.lan(&probe).one();
                let first = world.lan(
                    &Pkt { body: [&probe.body[..], &[0; 3000]].concat(), ..probe }
                        .id(id + 1000)
                        .cut(1480)[0],
                );
                [(id, whole), (id + 1000, first.one())]
            })
            .collect();
        for (id, seen) in sent.into_iter().rev() {
            for length in [28, 548] {
                assert_ne!(seen.id, id);
                let quoted = &seen.ip[..seen.ip.len().min(length)];
                let error = Pkt::error("198.51.100.1", OUTSIDE, (11, 0, 0), quoted);
                let got = world.uplink(&error).on(Side::LAN).quoted();
                assert_eq!(got.id, id, "probe {n}");
                assert!(wire::Ipv4::parse_quoted(&got.ip[..]).unwrap().checksum_ok());
            }
        }
        // What cannot be cut has kept its own.
        let sent = world.lan(&probe.clone().id(7)).one();
        let error = Pkt::error("198.51.100.1", OUTSIDE, (11, 0, 0), &sent.ip);
        assert_eq!((sent.id, world.uplink(&error).on(Side::LAN).quoted().id), (7, 7));
    }
}

#[test]
fn a_silent_next_hop_is_told_with_the_identification_its_host_has_chosen() {
    let mut world = World::new(config());
    world.lan(&Pkt::udp("10.100.0.10:4000", "203.0.113.9:53", b"x").may_be_cut().id(4711));
    let told = world.pass(Duration::from_secs(5));
    let error = told.iter().find(|f| f.0 == Side::LAN && f.2[12..14] == [8, 0]).unwrap();
    assert_eq!(Seen::of(&error.2).quoted().id, 4711);
}

#[test]
fn an_error_from_inside_leaves_in_the_outside_form() {
    let mut world = crowded();
    let sent = world.lan(&probes()[0]).one();
    let reply = Pkt::udp("8.8.8.8:33434", &sent.src, b"reply");
    let arrived = world.uplink(&reply);
    let error = Pkt::error("10.100.0.10", "8.8.8.8", (3, 3, 0), ip(&arrived.frames[0].2));
    let got = world.lan(&error).on(Side::Uplink);
    assert_eq!((got.src.as_str(), got.dst.as_str()), (OUTSIDE, "8.8.8.8"));
    let inner = got.quoted();
    assert_eq!((inner.src.as_str(), inner.dst), ("8.8.8.8:33434", sent.src));
}

#[test]
fn errors_neither_refresh_nor_end_a_session() {
    let mut world = crowded();
    let sent = world.lan(&probes()[0]);
    let quoted = ip(&sent.frames[0].2).to_vec();
    world.jump(Duration::from_secs(299));
    let error = Pkt::error("198.51.100.1", OUTSIDE, (3, 1, 0), &quoted);
    assert_eq!(world.uplink(&error).frames.len(), 1);
    world.jump(Duration::from_millis(999));
    assert_eq!(world.uplink(&error).frames.len(), 1);
    world.jump(Duration::from_millis(1));
    assert_eq!(world.uplink(&error).dropped(), DropReason::BadIcmpError);
}

#[test]
fn errors_that_lie_are_dropped() {
    let mut world = crowded();
    let sent = world.lan(&probes()[0]);
    let quoted = ip(&sent.frames[0].2).to_vec();
    let error = |quoted: &[u8]| Pkt::error("198.51.100.1", OUTSIDE, (3, 1, 0), quoted);
    let mut bad_sum = error(&quoted);
    bad_sum.body[2] ^= 1;
    // Whole in itself, from the session's port of another address.
    let elsewhere = format!("203.0.113.3:{}", sent.one().src_port());
    let other_source = Pkt::udp(&elsewhere, "8.8.8.8:33434", b"probe").ip();
    let mut other_sum = quoted.clone();
    other_sum[15] ^= 1;
    let mut other_port = quoted.clone();
    other_port[20] ^= 0x10;
    let stranger = Pkt::udp(OUTSIDE, "9.9.9.9:1", b"x").ip();
    for lie in [
        bad_sum,
        error(&other_source),
        error(&other_sum),
        error(&other_port),
        error(&quoted[..27]),
        error(&quoted[..10]),
        error(&stranger),
    ] {
        assert_eq!(world.uplink(&lie).dropped(), DropReason::BadIcmpError);
    }
    // Less of a segment than RFC 792 promises, with both ports in it.
    let segment = world.lan(&Pkt::tcp("10.100.0.10:4000", "8.8.8.8:80", SYN, b""));
    let quoted = ip(&segment.frames[0].2).to_vec();
    for (length, passes) in [(24, false), (27, false), (28, true)] {
        let out = world.uplink(&error(&quoted[..length]));
        match passes {
            true => assert_eq!(out.on(Side::LAN).quoted().src, "10.100.0.10:4000"),
            false => assert_eq!(out.dropped(), DropReason::BadIcmpError, "{length}"),
        }
    }
    // From inside, about a packet from somebody else than it is sent to.
    let about = Pkt::udp("8.8.8.8:33434", "10.100.0.10:4000", b"x").ip();
    let lie = Pkt::error("10.100.0.10", "1.1.1.1", (3, 3, 0), &about);
    assert_eq!(world.lan(&lie).dropped(), DropReason::BadIcmpError);
}

#[test]
fn the_gateway_is_a_hop_of_a_traceroute() {
    let mut world = World::new(config());
    for probe in probes() {
        let out = world.lan(&probe.clone().ttl(1));
        assert_eq!(out.dropped(), DropReason::TtlExceeded);
        let error = out.on(Side::LAN);
        assert_eq!((error.src.as_str(), error.dst.as_str()), ("10.100.0.1", "10.100.0.10"));
        assert_eq!((error.icmp.unwrap().0, error.quoted().ip), (11, probe.ttl(1).ip()));
        assert_eq!(error.ip[1], 0xc0, "RFC 1812 4.3.2.5: the precedence of internetwork control");
    }
    // And of one from outside to a session.
    world.lan(&probes()[0]);
    let late = Pkt::udp("8.8.8.8:33434", "203.0.113.2:4000", b"x").ttl(1);
    let error = world.uplink(&late).on(Side::Uplink);
    assert_eq!((error.src.as_str(), error.icmp.unwrap().0), (OUTSIDE, 11));
    assert_eq!(error.quoted().ip, late.ip());
}

#[test]
fn what_cannot_be_reached_is_told() {
    let mut alone = config();
    alone.uplink = None;
    let mut world = World::empty(alone);
    let out = world.lan(&probes()[0]);
    assert_eq!((out.dropped(), out.on(Side::LAN).icmp.unwrap().1), (DropReason::NoRoute, 0));

    let mut world = World::new(config());
    let out = world.lan(&Pkt::udp("10.100.0.10:1", "10.100.0.1:53", b"?"));
    assert_eq!((out.dropped(), out.one().icmp.unwrap().1), (DropReason::NoService, 3));

    // What signs its addresses, in both directions; from outside whatever nobody here speaks.
    for number in [51, 132, 47, 50, 33] {
        let body = vec![0; 12];
        let out = [("10.100.0.10", "8.8.8.8"), ("8.8.8.8", OUTSIDE)].map(|(src, dst)| {
            let p = Pkt::raw(src.parse().unwrap(), dst.parse().unwrap(), number, body.clone());
            let inside = src.starts_with("10.");
            (number == 51 || !inside).then(|| match inside {
                true => world.lan(&p),
                false => world.uplink(&p),
            })
        });
        for out in out.into_iter().flatten() {
            assert_eq!((out.dropped(), out.one().icmp.unwrap().1), (DropReason::Protocol, 2));
        }
        // A traceroute by that protocol finds the gateway a hop like others.
        let ends = ["10.100.0.10", "8.8.8.8"].map(|end| end.parse().unwrap());
        let last = Pkt { ttl: 1, ..Pkt::raw(ends[0], ends[1], number, body) };
        let out = world.lan(&last);
        assert_eq!((out.dropped(), out.one().icmp.unwrap().0), (DropReason::TtlExceeded, 11));
    }
}

#[test]
fn a_node_s_segment_of_no_connection_is_answered_by_a_reset() {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const FIN: u8 = 1;
    let mut world = World::new(config());
    // Segments of the rig have sequence number 1 and acknowledge 2.
    for (flags, data, says) in [
        (SYN, &b""[..], (0, 2, 4 | ACK)),
        (SYN, b"early", (0, 7, 4 | ACK)),
        (ACK, b"", (2, 0, 4)),
        (SYN | ACK, b"", (2, 0, 4)),
        (FIN | ACK, b"last", (2, 0, 4)),
        (0, b"x", (0, 2, 4 | ACK)),
    ] {
        // What else comes by the outer address may be of a connection by hairpin, older than a flush.
        let outer = (flags == SYN).then_some("203.0.113.2:81");
        for to in ["10.100.0.1:81"].into_iter().chain(outer) {
            let out = world.lan(&Pkt::tcp("10.100.0.10:5000", to, flags, data));
            assert_eq!(out.dropped(), DropReason::NoService);
            let seen = out.on(Side::LAN);
            assert_eq!((seen.src.as_str(), seen.dst.as_str()), (to, "10.100.0.10:5000"));
            let tcp = wire::Tcp::parse(&seen.ip[20..]).unwrap();
            let said = (tcp.sequence(), tcp.acknowledgement(), tcp.flags().0);
            assert_eq!((said, seen.ttl), (says, 64), "{flags}");
        }
    }
    // Nobody resets a reset, or answers what does not sum up; the world meets silence.
    assert!(world.lan(&Pkt::tcp("10.100.0.10:5000", "10.100.0.1:81", 4, b"")).frames.is_empty());
    let mut bad = Pkt::tcp("10.100.0.10:5000", "10.100.0.1:81", SYN, b"");
    bad.body[16] ^= 1;
    assert!(world.lan(&bad).frames.is_empty());
    assert!(world.uplink(&Pkt::tcp("8.8.8.8:80", "203.0.113.2:81", ACK, b"")).frames.is_empty());
}

#[test]
fn a_silent_next_hop_is_told_to_the_sender_in_its_own_terms() {
    // The router does not answer.
    let mut world = World::empty(config());
    world.meet(Side::LAN, "10.100.0.10".parse().unwrap());
    let probe = probes()[0].clone();
    world.lan(&probe);
    let sent = world.pass(Duration::from_secs(4));
    let errors: Vec<_> = sent.iter().filter(|f| f.0 == Side::LAN).collect();
    assert_eq!((sent.len(), errors.len()), (3, 1), "asked twice more, then told");
    let error = Seen::of(&errors[0].2);
    assert_eq!((error.dst.as_str(), error.icmp.unwrap().1), ("10.100.0.10", 1));
    assert_eq!(error.quoted().src, "10.100.0.10:4000");
    assert_eq!(world.gateway.counters().waited_in_vain, 1);

    // For a second more it is not asked again.
    let mut world = World::empty(config());
    world.meet(Side::LAN, "10.100.0.10".parse().unwrap());
    world.lan(&probe);
    world.pass(Duration::from_millis(3100));
    let out = world.lan(&probe);
    assert_eq!(out.dropped(), DropReason::HostUnreachable);
    assert_eq!(out.on(Side::LAN).quoted().src, "10.100.0.10:4000");

    // An inside host has gone: the remote is told about the packet it sent.
    let mut world = World::new(config());
    let host = "10.100.0.77".parse().unwrap();
    let ask = arp_request(mac(host), host, "10.100.0.1".parse().unwrap());
    world.put(Side::LAN, VnetHeader::default(), ask);
    world.lan(&Pkt::udp("10.100.0.77:4000", "8.8.8.8:53", b"x"));
    world.pass(Duration::from_secs(61));
    world.meet(Side::Uplink, ROUTER);
    let reply = Pkt::udp("8.8.8.8:53", "203.0.113.2:4000", b"y");
    world.uplink(&reply);
    world.pass(Duration::from_millis(3100));
    let out = world.uplink(&reply);
    assert_eq!(out.dropped(), DropReason::HostUnreachable);
    let error = out.on(Side::Uplink);
    assert_eq!((error.dst.as_str(), error.quoted().dst.as_str()), ("8.8.8.8", "203.0.113.2:4000"));
}

#[test]
fn no_error_is_sent_about_an_error_or_a_later_fragment() {
    let mut world = crowded();
    let sent = world.lan(&probes()[0]);
    let quoted = ip(&sent.frames[0].2).to_vec();
    let error = Pkt::error("198.51.100.1", OUTSIDE, (3, 1, 0), &quoted).ttl(1);
    assert!(world.uplink(&error).frames.is_empty());
    let pieces = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[0; 64]).ttl(1).cut(32);
    assert_eq!(world.lan(&pieces[0]).frames.len(), 1);
    assert!(world.lan(&pieces[1]).frames.is_empty());
}

#[test]
fn errors_are_rate_limited() {
    let mut world = World::new(config());
    let probe = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", b"").ttl(1);
    let sent: usize = (0..1000).map(|_| world.lan(&probe).frames.len()).sum();
    let counters = world.gateway.counters();
    assert_eq!((sent, counters.icmp_errors, counters.icmp_limited), (40, 40, 960));
    // Another host has its own share.
    let other = Pkt::udp("10.100.0.20:1", "8.8.8.8:2", b"").ttl(1);
    assert_eq!(world.lan(&other).frames.len(), 1);
}

//! Protocols without ports: translated by address, one inside host to each remote.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{DropReason, Endpoint, IpProtocol, Node, Outcome, Probe, Routing, Side};
use wire::checksum::{fold, pseudo_header, sum};
use wire::{VnetHeader, tcp};

use crate::world::packet::check_sums;
use crate::world::{OUTSIDE, Pkt, Seen, World, config};

const REMOTE: &str = "8.8.8.8";
const FIRST: &str = "10.100.0.10";
const SECOND: &str = "10.100.0.20";

const DCCP: u8 = 33;
const GRE: u8 = 47;
const UDP_LITE: u8 = 136;

fn packet(number: u8, from: &str, to: &str, body: &[u8]) -> Pkt {
    let [from, to] = [from, to].map(|end| end.parse::<Ipv4Addr>().unwrap());
    let mut packet = Pkt::raw(from, to, number, body.to_vec());
    seal(&mut packet, body.len());
    packet
}

/// Fills the sum of those that have one with addresses in it, over so much.
fn seal(packet: &mut Pkt, covered: usize) {
    if [DCCP, UDP_LITE].contains(&packet.protocol) {
        packet.body[6..8].fill(0);
        let length = u16::try_from(packet.body.len()).unwrap();
        let pseudo = pseudo_header(packet.src, packet.dst, packet.protocol, length);
        let sum = !fold(pseudo + sum(&packet.body[..covered]));
        packet.body[6..8].copy_from_slice(&sum.to_be_bytes());
    }
}

/// A body in which each byte is another, and that covers all of itself.
fn body(length: u8) -> Vec<u8> {
    let mut body: Vec<u8> = (0..length).collect();
    body[4..6].fill(0);
    body
}

#[test]
fn protocols_without_ports_go_out_and_come_back_by_address() {
    let mut world = World::new(config());
    for number in [2, 4, DCCP, 41, GRE, 50, 89, 97, 112, 132, UDP_LITE, 99, 255] {
        let out = packet(number, FIRST, REMOTE, &body(64));
        let sent = world.lan(&out).on(Side::Uplink);
        assert_eq!((sent.src.as_str(), sent.dst.as_str(), sent.ttl), (OUTSIDE, REMOTE, 63));
        assert_eq!(sent.id, out.id, "nobody may cut it");
        let back = world.uplink(&packet(number, REMOTE, OUTSIDE, &body(64))).on(Side::LAN);
        assert_eq!((back.src.as_str(), back.dst.as_str(), back.ttl), (REMOTE, FIRST, 63));
        // Sums are looked at by the world.
        for (seen, was) in [(sent, out.body), (back, body(64))] {
            let kept = if [DCCP, UDP_LITE].contains(&number) { 8 } else { 0 };
            assert_eq!(seen.ip[20 + kept..], was[kept..], "{number}");
        }
        // A stranger is not let in.
        let stranger = world.uplink(&packet(number, "9.9.9.9", OUTSIDE, &body(64)));
        assert_eq!(stranger.dropped(), DropReason::Protocol);
    }
    let sessions = world.sessions();
    assert_eq!(sessions.len(), 13);
    let gre = sessions.iter().find(|s| s.protocol == IpProtocol(GRE)).unwrap();
    let inside = Endpoint::new(FIRST.parse().unwrap(), 0);
    assert_eq!((gre.inside, gre.outside_port, gre.state.as_str()), (inside, 0, "active"));
    assert_eq!((gre.packets_out, gre.packets_in, gre.bytes_out), (1, 1, 84));
    assert_eq!(world.gateway.sessions_by_address(), 13);
}

#[test]
fn a_second_host_to_the_same_remote_is_told() {
    let mut world = World::new(config());
    world.lan(&packet(GRE, FIRST, REMOTE, &body(40)));
    let second = packet(GRE, SECOND, REMOTE, &body(40));
    let out = world.lan(&second);
    assert_eq!(out.dropped(), DropReason::RemoteTaken);
    let told = out.on(Side::LAN);
    assert_eq!((told.dst.as_str(), told.icmp.unwrap()), (SECOND, (3, 13, 0)));
    assert_eq!(told.quoted().ip, second.ip(), "as it knows it");
    // To another, and by another protocol, it gets out.
    assert_eq!(world.lan(&packet(GRE, SECOND, "9.9.9.9", &body(40))).one().src, OUTSIDE);
    assert_eq!(world.lan(&packet(4, SECOND, REMOTE, &body(40))).one().src, OUTSIDE);
    // The first is not answered, and gives way after a while; the second is, and does not.
    world.pass(Duration::from_secs(10));
    assert_eq!(world.lan(&second).on(Side::Uplink).src, OUTSIDE);
    let answer = packet(GRE, REMOTE, OUTSIDE, &body(40));
    assert_eq!(world.uplink(&answer).on(Side::LAN).dst, SECOND);
    world.pass(Duration::from_secs(60));
    let refused = world.lan(&packet(GRE, FIRST, REMOTE, &body(40)));
    assert_eq!(refused.dropped(), DropReason::RemoteTaken);
    assert_eq!(world.uplink(&answer).on(Side::LAN).dst, SECOND);
    // Nor does a node speak under an address that is another's.
    let forged = world.forged(Node(9), &packet(GRE, SECOND, "7.7.7.7", &body(40)));
    assert_eq!(forged.dropped(), DropReason::Foreign);
}

#[test]
fn what_signs_its_addresses_never_passes_a_nat() {
    let mut world = World::new(config());
    let out = world.lan(&packet(51, FIRST, REMOTE, &body(40)));
    assert_eq!((out.dropped(), out.one().icmp.unwrap().1), (DropReason::Protocol, 2));
    // Where addresses stay as they are it does.
    world.gateway.set_routing(Routing { nat: false, forwarding: true }).unwrap();
    for number in [51, GRE] {
        assert_eq!(world.lan(&packet(number, FIRST, REMOTE, &body(40))).one().src, FIRST);
    }
    assert_eq!(world.sessions(), []);
    world.gateway.set_routing(Routing { nat: true, forwarding: false }).unwrap();
    let out = world.lan(&packet(GRE, FIRST, REMOTE, &body(40)));
    assert_eq!(out.dropped(), DropReason::ForwardingOff);
    world.gateway.set_routing(Routing::default()).unwrap();
    // There is no way round by our own address.
    let out = world.lan(&packet(GRE, FIRST, OUTSIDE, &body(40)));
    assert_eq!((out.dropped(), out.one().icmp.unwrap().1), (DropReason::Protocol, 2));
}

#[test]
fn errors_about_packets_without_ports_come_home_and_go_out() {
    let mut world = World::new(config());
    for number in [GRE, UDP_LITE, DCCP] {
        let out = packet(number, FIRST, REMOTE, &body(64)).may_be_cut().id(77);
        let sent = world.lan(&out).on(Side::Uplink);
        assert_ne!(sent.id, 77, "one of ours, for it may be cut");
        // With eight bytes quoted, and with all.
        for quoted in [28, sent.ip.len()] {
            let error = Pkt::error("9.9.9.9", OUTSIDE, (3, 4, 1400), &sent.ip[..quoted]);
            let home = world.uplink(&error).on(Side::LAN);
            assert_eq!((home.dst.as_str(), home.icmp.unwrap()), (FIRST, (3, 4, 1400)));
            let mut known = out.clone().ttl(63).ip();
            known.truncate(quoted);
            assert_eq!(home.quoted().ip, known, "{number}");
        }
        let back = packet(number, REMOTE, OUTSIDE, &body(64));
        let came = world.uplink(&back).on(Side::LAN);
        let error = Pkt::error(FIRST, REMOTE, (3, 2, 0), &came.ip);
        let left = world.lan(&error).on(Side::Uplink);
        assert_eq!((left.src.as_str(), left.quoted().ip), (OUTSIDE, back.ttl(63).ip()));
        // Of nothing that is known here, and from whom it does not concern.
        let stray = packet(number, OUTSIDE, "7.7.7.7", &body(64)).ip();
        let out = world.uplink(&Pkt::error("9.9.9.9", OUTSIDE, (3, 1, 0), &stray));
        assert_eq!(out.dropped(), DropReason::BadIcmpError);
        let out = world.lan(&Pkt::error(SECOND, REMOTE, (3, 2, 0), &came.ip));
        assert_eq!(out.dropped(), DropReason::BadIcmpError);
    }
    // Too large for the next link: as its sender knows it.
    let large = packet(GRE, FIRST, REMOTE, &vec![7; 1481]);
    let out = world.lan(&large);
    let told = out.on(Side::LAN);
    assert_eq!((out.dropped(), told.icmp.unwrap()), (DropReason::TooBig, (3, 4, 1500)));
    assert_eq!(told.quoted().ip, large.ip()[..told.data.len()]);
}

#[test]
fn fragments_without_ports_pass_in_any_order() {
    let mut world = World::new(config());
    for (number, order) in [(GRE, [0, 1, 2]), (4, [2, 0, 1]), (UDP_LITE, [1, 2, 0])] {
        let whole = packet(number, FIRST, REMOTE, &body(120)).id(5);
        let mut left = Vec::new();
        for piece in order {
            let out = world.lan(&whole.cut(48)[piece]);
            left.extend(out.frames.iter().map(|(_, _, frame)| Seen::of(frame)));
        }
        assert_eq!(left.len(), 3, "{number}");
        let new = left[0].id;
        assert!(left.iter().all(|seen| seen.id == new && seen.src == OUTSIDE), "one datagram");
        left.sort_by_key(|seen| seen.fragment);
        let joined: Vec<u8> = left.iter().flat_map(|seen| seen.ip[20..].to_vec()).collect();
        let sent = packet(number, OUTSIDE, REMOTE, &body(120));
        assert_eq!(joined, sent.body, "{number}");
        // In, none waits for another.
        let whole = packet(number, REMOTE, OUTSIDE, &body(120)).id(6);
        for piece in order {
            let seen = world.uplink(&whole.cut(48)[piece]).on(Side::LAN);
            assert_eq!((seen.dst.as_str(), seen.id), (FIRST, 6));
        }
    }
    assert_eq!(world.gateway.fragment_usage(), (0, 0));
    // A first one without its sum.
    for number in [DCCP, UDP_LITE] {
        let first =
            Pkt { fragment: (0, true), df: false, ..packet(number, FIRST, REMOTE, &[0; 8]) };
        let out = world.lan(&Pkt { body: vec![0; 7], ..first.clone() });
        assert_eq!(out.dropped(), DropReason::TinyFragment);
        let out = world.lan(&Pkt { body: vec![0; 7], fragment: (0, false), ..first });
        assert_eq!(out.dropped(), DropReason::Truncated);
    }
}

#[test]
fn sums_over_a_part_or_left_to_the_device_are_changed_by_the_addresses() {
    let mut world = World::new(config());
    // UDP-Lite that covers its header alone, and twenty bytes.
    for covered in [8u16, 20] {
        let mut packet = packet(UDP_LITE, FIRST, REMOTE, &body(64));
        packet.body[4..6].copy_from_slice(&covered.to_be_bytes());
        seal(&mut packet, covered.into());
        let sent = world.lan(&packet).on(Side::Uplink);
        assert_eq!(sent.ip[28..], packet.body[8..]);
    }
    // Where a device makes it, it makes the right one.
    for number in [DCCP, UDP_LITE] {
        let partial = packet(number, FIRST, REMOTE, &body(64)).offloaded(0, 0);
        let out = world.lan(&partial);
        let (_, mut vnet, mut frame) = out.frames[0].clone();
        assert!(vnet.needs_csum());
        let end = frame.len();
        wire::offload::complete_checksum(&mut vnet, &mut frame, end);
        check_sums(vnet, &frame);
    }
    // None at all stays none.
    let mut none = packet(UDP_LITE, FIRST, REMOTE, &body(64));
    none.body[6..8].fill(0);
    let mut memory = [
        VnetHeader::default().to_bytes().to_vec(),
        none.frame(crate::world::LAN_MAC, crate::world::mac(none.src)),
    ]
    .concat();
    let mut frame = wire::FrameMut::new(&mut memory, None).unwrap();
    let mut out = gateway::Collected::default();
    let verdict = world.gateway.from_lan(&mut frame, &mut out, world.now);
    assert_eq!((verdict, &frame.bytes[40..42]), (gateway::Verdict::Uplink, &[0, 0][..]));
}

#[test]
fn a_partial_sum_inside_gre_is_completed_where_the_packet_is_cut() {
    let mut world = World::new(config());
    world.gateway.set_uplink_link(crate::world::UPLINK_MAC, 600);
    let inner = Pkt::tcp("192.168.0.1:1", "192.168.0.2:2", tcp::Flags::ACK, &[3; 900]);
    let mut whole = vec![0, 0, 8, 0];
    whole.extend(inner.ip());
    let partial = inner.offloaded(0, 0);
    let mut gre = vec![0, 0, 8, 0];
    gre.extend(partial.ip());
    let vnet = VnetHeader { csum_start: 34 + 4 + 20, ..partial.vnet };
    let out = world.lan(&Pkt { vnet, df: false, ..packet(GRE, FIRST, REMOTE, &gre) });
    assert_eq!(out.frames.len(), 2);
    let joined: Vec<u8> =
        out.frames.iter().flat_map(|(_, _, frame)| Seen::of(frame).ip[20..].to_vec()).collect();
    assert_eq!(joined, whole);
}

#[test]
fn what_the_host_speaks_itself_stays_its_own() {
    let mut shared = config();
    let uplink = shared.uplink.as_mut().unwrap();
    (uplink.shared, uplink.ports) = (true, 20_000..=20_999);
    let mut world = World::new(shared);
    let inbound = packet(GRE, REMOTE, OUTSIDE, &body(40));
    assert_eq!(world.uplink(&inbound).dropped(), DropReason::NotOurs);
    assert!(world.uplink(&inbound).frames.is_empty(), "not a word");
    let later = Pkt { fragment: (48, false), df: false, ..inbound.clone() };
    assert_eq!(world.uplink(&later).dropped(), DropReason::NotOurs);
    let ours = packet(GRE, FIRST, REMOTE, &body(40));
    assert_eq!(world.lan(&ours).on(Side::Uplink).src, OUTSIDE);
    for packet in [&inbound, &later] {
        assert_eq!(world.uplink(packet).on(Side::LAN).dst, FIRST);
    }
    // It gets a tunnel there: ours ends, and is told.
    let remote = REMOTE.parse().ok();
    world.gateway.leave_to_host([(IpProtocol(GRE), remote)].into());
    assert_eq!(world.uplink(&inbound).dropped(), DropReason::NotOurs);
    let out = world.lan(&ours);
    assert_eq!((out.dropped(), out.one().icmp.unwrap().1), (DropReason::HostTunnel, 13));
    assert_eq!(world.lan(&packet(GRE, FIRST, "9.9.9.9", &body(40))).one().src, OUTSIDE);
    // One that takes in whatever comes.
    world.gateway.leave_to_host([(IpProtocol(GRE), None)].into());
    let out = world.lan(&packet(GRE, FIRST, "9.9.9.9", &body(40)));
    assert_eq!(out.dropped(), DropReason::HostTunnel);
    assert_eq!(world.lan(&packet(4, FIRST, REMOTE, &body(40))).one().src, OUTSIDE);
    world.gateway.leave_to_host([].into());
    assert_eq!(world.lan(&ours).on(Side::Uplink).src, OUTSIDE);
}

#[test]
fn a_packet_without_ports_is_explained() {
    let mut world = World::new(config());
    let end = |address: &str| Endpoint::new(address.parse().unwrap(), 0);
    let probe = |from| Probe {
        side: Side::LAN,
        protocol: IpProtocol(GRE),
        src: end(from),
        dst: end(REMOTE),
        flags: tcp::Flags(0),
        length: 84,
        ttl: 64,
        dont_fragment: true,
    };
    let told = world.gateway.preview(&probe(FIRST), world.now);
    let Outcome::Leaves { src, dst, .. } = told.outcome else { panic!("{told:?}") };
    assert_eq!((src, dst), (end(OUTSIDE), end(REMOTE)));
    assert!(
        told.steps
            .contains(&format!("nat: gre {FIRST} appears as {OUTSIDE}: a new session by address")),
        "{:?}",
        told.steps
    );
    world.lan(&packet(GRE, FIRST, REMOTE, &body(40)));
    let told = world.gateway.preview(&probe(SECOND), world.now);
    assert_eq!(told.outcome, Outcome::Dropped(DropReason::RemoteTaken));
}

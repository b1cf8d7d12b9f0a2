//! Any interleaving of packets from both sides, fragments, ICMP errors, ARP, time, and what the lab
//! asks for: ports published and withdrawn, flushes, another address or card of the uplink.
//!
//! No inside address leaves by the uplink, nothing that leaves has a wrong header checksum, an
//! answer to what left comes back to who sent it, and the tables keep their bounds.

#![no_main]

mod world;

use std::net::Ipv4Addr;

use gateway::{
    Collected, Config, Cursor, Endpoint, Gateway, Protocol, Published, Side, UplinkAddress, Verdict,
};
use libfuzzer_sys::fuzz_target;
use wire::{Ethernet, FrameMut, Icmp, Ipv4, MacAddr, Timestamp, VnetHeader, icmp, vnet};
use world::{LAN, OUTSIDE, ROUTER, UPLINK, arp, host, judge};

const SESSIONS: u32 = 32;

/// What a step does: kind, who, to whom, ports, flags, and the bytes that follow.
type Step = (u8, u8, u8, u8, u8, Vec<u8>);

fn remote(whom: u8) -> Ipv4Addr {
    match whom % 8 {
        0 => OUTSIDE,
        1 => Ipv4Addr::new(10, 100, 0, 1),
        2 => host(whom).0,
        3 => Ipv4Addr::from(u32::from(whom) << 24 | 1),
        n => Ipv4Addr::new(8, 8, 8, n),
    }
}

/// `[vnet | Ethernet | IPv4 | transport]` with sums that hold.
fn packet(
    hardware: (MacAddr, MacAddr),
    ends: (Ipv4Addr, Ipv4Addr),
    (protocol, fragment, ttl): (u8, u16, u8),
    transport: &[u8],
) -> Vec<u8> {
    world::packet(hardware, ends, (protocol, 0x0707, fragment, ttl), transport)
}

/// A transport header with its checksum, and `rest` behind it; an echo asks where `flags` is even.
fn transport(
    protocol: u8,
    ports: (u16, u16),
    flags: u8,
    ends: (Ipv4Addr, Ipv4Addr),
    rest: &[u8],
) -> Vec<u8> {
    let flags = match protocol {
        1 if flags & 1 == 0 => icmp::ECHO_REQUEST,
        1 => icmp::ECHO_REPLY,
        _ => flags,
    };
    world::transport(protocol, ports, flags, ends, rest)
}

/// A gateway that knows its router and its hosts, so that what follows is about packets.
fn acquainted(config: Config, now: Timestamp) -> Gateway {
    let mut gateway = Gateway::new(config, 1).unwrap();
    let mut out = Collected::default();
    for who in 0..4 {
        let (address, mac) = host(who);
        let mut memory = arp(1, (mac, address.octets()), (LAN, [10, 100, 0, 1]));
        gateway.from_lan(&mut FrameMut::new(&mut memory, None).unwrap(), &mut out, now);
        let ends = (address, Ipv4Addr::new(8, 8, 8, 8));
        let bytes = transport(17, (1, 53), 0, ends, b"who is the router?");
        let mut memory = packet((LAN, mac), ends, (17, 0, 64), &bytes);
        gateway.from_lan(&mut FrameMut::new(&mut memory, None).unwrap(), &mut out, now);
    }
    let mut memory = arp(2, (ROUTER, [203, 0, 113, 1]), (UPLINK, OUTSIDE.octets()));
    gateway.from_uplink(&mut FrameMut::new(&mut memory, None).unwrap(), &mut out, now);
    assert!(out.0.len() >= 8, "the router is not known: {}", out.0.len());
    gateway
}

/// The answer to a packet that left by the uplink: ends and ports exchanged.
fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let ip = Ipv4::parse(Ethernet::parse(frame)?.payload()).ok()?;
    let body = ip.payload();
    if ip.is_fragment() || body.len() < 8 {
        return None;
    }
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let ends = (ip.dst(), ip.src());
    let bytes = match ip.protocol() {
        1 if Icmp::parse(body)?.message_type() == 8 => {
            transport(1, (port(4), 0), 1, ends, &body[8..])
        }
        protocol @ (6 | 17) => transport(protocol, (port(2), port(0)), 0x10, ends, b"answer"),
        _ => return None,
    };
    Some(packet((UPLINK, ROUTER), ends, (ip.protocol(), 0, 60), &bytes))
}

/// What the lab asks of its gateway. The uplink's own address stays or goes, so that `judge` knows
/// what may leave.
fn ask(gateway: &mut Gateway, (what, who, port): (u8, u8, u8), now: Timestamp) {
    let protocol = if who & 1 == 0 { Protocol::Tcp } else { Protocol::Udp };
    let address = UplinkAddress {
        address: OUTSIDE,
        prefix_len: [24, 8, 32, 0][usize::from(who % 4)],
        next_hop: (who & 8 == 0).then_some(Ipv4Addr::new(203, 0, 113, 1)),
    };
    let outside = u16::from(port) + 1000;
    match what % 9 {
        0 => {
            gateway.flush_nat(now);
            assert_eq!(gateway.fragment_usage(), (0, 0));
        }
        1 => {
            let inside = Endpoint::new(host(who).0, 80);
            let address = (who & 16 != 0).then_some(OUTSIDE);
            let _ = gateway.publish(Published { protocol, address, port: outside, inside });
        }
        2 => {
            let before = gateway.published().len();
            let gone = gateway.unpublish(protocol, outside);
            assert_eq!(gateway.published().len(), before - usize::from(gone));
        }
        3 => {
            gateway.set_uplink_address(Some(address), now);
        }
        4 => {
            gateway.set_uplink_address(None, now);
            assert!(gateway.nat_usage().iter().all(|usage| usage.1 == 0), "sessions of no address");
        }
        5 => gateway.set_uplink_link(UPLINK, 576 + u16::from(port) * 40),
        6 => {
            gateway.keep_events(who & 1 == 0);
            gateway.drain_events().for_each(drop);
        }
        7 => {
            let limit = usize::from(port % 4) + 1;
            let (mut seen, mut next) = (0, Some(Cursor::default()));
            while let Some(cursor) = next {
                let (page, more) = gateway.sessions(cursor, limit, now);
                assert!(page.len() <= limit);
                seen += page.len();
                next = more;
            }
            assert!(seen <= 3 * SESSIONS as usize, "{seen} sessions");
            assert!(gateway.neighbours(now).len() <= 32);
        }
        _ => gateway.take_notes(who & 1 == 0),
    }
}

/// An ICMP error about a packet that left by the uplink.
fn error_about(frame: &[u8], code: u8, cut: u8) -> Option<Vec<u8>> {
    let quoted = Ethernet::parse(frame)?.payload();
    let quoted = &quoted[..quoted.len().min(usize::from(cut))];
    let kind = [3, 11, 12, 4, 5][usize::from(code % 5)];
    let mut bytes = vec![kind, code / 5 % 16, 0, 0, 0, 0, 5, 0];
    bytes.extend(quoted);
    icmp::fill_checksum(&mut bytes);
    Some(packet((UPLINK, ROUTER), (Ipv4Addr::new(9, 9, 9, 9), OUTSIDE), (1, 0, 60), &bytes))
}

fuzz_target!(|steps: Vec<Step>| {
    let mut config = Config::simulated(LAN, UPLINK);
    config.limits.sessions = SESSIONS;
    config.limits.fragment_flows = 8;
    config.limits.fragment_bytes = 8192;
    config.limits.neighbour_queue_bytes = 8192;
    config.limits.neighbours = 16;
    config.limits.pending_syns = 8;
    if let Some(uplink) = &mut config.uplink {
        uplink.ports = 1000..=1255;
    }
    let mut now = Timestamp::from_nanos(1);
    let mut gateway = acquainted(config, now);
    let mut out = Collected::default();
    let mut last: Option<(Ipv4Addr, Vec<u8>)> = None;
    for (kind, who, whom, ports, flags, mut rest) in steps {
        rest.truncate(2000);
        let (inside, mac) = host(who);
        let ends = (inside, remote(whom));
        let protocol = [1, 6, 17, 47][usize::from(kind % 4)];
        let ports = (u16::from(ports) + 1000, 53);
        let (side, mut memory) = match kind >> 2 {
            // From inside: whole, in fragments, with any time to live.
            0..16 => {
                let bytes = transport(protocol, ports, flags, ends, &rest);
                let fragment =
                    if kind & 0x20 == 0 { 0 } else { u16::from(flags) << 8 | u16::from(who) };
                let ttl = if flags == 0xee { 1 } else { 64 };
                (Side::LAN, packet((LAN, mac), ends, (protocol, fragment, ttl), &bytes))
            }
            // From outside, to the gateway, asked for or not.
            16..32 => {
                let ends = (remote(whom), OUTSIDE);
                let bytes = transport(protocol, (53, ports.0), flags, ends, &rest);
                let fragment =
                    if kind & 0x20 == 0 { 0 } else { u16::from(flags) << 8 | u16::from(who) };
                (Side::Uplink, packet((UPLINK, ROUTER), ends, (protocol, fragment, 60), &bytes))
            }
            32..40 => match last.as_ref().and_then(|(_, frame)| answer(frame)) {
                Some(frame) => (Side::Uplink, frame),
                None => continue,
            },
            40..46 => match last.as_ref().and_then(|(_, frame)| error_about(frame, flags, who)) {
                Some(frame) => (Side::Uplink, frame),
                None => continue,
            },
            // The router says who it is.
            46..50 => {
                (Side::Uplink, arp(2, (ROUTER, [203, 0, 113, 1]), (UPLINK, OUTSIDE.octets())))
            }
            50..54 => {
                now = Timestamp::from_nanos(now.as_nanos() + u64::from(flags) * 3_000_000_000);
                gateway.tick(&mut out, now);
                continue;
            }
            54..58 => {
                ask(&mut gateway, (flags, who, whom), now);
                continue;
            }
            // No plan at all, behind an honest Ethernet header, with any vnet header.
            _ => {
                let mut frame = rest.clone();
                frame.resize(frame.len().max(vnet::LEN + 14), flags);
                let to = if kind & 1 == 0 { LAN } else { UPLINK };
                frame[vnet::LEN..vnet::LEN + 6].copy_from_slice(&to.0);
                frame[vnet::LEN + 12..vnet::LEN + 14]
                    .copy_from_slice(&[8, if whom == 6 { 6 } else { 0 }]);
                (if kind & 1 == 0 { Side::LAN } else { Side::Uplink }, frame)
            }
        };
        let mut frame = FrameMut::new(&mut memory, None).unwrap();
        let verdict = match side {
            Side::Leg(_) => gateway.from_lan(&mut frame, &mut out, now),
            Side::Uplink => gateway.from_uplink(&mut frame, &mut out, now),
        };
        if let Some(note) = gateway.note() {
            assert!(note.steps(|side| side.to_string()).len() <= 4);
        }
        match verdict {
            Verdict::Leg(leg) => judge(Side::Leg(leg), frame.bytes),
            Verdict::Uplink => {
                judge(Side::Uplink, frame.bytes);
                let whole = frame.vnet() == VnetHeader::default();
                if side == Side::LAN && whole && kind >> 2 < 16 {
                    let out_bytes = frame.bytes.to_vec();
                    // Out, answered, and in again is the identity.
                    if protocol != 6 || flags & 4 == 0 {
                        if let Some(mut back) = answer(&out_bytes) {
                            let mut back = FrameMut::new(&mut back, None).unwrap();
                            let verdict = gateway.from_uplink(&mut back, &mut out, now);
                            if verdict == Verdict::LAN {
                                let ip =
                                    Ipv4::parse(Ethernet::parse(back.bytes).unwrap().payload());
                                assert_eq!(ip.unwrap().dst(), inside, "the answer went astray");
                            }
                        }
                    }
                    last = Some((inside, out_bytes));
                }
            }
            // No leg of this world has a kernel beside it.
            Verdict::Host(leg) => panic!("for the host of leg {leg}"),
            Verdict::Consumed(_) | Verdict::Drop(_) => {}
        }
        for (side, _, frame) in out.0.drain(..) {
            judge(side, &frame);
        }
    }
});

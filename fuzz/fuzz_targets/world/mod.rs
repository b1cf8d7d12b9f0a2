//! What the gateway's targets share: a gateway that knows its neighbours, packets that sum up, and
//! what must hold for every frame that leaves.
#![allow(dead_code)] // each target uses a part of it

use std::net::Ipv4Addr;

use gateway::{Collected, Config, Cursor, Gateway, SessionView, Side};
use wire::checksum::{fold, pseudo_header, sum};
use wire::{Ethernet, FrameMut, Icmp, Ipv4, MacAddr, Timestamp, VnetHeader, icmp, tcp, udp, vnet};

pub const LAN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub const UPLINK: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
pub const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const SESSIONS: u32 = 64;
pub const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

/// Ethernet and IPv4 begin here in `[vnet | frame]`.
pub const L2: usize = vnet::LEN;
pub const L3: usize = L2 + 14;

pub struct World {
    pub gateway: Gateway,
    pub now: Timestamp,
}

/// What left for one frame that came: side, and `[vnet | frame]`.
pub type Left = Vec<(Side, Vec<u8>)>;

/// An inside host's address and hardware address.
pub fn host(who: u8) -> (Ipv4Addr, MacAddr) {
    let who = who % 4 + 10;
    (Ipv4Addr::new(10, 100, 0, who), MacAddr([2, 0, 0, 0, 1, who]))
}

pub fn remote(whom: u8) -> Ipv4Addr {
    Ipv4Addr::new(8, 8, 8, whom % 4 + 1)
}

/// `[vnet | Ethernet | IPv4 | body]`; the header sums up.
pub fn packet(
    (to, from): (MacAddr, MacAddr),
    (src, dst): (Ipv4Addr, Ipv4Addr),
    (protocol, id, fragment, ttl): (u8, u16, u16, u8),
    body: &[u8],
) -> Vec<u8> {
    let mut memory = vec![0; vnet::LEN];
    memory.extend([&to.0[..], &from.0, &[8, 0]].concat());
    let total = u16::try_from(20 + body.len()).unwrap();
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([id.to_be_bytes(), fragment.to_be_bytes()].concat());
    header.extend([ttl, protocol, 0, 0]);
    header.extend([src.octets(), dst.octets()].concat());
    Ipv4::parse_quoted(&mut header[..]).unwrap().fill_checksum();
    memory.extend(header);
    memory.extend(body);
    memory
}

/// A transport header that sums up, with `rest` behind it. For ICMP `flags` is the type.
pub fn transport(
    protocol: u8,
    ports: (u16, u16),
    flags: u8,
    (src, dst): (Ipv4Addr, Ipv4Addr),
    rest: &[u8],
) -> Vec<u8> {
    let mut bytes = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    match protocol {
        1 => {
            bytes = [&[flags, 0, 0, 0][..], &ports.0.to_be_bytes(), &[0, 1], rest].concat();
            icmp::fill_checksum(&mut bytes);
        }
        6 => {
            bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            bytes.extend(rest);
            tcp::fill_checksum(&mut bytes, src, dst);
        }
        _ => {
            bytes.extend(u16::try_from(8 + rest.len()).unwrap().to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(rest);
            udp::fill_checksum(&mut bytes, src, dst);
        }
    }
    bytes
}

/// ARP from one to the other: 1 asks, 2 answers.
pub fn arp(operation: u8, from: (MacAddr, [u8; 4]), to: (MacAddr, [u8; 4])) -> Vec<u8> {
    let mut frame = vec![0; vnet::LEN];
    frame.extend([&to.0.0[..], &from.0.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat());
    frame.extend([&from.0.0[..], &from.1, &to.0.0, &to.1].concat());
    frame
}

impl World {
    /// A gateway with small tables that knows its hosts and its router.
    pub fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::simulated(LAN, UPLINK);
        config.limits.sessions = SESSIONS;
        config.limits.fragment_flows = 16;
        config.limits.fragment_bytes = 32 * 1024;
        config.limits.pending_syns = 8;
        if let Some(uplink) = &mut config.uplink {
            uplink.ports = 5000..=5255;
        }
        change(&mut config);
        let mut world = Self { gateway: Gateway::new(config, 1).unwrap(), now: NOW };
        for who in 0..4 {
            let (address, mac) = host(who);
            world.put(Side::LAN, arp(1, (mac, address.octets()), (LAN, [10, 100, 0, 1])));
        }
        let router = (ROUTER, [203, 0, 113, 1]);
        world.put(Side::Uplink, arp(1, router, (UPLINK, OUTSIDE.octets())));
        assert_eq!(world.gateway.neighbours(NOW).len(), 5);
        world
    }

    /// A frame comes; every frame that leaves is judged.
    pub fn put(&mut self, side: Side, mut memory: Vec<u8>) -> Left {
        let Some(mut frame) = FrameMut::new(&mut memory, None) else { return Vec::new() };
        let mut out = Collected::default();
        let verdict = match side {
            Side::Leg(_) => self.gateway.from_lan(&mut frame, &mut out, self.now),
            Side::Uplink => self.gateway.from_uplink(&mut frame, &mut out, self.now),
        };
        let mut left: Left = verdict.side().map(|side| (side, memory)).into_iter().collect();
        left.extend(
            out.0
                .into_iter()
                .map(|(side, vnet, frame)| (side, [&vnet.to_bytes()[..], &frame].concat())),
        );
        for (side, memory) in &left {
            judge(*side, &memory[L2..]);
        }
        let counters = self.gateway.counters();
        assert_eq!(counters.lan_in + counters.uplink_in, counters.accounted());
        assert!(self.gateway.nat_usage().iter().all(|usage| usage.1 <= SESSIONS));
        left.retain(|(_, memory)| memory[L2 + 12..L3] == [8, 0]);
        left
    }

    /// A packet from inside that is expected to leave masqueraded: its outside port.
    pub fn open(&mut self, protocol: u8, who: u8, ports: (u16, u16), whom: u8) -> u16 {
        let ((address, mac), to) = (host(who), remote(whom));
        let flags = if protocol == 1 { icmp::ECHO_REQUEST } else { tcp::Flags::SYN };
        let body = transport(protocol, ports, flags, (address, to), b"hello");
        let frame = packet((LAN, mac), (address, to), (protocol, 1, 0x4000, 64), &body);
        let left = self.put(Side::LAN, frame);
        let at = L3 + if protocol == 1 { 24 } else { 20 };
        u16::from_be_bytes([left[0].1[at], left[0].1[at + 1]])
    }

    pub fn sessions(&self) -> Vec<SessionView> {
        let (mut all, mut next) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = next {
            let (page, more) = self.gateway.sessions(cursor, usize::MAX, self.now);
            all.extend(page);
            next = more;
        }
        all
    }
}

/// What holds for every frame that leaves.
pub fn judge(side: Side, frame: &[u8]) {
    let ethernet = Ethernet::parse(frame).expect("a runt left");
    assert_eq!(ethernet.src(), if side == Side::LAN { LAN } else { UPLINK });
    if ethernet.ethertype() != 0x0800 {
        return;
    }
    let ip = Ipv4::parse(ethernet.payload()).expect("a packet left that is none");
    assert!(ip.checksum_ok(), "a header with a wrong checksum left");
    assert!(ip.ttl() > 0);
    match side {
        Side::Uplink => assert_eq!(ip.src(), OUTSIDE, "an inside address left by the uplink"),
        Side::Leg(_) => assert_eq!(ip.dst().octets()[..2], [10, 100], "a stranger on the LAN"),
    }
}

/// Whether the transport of a whole packet in `[vnet | frame]` sums up, the way its vnet header
/// says; None where there is no sum to look at.
pub fn sums_up(memory: &[u8]) -> Option<bool> {
    let vnet = VnetHeader::from_bytes(memory[..vnet::LEN].try_into().ok()?);
    let ip = Ipv4::parse(&memory[L3..]).ok()?;
    let l4 = ip.payload();
    let length = u16::try_from(l4.len()).ok()?;
    let at = match ip.protocol() {
        _ if ip.is_fragment() || l4.len() < 8 => return None,
        1 => return Some(Icmp::parse(l4)?.checksum_ok()),
        6 if l4.len() >= 20 => 16,
        17 if l4[6..8] != [0, 0] => 6,
        _ => return None,
    };
    let header = pseudo_header(ip.src(), ip.dst(), ip.protocol(), length);
    if vnet.needs_csum() {
        let field = u16::from_be_bytes([l4[at], l4[at + 1]]);
        // Ones' complement has two zeros.
        return Some(field % 0xffff == fold(header) % 0xffff);
    }
    Some(fold(header + sum(l4)) == 0xffff)
}

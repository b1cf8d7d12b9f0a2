//! A world in memory: a gateway, its clock, and hosts that are only addresses.
//!
//! [`World::lan`] and [`World::uplink`] put a packet in and return everything that came out. Each
//! frame that leaves is checked: every checksum sums up, and every frame in is accounted for.
#![allow(dead_code, clippy::cast_possible_truncation)] // each test file uses a part of it

pub mod beside;
pub mod packet;
pub mod twins;

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{Collected, Config, Gateway, LegId, Node, Side, Verdict};
use wire::{Arp, FrameMut, Ipv4, MacAddr, Timestamp, VnetHeader, vnet};

pub use packet::{Pkt, Seen};

pub const LAN_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub const UPLINK_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// The router on the uplink, through which all of the world is reached.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The address the NAT masquerades behind.
pub const OUTSIDE: &str = "203.0.113.2";

pub struct World {
    pub gateway: Gateway,
    pub now: Timestamp,
}

/// What came of one packet.
pub struct Out {
    pub verdict: Verdict,
    /// Every IP packet that left, the packet itself first.
    pub frames: Vec<(Side, VnetHeader, Vec<u8>)>,
    /// ARP that left.
    pub arps: Vec<(Side, Arp)>,
    /// ICMP redirects that left.
    pub redirects: Vec<(Side, VnetHeader, Vec<u8>)>,
}

pub fn config() -> Config {
    Config::simulated(LAN_MAC, UPLINK_MAC)
}

/// The hardware address of a host.
pub fn mac(address: Ipv4Addr) -> MacAddr {
    let o = address.octets();
    MacAddr([6, 0, o[0], o[1], o[2], o[3]])
}

/// The node a frame comes from, where every host is one of its own.
fn node(frame: &[u8]) -> Node {
    match frame[6..] {
        [6, 0, 10, 100, high, low, ..] => Node(u16::from_be_bytes([high, low])),
        [6, 0, 10, network, 0, low, ..] => Node(u16::from_be_bytes([network, low])),
        _ => Node::NOBODY,
    }
}

impl World {
    /// A gateway that knows the hosts 10.100.0.10, .20 and .30, and its router.
    pub fn new(config: Config) -> Self {
        let mut world = Self::empty(config);
        for host in [10, 20, 30] {
            world.meet(Side::LAN, Ipv4Addr::new(10, 100, 0, host));
        }
        world.meet(Side::Uplink, ROUTER);
        world
    }

    /// A gateway that has met nobody yet.
    pub fn empty(config: Config) -> Self {
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        Self { gateway: Gateway::new(config, 42).unwrap(), now }
    }

    /// A host asks for the gateway, which so learns of it.
    pub fn meet(&mut self, side: Side, host: Ipv4Addr) {
        let own = match side {
            Side::Leg(_) => Ipv4Addr::new(10, 100, 0, 1),
            Side::Uplink => OUTSIDE.parse().unwrap(),
        };
        self.put(side, VnetHeader::default(), packet::arp_request(mac(host), host, own));
    }

    pub fn lan(&mut self, packet: &Pkt) -> Out {
        self.put(Side::LAN, packet.vnet, packet.frame(LAN_MAC, mac(packet.src)))
    }

    /// From a host of a leg, which is a node of its own.
    pub fn leg(&mut self, leg: u16, packet: &Pkt) -> Out {
        let own = self.gateway.legs().find(|view| view.id == LegId(leg)).unwrap().config.mac;
        let frame = packet.frame(own, mac(packet.src));
        self.put(Side::Leg(LegId(leg)), packet.vnet, frame)
    }

    /// A host of a leg asks for one of the gateway's addresses.
    pub fn knock(&mut self, leg: u16, host: &str, own: &str) -> Out {
        let (host, own): (Ipv4Addr, Ipv4Addr) = (host.parse().unwrap(), own.parse().unwrap());
        let frame = packet::arp_request(mac(host), host, own);
        self.put(Side::Leg(LegId(leg)), VnetHeader::default(), frame)
    }

    pub fn uplink(&mut self, packet: &Pkt) -> Out {
        self.put(Side::Uplink, packet.vnet, packet.frame(UPLINK_MAC, mac(ROUTER)))
    }

    /// From a node that claims to be whoever the packet is from.
    pub fn forged(&mut self, node: Node, packet: &Pkt) -> Out {
        let frame = packet.frame(LAN_MAC, mac(packet.src));
        self.put_from((Side::LAN, node), packet.vnet, frame)
    }

    /// A node asks for the gateway by an address.
    pub fn claim(&mut self, node: Node, host: Ipv4Addr) -> Out {
        let MacAddr(mut mac) = mac(host);
        mac[1] = node.0 as u8;
        let frame = packet::arp_request(MacAddr(mac), host, Ipv4Addr::new(10, 100, 0, 1));
        self.put_from((Side::LAN, node), VnetHeader::default(), frame)
    }

    pub fn put(&mut self, side: Side, vnet: VnetHeader, frame: Vec<u8>) -> Out {
        let node = if side.is_inside() { node(&frame) } else { Node::NOBODY };
        self.put_from((side, node), vnet, frame)
    }

    pub fn put_from(
        &mut self,
        (side, node): (Side, Node),
        vnet: VnetHeader,
        frame: Vec<u8>,
    ) -> Out {
        let mut memory = vnet.to_bytes().to_vec();
        memory.extend(frame);
        let mut extra = Collected::default();
        let mut view = FrameMut::new(&mut memory, None).unwrap();
        let verdict = match side {
            Side::Leg(leg) => self.gateway.from_leg(leg, node, &mut view, &mut extra, self.now),
            Side::Uplink => self.gateway.from_uplink(&mut view, &mut extra, self.now),
        };
        let left = verdict.side();
        let vnet = view.vnet();
        let mut frames: Vec<_> =
            left.map(|side| (side, vnet, memory[vnet::LEN..].to_vec())).into_iter().collect();
        frames.extend(extra.0);
        self.check(&frames);
        let arp = |f: &(Side, VnetHeader, Vec<u8>)| f.2[12..14] == [0x08, 0x06];
        let arps = frames.extract_if(.., |f| arp(f)).collect::<Vec<_>>();
        let arps = arps.into_iter().map(|f| (f.0, Arp::parse(&f.2[14..]).unwrap())).collect();
        let redirect = |f: &(Side, VnetHeader, Vec<u8>)| {
            f.2[14] == 0x45 && f.2[20..22] == [0x40, 0] && f.2[23] == 1 && f.2[34] == 5
        };
        let redirects = frames.extract_if(.., |f| redirect(f)).collect();
        Out { verdict, frames, arps, redirects }
    }

    /// Lets time pass, a tick each second at the most.
    pub fn pass(&mut self, span: Duration) -> Vec<(Side, VnetHeader, Vec<u8>)> {
        let end = self.now + span;
        let mut all = Collected::default();
        while self.now < end {
            let next = self.gateway.tick(&mut all, self.now).unwrap_or(end);
            let step = self.now + Duration::from_secs(1);
            self.now = next.max(self.now + Duration::from_millis(1)).min(step).min(end);
        }
        self.gateway.tick(&mut all, self.now);
        self.check(&all.0);
        all.0
    }

    /// Lets time pass without a tick.
    pub fn jump(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    fn check(&self, frames: &[(Side, VnetHeader, Vec<u8>)]) {
        for (side, vnet, frame) in frames {
            packet::check_sums(*vnet, frame);
            let leg = |leg| self.gateway.legs().find(|view| view.id == leg).unwrap().config.mac;
            let from = match side {
                Side::Leg(id) => leg(*id),
                Side::Uplink => UPLINK_MAC,
            };
            assert_eq!(frame[6..12], from.0, "frames leave with the gateway's address");
        }
        let counters = self.gateway.counters();
        assert_eq!(counters.lan_in + counters.uplink_in, counters.accounted());
    }

    pub fn sessions(&self) -> Vec<gateway::SessionView> {
        let mut all = Vec::new();
        let mut from = Some(gateway::Cursor::default());
        while let Some(cursor) = from {
            let (page, next) = self.gateway.sessions(cursor, usize::MAX, self.now);
            all.extend(page);
            from = next;
        }
        all
    }
}

impl Out {
    /// The one frame that left, as values.
    #[track_caller]
    pub fn one(&self) -> Seen {
        assert_eq!(self.frames.len(), 1, "{:?}, not one frame: {}", self.verdict, self.lines());
        Seen::of(&self.frames[0].2)
    }

    /// The one frame that left, on this side.
    #[track_caller]
    pub fn on(&self, side: Side) -> Seen {
        let seen = self.one();
        assert_eq!(self.frames[0].0, side, "{}", self.lines());
        seen
    }

    #[track_caller]
    pub fn dropped(&self) -> gateway::DropReason {
        match self.verdict {
            Verdict::Drop(reason) => reason,
            other => panic!("{other:?}, not dropped: {}", self.lines()),
        }
    }

    pub fn lines(&self) -> String {
        let line =
            |f: &(Side, VnetHeader, Vec<u8>)| format!("{}: {}", f.0, wire::Summary::new(&f.2));
        self.frames.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

/// The IP packet of a frame, without padding.
pub fn ip(frame: &[u8]) -> &[u8] {
    let total = Ipv4::parse(&frame[14..]).unwrap().total_len();
    &frame[14..14 + total]
}

//! Where the oracle's script is played: hosts that are nothing but packets, on either side of a
//! router that is ours or Linux's.
//!
//! After each packet a marker goes out and another comes back by a session of its own. A router
//! keeps the order, so whatever it had to say about the packet has been heard by then.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::packet::{Names, Pkt};
use crate::READY;
use crate::support::{Process, Sandbox, Wire};

/// How long anything may take; generous, for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three hosts of the LAN. None is an address any kernel has.
pub(crate) const HOSTS: [&str; 3] = ["10.100.0.77", "10.100.0.78", "10.100.0.79"];
pub(crate) const OWN: &str = "203.0.113.2";
const INSIDE: &str = "10.100.0.1";
const ROUTER: &str = "203.0.113.1";
const MARKER: (&str, &str) = ("10.100.0.79", "198.51.100.250:9");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Lan,
    Wan,
}

/// Both ends of the router, and what has been heard there.
pub(crate) struct Net {
    lan: Wire,
    wan: Wire,
    /// The router's hardware addresses.
    doors: [[u8; 6]; 2],
    markers: u32,
    names: Names,
    told: Vec<(&'static str, String)>,
    lab: Option<Process>,
}

/// What came of one packet.
pub(crate) type Heard = Vec<(Side, Pkt)>;

/// Our own: a lab with one node and its simulated internet.
pub(crate) fn ours(sandbox: &Sandbox) -> Net {
    let mut lab = sandbox.start(&["run", "-n", "1"]);
    lab.wait_for(READY);
    Net::meet("vethpeer1", "vethpeerinet", Some(lab))
}

/// Linux's: the same two ends, and a namespace that forwards and masquerades.
pub(crate) fn linux(sandbox: &Sandbox) -> Net {
    let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    for name in ["net1", "inet", "router"] {
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
    }
    for (name, peer, port) in [("net1", "vethpeer1", "lan0"), ("inet", "vethpeerinet", "wan0")] {
        ip(&format!("-n {name} link add {peer} type veth peer {port} netns router"));
        ip(&format!("-n {name} link set {peer} up"));
        ip(&format!("-n router link set {port} up"));
    }
    ip("-n router addr add 10.100.0.1/16 dev lan0");
    ip("-n router addr add 203.0.113.2/24 dev wan0");
    ip("-n inet addr add 203.0.113.1/24 dev vethpeerinet");
    ip("-n router route add default via 203.0.113.1");
    let settings = "echo 1 > /proc/sys/net/ipv4/ip_forward; \
        echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; \
        echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter; \
        nft 'table ip nat { chain after { type nat hook postrouting priority 100; \
        oifname \"wan0\" masquerade; }; }'";
    sandbox.tool("ip", &["netns", "exec", "router", "sh", "-ec", settings]);
    Net::meet("vethpeer1", "vethpeerinet", None)
}

fn ethernet(dst: [u8; 6], src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst[..], &src, &ethertype.to_be_bytes(), payload].concat()
}

fn octets(address: &str) -> [u8; 4] {
    address.parse::<Ipv4Addr>().unwrap().octets()
}

/// ARP: operation, from whom, to whom.
fn arp(operation: u8, from: ([u8; 6], [u8; 4]), to: ([u8; 6], [u8; 4])) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, operation], &from.0[..], &from.1, &to.0, &to.1].concat()
}

/// Asks for the router, which so learns of the host that asks, and gives its hardware address.
fn introduce(wire: &mut Wire, host: &str, router: &str) -> [u8; 6] {
    let (mac, host, router) = (wire.mac, octets(host), octets(router));
    let question = arp(1, (mac, host), ([0; 6], router));
    let limit = Instant::now() + PATIENCE;
    while Instant::now() < limit {
        wire.send(&ethernet([0xff; 6], mac, 0x0806, &question));
        let answers = |f: &[u8]| {
            f.len() >= 42 && f[12..14] == [8, 6] && f[20..22] == [0, 2] && f[28..32] == router
        };
        if let Some(frame) = wire.next(Duration::from_millis(500), answers) {
            return frame[22..28].try_into().unwrap();
        }
    }
    panic!("the router does not answer ARP");
}

impl Net {
    fn meet(lan: &str, wan: &str, lab: Option<Process>) -> Self {
        let mut lan = Wire::open(Path::new("/run/netns/net1"), lan);
        let mut wan = Wire::open(Path::new("/run/netns/inet"), wan);
        let mut inside = [0; 6];
        for host in HOSTS {
            inside = introduce(&mut lan, host, INSIDE);
        }
        let outside = introduce(&mut wan, ROUTER, OWN);
        let doors = [inside, outside];
        let names = Names::default();
        let mut net = Self { lan, wan, doors, markers: 0, names, told: Vec::new(), lab };
        net.gather();
        net
    }

    fn put(&mut self, side: Side, packet: &Pkt) {
        let (wire, door) = match side {
            Side::Lan => (&mut self.lan, self.doors[0]),
            Side::Wan => (&mut self.wan, self.doors[1]),
        };
        wire.send(&ethernet(door, wire.mac, 0x0800, &packet.ip()));
    }

    /// Plays packets of one step, and gives what was heard and not yet told.
    pub(crate) fn play(&mut self, step: &'static str, side: Side, packets: &[Pkt]) -> Heard {
        for packet in packets {
            self.put(side, packet);
        }
        let heard = self.gather();
        let own = [OWN, INSIDE].map(|a| a.parse().unwrap());
        for line in self.lines(&heard, &own) {
            self.told.push((step, line));
        }
        heard
    }

    /// The one packet that was to be heard on that side.
    #[track_caller]
    pub(crate) fn one(&mut self, step: &'static str, side: Side, packet: &Pkt) -> Pkt {
        let mut heard = self.play(step, side, std::slice::from_ref(packet));
        assert_eq!(heard.len(), 1, "{step}: {heard:?}");
        heard.remove(0).1
    }

    fn gather(&mut self) -> Heard {
        self.markers += 1;
        let number = self.markers.to_be_bytes();
        let mut heard = Vec::new();
        // Each from a port of its own: the fast path would have a session of many overtake others.
        let from = format!("{}:{}", MARKER.0, 20_000 + self.markers);
        self.put(Side::Lan, &Pkt::udp(&from, MARKER.1, &number));
        let back = self.until(Side::Wan, number, &mut heard);
        let own = format!("{OWN}:{}", back.source());
        self.put(Side::Wan, &Pkt::udp(MARKER.1, &own, &number));
        self.until(Side::Lan, number, &mut heard);
        heard
    }

    /// Listens on one side until the marker comes; answers ARP meanwhile.
    fn until(&mut self, side: Side, marker: [u8; 4], heard: &mut Heard) -> Pkt {
        let wire = if side == Side::Lan { &mut self.lan } else { &mut self.wan };
        let limit = Instant::now() + PATIENCE;
        while Instant::now() < limit {
            let mac = wire.mac;
            let foreign = |f: &[u8]| f.len() > 34 && f[6..12] != mac;
            let Some(frame) = wire.next(Duration::from_millis(100), foreign) else { continue };
            let asks = frame[12..14] == [8, 6] && frame[20..22] == [0, 1];
            if asks && HOSTS.iter().any(|host| frame[38..42] == octets(host)) {
                let asked = (mac, frame[38..42].try_into().unwrap());
                let who = (frame[22..28].try_into().unwrap(), frame[28..32].try_into().unwrap());
                wire.send(&ethernet(who.0, mac, 0x0806, &arp(2, asked, who)));
            }
            if frame[12..14] != [8, 0] {
                continue;
            }
            let packet = Pkt::read(&frame[14..]);
            if packet.protocol == 17 && packet.body[8..] == marker {
                return packet;
            }
            heard.push((side, packet));
        }
        panic!("the marker did not come through on {side:?}");
    }

    /// What was heard as lines; the fragments of one datagram make one, whatever their order.
    fn lines(&mut self, heard: &Heard, own: &[Ipv4Addr]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut done = BTreeSet::new();
        for (side, packet) in heard {
            if packet.fragment == (0, false) {
                lines.push(format!("{side:?}: {}", self.names.line(packet, own, true)));
                continue;
            }
            let same = |p: &Pkt| (p.src, p.dst, p.id) == (packet.src, packet.dst, packet.id);
            if !done.insert((packet.src, packet.dst, packet.id)) {
                continue;
            }
            let mut pieces: Vec<_> = heard.iter().map(|h| &h.1).filter(|p| same(p)).collect();
            pieces.sort_by_key(|p| p.fragment.0);
            let mut whole = Pkt { fragment: (0, false), body: Vec::new(), ..pieces[0].clone() };
            for piece in &pieces {
                assert_eq!(piece.fragment.0, whole.body.len(), "a piece is missing: {pieces:?}");
                whole.body.extend(&piece.body);
            }
            assert!(!pieces[pieces.len() - 1].fragment.1, "the end is missing: {pieces:?}");
            let line = self.names.line(&whole, own, true);
            lines.push(format!("{side:?}: in {} pieces {line}", pieces.len()));
        }
        lines
    }

    /// Waits for one more packet on the far side.
    pub(crate) fn late(&mut self, within: Duration) -> Option<Pkt> {
        let mac = self.wan.mac;
        let foreign = |f: &[u8]| f.len() > 34 && f[6..12] != mac && f[12..14] == [8, 0];
        self.wan.next(within, foreign).map(|frame| Pkt::read(&frame[14..]))
    }

    /// Ends it, and gives everything that was heard, by step.
    pub(crate) fn told(self) -> Vec<(&'static str, String)> {
        if let Some(lab) = self.lab {
            lab.signal(Signal::SIGTERM);
            lab.ended().ok();
        }
        self.told
    }
}

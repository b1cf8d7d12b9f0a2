//! Linux as a router of three networks, two of which a firewall keeps apart, and the gateway itself: the
//! same packets, and each has the same answer on the same network.
//!
//! Linux is played by a namespace with `ip_forward`, three veth pairs and nft; the gateway in memory.
//! Meant to differ: what an error quotes of the time to live, which Linux has counted down by then, and
//! who says that an isolated network's router address cannot be reached: to us it does not speak.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gateway::{Collected, Config, Gateway, LegConfig, LegId, Node, Side};
use wire::{FrameMut, MacAddr, Timestamp};

use crate::nat_oracle::packet::{Names, Pkt};
use crate::support::{Sandbox, Wire, rooted};

/// The networks: 1 and 2 are routed to each other, 3 is isolated. In each, .1 is the router, .77 and
/// .78 are hosts that no kernel has.
const LEGS: [u8; 3] = [1, 2, 3];
/// The step in which Linux speaks from the address it was asked at, and ours from its own.
const SILENT: &str = "its address on an isolated network";
/// The MTU of network 2.
const NARROW: u16 = 1400;
const PATIENCE: Duration = Duration::from_secs(60);

fn own(leg: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, leg, 0, 1)
}

fn host(leg: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, leg, 0, host)
}

fn ethernet(dst: [u8; 6], src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst[..], &src, &ethertype.to_be_bytes(), payload].concat()
}

fn question(mac: [u8; 6], from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let arp = [&fixed[..], &mac, &from.octets(), &[0; 6], &to.octets()].concat();
    ethernet([0xff; 6], mac, 0x0806, &arp)
}

/// A step: its name, the network it comes from, the packet.
fn script() -> Vec<(&'static str, u8, Pkt)> {
    let udp = |src: &str, dst: &str| Pkt::udp(src, dst, b"hello");
    let ping = |src: &str, dst: &str| Pkt::icmp(src, dst, (8, 0, 9 << 16 | 1), b"ping");
    let about = udp("10.1.0.78:9", "10.1.0.77:53").ip();
    vec![
        ("to a routed network", 1, udp("10.1.0.77:9", "10.2.0.77:53")),
        ("and back", 2, udp("10.2.0.77:53", "10.1.0.77:9")),
        ("the last hop", 1, udp("10.1.0.77:9", "10.2.0.77:53").ttl(1)),
        ("a protocol without ports", 1, Pkt::raw("10.1.0.77", "10.2.0.77", 132, vec![0; 12])),
        ("an echo reply", 1, Pkt::icmp("10.1.0.77", "10.2.0.77", (0, 0, 9 << 16), b"pong")),
        ("to an isolated network", 1, udp("10.1.0.77:9", "10.3.0.77:53")),
        ("the same by TCP", 1, Pkt::tcp("10.1.0.77:9", "10.3.0.77:80", 2, (1, 0), b"")),
        ("from an isolated network", 3, udp("10.3.0.77:9", "10.1.0.77:53")),
        ("the last hop to an isolated network", 1, udp("10.1.0.77:9", "10.3.0.77:53").ttl(1)),
        ("too large for the next network", 1, Pkt::udp("10.1.0.77:9", "10.2.0.77:53", &[7; 1380])),
        (
            "an error about an isolated network",
            1,
            Pkt::icmp("10.1.0.77", "10.3.0.77", (3, 3, 0), &about),
        ),
        ("its own address", 1, ping("10.1.0.77", "10.1.0.1")),
        ("its address on another network", 1, ping("10.1.0.77", "10.2.0.1")),
        (SILENT, 1, ping("10.1.0.77", "10.3.0.1")),
        ("a closed port on another network", 1, udp("10.1.0.77:9", "10.2.0.1:53")),
        ("another network's source", 1, udp("10.2.0.77:9", "10.1.0.77:53")),
        ("another network's broadcast", 1, udp("10.1.0.77:9", "10.2.0.255:53")),
        ("a detour", 1, udp("10.1.0.77:9", "10.1.0.78:53")),
        ("an error on a detour", 1, Pkt::icmp("10.1.0.77", "10.1.0.78", (3, 3, 0), &about)),
    ]
}

/// What was heard, network by network, as lines in order.
fn lines(heard: &[(u8, Pkt)]) -> Vec<String> {
    let (mut names, own) = (Names::default(), LEGS.map(own));
    let mut lines: Vec<_> = heard
        .iter()
        .map(|(leg, packet)| {
            let line = names.line(packet, &own, true);
            let (outer, quoted) = line.split_once('(').unwrap_or((&line, ""));
            let quoted = quoted.replacen("ttl 63", "ttl 64", 1);
            format!("{leg}: {outer}{quoted}")
        })
        .collect();
    lines.sort();
    lines
}

/// Linux, and a wire into each of its networks.
struct Linux {
    wires: Vec<Wire>,
    doors: Vec<[u8; 6]>,
    markers: u16,
}

impl Linux {
    fn new(sandbox: &Sandbox) -> Self {
        let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
        ip("netns add router");
        ip("-n router link set lo up");
        for leg in LEGS {
            ip(&format!("netns add far{leg}"));
            ip(&format!("-n far{leg} link add host type veth peer leg{leg} netns router"));
            ip(&format!("-n far{leg} link set host up"));
            ip(&format!("-n router link set leg{leg} up"));
            ip(&format!("-n router addr add {}/24 dev leg{leg}", own(leg)));
        }
        ip(&format!("-n router link set leg2 mtu {NARROW}"));
        let settings = "cd /proc/sys/net/ipv4; echo 1 > ip_forward; echo 0 > icmp_ratelimit; \
            echo 1 > conf/all/rp_filter; \
            nft 'table ip rules { \
              chain between { type filter hook forward priority 0; \
                iifname \"leg3\" oifname != \"leg3\" reject with icmp type admin-prohibited; \
                iifname != \"leg3\" oifname \"leg3\" reject with icmp type admin-prohibited; }; \
              chain arrive { type filter hook input priority 0; \
                iifname != \"leg3\" ip daddr 10.3.0.1 reject with icmp type admin-prohibited; \
                iifname \"leg3\" ip daddr != 10.3.0.1 reject with icmp type admin-prohibited; }; }'";
        sandbox.tool("ip", &["netns", "exec", "router", "sh", "-ec", settings]);
        let open = |leg: &u8| Wire::open(PathBuf::from(format!("/run/netns/far{leg}")), "host");
        let mut linux =
            Self { wires: LEGS.iter().map(open).collect(), doors: Vec::new(), markers: 0 };
        for (leg, wire) in LEGS.iter().zip(&mut linux.wires) {
            let mut door = None;
            let limit = Instant::now() + PATIENCE;
            for number in [77, 78] {
                door = None;
                while door.is_none() && Instant::now() < limit {
                    wire.send(&question(wire.mac, host(*leg, number), own(*leg)));
                    let answer = |f: &[u8]| {
                        f.len() >= 42 && f[12..14] == [8, 6] && f[28..32] == own(*leg).octets()
                    };
                    door = wire.next(Duration::from_millis(500), answer);
                }
            }
            let door = door.expect("Linux answers ARP");
            linux.doors.push(door[22..28].try_into().unwrap());
        }
        linux
    }

    fn put(&mut self, leg: u8, packet: &Pkt) {
        let at = usize::from(leg - 1);
        let frame = ethernet(self.doors[at], self.wires[at].mac, 0x0800, &packet.ip());
        self.wires[at].send(&frame);
    }

    /// Sends a packet, and hears what comes of it until a marker has gone each way that it might.
    fn play(&mut self, leg: u8, packet: &Pkt) -> Vec<(u8, Pkt)> {
        self.put(leg, packet);
        let mut heard = Vec::new();
        let friend = if leg == 1 { 2 } else { 1 };
        for to in LEGS {
            self.markers += 1;
            let word = u32::from(self.markers) << 16 | 0xbeef;
            // Through the router where it lets anything through; else from its own address there.
            let (from, src, dst) = match to {
                _ if to == leg => (leg, host(leg, 78), own(leg)),
                _ if leg != 3 && to == friend => (leg, host(leg, 78), host(to, 78)),
                _ => (to, host(to, 78), own(to)),
            };
            let kind = if src.octets()[1] == dst.octets()[1] { 8 } else { 0 };
            let (src, dst) = (src.to_string(), dst.to_string());
            self.put(from, &Pkt::icmp(&src, &dst, (kind, 0, word), b"marker"));
            self.until(to, word, &mut heard);
        }
        heard
    }

    fn until(&mut self, leg: u8, word: u32, heard: &mut Vec<(u8, Pkt)>) {
        let wire = &mut self.wires[usize::from(leg - 1)];
        let mac = wire.mac;
        let limit = Instant::now() + PATIENCE;
        while Instant::now() < limit {
            let foreign = |f: &[u8]| f.len() > 34 && f[6..12] != mac && f[12..14] == [8, 0];
            let Some(frame) = wire.next(Duration::from_millis(100), foreign) else { continue };
            let packet = Pkt::read(&frame[14..]);
            if packet.protocol == 1 && packet.body[4..8] == word.to_be_bytes() {
                return;
            }
            heard.push((leg, packet));
        }
        panic!("the marker did not come through on network {leg}");
    }
}

/// The gateway, in memory.
struct Ours {
    gateway: Gateway,
    now: Timestamp,
}

const HOST_MAC: [u8; 6] = [6, 0, 0, 0, 0, 1];

impl Ours {
    fn new() -> Self {
        let mut config = Config::simulated(MacAddr::ZERO, MacAddr::ZERO);
        config.uplink = None;
        config.legs.clear();
        for leg in LEGS {
            let mac = MacAddr([2, 0, 0, 0, 0, leg]);
            let mut told = LegConfig::new(mac, own(leg), 24);
            match leg {
                1 => told.policy.routed = vec![LegId(2)],
                2 => told.mtu = NARROW,
                _ => {}
            }
            config.legs.push((LegId(leg.into()), told));
        }
        let gateway = Gateway::new(config, 1).unwrap();
        let mut ours = Self { gateway, now: Timestamp::ZERO + Duration::from_secs(1) };
        for leg in LEGS {
            for number in [77, 78] {
                ours.frame(leg, question(HOST_MAC, host(leg, number), own(leg)));
            }
        }
        ours
    }

    fn frame(&mut self, leg: u8, frame: Vec<u8>) -> Vec<(u8, Pkt)> {
        let mut memory = [vec![0; 10], frame].concat();
        let mut out = Collected::default();
        let mut view = FrameMut::new(&mut memory, None).unwrap();
        let id = LegId(leg.into());
        let verdict = self.gateway.from_leg(id, Node::NOBODY, &mut view, &mut out, self.now);
        let itself = verdict.side().map(|side| (side, view.bytes.to_vec()));
        let all = itself.into_iter().chain(out.0.into_iter().map(|(side, _, bytes)| (side, bytes)));
        all.filter(|(_, bytes)| bytes[12..14] == [8, 0])
            .map(|(side, bytes)| match side {
                Side::Leg(LegId(leg)) => (u8::try_from(leg).unwrap(), Pkt::read(&bytes[14..])),
                Side::Uplink => panic!("there is no uplink"),
            })
            .collect()
    }

    fn play(&mut self, leg: u8, packet: &Pkt) -> Vec<(u8, Pkt)> {
        self.frame(leg, ethernet([2, 0, 0, 0, 0, leg], HOST_MAC, 0x0800, &packet.ip()))
    }
}

#[test]
fn linux_and_the_gateway_route_alike() {
    rooted(|sandbox| {
        let (mut linux, mut ours) = (Linux::new(sandbox), Ours::new());
        let mut differ = Vec::new();
        let mut heard = 0;
        for (step, leg, packet) in script() {
            let theirs = lines(&linux.play(leg, &packet));
            let mut mine = lines(&ours.play(leg, &packet));
            if step == SILENT {
                mine.iter_mut()
                    .for_each(|line| *line = line.replace(") 10.1.0.1 >", ") 10.3.0.1 >"));
            }
            heard += mine.len();
            if theirs != mine {
                differ.push(format!("{step}:\n  Linux {theirs:#?}\n  ours  {mine:#?}"));
            }
        }
        assert!(differ.is_empty(), "{}", differ.join("\n"));
        assert!(heard >= 15, "{heard} packets");
    });
}

#[test]
fn a_node_that_takes_a_detour_is_told_and_goes_straight() {
    rooted(|sandbox| {
        let _lab = crate::lab(sandbox, &["run", "-n", "2"]);
        let net1 = |line: &str| {
            let args = ["netns", "exec", "net1"].into_iter().chain(line.split(' '));
            sandbox.tool("ip", &args.collect::<Vec<_>>())
        };
        net1("ip route add 10.100.0.20/32 via 10.100.0.1");
        assert!(net1("ping -c 3 -i 0.2 10.100.0.20").contains(" 0% packet loss"));
        let route = net1("ip route get 10.100.0.20");
        assert!(route.contains("redirected"), "{route}");
    });
}

//! Every reason to drop a frame can be produced: a reason nobody can reach is a defect.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{
    Config, DropReason, Endpoint, LegConfig, LegId, Limits, NatConfig, NatType, Node, Protocol,
    Published, Side,
};
use wire::{FrameMut, VlanTag, VnetHeader};

use crate::world::packet::{ACK, RST, SYN, arp_reply};
use crate::world::{LAN_MAC, OUTSIDE, Pkt, World, config, mac};

#[derive(Default)]
struct Reached(BTreeSet<DropReason>);

impl Reached {
    fn lan(&mut self, world: &mut World, packet: &Pkt) {
        let out = world.lan(packet);
        self.0.extend(match out.verdict {
            gateway::Verdict::Drop(reason) => Some(reason),
            _ => None,
        });
    }

    /// A session that gives way to nobody, where it can be had.
    fn settled(&mut self, world: &mut World, packet: &Pkt) {
        let out = world.lan(packet);
        if out.frames.len() == 1 {
            let seen = out.one();
            if seen.icmp.is_none() {
                world.uplink(&Pkt::udp(&seen.dst, &seen.src, b"y"));
            }
        }
        self.lan(world, packet);
    }

    fn uplink(&mut self, world: &mut World, packet: &Pkt) {
        if let gateway::Verdict::Drop(reason) = world.uplink(packet).verdict {
            self.0.insert(reason);
        }
    }

    fn raw(&mut self, world: &mut World, frame: Vec<u8>) {
        if let gateway::Verdict::Drop(reason) =
            world.put(Side::LAN, VnetHeader::default(), frame).verdict
        {
            self.0.insert(reason);
        }
    }
}

#[test]
fn every_drop_reason_is_reachable() {
    let mut r = Reached::default();
    let w = &mut World::new(config());
    let host = "10.100.0.10".parse().unwrap();
    let good = Pkt::udp("10.100.0.10:1", "8.8.8.8:2", b"x");
    let frame = good.frame(LAN_MAC, mac(host));

    r.raw(w, vec![0; 13]);
    r.raw(w, good.frame(mac(host), mac(host)));
    r.raw(w, [&frame[..12], &[0x86, 0xdd], &frame[14..]].concat());
    r.raw(w, frame[..30].to_vec());
    r.raw(w, arp_reply(LAN_MAC, mac(host), "8.8.8.8".parse().unwrap(), host));
    r.raw(w, arp_reply(LAN_MAC, mac(host), "10.100.0.1".parse().unwrap(), host));
    let mut bad = frame.clone();
    bad[24] ^= 1;
    r.raw(w, bad);
    let mut memory = [vec![0; 10], frame].concat();
    let tag = Some(VlanTag { tpid: 0x8100, tci: 7 });
    let mut tagged = FrameMut::new(&mut memory, tag).unwrap();
    let mut out = gateway::Collected::default();
    let gateway::Verdict::Drop(reason) = w.gateway.from_lan(&mut tagged, &mut out, w.now) else {
        panic!("a tagged frame passed")
    };
    r.0.insert(reason);

    r.lan(w, &Pkt { options: vec![137, 3, 4, 0], ..good.clone() });
    r.lan(w, &Pkt { vnet: VnetHeader { gso_type: 9, ..VnetHeader::default() }, ..good.clone() });
    r.lan(w, &Pkt::udp("9.9.9.9:1", "8.8.8.8:2", b"x"));
    r.lan(w, &Pkt::udp("10.100.0.10:1", "224.0.0.1:2", b"x"));
    r.lan(w, &good.clone().ttl(1));
    r.lan(w, &Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[0; 2000]));
    r.lan(w, &Pkt::udp("10.100.0.10:1", "240.0.0.1:2", b"x"));
    r.lan(w, &Pkt::udp("10.100.0.10:1", "10.100.0.1:2", b"x"));
    let remote = "8.8.8.8".parse().unwrap();
    r.lan(w, &Pkt::raw(host, remote, 51, vec![0; 12]));
    r.lan(w, &Pkt::raw(host, remote, 132, vec![0; 12]));
    r.lan(w, &Pkt::raw("10.100.0.20".parse().unwrap(), remote, 132, vec![0; 12]));
    w.gateway.leave_to_host([(gateway::IpProtocol(47), Some(remote))].into());
    r.lan(w, &Pkt::raw(host, remote, 47, vec![0; 12]));
    r.lan(w, &Pkt::icmp("10.100.0.10", "8.8.8.8", &[5, 0, 0, 0, 0, 0, 0, 0]));
    r.lan(w, &Pkt::raw(host, "8.8.8.8".parse().unwrap(), 17, vec![0; 4]));
    r.lan(w, &Pkt::tcp("10.100.0.10:1", "8.8.8.8:2", RST, b""));
    r.lan(w, &Pkt::tcp("10.100.0.10:1", "8.8.8.8:2", SYN, b"").cut(8)[0]);
    r.lan(w, &Pkt::error("10.100.0.10", "8.8.8.8", (3, 3, 0), &good.ip()));
    for _ in 0..1000 {
        r.lan(w, &Pkt::udp("10.100.0.10:1", "10.100.0.99:2", b"x"));
    }
    w.pass(Duration::from_millis(3100));
    r.lan(w, &Pkt::udp("10.100.0.10:1", "10.100.0.99:2", b"x"));
    w.lan(&good);
    r.uplink(w, &Pkt::udp("8.8.8.8:9", "203.0.113.2:1", b"x"));
    r.uplink(w, &Pkt::udp("8.8.8.8:9", "203.0.113.2:9", b"x"));
    r.uplink(w, &Pkt::udp("8.8.8.8:9", "10.100.0.10:1", b"x"));
    r.uplink(w, &Pkt::tcp("8.8.8.8:9", "203.0.113.2:9", SYN, b""));

    // An address shared with a kernel.
    let mut shared = config();
    shared.uplink.as_mut().unwrap().shared = true;
    shared.uplink.as_mut().unwrap().ports = 20_000..=20_001;
    let w = &mut World::new(shared);
    r.uplink(w, &Pkt::echo("8.8.8.8", OUTSIDE, 8, 7, b""));
    for n in ["10.100.0.10", "10.100.0.20", "10.100.0.30"] {
        r.settled(w, &Pkt::udp(&format!("{n}:1"), "8.8.8.8:2", b"x"));
    }

    // Several networks.
    let mut several = config();
    for (n, internal) in [(1, false), (2, true)] {
        let mut leg = LegConfig::new(LAN_MAC, Ipv4Addr::new(10, n, 0, 1), 24);
        leg.policy.internal = internal;
        several.legs.push((LegId(n.into()), leg));
    }
    let w = &mut World::new(several);
    r.0.insert(w.leg(1, &Pkt::udp("10.1.0.2:1", "10.100.0.10:2", b"x")).dropped());
    r.0.insert(w.leg(2, &Pkt::udp("10.2.0.2:1", "8.8.8.8:2", b"x")).dropped());
    let frame = good.frame(LAN_MAC, mac(host));
    r.0.insert(w.put(Side::Leg(LegId(9)), VnetHeader::default(), frame).dropped());

    // Where nobody listens behind the resolver's port, and whoever asks too much.
    let w = &mut World::new(config());
    w.gateway.serve_names();
    for _ in 0..=2000 {
        r.lan(w, &Pkt::udp("10.100.0.10:1", "10.100.0.1:53", b"x"));
    }

    // A table of two, and one host that wants both; nothing in it gives way.
    let limits = Limits { sessions: 2, fragment_bytes: 100, ..Limits::default() };
    let w = &mut World::new(Config { limits, ..config() });
    for n in [10, 10, 20, 30] {
        let port = w.sessions().len();
        r.settled(w, &Pkt::udp(&format!("10.100.0.{n}:{}", 9 + port), "8.8.8.8:2", b"x"));
    }
    r.lan(w, &Pkt::udp("10.100.0.10:1", "8.8.8.8:2", &[0; 64]).cut(32)[1]);
    // An address that is known to be at another node.
    r.0.insert(w.forged(Node(9), &Pkt::udp("10.100.0.10:99", "8.8.8.8:2", b"x")).dropped());

    // One endpoint published twice: the same remote cannot be told apart on the way back.
    let nat = NatConfig { kind: NatType::FullCone, ..NatConfig::default() };
    let w = &mut World::new(Config { nat, ..config() });
    for port in [80, 81] {
        let inside = Endpoint::new("10.100.0.20".parse().unwrap(), 8000);
        let protocol = Protocol::Tcp;
        w.gateway.publish(Published { protocol, address: None, port, inside }).unwrap();
        r.uplink(w, &Pkt::tcp("8.8.8.8:9", &format!("{OUTSIDE}:{port}"), SYN, b""));
    }
    r.uplink(w, &Pkt::tcp("8.8.8.8:10", "203.0.113.2:80", ACK, b""));

    let w = &mut World::new(config());
    w.gateway.set_routing(gateway::Routing { forwarding: false, nat: true }).unwrap();
    r.lan(w, &good);

    w.gateway.set_routing(gateway::Routing::default()).unwrap();
    w.gateway.bar([Endpoint::new("8.8.8.8".parse().unwrap(), 2)].into());
    r.lan(w, &good);

    let missing: Vec<_> = DropReason::ALL.iter().filter(|d| !r.0.contains(d)).collect();
    assert!(missing.is_empty(), "never produced: {missing:?}");
}

#[test]
fn every_reason_has_a_word_of_its_own_and_a_sentence() {
    let words: BTreeSet<_> = DropReason::ALL.iter().map(|d| d.as_str()).collect();
    assert_eq!(words.len(), DropReason::ALL.len());
    for (n, reason) in DropReason::ALL.iter().enumerate() {
        assert!(reason.index() == n && reason.describe().trim().ends_with('.'), "{reason}");
    }
}

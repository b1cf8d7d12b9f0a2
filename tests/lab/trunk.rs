//! A node on a trunk and the gateway: what it says with a VLAN's tag is taken as the VLAN's, and answered
//! with the tag, as by a Linux bridge that has its address in the VLAN.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use crate::door::{json, until};
use crate::fast_nat::{carried, gateway, routes};
use crate::names::resolver::{A, query};
use crate::support::{Process, Sandbox, Wire, bound, captured, in_netns};
use crate::{lab, netns};

const PATIENCE: Duration = Duration::from_secs(20);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 50);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
/// `server` has both VLANs with their tags.
const TRUNK: &str = "
networks:
  lan:
    vlan_filtering: true
    vlans: {10: {subnet: 10.10.0.0/24}, 20: {subnet: 10.20.0.0/24}}
nodes:
  red: {network: lan}
  server: {networks: {lan: {addresses: []}}}
ports:
  red: {vlans: [10 pvid untagged]}
  server: {vlans: [10, 20]}
";

fn trunk(sandbox: &Sandbox, fast: &str) -> (Process, Wire) {
    let file = sandbox.dir.join("trunk.yaml");
    std::fs::write(&file, TRUNK).unwrap();
    let run = lab(sandbox, &["run", file.to_str().unwrap(), "--fast-path", fast]);
    (run, Wire::open(netns("server"), "eth0"))
}

/// A frame in VLAN 10. A packet socket is shown what comes without its tag.
fn tagged(wire: &Wire, to: [u8; 6], ethertype: [u8; 2], body: &[u8]) -> Vec<u8> {
    [&to[..], &wire.mac, &[0x81, 0, 0, 10], &ethertype, body].concat()
}

fn packet(to: Ipv4Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let head = [0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
    let mut head = [&head[..], &OWN.octets(), &to.octets()].concat();
    let sum = wire::checksum::checksum(&head).to_be_bytes();
    head[10..12].copy_from_slice(&sum);
    [&head[..], body].concat()
}

/// A datagram without a sum.
fn datagram(to: Ipv4Addr, [from, port]: [u16; 2], data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    let head = [from, port, length, 0].map(u16::to_be_bytes).concat();
    packet(to, 17, &[&head[..], data].concat())
}

/// Asks who has the gateway's address in the VLAN; None where nobody says so.
fn ask(wire: &mut Wire, patience: Duration) -> Option<[u8; 6]> {
    let (own, asked) = (OWN.octets(), GATEWAY.octets());
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    let body = [&head[..], &wire.mac, &own, &[0; 6], &asked, &[0; 18]].concat();
    wire.send(&tagged(wire, [0xff; 6], [8, 6], &body));
    let answer = wire.next(patience, |got| got[12..14] == [8, 6] && got[28..32] == asked);
    answer.map(|got| got[6..12].try_into().unwrap())
}

#[test]
fn a_node_on_a_trunk_has_the_gateway_of_each_of_its_vlans() {
    captured(|sandbox| {
        let (_lab, mut wire) = trunk(sandbox, "off");
        let line = "tcpdump -Z root -l -nei eth0 -c 2 vlan 10 and src host 10.10.0.1";
        let mut seen = sandbox.start_shell(&format!("ip netns exec server {line}"));
        seen.wait_for_complaint("listening on");
        let mut trace = sandbox.start(&["trace", "-j", "-c", "3", "vlan 10 and (arp or icmp)"]);
        trace.wait_for_complaint("following frames");
        let gateway = ask(&mut wire, PATIENCE).expect("no answer to ARP");
        let mut echo = vec![8, 0, 0, 0, 0, 7, 0, 1];
        let sum = wire::checksum::checksum(&echo).to_be_bytes();
        echo[2..4].copy_from_slice(&sum);
        wire.send(&tagged(&wire, gateway, [8, 0], &packet(GATEWAY, 1, &echo)));
        let is_reply = |got: &[u8]| got[12..14] == [8, 0] && got[23] == 1 && got[34] == 0;
        assert!(wire.next(PATIENCE, is_reply).is_some(), "no answer to an echo");
        // Both left with the tag.
        let seen = seen.ended().ok().out;
        assert!(seen.contains("is-at") && seen.contains("echo reply"), "{seen}");
        let traced = trace.ended().ok().out;
        assert!(traced.contains("\"answered\"") && !traced.contains("\"dropped\""), "{traced}");
        // The resolver, and the world by the NAT.
        let question = datagram(GATEWAY, [5000, 53], &query(7, "red", A));
        wire.send(&tagged(&wire, gateway, [8, 0], &question));
        let is_told = |got: &[u8]| got[23] == 17 && got.ends_with(&[10, 10, 0, 2]);
        assert!(wire.next(PATIENCE, is_told).is_some(), "no answer of the resolver");
        let server = in_netns(netns("inet"), || bound(|| UdpSocket::bind("8.8.8.8:7000")));
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        wire.send(&tagged(&wire, gateway, [8, 0], &datagram(OUTSIDE, [5001, 7000], b"out")));
        let (_, from) = server.recv_from(&mut [0; 9]).unwrap();
        server.send_to(b"and back", from).unwrap();
        let is_back = |got: &[u8]| got[23] == 17 && got[42..].starts_with(b"and back");
        assert!(wire.next(PATIENCE, is_back).is_some(), "no answer from outside");
        let counters = json(sandbox, &["show", "counters", "-j"]);
        assert_eq!(counters["gateway"]["drops"]["tagged"].as_u64().unwrap_or(0), 0, "{counters}");
    });
}

/// Where VLANs are not told apart a tag is no word of the gateway's.
#[test]
fn tags_that_name_no_vlan_are_not_the_gateways() {
    captured(|sandbox| {
        let (_lab, mut wire) = trunk(sandbox, "off");
        sandbox.uswitch(&["network", "set", "lan", "--vlan-filtering", "off"]).ok();
        assert_eq!(ask(&mut wire, Duration::from_secs(1)), None);
        let counters = json(sandbox, &["show", "counters", "-j"]);
        assert!(counters["gateway"]["drops"]["tagged"].as_u64().unwrap() > 0, "{counters}");
    });
}

#[test]
fn the_kernel_sends_on_what_comes_by_a_trunk() {
    captured(|sandbox| {
        let (_lab, mut wire) = trunk(sandbox, "on");
        let gateway_mac = ask(&mut wire, PATIENCE).expect("no answer to ARP");
        let server = in_netns(netns("inet"), || bound(|| UdpSocket::bind("8.8.8.8:7000")));
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut exchange = || {
            let out = datagram(OUTSIDE, [5001, 7000], b"out");
            wire.send(&tagged(&wire, gateway_mac, [8, 0], &out));
            let (_, from) = server.recv_from(&mut [0; 9]).unwrap();
            server.send_to(b"and back", from).unwrap();
            let is_back = |got: &[u8]| got[23] == 17 && got[42..].starts_with(b"and back");
            assert!(wire.next(PATIENCE, is_back).is_some(), "no answer from outside");
        };
        until("the kernel sends on both ways", || {
            (0..20).for_each(|_| exchange());
            let flows = routes(sandbox, "udp");
            let way = |tag: &str| flows.iter().any(|flow| flow["tag"] == tag);
            (carried(&flows) > 20 && way("pop") && way("push")).then_some(())
        });
        gateway(sandbox);
    });
}

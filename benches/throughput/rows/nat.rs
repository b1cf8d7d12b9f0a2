//! The scenarios through the gateway: net1 on the LAN, 8.8.8.8 beyond the masquerade.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context as _, Result};
use wire::checksum;

use super::{Values, lan};
use crate::args::Args;
use crate::load::{frames, tcp};
use crate::peers::Lab;
use crate::topology::Node;

const GATEWAY: &str = "10.100.0.1";
const PORT: u16 = 9;

pub fn tcp_1(lab: &Lab, args: &Args) -> Result<Values> {
    lan::bulk("nat/tcp/1", lab, args, 1, false)
}

pub fn tcp_4(lab: &Lab, args: &Args) -> Result<Values> {
    lan::bulk("nat/tcp/4", lab, args, 4, false)
}

pub fn rtt_flood(lab: &Lab, args: &Args) -> Result<Values> {
    lan::round_trips("nat/rtt", lab, None, args.window(0.6))
}

pub fn connections(lab: &Lab, args: &Args) -> Result<Values> {
    let rate = tcp::connections(&lab.nodes[0], &lab.nodes[1], 4, args.window(0.6))?;
    Ok(vec![("nat/connections".into(), rate)])
}

/// One flow of 60-byte frames (UDP, 18 bytes of payload) flat out. A socket takes them in beyond,
/// so that no "port unreachable" comes back.
pub fn udp_60(lab: &Lab, args: &Args) -> Result<Values> {
    let (inside, outside) = (&lab.nodes[0], &lab.nodes[1]);
    let address = outside.address;
    let sink = outside.run(move || Ok(UdpSocket::bind((address, PORT))?))?;
    let frame = datagram(gateway_mac(inside)?, inside.mac()?, inside.address, address);
    let receivers = std::slice::from_ref(outside);
    let seen = frames::send(inside, receivers, &frame, None, args.window(0.6))?;
    drop(sink);
    Ok(vec![
        ("nat/udp/60".into(), seen.delivered / 1e3),
        ("nat/udp/60/lost".into(), seen.lost()),
        ("nat/udp/60/cpu".into(), seen.cpu_per_million),
    ])
}

/// The gateway's hardware address, from the node's neighbour table (it has been pinged through).
fn gateway_mac(node: &Node) -> Result<[u8; 6]> {
    node.run(|| {
        let table = std::fs::read_to_string("/proc/thread-self/net/arp")?;
        let line = table.lines().find(|l| l.split_whitespace().next() == Some(GATEWAY));
        let text = line.and_then(|l| l.split_whitespace().nth(3)).context("no gateway in ARP")?;
        let bytes: Vec<u8> =
            text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
        bytes.try_into().ok().context("a hardware address of six bytes")
    })
}

fn datagram(to: [u8; 6], from: [u8; 6], source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    const UDP: usize = 60 - 14 - 20;
    let mut frame = frames::plain(to, from, 60);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let (ip, udp) = frame[14..].split_at_mut(20);
    ip[..4].copy_from_slice(&[0x45, 0, 0, (20 + UDP) as u8]);
    ip[6] = 0x40;
    ip[8..10].copy_from_slice(&[64, 17]);
    ip[12..16].copy_from_slice(&source.octets());
    ip[16..20].copy_from_slice(&target.octets());
    let sum = checksum::checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    udp[..2].copy_from_slice(&40000u16.to_be_bytes());
    udp[2..4].copy_from_slice(&PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&(UDP as u16).to_be_bytes());
    let sum = checksum::pseudo_header(source, target, 17, UDP as u16) + checksum::sum(udp);
    udp[6..8].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    frame
}

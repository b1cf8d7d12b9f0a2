//! The smallest frames that carry UDP, for senders of raw frames: 60 bytes, 18 of them the payload.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use wire::checksum;

use super::frames;
use crate::topology::Node;

/// The port that they come from, where it does not matter.
pub const SOURCE: u16 = 40000;

/// The hardware address of a neighbour that the node has spoken with.
///
/// # Errors
/// Where it has not.
pub fn neighbour(node: &Node, address: Ipv4Addr) -> Result<[u8; 6]> {
    let address = address.to_string();
    node.run(move || {
        let table = std::fs::read_to_string("/proc/thread-self/net/arp")?;
        let own = |line: &&str| line.split_whitespace().next() == Some(&address);
        let text = table.lines().find(own).and_then(|line| line.split_whitespace().nth(3));
        let text = text.with_context(|| format!("no {address} in ARP"))?;
        let bytes: Vec<u8> =
            text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
        bytes.try_into().ok().context("a hardware address of six bytes")
    })
}

/// Such a frame.
pub fn smallest(
    to: [u8; 6],
    from: [u8; 6],
    (source, from_port): (Ipv4Addr, u16),
    (target, port): (Ipv4Addr, u16),
) -> Vec<u8> {
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
    udp[..2].copy_from_slice(&from_port.to_be_bytes());
    udp[2..4].copy_from_slice(&port.to_be_bytes());
    udp[4..6].copy_from_slice(&(UDP as u16).to_be_bytes());
    let sum = checksum::pseudo_header(source, target, 17, UDP as u16) + checksum::sum(udp);
    udp[6..8].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    frame
}

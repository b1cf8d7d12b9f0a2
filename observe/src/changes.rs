//! Which header fields differ between a frame as it came and as it left: what a router did to it.
//!
//! Fields are named as display filters of packet analysers name them. A frame that is cut off, or
//! of another kind than the one before, gives as many fields as both have.

use std::net::Ipv4Addr;

use wire::ipv4::protocol;
use wire::{Ethernet, Icmp, Ipv4, Tcp, Udp, ethernet, ethertype};

/// A header field that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name, such as `ip.ttl`.
    pub field: &'static str,
    /// As it came.
    pub before: String,
    /// As it left.
    pub after: String,
}

/// The fields that differ, in the order they stand in the frame.
#[must_use]
pub fn changes(before: &[u8], after: &[u8]) -> Vec<Change> {
    let (before, after) = (fields(before), fields(after));
    let same =
        |(name, _): &&(&'static str, String), other: &(&'static str, String)| *name == other.0;
    before
        .iter()
        .filter_map(|field| {
            let now = after.iter().find(|other| same(&field, other))?;
            (now.1 != field.1).then(|| Change {
                field: field.0,
                before: field.1.clone(),
                after: now.1.clone(),
            })
        })
        .collect()
}

fn fields(frame: &[u8]) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let Some(eth) = Ethernet::parse(frame) else { return fields };
    fields.push(("eth.dst", eth.dst().to_string()));
    fields.push(("eth.src", eth.src().to_string()));
    if eth.ethertype() == ethertype::IPV4 {
        ip(&frame[ethernet::HEADER_LEN..], &mut fields);
    }
    fields
}

fn ip(bytes: &[u8], fields: &mut Vec<(&'static str, String)>) {
    let Ok(ip) = Ipv4::parse_quoted(bytes) else { return };
    let address = |a: Ipv4Addr| a.to_string();
    fields.push(("ip.id", format!("{:#06x}", ip.id())));
    fields.push(("ip.ttl", ip.ttl().to_string()));
    fields.push(("ip.checksum", hex(bytes, 10)));
    fields.push(("ip.src", address(ip.src())));
    fields.push(("ip.dst", address(ip.dst())));
    if ip.fragment_offset() > 0 {
        return;
    }
    let payload = ip.payload();
    match ip.protocol() {
        protocol::TCP => {
            let Some(tcp) = Tcp::parse(payload) else { return };
            fields.push(("tcp.srcport", tcp.src_port().to_string()));
            fields.push(("tcp.dstport", tcp.dst_port().to_string()));
            fields.push(("tcp.checksum", hex(payload, wire::tcp::CHECKSUM_AT)));
        }
        protocol::UDP => {
            let Some(udp) = Udp::parse(payload) else { return };
            fields.push(("udp.srcport", udp.src_port().to_string()));
            fields.push(("udp.dstport", udp.dst_port().to_string()));
            fields.push(("udp.checksum", hex(payload, wire::udp::CHECKSUM_AT)));
        }
        protocol::ICMP => {
            let Some(icmp) = Icmp::parse(payload) else { return };
            fields.push(("icmp.type", icmp.message_type().to_string()));
            fields.push(("icmp.checksum", hex(payload, 2)));
            if matches!(icmp.kind(), wire::icmp::Kind::Request | wire::icmp::Kind::Reply) {
                fields.push(("icmp.ident", icmp.id().to_string()));
            } else {
                // An error quotes the packet it is about: translated as well.
                quoted(icmp.body(), fields);
            }
        }
        _ => {}
    }
}

fn quoted(bytes: &[u8], fields: &mut Vec<(&'static str, String)>) {
    let Ok(ip) = Ipv4::parse_quoted(bytes) else { return };
    fields.push(("icmp.about.src", ip.src().to_string()));
    fields.push(("icmp.about.dst", ip.dst().to_string()));
}

fn hex(bytes: &[u8], at: usize) -> String {
    bytes
        .get(at..at + 2)
        .map_or_else(String::new, |b| format!("{:#06x}", u16::from_be_bytes([b[0], b[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An echo request: Ethernet, IPv4 without options, eight bytes of ICMP.
    fn echo(src: [u8; 4], ttl: u8, id: u8) -> Vec<u8> {
        let mut frame = vec![6, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 28, 0, 7, 0x40, 0, ttl, 1, 0xab, ttl]);
        frame.extend(src);
        frame.extend([8, 8, 8, 8]);
        frame.extend([8, 0, 0x12, id, 0, id, 0, 1]);
        frame
    }

    #[test]
    fn what_a_gateway_changes_is_named() {
        let (before, mut after) = (echo([10, 100, 0, 10], 64, 7), echo([203, 0, 113, 2], 63, 9));
        after[..6].copy_from_slice(&[6, 0, 0, 0, 0, 9]);
        let found = changes(&before, &after);
        let rows: Vec<_> =
            found.iter().map(|c| (c.field, c.before.as_str(), c.after.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("eth.dst", "06:00:00:00:00:01", "06:00:00:00:00:09"),
                ("ip.ttl", "64", "63"),
                ("ip.checksum", "0xab40", "0xab3f"),
                ("ip.src", "10.100.0.10", "203.0.113.2"),
                ("icmp.checksum", "0x1207", "0x1209"),
                ("icmp.ident", "7", "9"),
            ]
        );
        assert!(changes(&before, &before).is_empty());
    }

    #[test]
    fn a_frame_cut_anywhere_is_no_matter() {
        let (before, after) = (echo([10, 100, 0, 10], 64, 7), echo([203, 0, 113, 2], 63, 9));
        for cut in 0..before.len() {
            assert!(changes(&before[..cut], &after).len() <= 6);
        }
    }
}

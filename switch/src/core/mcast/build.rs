//! Queries as they stand on the wire: IGMPv2 and v3 (RFC 2236, 3376), MLDv1 and v2 (RFC 2710, 3810).
//!
//! Pure; called by the querier of a network that has one. IGMP queries come from 0.0.0.0 as the
//! kernel's bridge sends them: a switch has no address of its own, and any router wins over it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use wire::{MacAddr, checksum};

use super::message::{ALL_NODES_6, Family};

/// Sources that fit into one query beside the rest, in the smallest MTU of Ethernet.
const SOURCES: usize = 64;

/// What is asked.
#[derive(Clone, Debug)]
pub(in crate::core) struct Question<'a> {
    /// The hardware address it is asked by.
    pub(in crate::core) by: MacAddr,
    /// 1 or 2 of MLD, 2 or 3 of IGMP: the older or the newer.
    pub(in crate::core) newer: bool,
    /// How long hosts may take to answer.
    pub(in crate::core) max_delay: Duration,
    /// How often all groups are asked for.
    pub(in crate::core) interval: Duration,
    /// None where all groups are asked for.
    pub(in crate::core) group: Option<IpAddr>,
    /// Sources asked for; without any, the group as a whole.
    pub(in crate::core) sources: &'a [IpAddr],
}

/// Appends the frame that asks.
pub(in crate::core) fn query(question: &Question<'_>, family: Family, out: &mut Vec<u8>) {
    match (family, question.group) {
        (Family::V4, None) => v4(question, Ipv4Addr::UNSPECIFIED, out),
        (Family::V4, Some(IpAddr::V4(group))) => v4(question, group, out),
        (Family::V6, None) => v6(question, Ipv6Addr::UNSPECIFIED, out),
        (Family::V6, Some(IpAddr::V6(group))) => v6(question, group, out),
        (_, Some(_)) => {}
    }
}

/// The link-local address a hardware address makes (RFC 4291, appendix A).
pub(in crate::core) fn link_local(mac: MacAddr) -> Ipv6Addr {
    let m = mac.0;
    let own = [m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]];
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8..].copy_from_slice(&own);
    octets.into()
}

/// A code for so many units, in the newer versions' floating point with `bits`.
fn code(units: u128, bits: u32) -> u16 {
    let linear = 1u128 << (bits - 1);
    if units < linear {
        return u16::try_from(units).unwrap_or(u16::MAX);
    }
    let mantissa = bits - 4;
    for exponent in 0..8u32 {
        let value = units >> (exponent + 3);
        if value < 1 << (mantissa + 1) {
            let low = u16::try_from(value & ((1 << mantissa) - 1)).unwrap_or(0);
            return 1 << (bits - 1) | u16::try_from(exponent << mantissa).unwrap_or(0) | low;
        }
    }
    u16::try_from((1u32 << bits) - 1).unwrap_or(u16::MAX)
}

/// Flags and interval of a newer query, then how many sources follow: no `S`, robustness 2.
fn newer(question: &Question<'_>, out: &mut Vec<u8>) {
    let interval = code(question.interval.as_secs().into(), 8);
    out.extend([2, u8::try_from(interval).unwrap_or(u8::MAX)]);
    let sources = &question.sources[..question.sources.len().min(SOURCES)];
    out.extend(u16::try_from(sources.len()).unwrap_or(0).to_be_bytes());
    for source in sources {
        match source {
            IpAddr::V4(source) => out.extend(source.octets()),
            IpAddr::V6(source) => out.extend(source.octets()),
        }
    }
}

fn v4(question: &Question<'_>, group: Ipv4Addr, out: &mut Vec<u8>) {
    let to = if group.is_unspecified() { Ipv4Addr::new(224, 0, 0, 1) } else { group };
    let [_, a, b, c] = to.octets();
    out.extend([0x01, 0x00, 0x5e, a & 0x7f, b, c]);
    out.extend(question.by.0);
    out.extend([0x08, 0x00]);
    let mut body = vec![0x11];
    let tenths = question.max_delay.as_millis() / 100;
    let tenths = if question.newer { code(tenths, 8) } else { tenths.try_into().unwrap_or(255) };
    body.extend([u8::try_from(tenths).unwrap_or(u8::MAX), 0, 0]);
    body.extend(group.octets());
    if question.newer {
        newer(question, &mut body);
    }
    let sum = checksum::checksum(&body).to_be_bytes();
    body[2..4].copy_from_slice(&sum);
    // With a router alert (RFC 2113), of network control, for this link alone.
    let length = u16::try_from(24 + body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut header = [0x46, 0xc0, length[0], length[1], 0, 0, 0x40, 0, 1, 2, 0, 0, 0, 0, 0, 0]
        .into_iter()
        .chain(to.octets())
        .chain([0x94, 4, 0, 0])
        .collect::<Vec<u8>>();
    let sum = checksum::checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    out.extend(header);
    out.extend(body);
}

fn v6(question: &Question<'_>, group: Ipv6Addr, out: &mut Vec<u8>) {
    let to = if group.is_unspecified() { ALL_NODES_6 } else { group };
    let from = link_local(question.by);
    let [.., a, b, c, d] = to.octets();
    out.extend([0x33, 0x33, a, b, c, d]);
    out.extend(question.by.0);
    out.extend([0x86, 0xdd]);
    let mut body = vec![130, 0, 0, 0];
    let millis = question.max_delay.as_millis();
    let millis =
        if question.newer { code(millis, 16) } else { millis.try_into().unwrap_or(u16::MAX) };
    body.extend(millis.to_be_bytes());
    body.extend([0, 0]);
    body.extend(group.octets());
    if question.newer {
        newer(question, &mut body);
    }
    let sum = checksum_v6(&body, from, to).to_be_bytes();
    body[2..4].copy_from_slice(&sum);
    let length = u16::try_from(8 + body.len()).unwrap_or(u16::MAX).to_be_bytes();
    out.extend([0x60, 0, 0, 0, length[0], length[1], 0, 1]);
    out.extend(from.octets());
    out.extend(to.octets());
    // Hop by hop: a router alert for MLD (RFC 2711), padding; then ICMPv6.
    out.extend([58, 0, 5, 2, 0, 0, 1, 0]);
    out.extend(body);
}

/// The checksum of an ICMPv6 message, its pseudo-header included (RFC 8200 8.1); 0 over one that
/// has the right one in it.
pub(in crate::core) fn checksum_v6(body: &[u8], from: Ipv6Addr, to: Ipv6Addr) -> u16 {
    let pseudo = checksum::sum(&from.octets()) + checksum::sum(&to.octets());
    !checksum::fold(pseudo + body.len() as u64 + 58 + checksum::sum(body))
}

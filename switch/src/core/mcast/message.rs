//! What a group frame says to a snooping switch: IGMP (RFC 1112, 2236, 3376), MLD (RFC 2710, 3810),
//! PIM hellos (RFC 7761 4.9.2) and router advertisements (RFC 4286) read out of its bytes; of any
//! other frame the group it is for.
//!
//! Pure, called for group frames of networks that snoop. What is refused is what the kernel's bridge
//! refuses (net/ipv4/igmp.c `ip_mc_check_igmp`, net/ipv6/mcast_snoop.c): a broken header, a wrong
//! checksum, a list that does not fit its packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use wire::{MacAddr, checksum};

/// Bytes of an Ethernet header.
const ETH: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const IGMP: u8 = 2;
const PIM: u8 = 103;
const HOP_BY_HOP: u8 = 0;
const ICMPV6: u8 = 58;
/// 224.0.0.13 and 224.0.0.106 (RFC 4286), and the latter's like of IPv6.
const ALL_PIM_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 13);
const ALL_SNOOPERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 106);
const ALL_SNOOPERS_6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x6a);
/// Every node of a link.
pub(in crate::core) const ALL_NODES_6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Which of the two a message or a timer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Family {
    V4,
    V6,
}

impl Family {
    pub(in crate::core) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What a group is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Of IP.
    Ip(IpAddr),
    /// Of anything else, by its hardware address.
    Mac(MacAddr),
}

/// What a group frame is.
#[derive(Debug)]
pub(in crate::core) enum Heard<'a> {
    /// Data for a group.
    Data {
        group: Group,
        source: Option<IpAddr>,
        /// Nobody but members and routers needs it; false for groups of the link itself.
        bounded: bool,
    },
    /// A report of IGMPv1, v2 or MLDv1.
    Join(IpAddr),
    /// A leave of IGMPv2, a done of MLDv1.
    Leave(IpAddr),
    /// A report of IGMPv3 or MLDv2.
    Report(Records<'a>),
    /// A query.
    Query(Query),
    /// A multicast router of a family says that it is one.
    Router(Family),
}

/// A query, as far as a switch needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Query {
    pub(in crate::core) from: IpAddr,
    /// None where all groups are asked for.
    pub(in crate::core) group: Option<IpAddr>,
    /// How long hosts may take to answer.
    pub(in crate::core) max_delay: Duration,
    /// It names sources.
    pub(in crate::core) of_sources: bool,
    /// Routers are not to lower their timers (RFC 3376 4.1.5).
    pub(in crate::core) suppress: bool,
    /// Of IGMPv3 or MLDv2.
    pub(in crate::core) newer: bool,
}

/// Why a frame cannot be what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Malformed;

/// Group records of a report, checked to lie within their packet.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Records<'a> {
    bytes: &'a [u8],
    family: Family,
}

/// What a group record says (RFC 3376 4.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Kind {
    IsInclude,
    IsExclude,
    ToInclude,
    ToExclude,
    Allow,
    Block,
}

/// One group record.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Record<'a> {
    /// None for a kind that nobody knows.
    pub(in crate::core) kind: Option<Kind>,
    pub(in crate::core) group: IpAddr,
    sources: &'a [u8],
    family: Family,
}

impl Record<'_> {
    pub(in crate::core) fn sources(&self) -> impl Iterator<Item = IpAddr> + Clone + '_ {
        let (size, family) = (size(self.family), self.family);
        self.sources.chunks_exact(size).filter_map(move |bytes| address(bytes, family))
    }

    pub(in crate::core) fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = record(self.bytes, self.family)?;
        self.bytes = rest;
        Some(record)
    }
}

fn size(family: Family) -> usize {
    if family == Family::V4 { 4 } else { 16 }
}

fn address(bytes: &[u8], family: Family) -> Option<IpAddr> {
    Some(match family {
        Family::V4 => IpAddr::V4(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?.into()),
        Family::V6 => IpAddr::V6(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?.into()),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The first record, and what follows it.
fn record(bytes: &[u8], family: Family) -> Option<(Record<'_>, &[u8])> {
    let kind = match bytes.first()? {
        1 => Some(Kind::IsInclude),
        2 => Some(Kind::IsExclude),
        3 => Some(Kind::ToInclude),
        4 => Some(Kind::ToExclude),
        5 => Some(Kind::Allow),
        6 => Some(Kind::Block),
        _ => None,
    };
    let size = size(family);
    let (auxiliary, count) = (usize::from(*bytes.get(1)?) * 4, usize::from(word(bytes, 2)?));
    let group = address(bytes.get(4..)?, family)?;
    let from = 4 + size;
    let sources = bytes.get(from..from + count * size)?;
    let rest = bytes.get(from + count * size + auxiliary..)?;
    Some((Record { kind, group, sources, family }, rest))
}

/// All records of a report that says it has `count` of them.
fn records(bytes: &[u8], count: u16, family: Family) -> Option<Records<'_>> {
    let mut rest = bytes;
    for _ in 0..count {
        rest = record(rest, family)?.1;
    }
    Some(Records { bytes: &bytes[..bytes.len() - rest.len()], family })
}

/// Reads a group frame, which stands here without its outermost tag.
pub(in crate::core) fn read(dst: MacAddr, frame: &[u8]) -> Result<Heard<'_>, Malformed> {
    let other = Heard::Data { group: Group::Mac(dst), source: None, bounded: false };
    match word(frame, 12) {
        Some(IPV4) => v4(&frame[ETH..]),
        Some(IPV6) => v6(&frame[ETH..]),
        _ => Ok(other),
    }
}

fn v4(packet: &[u8]) -> Result<Heard<'_>, Malformed> {
    let first = *packet.first().ok_or(Malformed)?;
    let (version, header) = (first >> 4, usize::from(first & 15) * 4);
    let total = usize::from(word(packet, 2).ok_or(Malformed)?);
    if version != 4 || header < 20 || total < header {
        return Err(Malformed);
    }
    let packet = packet.get(..total).ok_or(Malformed)?;
    let from = address(&packet[12..], Family::V4).ok_or(Malformed)?;
    let IpAddr::V4(to) = address(&packet[16..], Family::V4).ok_or(Malformed)? else {
        return Err(Malformed);
    };
    // 224.0.0.0/24: of the link itself, whatever is in them.
    let local = to.octets()[..3] == [224, 0, 0];
    let data = Heard::Data { group: Group::Ip(to.into()), source: Some(from), bounded: !local };
    let body = &packet[header..];
    match packet[9] {
        IGMP => igmp(body, from, to).map(|heard| heard.unwrap_or(data)),
        // Version 2, a hello.
        PIM if to == ALL_PIM_ROUTERS && body.first() == Some(&0x20) => {
            Ok(Heard::Router(Family::V4))
        }
        _ => Ok(data),
    }
}

/// None for a message that is none of a host's or a querier's.
fn igmp(body: &[u8], from: IpAddr, to: Ipv4Addr) -> Result<Option<Heard<'_>>, Malformed> {
    let kind = *body.first().ok_or(Malformed)?;
    let group = address(body.get(4..).ok_or(Malformed)?, Family::V4).ok_or(Malformed)?;
    if checksum::fold(checksum::sum(body)) != 0xffff {
        return Err(Malformed);
    }
    Ok(Some(match kind {
        0x12 | 0x16 => Heard::Join(group),
        0x17 => Heard::Leave(group),
        0x22 => {
            let count = word(body, 6).ok_or(Malformed)?;
            Heard::Report(records(&body[8..], count, Family::V4).ok_or(Malformed)?)
        }
        0x11 => {
            let general = group == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let newer = body.len() >= 12;
            if (general && to != ALL_NODES) || (!newer && body.len() != 8) {
                return Err(Malformed);
            }
            // Tenths of a second; a query of IGMPv1 leaves ten seconds (RFC 2236 4), for all groups.
            let (code, oldest) = (body[1], body[1] == 0 && !newer);
            let tenths = if newer { float(u32::from(code), 8) } else { code.into() };
            let tenths = if oldest { 100 } else { tenths };
            Heard::Query(Query {
                from,
                group: Some(group).filter(|_| !general && !oldest),
                max_delay: Duration::from_millis(u64::from(tenths) * 100),
                of_sources: newer && word(body, 10) != Some(0),
                suppress: newer && body[8] & 8 != 0,
                newer,
            })
        }
        0x30 if to == ALL_SNOOPERS => Heard::Router(Family::V4),
        _ => return Ok(None),
    }))
}

fn v6(packet: &[u8]) -> Result<Heard<'_>, Malformed> {
    let length = usize::from(word(packet, 4).ok_or(Malformed)?);
    let from = address(packet.get(8..).ok_or(Malformed)?, Family::V6).ok_or(Malformed)?;
    let to = address(packet.get(24..).ok_or(Malformed)?, Family::V6).ok_or(Malformed)?;
    let body = packet.get(40..40 + length).ok_or(Malformed)?;
    if packet[0] >> 4 != 6 {
        return Err(Malformed);
    }
    let bounded = to != IpAddr::V6(ALL_NODES_6);
    let data = Heard::Data { group: Group::Ip(to), source: Some(from), bounded };
    // MLD always has a router alert in a hop-by-hop header (RFC 2710 3).
    if packet[6] != HOP_BY_HOP {
        return Ok(data);
    }
    let next = *body.first().ok_or(Malformed)?;
    let options = 8 + usize::from(*body.get(1).ok_or(Malformed)?) * 8;
    let message = body.get(options..).ok_or(Malformed)?;
    if next != ICMPV6 {
        return Ok(data);
    }
    mld(message, from, to).map(|heard| heard.unwrap_or(data))
}

/// None for a message that is none of a host's or a querier's.
fn mld(body: &[u8], from: IpAddr, to: IpAddr) -> Result<Option<Heard<'_>>, Malformed> {
    let kind = *body.first().ok_or(Malformed)?;
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (from, to) else { return Err(Malformed) };
    if !sound(body, source, destination) {
        return Err(Malformed);
    }
    let group = || address(body.get(8..).unwrap_or_default(), Family::V6).ok_or(Malformed);
    Ok(Some(match kind {
        131 => Heard::Join(group()?),
        132 => Heard::Leave(group()?),
        143 => {
            let count = word(body, 6).ok_or(Malformed)?;
            Heard::Report(records(&body[8..], count, Family::V6).ok_or(Malformed)?)
        }
        130 => {
            let group = group()?;
            let general = group == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            let newer = body.len() >= 28;
            let link_local = source.segments()[0] & 0xffc0 == 0xfe80;
            if !link_local
                || (general && destination != ALL_NODES_6)
                || (!newer && body.len() != 24)
            {
                return Err(Malformed);
            }
            let code = u32::from(word(body, 4).ok_or(Malformed)?);
            let millis = if newer { float(code, 16) } else { code };
            Heard::Query(Query {
                from,
                group: Some(group).filter(|_| !general),
                max_delay: Duration::from_millis(millis.into()),
                of_sources: newer && word(body, 26) != Some(0),
                suppress: newer && body[24] & 8 != 0,
                newer,
            })
        }
        151 if destination == ALL_SNOOPERS_6 => Heard::Router(Family::V6),
        _ => return Ok(None),
    }))
}

/// A response code (RFC 3376 4.1.1, RFC 3810 5.1.3): linear in its lower half, then a floating point
/// number of a sign bit, three bits of exponent and the rest.
fn float(code: u32, bits: u32) -> u32 {
    if code < 1 << (bits - 1) {
        return code;
    }
    let mantissa = bits - 4;
    let exponent = code >> mantissa & 7;
    (code & ((1 << mantissa) - 1) | 1 << mantissa) << (exponent + 3)
}

/// Whether an ICMPv6 message's checksum is right, its pseudo-header included (RFC 8200 8.1).
fn sound(body: &[u8], from: Ipv6Addr, to: Ipv6Addr) -> bool {
    super::build::checksum_v6(body, from, to) == 0
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

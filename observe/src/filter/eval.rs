//! Asking a filter's questions of a frame.
//!
//! Each answer is `Some(yes or no)`, or None where the frame ends before the bytes asked about:
//! as in BPF, that ends the whole filter with "not wanted".

use std::net::{Ipv4Addr, Ipv6Addr};

use wire::VlanTag;
use wire::ethertype::{ARP, IPV4, IPV6, QINQ, VLAN};

use super::ast::{Dir, Expr, Families, Test, V4In};

/// Reverse ARP (RFC 903).
const RARP: u16 = 0x8035;
/// The tag type from before 802.1ad, which libpcap knows too.
const OLD_QINQ: u16 = 0x9100;
const IPV6_FRAGMENT: u8 = 44;
const SRC_AT: usize = 6;
const TYPE_AT: usize = 12;
const NET_AT: usize = 14;

pub(super) fn matches(root: &Expr, bytes: &[u8], vlan: Option<VlanTag>) -> bool {
    ask(root, &Bytes { bytes, vlan }) == Some(true)
}

fn ask(expr: &Expr, frame: &Bytes<'_>) -> Option<bool> {
    Some(match expr {
        Expr::Not(inner) => !ask(inner, frame)?,
        Expr::And(a, b) => ask(a, frame)? && ask(b, frame)?,
        Expr::Or(a, b) => ask(a, frame)? || ask(b, frame)?,
        Expr::Test { test, tags } => return test_one(test, frame, 4 * tags),
    })
}

/// The frame as it stands on the wire, with the tag in its place.
struct Bytes<'a> {
    bytes: &'a [u8],
    vlan: Option<VlanTag>,
}

impl Bytes<'_> {
    fn len(&self) -> usize {
        self.bytes.len() + if self.vlan.is_some() { 4 } else { 0 }
    }

    fn u8(&self, at: usize) -> Option<u8> {
        match (self.vlan, at) {
            (Some(tag), 12..16) => {
                let [a, b] = tag.tpid.to_be_bytes();
                let [c, d] = tag.tci.to_be_bytes();
                Some([a, b, c, d][at - 12])
            }
            (Some(_), 16..) => self.bytes.get(at - 4).copied(),
            _ => self.bytes.get(at).copied(),
        }
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut out = [0; N];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = self.u8(at + i)?;
        }
        Some(out)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }
}

fn test_one(test: &Test, frame: &Bytes<'_>, shift: usize) -> Option<bool> {
    let net = NET_AT + shift;
    let is = |kind: u16| frame.u16(TYPE_AT + shift).map(|k| k == kind);
    Some(match test {
        Test::EtherType(kind) => is(*kind)?,
        Test::EtherHost(dir, mac) => {
            ends(*dir, || Some(frame.array(SRC_AT)? == mac.0), || Some(frame.array(0)? == mac.0))?
        }
        Test::EtherMulticast => frame.u8(0)? & 1 == 1,
        Test::Protocol(families, number) => {
            (*families != Families::V6 && is(IPV4)? && frame.u8(net + 9)? == *number)
                || (*families != Families::V4 && is(IPV6)? && v6_protocol(frame, net, *number)?)
        }
        Test::V4(dir, place, addr, mask) => v4(frame, shift, *dir, *place, *addr, *mask)?,
        Test::V6(dir, addr, mask) => is(IPV6)? && v6(frame, net, *dir, *addr, *mask)?,
        Test::V4Multicast => is(IPV4)? && frame.u8(net + 16)? >= 224,
        Test::V6Multicast => is(IPV6)? && frame.u8(net + 24)? == 255,
        Test::Ports(dir, protocols, low, high) => {
            (is(IPV4)? && v4_ports(frame, net, *dir, protocols, *low, *high)?)
                || (is(IPV6)?
                    && protocols.contains(&frame.u8(net + 6)?)
                    && ports(frame, net + 40, *dir, *low, *high)?)
        }
        Test::Vlan(id) => {
            let tpid = frame.u16(TYPE_AT + shift)?;
            [VLAN, QINQ, OLD_QINQ].contains(&tpid)
                && match id {
                    Some(id) => frame.u16(TYPE_AT + shift + 2)? & 0xfff == *id,
                    None => true,
                }
        }
        Test::Less(len) => frame.len() <= *len,
        Test::Greater(len) => frame.len() >= *len,
    })
}

/// Combines what holds of the source and of the destination.
fn ends(
    dir: Dir,
    src: impl FnOnce() -> Option<bool>,
    dst: impl FnOnce() -> Option<bool>,
) -> Option<bool> {
    Some(match dir {
        Dir::Src => src()?,
        Dir::Dst => dst()?,
        Dir::Either => src()? || dst()?,
        Dir::Both => src()? && dst()?,
    })
}

fn v4(
    frame: &Bytes<'_>,
    shift: usize,
    dir: Dir,
    place: V4In,
    addr: Ipv4Addr,
    mask: u32,
) -> Option<bool> {
    let kind = frame.u16(TYPE_AT + shift)?;
    // Where sender's and receiver's address stand in IPv4 and in ARP.
    let (src, dst) = match (kind, place) {
        (IPV4, V4In::Ip | V4In::All) => (12, 16),
        (ARP, V4In::Arp | V4In::All) | (RARP, V4In::Rarp | V4In::All) => (14, 24),
        _ => return Some(false),
    };
    let within = |at: usize| {
        let found = u32::from_be_bytes(frame.array(NET_AT + shift + at)?);
        Some((found ^ u32::from(addr)) & mask == 0)
    };
    ends(dir, || within(src), || within(dst))
}

fn v6(frame: &Bytes<'_>, net: usize, dir: Dir, addr: Ipv6Addr, mask: u128) -> Option<bool> {
    // Four bytes at a time: what follows a word that differs is not asked for.
    let within = |at: usize| {
        for shift in [96, 64, 32, 0] {
            let found = u32::from_be_bytes(frame.array(net + at + 12 - shift / 8)?);
            let differs = u128::from(found) ^ (u128::from(addr) >> shift);
            if differs & (mask >> shift) & u128::from(u32::MAX) != 0 {
                return Some(false);
            }
        }
        Some(true)
    };
    ends(dir, || within(8), || within(24))
}

/// libpcap looks at the next header, and behind a fragment header, no further.
fn v6_protocol(frame: &Bytes<'_>, net: usize, number: u8) -> Option<bool> {
    let next = frame.u8(net + 6)?;
    Some(next == number || (next == IPV6_FRAGMENT && frame.u8(net + 40)? == number))
}

fn v4_ports(
    frame: &Bytes<'_>,
    net: usize,
    dir: Dir,
    protocols: &[u8],
    low: u16,
    high: u16,
) -> Option<bool> {
    if !protocols.contains(&frame.u8(net + 9)?) || frame.u16(net + 6)? & 0x1fff != 0 {
        return Some(false);
    }
    let header = 4 * usize::from(frame.u8(net)? & 0xf);
    ports(frame, net + header, dir, low, high)
}

fn ports(frame: &Bytes<'_>, at: usize, dir: Dir, low: u16, high: u16) -> Option<bool> {
    let within = |at: usize| frame.u16(at).map(|port| (low..=high).contains(&port));
    ends(dir, || within(at), || within(at + 2))
}

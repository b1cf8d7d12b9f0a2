//! Questions for neighbours that a switch answers itself (`neigh_suppress`): ARP requests (RFC 826)
//! and IPv6 neighbour solicitations (RFC 4861).
//!
//! Pure. As the kernel's bridge does it (net/bridge/br_arp_nd_proxy.c): a question for an address
//! behind a port that suppresses is answered on its behalf and not sent there; what announces an
//! address of its own is not sent there either.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use wire::{Arp, MacAddr, arp, checksum, ethertype};

/// What is known of a network's neighbours. Shared by workers, replaced as a whole.
pub type Neighbours = Arc<BTreeMap<IpAddr, MacAddr>>;

const ETH: usize = 14;
const IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// A question, or what looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Who asks.
    asker: IpAddr,
    asker_mac: MacAddr,
    /// Who is asked for.
    pub(super) target: IpAddr,
    /// Nobody is asked: the sender announces an address, or looks whether it is taken.
    pub(super) is_claim: bool,
}

/// Reads a group frame, which stands here without its outermost tag.
pub(super) fn read(frame: &[u8]) -> Option<Question> {
    match u16::from_be_bytes(frame.get(12..ETH)?.try_into().ok()?) {
        ethertype::ARP => of_arp(&Arp::parse(frame.get(ETH..)?)?),
        IPV6 => of_nd(frame),
        _ => None,
    }
}

fn of_arp(arp: &Arp) -> Option<Question> {
    if arp.target.is_loopback() || arp.target.is_multicast() {
        return None;
    }
    let is_claim = arp.sender.octets()[0] == 0 || arp.sender == arp.target;
    if arp.operation != arp::Operation::Request && !is_claim {
        return None;
    }
    let (asker, target) = (arp.sender.into(), arp.target.into());
    Some(Question { asker, asker_mac: arp.sender_mac, target, is_claim })
}

fn of_nd(frame: &[u8]) -> Option<Question> {
    let packet = frame.get(ETH..)?;
    let address =
        |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
    let (source, destination, message) = (address(8)?, address(24)?, packet.get(40..)?);
    if packet[0] >> 4 != 6 || packet[6] != ICMPV6 {
        return None;
    }
    let asker_mac = MacAddr(frame.get(6..12)?.try_into().ok()?);
    let target = IpAddr::V6(address(48)?);
    let question = |is_claim| Question { asker: source.into(), asker_mac, target, is_claim };
    match *message.first()? {
        SOLICITATION => Some(question(source.is_unspecified() || source == destination)),
        // An advertisement that nobody asked for.
        ADVERTISEMENT if message.get(4)? & 0x40 == 0 => Some(question(true)),
        _ => None,
    }
}

/// Appends the answer: `mac` has the address.
pub(super) fn reply(question: &Question, mac: MacAddr, out: &mut Vec<u8>) {
    out.extend(question.asker_mac.0);
    out.extend(mac.0);
    match (question.asker, question.target) {
        (IpAddr::V4(asker), IpAddr::V4(target)) => arp_reply(question, (asker, target), mac, out),
        (IpAddr::V6(asker), IpAddr::V6(target)) => advertisement((asker, target), mac, out),
        _ => {}
    }
}

fn arp_reply(
    question: &Question,
    (asker, target): (Ipv4Addr, Ipv4Addr),
    mac: MacAddr,
    out: &mut Vec<u8>,
) {
    let arp = Arp {
        operation: arp::Operation::Reply,
        sender_mac: mac,
        sender: target,
        target_mac: question.asker_mac,
        target: asker,
    };
    out.extend(ethertype::ARP.to_be_bytes());
    out.extend(arp.to_bytes());
}

/// Solicited, and to override what was known (RFC 4861 4.4).
fn advertisement((asker, target): (Ipv6Addr, Ipv6Addr), mac: MacAddr, out: &mut Vec<u8>) {
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, 0x60, 0, 0, 0];
    message.extend(target.octets());
    message.extend([2, 1]);
    message.extend(mac.0);
    let pseudo = checksum::sum(&target.octets()) + checksum::sum(&asker.octets());
    let sum = pseudo + message.len() as u64 + u64::from(ICMPV6) + checksum::sum(&message);
    message[2..4].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    out.extend(IPV6.to_be_bytes());
    out.extend([0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    out.extend(target.octets());
    out.extend(asker.octets());
    out.extend(message);
}

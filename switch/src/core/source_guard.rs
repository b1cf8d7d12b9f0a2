//! Who may speak from a port (IP source guard, dynamic ARP inspection, RA guard): frames from one
//! hardware address, packets and neighbour messages from its own addresses, and nothing that gives
//! others addresses or routers.
//!
//! Pure. Asked for each frame of a port that has one; what cannot be read to its end is refused, for
//! who receives it may read it otherwise (RFC 7113).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::{Arp, MacAddr, ethertype};

const ETH: usize = 14;
/// Tags that are looked behind.
const TAGS: usize = 2;
/// Extension headers of IPv6 that are looked behind; more have no use.
const EXTENSIONS: usize = 8;
const ICMP: u8 = 1;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Ports of servers and clients of DHCP (RFC 2131) and DHCPv6 (RFC 8415): servers speak from the first to
/// the second, and few clients look at the first.
const DHCP: [u16; 2] = [67, 68];
const DHCPV6: [u16; 2] = [547, 546];
/// Messages of ICMP that give others a router (RFC 792, RFC 1256).
const ICMP_REDIRECT: u8 = 5;
const ICMP_ROUTER: u8 = 9;
/// Neighbour messages (RFC 4861, 4), and the options that name a hardware address.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

/// Who a port belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceGuard {
    mac: MacAddr,
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
}

impl SourceGuard {
    /// One for a host of this hardware address and these addresses; the link-local one that follows
    /// from the former is its own too.
    #[must_use]
    pub fn new(mac: MacAddr, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), vec![mac.to_link_local()]);
        for address in addresses {
            match address {
                IpAddr::V4(own) => v4.push(own),
                IpAddr::V6(own) => v6.push(own),
            }
        }
        Self { mac, v4, v6 }
    }

    /// The one address that packets of IPv4 come from; None where there is none, or a choice.
    #[must_use]
    pub fn only(&self) -> Option<Ipv4Addr> {
        match self.v4.as_slice() {
            [own] => Some(*own),
            _ => None,
        }
    }

    /// Whether a host of these addresses may speak.
    #[must_use]
    pub fn has(&self, mac: MacAddr, address: Ipv4Addr) -> bool {
        mac == self.mac && self.v4.contains(&address)
    }

    /// Whether a frame may be let in: from its destination address on, without the outermost tag.
    #[must_use]
    pub fn lets_in(&self, src: MacAddr, frame: &[u8]) -> bool {
        src == self.mac && self.judge(frame).unwrap_or(false)
    }

    /// None where the frame ends too early.
    fn judge(&self, frame: &[u8]) -> Option<bool> {
        let to_group = frame.first()? & 1 != 0;
        let mut at = ETH - 2;
        for _ in 0..=TAGS {
            let (kind, body) = (be16(frame, at)?, frame.get(at + 2..)?);
            return match kind {
                ethertype::VLAN | ethertype::QINQ => {
                    at += 4;
                    continue;
                }
                ethertype::IPV4 => self.ipv4(body, to_group),
                ethertype::ARP => Some(self.arp(&Arp::parse(body)?)),
                ethertype::IPV6 => self.ipv6(body, to_group),
                // Whose addresses are hardware addresses.
                _ => Some(true),
            };
        }
        None
    }

    /// A probe comes from no address yet (RFC 5227).
    fn arp(&self, arp: &Arp) -> bool {
        arp.sender_mac == self.mac && (arp.sender.is_unspecified() || self.v4.contains(&arp.sender))
    }

    fn ipv4(&self, packet: &[u8], to_group: bool) -> Option<bool> {
        let source = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
        // Whoever has no address yet asks for one (RFC 2131), or tells of groups (RFC 3376).
        if !(self.v4.contains(&source) || source.is_unspecified() && to_group) {
            return Some(false);
        }
        let header = usize::from(packet[0] & 0xf) * 4;
        let is_first = be16(packet, 6)? & 0x1fff == 0;
        match packet[9] {
            UDP if is_first => is_no_server(packet.get(header..)?, DHCP),
            ICMP if is_first => Some(![ICMP_REDIRECT, ICMP_ROUTER].contains(packet.get(header)?)),
            _ => Some(true),
        }
    }

    fn ipv6(&self, packet: &[u8], to_group: bool) -> Option<bool> {
        let source = address(packet, 8)?;
        // Of who looks whether an address is taken, and tells of groups meanwhile (RFC 4862, 3810).
        if !(self.v6.contains(&source) || source.is_unspecified() && to_group) {
            return Some(false);
        }
        let (mut next, mut rest) = (packet[6], packet.get(40..)?);
        // What lies behind the packet is the frame's padding; no length is a jumbogram's (RFC 2675).
        let length = usize::from(be16(packet, 4)?);
        rest = rest.get(..length).filter(|_| length > 0).unwrap_or(rest);
        for _ in 0..EXTENSIONS {
            let length = match next {
                // To hops, routing, to the destination; authentication counts in words (RFC 4302).
                0 | 43 | 60 => (usize::from(*rest.get(1)?) + 1) * 8,
                51 => (usize::from(*rest.get(1)?) + 2) * 4,
                // Neighbour messages in fragments are nobody's (RFC 6980); and a first fragment has
                // all headers (RFC 7112).
                44 => match be16(rest, 2)? & 0xfff8 {
                    0 => 8,
                    _ => return Some(true),
                },
                UDP => return is_no_server(rest, DHCPV6),
                ICMPV6 => return self.icmpv6(rest),
                _ => return Some(true),
            };
            (next, rest) = (*rest.first()?, rest.get(length..)?);
        }
        None
    }

    fn icmpv6(&self, message: &[u8]) -> Option<bool> {
        Some(match *message.first()? {
            ROUTER_ADVERTISEMENT | REDIRECT => false,
            ROUTER_SOLICITATION => self.names_itself(message.get(8..)?, SOURCE_ADDRESS),
            SOLICITATION => self.names_itself(message.get(24..)?, SOURCE_ADDRESS),
            ADVERTISEMENT => {
                self.v6.contains(&address(message, 8)?)
                    && self.names_itself(message.get(24..)?, TARGET_ADDRESS)
            }
            _ => true,
        })
    }

    /// Whether no option of a kind names another's hardware address.
    fn names_itself(&self, mut options: &[u8], kind: u8) -> bool {
        while let [own, eights, ..] = *options {
            let length = usize::from(eights) * 8;
            let Some((option, rest)) = options.split_at_checked(length) else { return false };
            // One without length would never end; the receiver drops it all (RFC 4861, 4.6).
            if length == 0 || own == kind && option.get(2..8) != Some(&self.mac.0[..]) {
                return false;
            }
            options = rest;
        }
        true
    }
}

/// Whether a datagram comes from no server's port and goes to no client's.
fn is_no_server(datagram: &[u8], [server, client]: [u16; 2]) -> Option<bool> {
    Some(be16(datagram, 0)? != server && be16(datagram, 2)? != client)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    Some(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?.into())
}

#[cfg(test)]
#[path = "source_guard_tests.rs"]
mod tests;

//! The one error of IPv6 that the gateway sends: that a packet goes nowhere by it (RFC 4443, 3.1).
//!
//! The gateway routes no IPv6. Where a kernel has its addresses, hosts of the leg have their default route
//! by them all the same, for the kernel's other addresses; whatever else they send there is refused, and a
//! program that hears it gives up at once, or goes on by IPv4. Rates are those of [`crate::limit`]; what
//! does not fit is counted and not sent.

use std::net::Ipv6Addr;

use wire::checksum::{fold, sum};
use wire::{Ethernet, Timestamp, VnetHeader, ethertype};

use crate::links::Links;
use crate::node::Node;
use crate::output::Output;
use crate::packet::L3;
use crate::rewrite;
use crate::verdict::{DropReason, Side, Verdict};

const HEADER: usize = 40;
/// Type, code, checksum, and a word without use.
const ERROR: usize = 8;
/// The whole error stays within IPv6's least MTU (RFC 4443, 2.4 c).
const QUOTE: usize = 1280 - HEADER - ERROR;
/// Extension headers that are looked behind; more have no use.
const EXTENSIONS: usize = 8;
const ICMPV6: u8 = 58;
const UNREACHABLE: u8 = 1;
/// Types from here on are no errors, but for redirects.
const INFORMATIONAL: u8 = 128;
const REDIRECT: u8 = 137;
/// Codes: no route; the source's scope ends before the destination.
const NO_ROUTE: u8 = 0;
const BEYOND_SCOPE: u8 = 2;

impl Links {
    /// Decides about a packet of IPv6, and tells its sender where it has no route.
    #[inline(never)]
    pub(crate) fn take_ipv6(
        &mut self,
        from: (Side, Node),
        ethernet: &Ethernet<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let taken = self.ipv6(from.0, ethernet);
        if taken == Err(DropReason::NoRoute) {
            self.report_no_route6(from, ethernet, out, now);
        }
        taken
    }

    fn report_no_route6(
        &mut self,
        (side, node): (Side, Node),
        ethernet: &Ethernet<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) {
        let packet = ethernet.payload();
        let Some(sender) = reported(packet) else { return };
        if !self.link_mut(side).limiter.allow(node, sender, now) {
            self.counters.icmp_limited += 1;
            return;
        }
        self.counters.icmp_errors += 1;
        // What lies behind the packet is the frame's padding.
        let length = HEADER + usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        let quote = &packet[..packet.len().min(length).min(QUOTE)];
        let own = self.mac(side);
        let mut buffer = std::mem::take(&mut self.scratch);
        buffer.clear();
        buffer.resize(L3, 0);
        rewrite::link(&mut buffer, ethernet.src(), own);
        buffer[12..14].copy_from_slice(&ethertype::IPV6.to_be_bytes());
        write(&mut buffer, [own.to_link_local(), sender], quote);
        self.send(out, side, VnetHeader::default(), &buffer);
        self.scratch = buffer;
    }
}

/// Whom an error about this packet goes to; nobody where there is to be none (RFC 4443, 2.4 e), or where
/// it cannot be told.
fn reported(packet: &[u8]) -> Option<Ipv6Addr> {
    let source = Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?);
    if source.is_unspecified() || source.is_multicast() || source.is_loopback() {
        return None;
    }
    let (mut next, mut rest) = (packet[6], packet.get(HEADER..)?);
    for _ in 0..EXTENSIONS {
        let length = match next {
            // To hops, routing, to the destination; authentication counts in words (RFC 4302).
            0 | 43 | 60 => (usize::from(*rest.get(1)?) + 1) * 8,
            51 => (usize::from(*rest.get(1)?) + 2) * 4,
            44 if u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) & 0xfff8 == 0 => 8,
            // What a later fragment is of, only the first one tells.
            44 => return None,
            ICMPV6 => {
                let kind = *rest.first()?;
                return (kind >= INFORMATIONAL && kind != REDIRECT).then_some(source);
            }
            _ => return Some(source),
        };
        (next, rest) = (*rest.first()?, rest.get(length..)?);
    }
    None
}

/// Appends the packet.
fn write(buffer: &mut Vec<u8>, [own, sender]: [Ipv6Addr; 2], quote: &[u8]) {
    let code = if sender.is_unicast_link_local() { BEYOND_SCOPE } else { NO_ROUTE };
    let length = u16::try_from(ERROR + quote.len()).unwrap_or(0).to_be_bytes();
    let start = buffer.len();
    buffer.extend([0x60, 0, 0, 0, length[0], length[1], ICMPV6, crate::paths::TTL]);
    buffer.extend(own.octets());
    buffer.extend(sender.octets());
    buffer.extend([UNREACHABLE, code, 0, 0, 0, 0, 0, 0]);
    buffer.extend(quote);
    // The pseudo-header (RFC 8200, 8.1): both addresses, the length, the protocol.
    let pseudo = sum(&buffer[start + 8..start + HEADER])
        + u64::from(u16::from_be_bytes(length))
        + u64::from(ICMPV6);
    let checksum = !fold(pseudo + sum(&buffer[start + HEADER..]));
    buffer[start + HEADER + 2..][..2].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: Ipv6Addr, next: u8, rest: &[u8]) -> Vec<u8> {
        let head = [0x60, 0, 0, 0, 0, 0, next, 64];
        [&head[..], &from.octets(), &[0x20; 16], rest].concat()
    }

    #[test]
    fn errors_are_about_packets_that_may_have_them_alone() {
        let own: Ipv6Addr = "fd00::2".parse().unwrap_or(Ipv6Addr::LOCALHOST);
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let icmp = |kind: u8| [kind, 0, 0, 0, 0, 0, 0, 0];
        let behind = |kind: u8| [[ICMPV6, 0, 1, 4, 0, 0, 0, 0], icmp(kind)].concat();
        for (told, packet) in [
            (true, packet(own, 6, &[0; 20])),
            (true, packet(own, 59, &[])),
            (true, packet(own, ICMPV6, &icmp(128))),
            (true, packet(own, 60, &behind(128))),
            (true, packet(own, 44, &[[17, 0, 0, 1, 0, 0, 0, 9], [0; 8]].concat())),
            (false, packet(own, 44, &[[17, 0, 0, 9, 0, 0, 0, 9], [0; 8]].concat())),
            (false, packet(own, ICMPV6, &icmp(1))),
            (false, packet(own, ICMPV6, &icmp(REDIRECT))),
            (false, packet(own, ICMPV6, &[])),
            (false, packet(own, 60, &behind(3))),
            (false, packet(own, 60, &[60, 0, 1, 4, 0, 0, 0, 0].repeat(9))),
            (false, packet(Ipv6Addr::UNSPECIFIED, 6, &[0; 20])),
            (false, packet(group, 6, &[0; 20])),
            (false, packet(own, 6, &[0; 20])[..30].to_vec()),
        ] {
            assert_eq!(reported(&packet), told.then_some(own), "{packet:02x?}");
        }
    }
}

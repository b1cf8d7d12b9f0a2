//! Protocols that the NAT knows by their number alone: which of them can pass, and what another address
//! does to what they carry.
//!
//! They have no ports that the NAT knows, so it translates addresses and nothing else
//! ([`crate::nat::by_address`]). Most are not touched by that. UDP-Lite and DCCP sum their addresses
//! up as UDP does, at the same place; AH signs them, so that it never gets through a NAT (RFC 3715
//! section 2.1) and is refused, which its sender can tell from silence. SCTP has a sum of another kind,
//! without addresses: where a sender has left it to its link it is made here, for beyond the uplink
//! nobody knows that it is no Internet checksum.

use std::net::Ipv4Addr;

use wire::checksum::Delta;
use wire::ipv4::protocol;
use wire::{FrameMut, IpProtocol};

use crate::packet::{Packet, Protocol, Transport};

/// Internet Protocol numbers of IANA that are named here.
const DCCP: u8 = 33;
pub(crate) const GRE: u8 = 47;
const AH: u8 = 51;
const UDP_LITE: u8 = 136;

/// Of DCCP and of UDP-Lite, as of UDP: where the sum stands, and how much has to be there.
const SUM_AT: usize = 6;
const SUMMED: usize = 8;
/// Of SCTP.
const CRC_AT: usize = 8;

impl Protocol {
    /// The one of the three that are translated with their ports, or an identifier in their place;
    /// None for what is translated by address.
    #[must_use]
    pub const fn of(carried: IpProtocol) -> Option<Self> {
        match carried.0 {
            protocol::TCP => Some(Self::Tcp),
            protocol::UDP => Some(Self::Udp),
            protocol::ICMP => Some(Self::Icmp),
            _ => None,
        }
    }
}

impl From<Protocol> for IpProtocol {
    fn from(protocol: Protocol) -> Self {
        Self(protocol.number())
    }
}

impl PartialEq<Protocol> for IpProtocol {
    fn eq(&self, other: &Protocol) -> bool {
        *self == Self::from(*other)
    }
}

/// Whether it passes a NAT by its addresses alone.
const fn passes(carried: IpProtocol) -> bool {
    Protocol::of(carried).is_none() && carried.0 != AH
}

impl Packet {
    /// Protocol, source and destination of a packet that is translated by these alone, be it a fragment.
    #[inline]
    pub(crate) fn by_address(&self) -> Option<(IpProtocol, Ipv4Addr, Ipv4Addr)> {
        let protocol = IpProtocol(self.protocol);
        let whole = matches!(self.transport, Transport::Other | Transport::Fragment);
        (whole && passes(protocol)).then_some((protocol, self.src, self.dst))
    }
}

/// Whether so short a beginning lacks the sum that another address changes.
pub(crate) const fn is_short(number: u8, payload: &[u8]) -> bool {
    matches!(number, DCCP | UDP_LITE) && payload.len() < SUMMED
}

/// Applies new addresses to the sum of a transport header that has them in it. How much else the sum
/// covers (RFC 3828, RFC 4340 section 9.2) makes no difference. Bytes too short to hold it are left alone.
pub(crate) fn update(l4: &mut [u8], number: u8, pseudo: Delta, partial: bool) {
    if !matches!(number, DCCP | UDP_LITE) {
        return;
    }
    let Some(field) = l4.get_mut(SUM_AT..SUM_AT + 2) else { return };
    let old = u16::from_be_bytes([field[0], field[1]]);
    let new = match (partial, number) {
        (true, _) => pseudo.apply_partial(old),
        // No sum at all, which every receiver refuses; it is not to become a right one.
        (false, UDP_LITE) if old == 0 => 0,
        (false, UDP_LITE) => match pseudo.apply(old) {
            0 => 0xffff,
            new => new,
        },
        (false, _) => pseudo.apply(old),
    };
    field.copy_from_slice(&new.to_be_bytes());
}

/// Makes the sum of an SCTP packet that was left to a device (RFC 9260 section 6.8).
pub(crate) fn complete(frame: &mut FrameMut<'_>, packet: &Packet) {
    if packet.protocol != protocol::SCTP || !packet.is_partial() {
        return;
    }
    let Some(l4) = frame.bytes.get_mut(packet.l4()..packet.end()) else { return };
    let Some(field) = l4.get_mut(CRC_AT..CRC_AT + 4) else { return };
    field.fill(0);
    let sum = crc32c(l4);
    l4[CRC_AT..CRC_AT + 4].copy_from_slice(&sum.to_le_bytes());
    let mut vnet = frame.vnet();
    (vnet.flags, vnet.csum_start, vnet.csum_offset) = (vnet.flags & !wire::vnet::NEEDS_CSUM, 0, 0);
    frame.set_vnet(vnet);
}

/// CRC-32C (RFC 3720 appendix B.4), a byte at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(u32::MAX, |sum, byte| TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ sum >> 8)
}

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut at = 0u32;
    while at < 256 {
        let mut word = at;
        let mut bit = 0;
        while bit < 8 {
            word = word >> 1 ^ if word & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[at as usize] = word;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_sctp_is_the_published_one() {
        // RFC 3720 appendix B.4, and the check value of the catalogue.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}

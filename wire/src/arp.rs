//! ARP for IPv4 over Ethernet (RFC 826), read, and written into 28 bytes.

use std::net::Ipv4Addr;

use crate::bytes::{get_addr, get16, put_addr, put16};
use crate::mac::MacAddr;

/// Bytes of an ARP packet for IPv4 over Ethernet.
pub const LEN: usize = 28;

/// What an ARP packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: Operation,
    /// Hardware address of the sender.
    pub sender_mac: MacAddr,
    /// Protocol address of the sender; 0.0.0.0 in a probe (RFC 5227).
    pub sender: Ipv4Addr,
    /// Hardware address of the target; meaningless in a request.
    pub target_mac: MacAddr,
    /// Protocol address of the target.
    pub target: Ipv4Addr,
}

impl Arp {
    /// None where the bytes are not an ARP request or reply for IPv4 over Ethernet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let b = bytes.get(..LEN)?;
        let operation = match get16(b, 6) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return None,
        };
        if get16(b, 0) != 1 || get16(b, 2) != crate::ethertype::IPV4 || b[4] != 6 || b[5] != 4 {
            return None;
        }
        Some(Self {
            operation,
            sender_mac: mac(b, 8),
            sender: get_addr(b, 14),
            target_mac: mac(b, 18),
            target: get_addr(b, 24),
        })
    }

    /// The packet as it stands on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut b = [0; LEN];
        put16(&mut b, 0, 1);
        put16(&mut b, 2, crate::ethertype::IPV4);
        b[4] = 6;
        b[5] = 4;
        put16(&mut b, 6, if self.operation == Operation::Request { 1 } else { 2 });
        b[8..14].copy_from_slice(&self.sender_mac.0);
        put_addr(&mut b, 14, self.sender);
        b[18..24].copy_from_slice(&self.target_mac.0);
        put_addr(&mut b, 24, self.target);
        b
    }
}

fn mac(bytes: &[u8], at: usize) -> MacAddr {
    let mut mac = [0; 6];
    mac.copy_from_slice(&bytes[at..at + 6]);
    MacAddr(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let arp = Arp {
            operation: Operation::Reply,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender: Ipv4Addr::new(10, 100, 0, 1),
            target_mac: MacAddr([2, 0, 0, 0, 0, 2]),
            target: Ipv4Addr::new(10, 100, 0, 10),
        };
        assert_eq!(Arp::parse(&arp.to_bytes()), Some(arp));
    }

    #[test]
    fn other_hardware_protocols_lengths_and_operations_are_refused() {
        let good = Arp {
            operation: Operation::Request,
            sender_mac: MacAddr::ZERO,
            sender: Ipv4Addr::UNSPECIFIED,
            target_mac: MacAddr::ZERO,
            target: Ipv4Addr::LOCALHOST,
        }
        .to_bytes();
        for (at, value) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3), (7, 0)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(Arp::parse(&bad), None, "byte {at} = {value}");
        }
        assert_eq!(Arp::parse(&good[..27]), None);
    }
}

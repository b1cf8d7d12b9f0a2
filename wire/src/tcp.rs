//! The TCP header (RFC 9293) as far as a NAT reads it: ports, flags, checksum, sequence number.
//!
//! [`Tcp::parse`] asks for a whole header; ICMP errors quote only the first eight bytes, for
//! which [`ports`] and [`set_port`] serve.

use crate::bytes::{get16, get32, put16};
use crate::checksum::{self, Delta};

/// Bytes of the header without options.
pub const HEADER_LEN: usize = 20;
/// Where the checksum stands, from the start of the header.
pub const CHECKSUM_AT: usize = 16;

/// Which end of a flow a port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender.
    Src,
    /// The receiver.
    Dst,
}

/// The control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field counts.
    pub const ACK: u8 = 0x10;

    /// FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }

    /// SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }

    /// RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// A checked view of a TCP header.
#[derive(Clone, Copy)]
pub struct Tcp<B>(B);

impl<B: AsRef<[u8]>> Tcp<B> {
    /// None where the header, options included, is not all there.
    #[must_use]
    #[inline]
    pub fn parse(bytes: B) -> Option<Self> {
        let b = bytes.as_ref();
        if b.len() < HEADER_LEN {
            return None;
        }
        let header = usize::from(b[12] >> 4) * 4;
        (header >= HEADER_LEN && header <= b.len()).then_some(Self(bytes))
    }

    /// Source port.
    #[must_use]
    pub fn src_port(&self) -> u16 {
        get16(self.0.as_ref(), 0)
    }

    /// Destination port.
    #[must_use]
    pub fn dst_port(&self) -> u16 {
        get16(self.0.as_ref(), 2)
    }

    /// Sequence number.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        get32(self.0.as_ref(), 4)
    }

    /// Acknowledgement number; counts where [`Flags::ack`].
    #[must_use]
    pub fn acknowledgement(&self) -> u32 {
        get32(self.0.as_ref(), 8)
    }

    /// Bytes of header and options.
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[12] >> 4) * 4
    }

    /// Control bits.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags(self.0.as_ref()[13])
    }

    /// The checksum field, full or partial.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        get16(self.0.as_ref(), CHECKSUM_AT)
    }
}

/// Source and destination port from the first four bytes of a TCP or UDP header.
#[must_use]
#[inline]
pub fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
    (bytes.len() >= 4).then(|| (get16(bytes, 0), get16(bytes, 2)))
}

/// Replaces one port and returns what that did to the sums over it. `bytes` begin with a TCP or
/// UDP header of at least four bytes; shorter ones are left alone.
#[inline]
pub fn set_port(bytes: &mut [u8], end: End, port: u16) -> Delta {
    let at = if end == End::Src { 0 } else { 2 };
    if bytes.len() < 4 {
        return Delta::NONE;
    }
    let old = get16(bytes, at);
    put16(bytes, at, port);
    Delta::NONE.word(old, port)
}

/// Applies changes to the checksum of a TCP header at the start of `bytes`. `pseudo` are the
/// changes of the addresses, `ports` those of the header: a partial field takes only the first.
/// Bytes too short to hold the field (a quoted packet) are left alone.
#[inline]
pub fn update_checksum(bytes: &mut [u8], pseudo: Delta, ports: Delta, partial: bool) {
    if bytes.len() < CHECKSUM_AT + 2 {
        return;
    }
    let field = get16(bytes, CHECKSUM_AT);
    let new = if partial { pseudo.apply_partial(field) } else { pseudo.and(ports).apply(field) };
    put16(bytes, CHECKSUM_AT, new);
}

/// Computes the full checksum of a TCP header and its data.
pub fn fill_checksum(bytes: &mut [u8], src: std::net::Ipv4Addr, dst: std::net::Ipv4Addr) {
    let Ok(length) = u16::try_from(bytes.len()) else { return };
    if bytes.len() < HEADER_LEN {
        return;
    }
    put16(bytes, CHECKSUM_AT, 0);
    let pseudo = checksum::pseudo_header(src, dst, crate::ipv4::protocol::TCP, length);
    let value = !checksum::fold(pseudo + checksum::sum(bytes));
    put16(bytes, CHECKSUM_AT, value);
}

//! The UDP header (RFC 768): ports, length, checksum with its two special values.
//!
//! A checksum of 0 means "none was computed" and stays 0 through a NAT; a computed 0 is sent as
//! 0xffff, which sums the same.

use std::net::Ipv4Addr;

use crate::bytes::{get16, put16};
use crate::checksum::{self, Delta};

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;
/// Where the checksum stands, from the start of the header.
pub const CHECKSUM_AT: usize = 6;

/// A checked view of a UDP header.
#[derive(Clone, Copy)]
pub struct Udp<B>(B);

impl<B: AsRef<[u8]>> Udp<B> {
    /// None where the header is not all there.
    #[must_use]
    #[inline]
    pub fn parse(bytes: B) -> Option<Self> {
        (bytes.as_ref().len() >= HEADER_LEN).then_some(Self(bytes))
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

    /// Bytes of header and data.
    #[must_use]
    pub fn length(&self) -> u16 {
        get16(self.0.as_ref(), 4)
    }

    /// The checksum field, full, partial or 0.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        get16(self.0.as_ref(), CHECKSUM_AT)
    }
}

/// Applies changes to the checksum of a UDP header at the start of `bytes`, as
/// [`crate::tcp::update_checksum`] does for TCP. A checksum of 0 is none, and stays 0; no partial one of
/// UDP's is 0.
#[inline]
pub fn update_checksum(bytes: &mut [u8], pseudo: Delta, ports: Delta, partial: bool) {
    if bytes.len() < HEADER_LEN {
        return;
    }
    let field = get16(bytes, CHECKSUM_AT);
    let new = match (partial, field) {
        (_, 0) => 0,
        (true, _) => pseudo.apply_partial(field),
        (false, _) => not_zero(pseudo.and(ports).apply(field)),
    };
    put16(bytes, CHECKSUM_AT, new);
}

/// Computes the full checksum of a UDP header and its data.
pub fn fill_checksum(bytes: &mut [u8], src: Ipv4Addr, dst: Ipv4Addr) {
    let Ok(length) = u16::try_from(bytes.len()) else { return };
    if bytes.len() < HEADER_LEN {
        return;
    }
    put16(bytes, CHECKSUM_AT, 0);
    let pseudo = checksum::pseudo_header(src, dst, crate::ipv4::protocol::UDP, length);
    let value = not_zero(!checksum::fold(pseudo + checksum::sum(bytes)));
    put16(bytes, CHECKSUM_AT, value);
}

const fn not_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

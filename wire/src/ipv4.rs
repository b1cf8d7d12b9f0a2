//! The IPv4 header (RFC 791), read and changed in place.
//!
//! [`Ipv4::parse`] checks the lengths once; afterwards no accessor can fail. The view takes any
//! bytes that begin with the header: a slice to read, a mutable slice to rewrite. Bytes after
//! the total length (Ethernet padding) are not payload.

use std::net::Ipv4Addr;

use crate::bytes::{get_addr, get16, put_addr, put16};
use crate::checksum::{self, Delta};

/// Bytes of the header without options.
pub const HEADER_LEN: usize = 20;
/// Largest header: fifteen 32-bit words.
pub const MAX_HEADER_LEN: usize = 60;

/// Protocol numbers (IANA) this project acts on.
pub mod protocol {
    /// Internet Control Message Protocol.
    pub const ICMP: u8 = 1;
    /// Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;
}

const MORE_FRAGMENTS: u16 = 0x2000;
const DONT_FRAGMENT: u16 = 0x4000;
const OFFSET: u16 = 0x1fff;

/// Why bytes are no IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ipv4Error {
    /// Fewer bytes than a header, or than the total length says.
    #[error("truncated IPv4 packet")]
    Truncated,
    /// A version other than 4, a header length under 20, or a total length under the header's.
    #[error("malformed IPv4 header")]
    Malformed,
}

/// A checked view of an IPv4 packet.
#[derive(Clone, Copy)]
pub struct Ipv4<B>(B);

impl<B: AsRef<[u8]>> Ipv4<B> {
    /// Checks version and lengths, not the checksum.
    ///
    /// # Errors
    /// [`Ipv4Error`] where the bytes are too few or contradict themselves.
    #[inline]
    pub fn parse(bytes: B) -> Result<Self, Ipv4Error> {
        let view = Self::parse_quoted(bytes)?;
        if view.total_len() > view.0.as_ref().len() {
            return Err(Ipv4Error::Truncated);
        }
        Ok(view)
    }

    /// As [`Ipv4::parse`], but the packet may be cut off after its header, as it is where an ICMP
    /// error quotes it.
    ///
    /// # Errors
    /// [`Ipv4Error`] where even the header is incomplete or contradicts itself.
    #[inline]
    pub fn parse_quoted(bytes: B) -> Result<Self, Ipv4Error> {
        let b = bytes.as_ref();
        if b.len() < HEADER_LEN {
            return Err(Ipv4Error::Truncated);
        }
        let header = usize::from(b[0] & 0x0f) * 4;
        if b[0] >> 4 != 4 || header < HEADER_LEN || total_len(b) < header {
            return Err(Ipv4Error::Malformed);
        }
        if b.len() < header {
            return Err(Ipv4Error::Truncated);
        }
        Ok(Self(bytes))
    }

    fn b(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Bytes of header and options, 20 to 60.
    #[must_use]
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.b()[0] & 0x0f) * 4
    }

    /// Bytes of header and payload. In a GSO frame, of all segments together with one header; one
    /// of more than the field can say (BIG TCP) has 0 there and is as long as its bytes.
    #[must_use]
    #[inline]
    pub fn total_len(&self) -> usize {
        total_len(self.b())
    }

    /// Type of service: six bits DSCP, two ECN.
    #[must_use]
    pub fn tos(&self) -> u8 {
        self.b()[1]
    }

    /// Identification: which fragments belong together.
    #[must_use]
    #[inline]
    pub fn id(&self) -> u16 {
        get16(self.b(), 4)
    }

    /// The Don't Fragment flag.
    #[must_use]
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        get16(self.b(), 6) & DONT_FRAGMENT != 0
    }

    /// The More Fragments flag.
    #[must_use]
    #[inline]
    pub fn more_fragments(&self) -> bool {
        get16(self.b(), 6) & MORE_FRAGMENTS != 0
    }

    /// Where this fragment's payload starts in the whole, in bytes.
    #[must_use]
    #[inline]
    pub fn fragment_offset(&self) -> usize {
        usize::from(get16(self.b(), 6) & OFFSET) * 8
    }

    /// True for any fragment, the first too.
    #[must_use]
    #[inline]
    pub fn is_fragment(&self) -> bool {
        get16(self.b(), 6) & (MORE_FRAGMENTS | OFFSET) != 0
    }

    /// Time to live, in hops.
    #[must_use]
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.b()[8]
    }

    /// What the payload is: see [`protocol`].
    #[must_use]
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.b()[9]
    }

    /// The header checksum as it stands.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        get16(self.b(), 10)
    }

    /// True where the header sums up.
    #[must_use]
    #[inline]
    pub fn checksum_ok(&self) -> bool {
        checksum::fold(checksum::sum(&self.b()[..self.header_len()])) == 0xffff
    }

    /// Source address.
    #[must_use]
    #[inline]
    pub fn src(&self) -> Ipv4Addr {
        get_addr(self.b(), 12)
    }

    /// Destination address.
    #[must_use]
    #[inline]
    pub fn dst(&self) -> Ipv4Addr {
        get_addr(self.b(), 16)
    }

    /// The options, empty where there are none.
    #[must_use]
    pub fn options(&self) -> &[u8] {
        &self.b()[HEADER_LEN..self.header_len()]
    }

    /// The payload: up to the total length, or to where a quoted packet is cut off.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &[u8] {
        let end = self.total_len().min(self.b().len());
        &self.b()[self.header_len()..end]
    }

    /// Whether each option ends within the header (RFC 791 section 3.1).
    #[must_use]
    pub fn options_ok(&self) -> bool {
        let mut rest = self.options();
        loop {
            rest = match rest {
                [] | [0, ..] => return true,
                [1, tail @ ..] => tail,
                [_, length, ..] if (2..=rest.len()).contains(&usize::from(*length)) => {
                    &rest[usize::from(*length)..]
                }
                _ => return false,
            }
        }
    }

    /// Type numbers of the options (copy flag and class included), in order; stops at a
    /// malformed one.
    pub fn option_types(&self) -> impl Iterator<Item = u8> + '_ {
        let mut rest = self.options();
        std::iter::from_fn(move || {
            let (&kind, tail) = rest.split_first()?;
            match kind {
                0 => return None,
                1 => rest = tail,
                _ => {
                    let length = usize::from(*tail.first()?);
                    rest = rest.get(length.max(2)..).unwrap_or(&[]);
                }
            }
            Some(kind)
        })
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Ipv4<B> {
    fn m(&mut self) -> &mut [u8] {
        self.0.as_mut()
    }

    /// Replaces the source; the header checksum follows. The transport checksum is the caller's.
    #[inline]
    pub fn set_src(&mut self, new: Ipv4Addr) {
        let delta = Delta::NONE.address(self.src(), new);
        put_addr(self.m(), 12, new);
        self.apply(delta);
    }

    /// Replaces the destination; the header checksum follows.
    #[inline]
    pub fn set_dst(&mut self, new: Ipv4Addr) {
        let delta = Delta::NONE.address(self.dst(), new);
        put_addr(self.m(), 16, new);
        self.apply(delta);
    }

    /// Replaces the time to live; the header checksum follows.
    #[inline]
    pub fn set_ttl(&mut self, ttl: u8) {
        let old = get16(self.b(), 8);
        self.m()[8] = ttl;
        let new = get16(self.b(), 8);
        self.apply(Delta::NONE.word(old, new));
    }

    /// Replaces the identification; the header checksum follows.
    #[inline]
    pub fn set_id(&mut self, id: u16) {
        let delta = Delta::NONE.word(self.id(), id);
        put16(self.m(), 4, id);
        self.apply(delta);
    }

    /// Replaces the total length; the header checksum follows.
    pub fn set_total_len(&mut self, length: u16) {
        let delta = Delta::NONE.word(get16(self.b(), 2), length);
        put16(self.m(), 2, length);
        self.apply(delta);
    }

    /// Makes this packet a fragment: `offset` in bytes (a multiple of 8), `more` to follow. Don't
    /// Fragment is cleared; the header checksum follows.
    #[expect(clippy::cast_possible_truncation, reason = "thirteen bits after the mask")]
    pub fn set_fragment(&mut self, offset: usize, more: bool) {
        let old = get16(self.b(), 6);
        let new = ((offset / 8) as u16 & OFFSET) | if more { MORE_FRAGMENTS } else { 0 };
        put16(self.m(), 6, new);
        self.apply(Delta::NONE.word(old, new));
    }

    /// Computes the header checksum anew.
    pub fn fill_checksum(&mut self) {
        put16(self.m(), 10, 0);
        let length = self.header_len();
        let value = checksum::checksum(&self.b()[..length]);
        put16(self.m(), 10, value);
    }

    /// The payload, to be changed: up to the total length or to where a quote is cut off.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.total_len().min(self.b().len());
        let start = self.header_len();
        &mut self.m()[start..end]
    }

    #[inline]
    fn apply(&mut self, delta: Delta) {
        let value = delta.apply(self.checksum());
        put16(self.m(), 10, value);
    }
}

/// Writes a 20-byte header with its checksum: Don't Fragment set, as the packet is atomic
/// (RFC 6864) and needs no identification.
pub fn write_header(
    to: &mut [u8; HEADER_LEN],
    (src, dst): (Ipv4Addr, Ipv4Addr),
    protocol: u8,
    ttl: u8,
    total_len: u16,
) {
    *to = [0; HEADER_LEN];
    to[0] = 0x45;
    put16(to, 2, total_len);
    put16(to, 6, DONT_FRAGMENT);
    to[8] = ttl;
    to[9] = protocol;
    put_addr(to, 12, src);
    put_addr(to, 16, dst);
    let value = checksum::checksum(&to[..]);
    put16(to, 10, value);
}

#[inline]
fn total_len(packet: &[u8]) -> usize {
    match get16(packet, 2) {
        0 if packet.len() > usize::from(u16::MAX) => packet.len(),
        length => usize::from(length),
    }
}

#[cfg(test)]
mod tests;

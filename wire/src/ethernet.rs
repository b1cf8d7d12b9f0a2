//! The Ethernet II header (IEEE 802.3): destination, source, EtherType.

use crate::mac::MacAddr;

/// Bytes of the header without tags.
pub const HEADER_LEN: usize = 14;

/// A checked view of a frame of at least [`HEADER_LEN`] bytes.
#[derive(Clone, Copy)]
pub struct Ethernet<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    /// None for a runt: fewer than [`HEADER_LEN`] bytes.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk::<HEADER_LEN>()?;
        Some(Self { header, payload })
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> MacAddr {
        let h = self.header;
        MacAddr([h[0], h[1], h[2], h[3], h[4], h[5]])
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> MacAddr {
        let h = self.header;
        MacAddr([h[6], h[7], h[8], h[9], h[10], h[11]])
    }

    /// EtherType or, up to 1500, an 802.3 length.
    #[must_use]
    pub fn ethertype(&self) -> u16 {
        u16::from_be_bytes([self.header[12], self.header[13]])
    }

    /// What follows the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

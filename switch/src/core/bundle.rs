//! Datagrams of one flow that leave as one frame, which the receiving stack takes apart again.
//!
//! A tunnel's sender cuts its TCP segments before they reach its link, since no link of ours can be
//! told of segments inside a tunnel. Each then costs a send, a pass through the receiver's stack and
//! often a wake-up. But what such segments become, datagrams of one size behind equal headers, is
//! what a frame of UDP segments stands for (UDP_L4). Taken apart, it gives the same datagrams with
//! the same identifications, but for a UDP checksum of 0, which becomes a real one: RFC 768 calls it
//! optional, and RFC 7348 5 has a tunnel accept both.
//!
//! Pure, asked for each frame queued. Only what a stack of this machine sent is taken (its checksum
//! is partial): what was on a wire, or was made by a program, leaves as it came.

use wire::vnet::{GSO_UDP_L4, NEEDS_CSUM};
use wire::{FrameMut, GsoType, VnetHeader, checksum, ethernet, offload, udp};

/// Most datagrams of a bundle (`UDP_MAX_SEGMENTS` of kernels before 6.9).
const MOST: usize = 64;
/// Most bytes of an IP packet.
const LONGEST: usize = 0xffff;

const IP: usize = ethernet::HEADER_LEN;
const V4: usize = 20;
const V6: usize = 40;
/// The longest headers: Ethernet, IPv6, UDP.
const HEADERS: usize = IP + V6 + udp::HEADER_LEN;

/// `struct iphdr` and `struct ipv6hdr`, from the first byte of the frame.
const V4_LENGTH: usize = IP + 2;
const V4_ID: usize = IP + 4;
const V4_FRAGMENT: usize = IP + 6;
const V4_PROTOCOL: usize = IP + 9;
const V4_CHECKSUM: usize = IP + 10;
const V4_ADDRESSES: usize = IP + 12;
const V6_LENGTH: usize = IP + 4;
const V6_NEXT: usize = IP + 6;
const V6_ADDRESSES: usize = IP + 8;
/// From the first byte of the UDP header.
const UDP_LENGTH: usize = 4;

/// A datagram that may travel in a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// The headers, without what may differ within a bundle.
    alike: [u8; HEADERS],
    /// Bytes of all headers.
    headers: usize,
    /// Bytes behind them.
    payload: usize,
    /// The IPv4 identification.
    id: Option<u16>,
}

impl Datagram {
    /// None for any frame that must leave as it is.
    #[must_use]
    #[inline]
    pub fn read(frame: &FrameMut<'_>) -> Option<Self> {
        let vnet = frame.vnet();
        if !vnet.needs_csum() || vnet.gso() != GsoType::None {
            return None;
        }
        Self::of(vnet, frame.bytes)
    }

    fn of(vnet: VnetHeader, bytes: &[u8]) -> Option<Self> {
        let packet = bytes.len().checked_sub(IP)?;
        let (ip, id) = match bytes.get(IP - 2..=IP)? {
            // No options, no fragment.
            [0x08, 0x00, 0x45] => {
                let whole = get16(bytes, V4_FRAGMENT)? & 0xbfff == 0;
                let is_udp = *bytes.get(V4_PROTOCOL)? == wire::ipv4::protocol::UDP;
                let fits = usize::from(get16(bytes, V4_LENGTH)?) == packet;
                (whole && is_udp && fits).then_some((V4, Some(get16(bytes, V4_ID)?)))?
            }
            [0x86, 0xdd, version] if version >> 4 == 6 => {
                let is_udp = *bytes.get(V6_NEXT)? == wire::ipv4::protocol::UDP;
                let fits = usize::from(get16(bytes, V6_LENGTH)?) + V6 == packet;
                (is_udp && fits).then_some((V6, None))?
            }
            _ => return None,
        };
        let udp = IP + ip;
        let headers = udp + udp::HEADER_LEN;
        let payload = bytes.len().checked_sub(headers).filter(|bytes| *bytes > 0)?;
        if usize::from(get16(bytes, udp + UDP_LENGTH)?) + udp != bytes.len() {
            return None;
        }
        // The sum that is still to be made lies in what the datagram carries.
        if usize::from(vnet.csum_start) < headers {
            return None;
        }
        let mut alike = [0; HEADERS];
        alike.get_mut(..headers)?.copy_from_slice(bytes.get(..headers)?);
        let mut differs = |at: usize| alike[at..at + 2].fill(0);
        differs(udp + UDP_LENGTH);
        differs(udp + udp::CHECKSUM_AT);
        if id.is_some() {
            [V4_LENGTH, V4_ID, V4_CHECKSUM].into_iter().for_each(differs);
        } else {
            differs(V6_LENGTH);
        }
        Some(Self { alike, headers, payload, id })
    }

    /// Addresses and ports.
    fn flow(&self) -> &[u8] {
        let from = if self.id.is_some() { V4_ADDRESSES } else { V6_ADDRESSES };
        self.alike.get(from..self.headers - UDP_LENGTH).unwrap_or_default()
    }

    /// Bytes before those that a bundle takes.
    #[must_use]
    pub fn headers(&self) -> usize {
        self.headers
    }
}

/// A bundle that is open: what it holds, and so what fits to it.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    first: Datagram,
    /// Bytes behind the headers, of all datagrams.
    payload: usize,
    datagrams: usize,
    /// The last is shorter than the others: none can follow.
    complete: bool,
}

impl Bundle {
    /// One of a single datagram, which still is the frame it was.
    #[must_use]
    pub fn new(first: Datagram) -> Self {
        Self { first, payload: first.payload, datagrams: 1, complete: false }
    }

    /// Whether a datagram is of the same flow: addresses and ports. One that the bundle does not
    /// take ends it then, for it must not be overtaken.
    #[must_use]
    pub fn is_of_flow(&self, next: &Datagram) -> bool {
        self.first.flow() == next.flow()
    }

    /// Whether a datagram can be the next of it.
    #[must_use]
    pub fn takes(&self, next: &Datagram) -> bool {
        let id =
            self.first.id.map(|id| id.wrapping_add(u16::try_from(self.datagrams).unwrap_or(0)));
        let length = self.first.headers - IP + self.payload + next.payload;
        !self.complete
            && self.datagrams < MOST
            && next.payload <= self.first.payload
            && length <= LONGEST
            && next.id == id
            && next.headers == self.first.headers
            && next.alike == self.first.alike
    }

    /// Whether one more datagram fits, of the size of the others.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let length = self.first.headers - IP + self.payload + self.first.payload;
        !self.complete && self.datagrams < MOST && length <= LONGEST
    }

    /// Takes a datagram that it [`takes`](Self::takes): `head`, the frame of the first, becomes that
    /// of the bundle.
    pub fn add(&mut self, next: &Datagram, head: &mut FrameMut<'_>) {
        if self.datagrams == 1 {
            settle(head);
        }
        self.datagrams += 1;
        self.payload += next.payload;
        self.complete = next.payload < self.first.payload;
        self.write(head);
    }

    /// Writes the headers of a frame that stands for all: lengths, the partial checksum over them,
    /// and what tells of the segments.
    fn write(&self, head: &mut FrameMut<'_>) {
        let Datagram { headers, payload: size, id, .. } = self.first;
        let udp = headers - udp::HEADER_LEN;
        let small = |n: usize| u16::try_from(n).unwrap_or(0);
        let length = small(udp::HEADER_LEN + self.payload);
        let bytes = &mut *head.bytes;
        if bytes.len() < headers {
            return;
        }
        put16(bytes, udp + UDP_LENGTH, length);
        let addresses = if id.is_some() {
            put16(bytes, V4_LENGTH, small(V4 + udp::HEADER_LEN + self.payload));
            put16(bytes, V4_CHECKSUM, 0);
            let sum = checksum::checksum(&bytes[IP..IP + V4]);
            put16(bytes, V4_CHECKSUM, sum);
            V4_ADDRESSES
        } else {
            put16(bytes, V6_LENGTH, length);
            V6_ADDRESSES
        };
        let numbers = u64::from(length) + u64::from(wire::ipv4::protocol::UDP);
        let pseudo = checksum::sum(&bytes[addresses..udp]) + numbers;
        put16(bytes, udp + udp::CHECKSUM_AT, checksum::fold(pseudo));
        head.set_vnet(VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: GSO_UDP_L4,
            hdr_len: small(headers),
            gso_size: small(size),
            csum_start: small(udp),
            csum_offset: small(udp::CHECKSUM_AT),
        });
    }
}

/// Makes the checksum inside a datagram, for a bundle has a word for its own only.
pub fn settle(frame: &mut FrameMut<'_>) {
    let mut vnet = frame.vnet();
    let end = frame.bytes.len();
    // Where it points outside it is as wrong as it came.
    let _ = offload::complete_checksum(&mut vnet, frame.bytes, end);
    frame.set_vnet(vnet);
}

fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;

//! Segments in a tunnel as datagrams, for who can be told of those alone.

use super::piece::{pseudo_header, write_ip};
use super::{Segments, UDP_LENGTH, small};
use crate::bytes::put16;
use crate::ipv4::protocol;
use crate::vnet::{self, GSO_UDP_L4, NEEDS_CSUM, VnetHeader};
use crate::{checksum, udp};

/// Most datagrams of one frame (`UDP_MAX_SEGMENTS` of kernels before 6.9), and the longest IP packet.
const MOST_DATAGRAMS: usize = 64;
pub(super) const LONGEST_PACKET: usize = 0xffff;

impl Segments {
    /// Makes one frame of the packets of a tunnel from `place` on, as many as it can hold, behind what
    /// `into` holds already: `[vnet header | frame]`, datagrams of UDP that the kernel takes apart
    /// (UDP_L4). Their inner sums are made; that of each datagram is left, also where there was none. How
    /// many it holds: none where there is no tunnel.
    pub fn bundle(
        &self,
        place: usize,
        vnet: VnetHeader,
        frame: &[u8],
        into: &mut Vec<u8>,
    ) -> usize {
        let Some(outer) = self.outer else { return 0 };
        let shared = outer.udp + udp::HEADER_LEN;
        let each = self.headers - shared + self.size;
        let most = MOST_DATAGRAMS.min((LONGEST_PACKET - (shared - outer.ip.at)) / each).max(1);
        let start = into.len();
        let mut held = 0;
        while held < most
            && let Some(piece) = self.piece(place + held..place + held + 1, vnet, frame)
            && let Some(body) = frame.get(piece.body())
        {
            let own = &piece.head()[vnet::LEN..];
            if held == 0 {
                into.extend([0; vnet::LEN]);
                into.extend_from_slice(&own[..shared]);
            }
            let at = into.len() + self.transport - shared;
            into.extend_from_slice(&own[shared..]);
            // The header has whole pairs of bytes.
            let value = match !checksum::fold(checksum::sum(&into[at..]) + checksum::sum(body)) {
                0 => 0xffff,
                value => value,
            };
            put16(into, at + self.field(), value);
            into.extend_from_slice(body);
            held += 1;
        }
        self.write_bundle(&mut into[start..], each);
        held
    }

    /// The headers of a bundle in place, each of whose datagrams but the last carries so many bytes.
    fn write_bundle(&self, bundle: &mut [u8], each: usize) {
        let Some((head, own)) = bundle.split_first_chunk_mut::<{ vnet::LEN }>() else { return };
        let Some(outer) = self.outer else { return };
        let (at, end) = (outer.udp, own.len());
        *head = VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: GSO_UDP_L4,
            hdr_len: small(at + udp::HEADER_LEN),
            gso_size: small(each),
            csum_start: small(at),
            csum_offset: small(udp::CHECKSUM_AT),
        }
        .to_bytes();
        if end - at - udp::HEADER_LEN <= each {
            // A single datagram.
            head[1] = 0;
            head[4..6].fill(0);
        }
        write_ip(own, outer.ip, end - outer.ip.at, 0);
        put16(own, at + UDP_LENGTH, small(end - at));
        let pseudo = pseudo_header(own, outer.ip, protocol::UDP, end - at);
        put16(own, at + udp::CHECKSUM_AT, checksum::fold(pseudo));
    }
}

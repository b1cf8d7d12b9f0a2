//! Pieces of segments in no tunnel, put together again: the packets are those of the whole.

use proptest::prelude::*;

use super::*;
use crate::bytes::put16;
use crate::checksum;
use crate::offload::{Completion, complete_checksum};
use crate::vnet::{self, NEEDS_CSUM};

/// A frame of segments with a partial sum, or without any.
#[derive(Clone, Debug)]
struct Whole {
    tags: usize,
    v6: bool,
    tcp: bool,
    partial: bool,
    size: u16,
    payload: usize,
    padding: usize,
}

impl Whole {
    fn bytes(&self) -> (VnetHeader, Vec<u8>) {
        let (number, own) = if self.tcp { (6, 20) } else { (17, 8) };
        let segment = own + self.payload;
        let mut frame = vec![2; 12];
        for _ in 0..self.tags {
            frame.extend([0x81, 0, 0, 7]);
        }
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(small(segment).to_be_bytes());
            frame.extend([number, 64]);
            frame.extend([0xfd; 32]);
        } else {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend(small(20 + segment).to_be_bytes());
            frame.extend([0xff, 0xff, 0, 0, 64, number, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            let at = frame.len() - 20;
            let sum = checksum::checksum(&frame[at..]);
            put16(&mut frame, at + V4_CHECKSUM, sum);
        }
        let start = frame.len();
        if self.tcp {
            frame.extend([1, 2, 3, 4, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 9, 0x50, 0x99]);
            frame.extend([1, 0, 0, 0, 0, 0]);
        } else {
            frame.extend([1, 2, 3, 4]);
            frame.extend(small(segment).to_be_bytes());
            frame.extend([0, 0]);
        }
        frame.extend((0..self.payload).map(|i| u8::try_from(i * 7 % 251).unwrap()));
        frame.extend(vec![0; self.padding]);
        let field = if self.tcp { 16 } else { 6 };
        let vnet = VnetHeader {
            flags: if self.partial { NEEDS_CSUM } else { 0 },
            gso_type: if !self.tcp {
                vnet::GSO_UDP_L4
            } else if self.v6 {
                4
            } else {
                1
            },
            hdr_len: 0,
            gso_size: self.size,
            csum_start: if self.partial { small(start) } else { 0 },
            csum_offset: if self.partial { field } else { 0 },
        };
        (vnet, frame)
    }
}

/// Each packet of a frame, whole.
fn packets(vnet: VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let Some(segments) = Segments::of(vnet, frame) else {
        let (mut vnet, mut packet) = (vnet, frame.to_vec());
        complete_checksum(&mut vnet, &mut packet, frame.len());
        return vec![packet];
    };
    let one = |n| {
        let piece = segments.piece(n..n + 1, vnet, frame).unwrap();
        let (head, own) = piece.head().split_first_chunk().unwrap();
        let mut packet = [own, &frame[piece.body()]].concat();
        let (mut vnet, end) = (VnetHeader::from_bytes(*head), packet.len());
        assert_eq!(complete_checksum(&mut vnet, &mut packet, end), Completion::Done);
        packet
    };
    (0..segments.packets()).map(one).collect()
}

proptest! {
    #[test]
    fn pieces_stand_for_the_packets_of_the_whole(
        (tags, v6, tcp, partial) in (0usize..3, any::<bool>(), any::<bool>(), any::<bool>()),
        size in 1u16..3000,
        payload in 1usize..20_000,
        padding in 0usize..20,
        many in 1usize..9,
    ) {
        let whole = Whole { tags, v6, tcp, partial, size, payload, padding };
        let (vnet, frame) = whole.bytes();
        let segments = Segments::of(vnet, &frame).unwrap();
        prop_assert_eq!(segments.packets(), payload.div_ceil(usize::from(size)));
        let of_the_whole = packets(vnet, &frame);
        let mut of_pieces = Vec::new();
        for from in (0..segments.packets()).step_by(many) {
            let piece = segments.piece(from..from + many, vnet, &frame).unwrap();
            let (head, own) = piece.head().split_first_chunk().unwrap();
            let made = [own, &frame[piece.body()]].concat();
            of_pieces.extend(packets(VnetHeader::from_bytes(*head), &made));
        }
        prop_assert_eq!(&of_pieces, &of_the_whole);
        let data: Vec<u8> =
            of_the_whole.iter().flat_map(|own| own[segments.headers()..].to_vec()).collect();
        prop_assert_eq!(&data[..], &frame[segments.headers()..frame.len() - padding]);
        prop_assert!(segments.piece(segments.packets()..usize::MAX, vnet, &frame).is_none());
    }

    /// Whatever comes is read or not, and what is read lies in the frame.
    #[test]
    fn nothing_that_comes_makes_it_panic(
        seed in any::<[u8; 10]>(),
        v6: bool,
        at in 12usize..80,
        with: u8,
        cut in 0usize..200,
    ) {
        let whole =
            Whole { tags: 0, v6, tcp: true, partial: true, size: 50, payload: 150, padding: 0 };
        let (vnet, mut frame) = whole.bytes();
        frame[at] = with;
        frame.truncate(frame.len() - cut);
        for vnet in [vnet, VnetHeader::from_bytes(seed)] {
            if let Some(segments) = Segments::of(vnet, &frame) {
                for n in 0..segments.packets() {
                    let body = segments.piece(n..n + 1, vnet, &frame).unwrap().body();
                    prop_assert!(!body.is_empty() && body.end <= frame.len());
                }
            }
        }
    }
}

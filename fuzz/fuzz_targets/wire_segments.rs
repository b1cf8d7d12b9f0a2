//! Segments, in a tunnel or not, whatever the frame and the header before it say: the packets made of
//! them hold each byte once, in order, one by one and in bundles.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Segments, VnetHeader, vnet};

/// Outer IPv4 and UDP, both with the right length, before bytes of anybody's.
fn outer(rest: &[u8]) -> Vec<u8> {
    let udp = u16::try_from(8 + rest.len()).unwrap_or(u16::MAX);
    let mut frame = vec![2; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(udp.saturating_add(20).to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0xc0, 1, 0x12, 0xb5]);
    frame.extend(udp.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(rest);
    frame
}

fuzz_target!(|input: ([u8; vnet::LEN], bool, Vec<u8>)| {
    let (head, whole, rest) = input;
    let frame = if whole { rest } else { outer(&rest) };
    let vnet = VnetHeader::from_bytes(head);
    let Some(segments) = Segments::of(vnet, &frame) else { return };
    let mut seen = segments.headers();
    for place in 0..segments.packets() {
        let piece = segments.piece(place..place + 1, vnet, &frame).expect("a packet");
        assert_eq!(piece.body().start, seen);
        assert!(piece.body().end <= frame.len());
        seen = piece.body().end;
    }
    let Some(nested) = Segments::nested(vnet, &frame) else { return };
    assert_eq!(seen, frame.len());
    let mut place = 0;
    while place < nested.packets() {
        let mut made = Vec::new();
        let held = nested.bundle(place, vnet, &frame, &mut made);
        assert!(held > 0 && made.len() <= vnet::LEN + 18 + 0xffff);
        place += held;
    }
    assert_eq!(place, nested.packets());
});

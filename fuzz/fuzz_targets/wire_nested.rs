//! Segments in a tunnel, whatever the frame and the header before it say: the packets made of them hold
//! each byte once, in order, one by one and in bundles.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Nested, VnetHeader, vnet};

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
    let Some(nested) = Nested::of(vnet, &frame) else { return };
    let payload = &frame[nested.headers()..];
    let mut seen = Vec::new();
    for place in 0..nested.packets() {
        let piece = nested.piece(place, vnet, &frame).expect("a packet");
        assert!(
            piece.head().len() + piece.body().len() <= 14 + 4 + vnet::LEN + nested.packet_len()
        );
        seen.extend_from_slice(&frame[piece.body()]);
    }
    assert_eq!(seen, payload);
    let mut place = 0;
    while place < nested.packets() {
        let mut made = Vec::new();
        let held = nested.bundle(place, vnet, &frame, &mut made);
        assert!(held > 0 && made.len() <= vnet::LEN + 18 + 0xffff);
        place += held;
    }
    assert_eq!(place, nested.packets());
});

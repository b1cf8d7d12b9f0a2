use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

#[test]
fn the_example_of_rfc_1071() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(fold(sum(&bytes)), 0xddf2);
    assert_eq!(checksum(&bytes), !0xddf2);
}

#[test]
fn the_example_of_rfc_1624() {
    // Section 4: HC = 0xdd2f, m = 0x5555, m' = 0x3285, HC' = 0x0000 (RFC 1141 gives 0xffff).
    assert_eq!(Delta::NONE.word(0x5555, 0x3285).apply(0xdd2f), 0x0000);
}

#[test]
fn an_odd_last_byte_is_the_high_half() {
    assert_eq!(checksum(&[0x12, 0x34, 0x56]), checksum(&[0x12, 0x34, 0x56, 0x00]));
}

proptest! {
    /// Changing words and updating equals changing words and computing anew.
    #[test]
    fn update_equals_recomputation(
        mut bytes in proptest::collection::vec(any::<u8>(), 4..200),
        at in any::<prop::sample::Index>(),
        new in any::<u16>(),
    ) {
        bytes[0] |= 1; // a header is never all zeros, the one case where 0 and 0xffff part ways
        let before = checksum(&bytes);
        let at = 2 * (1 + at.index(bytes.len() / 2 - 1));
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
        prop_assert_eq!(Delta::NONE.word(old, new).apply(before), checksum(&bytes));
    }

    /// A partial field, updated and then completed, equals the full checksum.
    #[test]
    fn partial_update_then_completion(
        src in any::<u32>(), dst in any::<u32>(), new in any::<u32>(),
        payload in proptest::collection::vec(any::<u8>(), 1..100),
    ) {
        let (src, dst, new) = (Ipv4Addr::from(src), Ipv4Addr::from(dst), Ipv4Addr::from(new));
        let length = u16::try_from(payload.len()).unwrap();
        let field = fold(pseudo_header(src, dst, 17, length));
        let updated = Delta::NONE.address(src, new).apply_partial(field);
        let completed = !fold(u64::from(updated) + sum(&payload));
        let fresh = !fold(pseudo_header(new, dst, 17, length) + sum(&payload));
        prop_assert_eq!(completed, fresh);
    }
}

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn packet(total: u16, payload: usize) -> Vec<u8> {
    let mut header = [0; HEADER_LEN];
    let ends = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(8, 8, 8, 8));
    write_header(&mut header, ends, 17, 64, total);
    let mut bytes = header.to_vec();
    bytes.resize(HEADER_LEN + payload, 7);
    bytes
}

#[test]
fn lengths_are_checked_once() {
    assert!(Ipv4::parse(&packet(28, 8)[..]).is_ok());
    assert_eq!(Ipv4::parse(&packet(29, 8)[..]).err(), Some(Ipv4Error::Truncated));
    assert_eq!(Ipv4::parse(&packet(19, 8)[..]).err(), Some(Ipv4Error::Malformed));
    assert_eq!(Ipv4::parse(&packet(28, 8)[..19]).err(), Some(Ipv4Error::Truncated));
    let mut six = packet(28, 8);
    six[0] = 0x65;
    assert_eq!(Ipv4::parse(&six[..]).err(), Some(Ipv4Error::Malformed));
    let mut short_header = packet(28, 8);
    short_header[0] = 0x44;
    assert_eq!(Ipv4::parse(&short_header[..]).err(), Some(Ipv4Error::Malformed));
    let mut long_header = packet(28, 8);
    long_header[0] = 0x4f;
    assert_eq!(Ipv4::parse(&long_header[..]).err(), Some(Ipv4Error::Malformed));
}

/// BIG TCP: the field cannot say how long the packet is, and says 0.
#[test]
fn a_packet_beyond_the_field_is_as_long_as_its_bytes() {
    let big = packet(0, 65_516);
    let view = Ipv4::parse(&big[..]).unwrap();
    assert_eq!((view.total_len(), view.payload().len()), (65_536, 65_516));
    assert_eq!(Ipv4::parse(&packet(0, 65_515)[..]).err(), Some(Ipv4Error::Malformed));
}

#[test]
fn padding_is_no_payload_and_a_quote_may_be_cut() {
    assert_eq!(Ipv4::parse(&packet(22, 30)[..]).unwrap().payload(), [7, 7]);
    assert_eq!(Ipv4::parse_quoted(&packet(1500, 8)[..]).unwrap().payload().len(), 8);
}

#[test]
fn option_types_are_listed_and_end_at_nonsense() {
    let mut bytes = [0u8; 32];
    bytes[0] = 0x48;
    bytes[3] = 32;
    bytes[20..32].copy_from_slice(&[1, 131, 7, 4, 1, 2, 3, 4, 68, 0, 0, 0]);
    let view = Ipv4::parse(&bytes[..]).unwrap();
    assert_eq!(view.option_types().take(9).collect::<Vec<_>>(), [1, 131, 68]);
}

proptest! {
    #[test]
    fn every_setter_keeps_the_checksum(src: u32, dst: u32, ttl: u8, id: u16, offset in 0usize..8000, more: bool) {
        let mut bytes = packet(28, 8);
        let mut view = Ipv4::parse(&mut bytes[..]).unwrap();
        view.set_src(src.into());
        view.set_dst(dst.into());
        view.set_ttl(ttl);
        view.set_id(id);
        view.set_fragment(offset * 8, more);
        view.set_total_len(27);
        prop_assert!(view.checksum_ok());
        prop_assert_eq!((view.src(), view.dst()), (src.into(), dst.into()));
        prop_assert_eq!((view.ttl(), view.id(), view.total_len()), (ttl, id, 27));
        prop_assert_eq!((view.fragment_offset(), view.more_fragments()), (offset * 8, more));
        let stands = view.checksum();
        view.fill_checksum();
        prop_assert_eq!(view.checksum(), stands);
    }

    #[test]
    fn any_bytes_are_a_packet_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for view in [Ipv4::parse(&bytes[..]), Ipv4::parse_quoted(&bytes[..])].into_iter().flatten() {
            let _ = (view.payload(), view.checksum_ok(), view.option_types().count());
        }
    }
}

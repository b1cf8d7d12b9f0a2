//! Messages read, and what is refused.

use super::super::build::{Question, checksum_v6, query};
use super::*;

fn v4_packet(protocol: u8, from: [u8; 4], to: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 1, protocol, 0, 0];
    [&[1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0][..], &header, &from, &to, body].concat()
}

fn igmp_message(kind: u8, code: u8, rest: &[u8], from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut body = [&[kind, code, 0, 0][..], rest].concat();
    let sum = checksum::checksum(&body).to_be_bytes();
    body[2..4].copy_from_slice(&sum);
    v4_packet(IGMP, from, to, &body)
}

fn heard(frame: &[u8]) -> Result<Heard<'_>, Malformed> {
    read(MacAddr([1, 0, 0x5e, 0, 0, 1]), frame)
}

const HOST: [u8; 4] = [10, 0, 0, 2];
const GROUP: [u8; 4] = [239, 1, 2, 3];

#[test]
fn reports_and_leaves_name_their_group() {
    let group = IpAddr::from(GROUP);
    for kind in [0x12, 0x16] {
        let frame = igmp_message(kind, 0, &GROUP, HOST, GROUP);
        assert!(matches!(heard(&frame), Ok(Heard::Join(g)) if g == group));
    }
    let frame = igmp_message(0x17, 0, &GROUP, HOST, [224, 0, 0, 2]);
    assert!(matches!(heard(&frame), Ok(Heard::Leave(g)) if g == group));
    // Padding behind the packet is no part of it.
    let padded = [&frame[..], &[0xaa; 18]].concat();
    assert!(matches!(heard(&padded), Ok(Heard::Leave(_))));
}

#[test]
fn records_come_with_their_sources() {
    let records = [
        &[0, 0, 0, 2][..],
        &[6, 0, 0, 1],
        &GROUP,
        &[192, 0, 2, 1],
        // Four bytes of auxiliary data, which are skipped.
        &[4, 1, 0, 0],
        &[239, 9, 9, 9],
        &[0; 4],
    ]
    .concat();
    let frame = igmp_message(0x22, 0, &records, HOST, [224, 0, 0, 22]);
    let Ok(Heard::Report(records)) = heard(&frame) else { panic!() };
    let all: Vec<_> = records.collect();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].kind, all[0].group), (Some(Kind::Block), GROUP.into()));
    assert_eq!(all[0].sources().collect::<Vec<_>>(), [IpAddr::from([192, 0, 2, 1])]);
    assert_eq!((all[1].kind, all[1].has_sources()), (Some(Kind::ToExclude), false));
}

#[test]
fn what_is_broken_is_refused() {
    let good = igmp_message(0x16, 0, &GROUP, HOST, GROUP);
    let with = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] = value;
        frame
    };
    let long = igmp_message(0x22, 0, &[0, 0, 0, 9, 1, 0, 0, 0], HOST, [224, 0, 0, 22]);
    let general = igmp_message(0x11, 100, &[0; 4], HOST, GROUP);
    for (why, bad) in [
        ("checksum", with(36, 0xee)),
        ("version", with(14, 0x65)),
        ("header length", with(14, 0x44)),
        ("total length", with(16, 9)),
        ("no IGMP at all", good[..36].to_vec()),
        ("records beyond the packet", long),
        ("a general query to a group", general),
    ] {
        assert!(heard(&bad).is_err(), "{why}");
    }
    for cut in 14..good.len() {
        let _ = heard(&good[..cut]);
    }
}

#[test]
fn what_is_no_message_is_data_for_its_group() {
    let frame = v4_packet(17, HOST, GROUP, &[0; 8]);
    let Ok(Heard::Data { group, source, bounded: true }) = heard(&frame) else { panic!() };
    assert_eq!((group, source), (Group::Ip(GROUP.into()), Some(HOST.into())));
    for to in [[224, 0, 0, 1], [224, 0, 0, 251]] {
        let frame = v4_packet(17, HOST, to, &[0; 8]);
        assert!(matches!(heard(&frame), Ok(Heard::Data { bounded: false, .. })), "{to:?}");
    }
    let other = [&[1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x88, 0xb5][..], &[0; 46]].concat();
    assert!(matches!(heard(&other), Ok(Heard::Data { group: Group::Mac(_), bounded: false, .. })));
    // A hello of a PIM router, and what is none.
    let hello = v4_packet(PIM, HOST, [224, 0, 0, 13], &[0x20, 0, 0, 0]);
    assert!(matches!(heard(&hello), Ok(Heard::Router(Family::V4))));
    let join = v4_packet(PIM, HOST, [224, 0, 0, 13], &[0x23, 0, 0, 0]);
    assert!(matches!(heard(&join), Ok(Heard::Data { .. })));
}

#[test]
fn our_own_queries_are_understood() {
    let groups: [(Family, Option<IpAddr>); 4] = [
        (Family::V4, None),
        (Family::V4, Some(GROUP.into())),
        (Family::V6, None),
        (Family::V6, Some("ff05::1234".parse().unwrap())),
    ];
    for (family, group) in groups {
        for newer in [false, true] {
            let sources: Vec<IpAddr> = match family {
                _ if !newer || group.is_none() => Vec::new(),
                Family::V4 => vec![[192, 0, 2, 7].into()],
                Family::V6 => vec!["2001:db8::7".parse().unwrap()],
            };
            let mut frame = Vec::new();
            let question = Question {
                by: MacAddr([2, 0, 0, 0, 0, 9]),
                newer,
                max_delay: Duration::from_secs(10),
                interval: Duration::from_secs(125),
                group,
                sources: &sources,
            };
            query(&question, family, &mut frame);
            let dst = MacAddr(frame[..6].try_into().unwrap());
            let Ok(Heard::Query(query)) = read(dst, &frame) else { panic!("{question:?}") };
            assert_eq!((query.group, query.newer), (group, newer));
            assert_eq!(query.max_delay, Duration::from_secs(10));
            assert_eq!(query.of_sources, !sources.is_empty());
            if family == Family::V4 {
                assert_eq!(checksum::fold(checksum::sum(&frame[14..38])), 0xffff, "the header's");
            }
        }
    }
}

#[test]
fn the_messages_of_mld_are_read() {
    let message = |kind: u8, rest: &[u8], to: &str| {
        let (from, to): (Ipv6Addr, Ipv6Addr) = ("fe80::1".parse().unwrap(), to.parse().unwrap());
        let mut body = [&[kind, 0, 0, 0][..], rest].concat();
        let sum = checksum_v6(&body, from, to).to_be_bytes();
        body[2..4].copy_from_slice(&sum);
        let length = u16::try_from(8 + body.len()).unwrap().to_be_bytes();
        [
            &[0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd][..],
            &[0x60, 0, 0, 0, length[0], length[1], 0, 1],
            &from.octets(),
            &to.octets(),
            &[58, 0, 5, 2, 0, 0, 1, 0],
            &body,
        ]
        .concat()
    };
    let group: Ipv6Addr = "ff05::1234".parse().unwrap();
    let rest = [&[0; 4][..], &group.octets()].concat();
    let (join, leave) = (message(131, &rest, "ff05::1234"), message(132, &rest, "ff02::2"));
    assert!(matches!(heard(&join), Ok(Heard::Join(g)) if g == IpAddr::V6(group)));
    assert!(matches!(heard(&leave), Ok(Heard::Leave(g)) if g == IpAddr::V6(group)));
    let record = [&[0, 0, 0, 1, 1, 0, 0, 1][..], &group.octets(), &[7; 16]].concat();
    let report = message(143, &record, "ff02::16");
    let Ok(Heard::Report(mut records)) = heard(&report) else { panic!() };
    let first = records.next().unwrap();
    assert_eq!((first.kind, first.sources().count()), (Some(Kind::IsInclude), 1));
    // Neighbour discovery has no router alert: data, for members alone but of all nodes' group.
    let mut solicitation = join.clone();
    solicitation[20] = 58;
    assert!(matches!(heard(&solicitation), Ok(Heard::Data { bounded: true, .. })));
    let mut bad = join;
    *bad.last_mut().unwrap() ^= 1;
    assert!(heard(&bad).is_err());
}

#[test]
fn codes_beyond_half_are_floating() {
    for (code, bits, value) in
        [(127, 8, 127), (0x80, 8, 128), (0xff, 8, 31_744), (0x8000, 16, 32_768)]
    {
        assert_eq!(float(code, bits), value, "{code:#x}");
    }
}

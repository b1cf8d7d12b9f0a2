//! The filter, run by an interpreter of the few instructions it has, over frames of every kind.

use super::*;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const FAR: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

/// What the kernel would do with `frame`; `vlan` is the tag it took out.
fn passes(frame: &[u8], vlan: Option<u32>) -> bool {
    let ops = program(OWN, PortBlock::default());
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0);
    loop {
        let op = ops[at];
        at += 1;
        let load = |base: u32, size: usize| {
            let from = (base + op.value) as usize;
            let bytes = frame.get(from..from + size)?;
            Some(bytes.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
        };
        let jump = |holds: bool| usize::from(if holds { op.then } else { op.otherwise });
        let loaded = match op.code {
            _ if op.value == VLAN_PRESENT => Some(u32::from(vlan.is_some())),
            _ if op.value == VLAN_TAG => vlan,
            code::WORD => load(0, 4),
            code::HALF => load(0, 2),
            code::BYTE => load(0, 1),
            code::WORD_FROM_X => load(x, 4),
            code::HALF_FROM_X => load(x, 2),
            code::BYTE_FROM_X => load(x, 1),
            code::X_HEADER_LENGTH => {
                let Some(byte) = load(0, 1) else { return false };
                x = (byte & 15) * 4;
                continue;
            }
            code::AND => Some(a & op.value),
            code::SHIFT_LEFT => Some(a << op.value),
            code::ADD_X => Some(a + x),
            code::X_IS_A => {
                x = a;
                continue;
            }
            code::IF_EQUALS_X => {
                at += jump(a == x);
                continue;
            }
            code::IF_EQUAL => {
                at += jump(a == op.value);
                continue;
            }
            code::IF_ABOVE => {
                at += jump(a > op.value);
                continue;
            }
            code::IF_NOT_BELOW => {
                at += jump(a >= op.value);
                continue;
            }
            code::IF_ANY_BIT => {
                at += jump(a & op.value != 0);
                continue;
            }
            code::RETURN => return op.value != 0,
            other => panic!("no instruction {other:#x}"),
        };
        let Some(value) = loaded else { return false };
        a = value;
    }
}

fn packet(src: Ipv4Addr, dst: Ipv4Addr, number: u8, options: usize, body: &[u8]) -> Vec<u8> {
    let mut ip = vec![0; 20 + options];
    ip[0] = 0x45 + u8::try_from(options / 4).unwrap();
    ip[9] = number;
    ip[12..16].copy_from_slice(&src.octets());
    ip[16..20].copy_from_slice(&dst.octets());
    ip.extend_from_slice(body);
    ip
}

fn framed(ethertype: u16, body: &[u8]) -> Vec<u8> {
    [&[0; 12][..], &ethertype.to_be_bytes(), body].concat()
}

fn ports(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes(), [0; 2], [0; 2]].concat()
}

fn ip_passes(packet: &[u8]) -> bool {
    passes(&framed(0x0800, packet), None)
}

#[test]
fn transport_to_the_block_and_to_nothing_else() {
    for number in [6, 17] {
        for options in [0, 4, 40] {
            for (port, wanted) in
                [(19_999, false), (20_000, true), (25_123, true), (29_999, true), (30_000, false)]
            {
                let to = packet(FAR, OWN, number, options, &ports(443, port));
                assert_eq!(ip_passes(&to), wanted, "protocol {number}, port {port}");
                let from = packet(FAR, OWN, number, options, &ports(port, 80));
                assert!(!ip_passes(&from), "a source port of the block is nothing");
            }
        }
        let other = Ipv4Addr::new(192, 0, 2, 3);
        assert!(!ip_passes(&packet(FAR, other, number, 0, &ports(443, 25_000))));
    }
    assert!(!ip_passes(&packet(FAR, OWN, 132, 0, &ports(443, 25_000))));
    assert!(!ip_passes(&packet(FAR, OWN, 6, 0, &[0])), "cut off");
    assert!(!passes(&framed(0x86dd, &[0; 60]), None));
    assert!(!passes(&[], None));
}

#[test]
fn vlans_are_somebody_else_s() {
    let frame = framed(0x0800, &packet(FAR, OWN, 6, 0, &ports(443, 25_000)));
    assert!(passes(&frame, Some(0x6000)), "a priority names no VLAN");
    assert!(!passes(&frame, Some(0x6005)));
}

#[test]
fn fragments_first_and_later() {
    for (field, wanted) in [(0_u16, false), (0x4000, false), (0x2000, true), (185, true)] {
        let mut fragment = packet(FAR, OWN, 17, 0, &ports(53, 1000));
        fragment[6..8].copy_from_slice(&field.to_be_bytes());
        assert_eq!(ip_passes(&fragment), wanted, "{field:#x}");
    }
}

#[test]
fn queries_by_their_identifier() {
    let message = |kind: u8, id: u16| [&[kind, 0, 0, 0][..], &id.to_be_bytes(), &[0; 2]].concat();
    for (kind, id, wanted) in [
        (0, 25_000, true),
        (14, 25_000, true),
        (0, 1000, false),
        (14, 1000, false),
        (8, 25_000, false),
        (13, 25_000, false),
        (5, 25_000, false),
    ] {
        let sent = packet(FAR, OWN, 1, 8, &message(kind, id));
        assert_eq!(ip_passes(&sent), wanted, "type {kind}, identifier {id}");
    }
}

#[test]
fn errors_by_what_they_quote() {
    let error = |kind: u8, quoted: &[u8]| {
        packet(FAR, OWN, 1, 4, &[&[kind, 0, 0, 0, 0, 0, 0, 0][..], quoted].concat())
    };
    for options in [0, 12] {
        let quote = |src, number, body: &[u8]| packet(src, FAR, number, options, body);
        for kind in [3, 11, 12] {
            for number in [6, 17] {
                assert!(ip_passes(&error(kind, &quote(OWN, number, &ports(25_000, 80)))));
                assert!(!ip_passes(&error(kind, &quote(OWN, number, &ports(40_000, 25_000)))));
                assert!(!ip_passes(&error(kind, &quote(FAR, number, &ports(25_000, 80)))));
            }
            let echo = |id: u16| [&[8, 0, 0, 0][..], &id.to_be_bytes(), &[0; 2]].concat();
            assert!(ip_passes(&error(kind, &quote(OWN, 1, &echo(25_000)))));
            assert!(!ip_passes(&error(kind, &quote(OWN, 1, &echo(77)))));
            assert!(!ip_passes(&error(kind, &quote(OWN, 132, &ports(25_000, 80)))));
        }
        let mut later = quote(OWN, 17, &ports(25_000, 80));
        later[7] = 185;
        assert!(!ip_passes(&error(3, &later)), "no ports in a later fragment");
        assert!(!ip_passes(&error(5, &quote(OWN, 6, &ports(25_000, 80)))), "redirects");
    }
}

#[test]
fn arp_by_whom_it_is_for() {
    let router = Ipv4Addr::new(192, 0, 2, 1);
    let arp = |operation: u8, sender: Ipv4Addr, target: Ipv4Addr| {
        let mut arp = vec![0, 1, 8, 0, 6, 4, 0, operation];
        arp.extend([0; 6]);
        arp.extend(sender.octets());
        arp.extend([0; 6]);
        arp.extend(target.octets());
        framed(0x0806, &arp)
    };
    for operation in [1, 2] {
        assert!(passes(&arp(operation, router, OWN), None), "{operation}: who says it, learned");
        assert!(passes(&arp(operation, router, router), None), "{operation}: a new card announced");
        assert!(!passes(&arp(operation, router, FAR), None), "{operation}: others' business");
    }
}

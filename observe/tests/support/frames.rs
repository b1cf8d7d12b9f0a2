//! Frames of every kind a filter can tell apart.

use super::{arp, ethernet, transport, v4, v6};

/// Whole frames of what is seldom: groups' protocols, LLC, labels, sessions, headers in a chain.
pub(crate) fn seldom() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let (a, b) = ([10, 100, 0, 10], [10, 100, 0, 20]);
    let mut v4_of = |protocol: u8, fragment: u16, payload: &[u8]| {
        frames.push([ethernet(2, 0x0800, &[]), v4(protocol, a, b, fragment, payload)].concat());
    };
    for kind in [0, 3, 5, 8, 11, 13] {
        v4_of(1, 0, &[kind, 0, 0, 0, 0, 7, 0, 1]);
        v4_of(1, 0, &[kind, 1, 0, 0, 0, 7, 0, 1, 0x45]);
    }
    for flags in [0x01, 0x02, 0x04, 0x08, 0x10, 0x12, 0x18, 0x20, 0x42, 0x80, 0xc2] {
        let mut tcp = transport(6, 40_000, 53);
        tcp[13] = flags;
        v4_of(6, 0, &tcp);
        v4_of(6, 0x2000, &tcp);
        v4_of(6, 0x0003, &tcp);
    }
    for kind in [0x11, 0x16, 0x17, 0x22] {
        v4_of(2, 0, &[kind, 0, 0, 0, 224, 0, 0, 9]);
    }
    for (protocol, first) in [(9, 0), (103, 0x20), (112, 0x21), (50, 1), (89, 2)] {
        v4_of(protocol, 0, &[first, 0, 0, 0, 0, 0, 0, 9]);
    }
    // Behind an authentication header, TCP and UDP.
    for inner in [6, 17] {
        let header = [inner, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9];
        v4_of(51, 0, &[&header[..], &transport(inner, 53, 80)].concat());
    }
    for ttl in [0, 1, 4, 5, 6, 255] {
        let mut frame = [ethernet(2, 0x0800, &[]), v4(17, b, a, 0, &transport(17, 1, 53))].concat();
        frame[22] = ttl;
        frames.push(frame);
    }
    for dst in [[10, 100, 255, 255], [10, 100, 0, 0], [255; 4], [10, 7, 255, 255]] {
        frames
            .push([ethernet(0xff, 0x0800, &[]), v4(17, a, dst, 0, &transport(17, 1, 2))].concat());
    }
    frames.extend(sixth());
    frames.extend(linked());
    frames.extend(labelled());
    frames
}

/// IPv6 with headers in a chain, and ICMPv6 of several types.
fn sixth() -> Vec<Vec<u8>> {
    let options = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    let long = |next: u8| [vec![next, 1, 1, 12], vec![0; 12]].concat();
    let fragment = |next: u8| vec![next, 0, 0, 1, 0, 0, 0, 1];
    let ah = |next: u8| [vec![next, 2], vec![0; 14]].concat();
    let mut payloads = vec![
        (0, [options(6), transport(6, 80, 6001)].concat()),
        (0, [long(60), options(17), transport(17, 53, 53)].concat()),
        (43, [long(6), transport(6, 1, 2)].concat()),
        (60, [options(44), fragment(17), transport(17, 53, 80)].concat()),
        (44, [fragment(58), vec![128, 0, 0, 0]].concat()),
        (51, [ah(17), transport(17, 5, 6)].concat()),
        (0, [options(51), ah(6), transport(6, 5, 6)].concat()),
        (59, Vec::new()),
        (0, options(59)),
        (0, options(0)),
    ];
    payloads.extend([1, 2, 128, 129, 135, 136].map(|kind| (58, vec![kind, 0, 0, 0, 0, 7, 0, 1])));
    let whole = |(next, payload): (u8, Vec<u8>)| {
        [ethernet(0x33, 0x86dd, &[]), v6(next, 1, 2, &payload)].concat()
    };
    payloads.into_iter().map(whole).collect()
}

/// What says its length where others say their type, and old EtherTypes.
fn linked() -> Vec<Vec<u8>> {
    let llc: &[&[u8]] = &[
        &[0x42, 0x42, 0x03, 0, 0],
        &[0xe0, 0xe0, 0x03, 0xff],
        &[0xff, 0xff, 0, 30],
        &[0xf0, 0xf0, 0x7f],
        &[0xf0, 0xf0, 0x00, 0x02],
        &[0xfe, 0xfe, 0x03, 0x81, 0],
        &[0xfe, 0xfe, 0x03, 0x82, 0],
        &[0xaa, 0xaa, 0x03, 0, 0, 0, 0x81, 0x37, 1],
        &[0xaa, 0xaa, 0x03, 0, 0, 0, 0x80, 0xf3, 1],
        &[0xaa, 0xaa, 0x03, 8, 0, 7, 0x80, 0x9b, 1],
        &[0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00, 0x45],
        &[0x26, 0x26, 0x01, 0],
        &[0x06, 0x06, 0x05, 0],
        &[0x06, 0x06, 0x09, 0],
        &[4, 4, 0x63],
        &[4, 4, 0x43],
        &[4, 4, 0x6f],
        &[4, 4, 0xf3],
        &[4, 4, 0xbf],
        &[4, 4, 0x97],
    ];
    let mut frames = Vec::new();
    for bytes in llc {
        for tags in [&[][..], &[(0x8100, 100)]] {
            let kind = u16::try_from(bytes.len()).unwrap();
            frames.push([&ethernet(1, kind, tags)[..], bytes].concat());
        }
    }
    for kind in 15..28 {
        let isis = [0xfe, 0xfe, 0x03, 0x83, 27, 1, 0, kind, 1, 0, 0];
        frames.push([&ethernet(1, 11, &[])[..], &isis].concat());
    }
    let kinds = [
        0x8137, 0x809b, 0x80f3, 0x6001, 0x6002, 0x6003, 0x6004, 0x6007, 0x9000, 0x05dc, 0x05dd,
        0x0600, 0x26,
    ];
    frames.extend(kinds.map(|kind| [ethernet(3, kind, &[]), vec![0; 46]].concat()));
    let mut reply = arp(0x0806, [10, 100, 0, 20], [10, 100, 0, 10]);
    reply[21] = 2;
    frames.push(reply);
    frames
}

/// Behind MPLS labels and in PPPoE sessions.
fn labelled() -> Vec<Vec<u8>> {
    let (a, b) = ([10, 100, 0, 10], [10, 100, 0, 20]);
    let inner = [
        v4(6, a, b, 0, &transport(6, 40_000, 53)),
        v4(1, a, b, 0, &transport(1, 0, 0)),
        v6(17, 1, 2, &transport(17, 53, 53)),
    ];
    let mut frames = Vec::new();
    for packet in &inner {
        for labels in [&[(5u32, 1u32)][..], &[(5, 0), (7, 1)], &[(7, 0), (1_048_575, 1)]] {
            let stack = labels
                .iter()
                .flat_map(|(label, bottom)| (label << 12 | bottom << 8 | 64).to_be_bytes());
            let stack: Vec<u8> = stack.collect();
            for tags in [&[][..], &[(0x8100, 100)]] {
                let link = ethernet(2, 0x8847, tags);
                frames.push([&link[..], &stack, packet].concat());
            }
        }
        let ppp: u16 = if packet[0] >> 4 == 4 { 0x21 } else { 0x57 };
        for session in [3, 4] {
            for tags in [&[][..], &[(0x8100, 100)]] {
                let header = [0x11, 0, 0, session, 0, 40];
                let link = ethernet(2, 0x8864, tags);
                frames.push([&link[..], &header, &ppp.to_be_bytes(), packet].concat());
            }
        }
    }
    let discovery = [0x11, 9, 0, 0, 0, 0];
    frames.push([&ethernet(0xff, 0x8863, &[])[..], &discovery].concat());
    let label = (5u32 << 12 | 1 << 8).to_be_bytes();
    let session = [0x11, 0, 0, 3, 0, 40, 0x02, 0x81];
    frames.push([&ethernet(2, 0x8864, &[])[..], &session, &label, &inner[0]].concat());
    frames
}

//! Sizes, segments and checksums: what a packet is when it comes from a virtual device.

use gateway::{Config, DropReason, Side};
use wire::{MacAddr, VnetHeader};

use crate::world::packet::{ACK, SYN, Seen, check_sums};
use crate::world::{OUTSIDE, Pkt, World, config, ip};

fn narrow(mtu: u16) -> Config {
    let mut config = config();
    config.uplink.as_mut().unwrap().mtu = mtu;
    config
}

#[test]
fn segments_pass_whole_with_their_header_both_ways() {
    let mut world = World::new(config());
    world.lan(&Pkt::tcp("10.100.0.20:500", "8.8.8.8:80", SYN, b"")); // so that the port changes
    // The last is more than a length field can say.
    let kinds = [(1, 1448, 60_001), (0x81, 1448, 9000), (0, 0, 501), (1, 1448, 150_000)];
    for (gso_type, size, data) in kinds {
        let out = Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", ACK, &vec![1; data]);
        let out = out.offloaded(gso_type, size);
        let sent = world.lan(&out);
        let public = sent.on(Side::Uplink).src;
        assert_eq!((sent.frames.len(), sent.frames[0].1), (1, out.vnet));
        let back = Pkt::tcp("8.8.8.8:80", &public, ACK, &vec![1; data]).offloaded(gso_type, size);
        let got = world.uplink(&back);
        assert_eq!(
            (got.on(Side::LAN).dst.as_str(), got.frames[0].1),
            ("10.100.0.10:500", back.vnet)
        );
    }
    let datagrams = Pkt::udp("10.100.0.10:500", "8.8.8.8:80", &[1; 7000]).offloaded(5, 1400);
    assert_eq!(world.lan(&datagrams).frames[0].1, datagrams.vnet);
    // Counted as what they stand for.
    let tcp = world.sessions().into_iter().find(|s| s.packets_out > 3 && s.bytes_out > 60_000);
    assert_eq!(tcp.unwrap().packets_out, 42 + 7 + 1 + 104);
}

#[test]
fn a_completed_partial_checksum_is_the_right_one() {
    let mut world = World::new(config());
    for packet in [
        Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"odd"),
        Pkt::tcp("10.100.0.10:500", "8.8.8.8:53", SYN, b"even"),
    ] {
        let (_, mut vnet, mut frame) = world.lan(&packet.offloaded(0, 0)).frames.remove(0);
        let end = frame.len();
        wire::offload::complete_checksum(&mut vnet, &mut frame, end);
        check_sums(vnet, &frame);
    }
}

#[test]
fn segments_are_judged_by_their_size_and_not_by_the_frames() {
    let mut world = World::new(narrow(1400));
    let tcp =
        |size| Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", ACK, &[1; 20_000]).offloaded(1, size);
    assert_eq!(world.lan(&tcp(1360)).frames.len(), 1);
    let out = world.lan(&tcp(1361));
    assert_eq!(out.dropped(), DropReason::TooBig);
    let error = out.on(Side::LAN).icmp.unwrap();
    assert_eq!((error.0, error.1, error.2), (3, 4, 1400));
}

/// As the kernel's router does: first into the packets it stands for, then each into fragments.
#[test]
fn segments_too_large_without_df_are_cut_and_sum_up_again() {
    let data: Vec<u8> = (0..=255).cycle().take(7001).collect();
    let udp = Pkt::udp("10.100.0.10:500", "8.8.8.8:80", &data).offloaded(5, 1400);
    // CWR, ACK, PSH, FIN: what is for the first or the last stays there.
    let tcp = Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", 0x99, &data).offloaded(1, 1400);
    for (packet, header) in [(udp, 8), (tcp, 20)] {
        let mut world = World::new(narrow(1300));
        world.lan(&Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", SYN, b""));
        let frames = world.lan(&packet.clone().may_be_cut()).frames;
        assert!(frames.iter().all(|f| f.2.len() <= 14 + 1300 && f.1 == VnetHeader::default()));
        let mut whole = Vec::new();
        let seen: Vec<_> = frames.iter().map(|f| Seen::of(&f.2)).collect();
        for (place, pieces) in seen.chunk_by(|a, b| a.id == b.id).enumerate() {
            let body: Vec<u8> = pieces.iter().flat_map(|s| s.ip[20..].to_vec()).collect();
            assert_eq!(pieces.len(), if place == 5 { 1 } else { 2 }, "1400 and 1400 and … and 1");
            assert_eq!(pieces[0].id, seen[0].id.wrapping_add(u16::try_from(place).unwrap()));
            let view = wire::Ipv4::parse(&pieces[0].ip[..]).unwrap();
            if header == 20 {
                let at = u32::from_be_bytes(body[4..8].try_into().unwrap());
                let first = u32::from_be_bytes(seen[0].ip[24..28].try_into().unwrap());
                assert_eq!(usize::try_from(at - first).unwrap(), place * 1400);
                let flags = [(0, 0x90), (5, 0x19)].into_iter().find(|(n, _)| *n == place);
                assert_eq!(body[13], flags.map_or(0x10, |(_, flags)| flags));
            }
            let one = Pkt::raw(view.src(), view.dst(), view.protocol(), body);
            check_sums(VnetHeader::default(), &one.frame(MacAddr::ZERO, MacAddr::ZERO));
            whole.extend_from_slice(&one.body[header..]);
        }
        assert!(whole == data, "of {} bytes {} arrive", data.len(), whole.len());
        // What may not be cut is refused as before.
        assert_eq!(world.lan(&packet).dropped(), DropReason::TooBig);
    }
}

#[test]
fn segments_too_large_for_the_lan_are_cut_too() {
    let mut config = config();
    config.legs[0].1.mtu = 1300;
    let mut world = World::new(config);
    world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:80", b"x"));
    let packet = Pkt::udp("8.8.8.8:80", "203.0.113.2:500", &[1; 7000]).offloaded(5, 1400);
    let frames = world.uplink(&packet.may_be_cut()).frames;
    assert_eq!((frames.len(), frames[0].0), (10, Side::LAN));
}

#[test]
fn too_large_with_df_is_told_the_mtu_in_both_directions() {
    let mut world = World::new(narrow(1400));
    let out = world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:80", &[1; 1373]));
    assert_eq!((out.dropped(), out.on(Side::LAN).icmp.unwrap().2), (DropReason::TooBig, 1400));
    assert_eq!(world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:80", &[1; 1372])).frames.len(), 1);

    let mut config = config();
    config.legs[0].1.mtu = 1300;
    let mut world = World::new(config);
    world.lan(&Pkt::udp("10.100.0.10:500", "8.8.8.8:80", b"x"));
    let out = world.uplink(&Pkt::udp("8.8.8.8:80", "203.0.113.2:500", &[1; 1300]));
    let error = out.on(Side::Uplink);
    assert_eq!((error.icmp.unwrap().2, error.dst.as_str()), (1300, "8.8.8.8"));
}

#[test]
fn too_large_without_df_is_cut_and_sums_up_again() {
    for offloaded in [false, true] {
        let mut world = World::new(narrow(1000));
        let data: Vec<u8> = (0..=255).cycle().take(1450).collect();
        let mut packet = Pkt::udp("10.100.0.10:500", "8.8.8.8:80", &data).may_be_cut();
        packet.options = vec![0x94, 4, 0, 0, 0x44, 4, 5, 0]; // router alert (copied), timestamp (not)
        if offloaded {
            packet = packet.offloaded(0, 0);
        }
        let frames = world.lan(&packet).frames;
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|f| f.2.len() <= 14 + 1000 && !f.1.needs_csum()));
        let pieces: Vec<_> = frames.iter().map(|f| ip(&f.2)).collect();
        assert_eq!((pieces[0][0] & 15, pieces[1][0] & 15), (7, 6), "only copied options go on");
        let body = [&pieces[0][28..], &pieces[1][24..]].concat();
        let view = wire::Ipv4::parse(pieces[0]).unwrap();
        let whole = Pkt::raw(view.src(), view.dst(), 17, body);
        let frame = whole.frame(wire::MacAddr::ZERO, wire::MacAddr::ZERO);
        check_sums(wire::VnetHeader::default(), &frame);
        assert_eq!(whole.body[8..], data);
    }
}

#[test]
fn a_udp_checksum_of_zero_stays_zero() {
    let mut world = World::new(config());
    let mut packet = Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"x");
    packet.body[6..8].copy_from_slice(&[0, 0]);
    let sent = world.lan(&packet).on(Side::Uplink);
    assert_eq!(sent.ip[26..28], [0, 0]);
    let mut back = Pkt::udp("8.8.8.8:53", &sent.src, b"x");
    back.body[6..8].copy_from_slice(&[0, 0]);
    assert_eq!(world.uplink(&back).on(Side::LAN).ip[26..28], [0, 0]);
}

/// A tunnel over UDP that leaves the inner checksum to the receiver (VXLAN, GENEVE, FOU): its own
/// sum is complete, or zero, and follows what is translated; the inner one is not touched.
/// Segments of TCP in a VXLAN from one end to another, `data` bytes of them.
fn tunnelled(from: &str, to: &str, data: usize, size: u16) -> Pkt {
    let inner = Pkt::tcp("192.168.7.1:1", "192.168.7.2:2", ACK, &vec![1; data]).offloaded(1, size);
    let (vnet, bytes) = (inner.vnet, inner.frame(MacAddr([2; 6]), MacAddr([4; 6])));
    let mut packet = Pkt::udp(from, to, &[&[8, 0, 0, 0, 0, 0, 5, 0], &bytes[..]].concat());
    packet = packet.offloaded(0, 0);
    packet.vnet = VnetHeader { csum_start: vnet.csum_start + 50, ..vnet };
    packet
}

/// The packets that a frame of a tunnel's segments stands for, each with sums that are right.
fn packets_of(vnet: VnetHeader, frame: &[u8]) -> usize {
    let nested = wire::Segments::nested(vnet, frame).expect("segments in a tunnel");
    for piece in (0..nested.packets()).map(|n| nested.piece(n..n + 1, vnet, frame).unwrap()) {
        let (head, own) = piece.head().split_first_chunk().unwrap();
        let mut packet = [own, &frame[piece.body()]].concat();
        let (mut vnet, end) = (VnetHeader::from_bytes(*head), packet.len());
        wire::offload::complete_checksum(&mut vnet, &mut packet, end);
        check_sums(vnet, &packet);
        check_sums(vnet, &packet[50..]);
    }
    nested.packets()
}

#[test]
fn segments_in_a_tunnel_pass_whole_both_ways() {
    let mut world = World::new(config());
    world.lan(&Pkt::udp("10.100.0.20:500", "8.8.8.8:4789", b"has the port"));
    let out = tunnelled("10.100.0.10:500", "8.8.8.8:4789", 30_000, 1398);
    let (side, vnet, frame) = world.lan(&out).frames.remove(0);
    assert_eq!((side, vnet), (Side::Uplink, out.vnet));
    assert_eq!(packets_of(vnet, &frame), 22);
    let public = Seen::of(&frame).src;
    assert!(!public.ends_with(":500"), "the port has changed too");
    let back = tunnelled("8.8.8.8:4789", &public, 30_000, 1398);
    let (side, vnet, frame) = world.uplink(&back).frames.remove(0);
    assert_eq!((side, vnet), (Side::LAN, back.vnet));
    assert_eq!(packets_of(vnet, &frame), 22);
    assert_eq!(Seen::of(&frame).dst, "10.100.0.10:500");
    let session = world.sessions().into_iter().find(|s| s.packets_in > 0).unwrap();
    assert_eq!(
        (session.packets_out, session.packets_in),
        (22, 22),
        "counted as what they stand for"
    );
}

/// A tunnel's datagrams may be cut: each of what the frame stands for is, by itself.
#[test]
fn segments_in_a_tunnel_that_are_too_large_leave_in_fragments() {
    let mut world = World::new(narrow(1400));
    // Headers of 20, 8, 8, 14, 20 and 20 bytes before each segment.
    let fits = tunnelled("10.100.0.10:500", "8.8.8.8:4789", 5000, 1310);
    assert_eq!(world.lan(&fits).frames.len(), 1);
    let out = world.lan(&tunnelled("10.100.0.10:500", "8.8.8.8:4789", 3000, 1398).may_be_cut());
    let sizes: Vec<_> = out.frames.iter().map(|(_, _, frame)| frame.len() - 14).collect();
    assert_eq!(sizes, [1396, 112, 1396, 112, 294]);
    assert!(out.frames.iter().all(|(_, vnet, _)| vnet.gso_type == 0));
}

#[test]
fn a_partial_checksum_inside_a_tunnel_passes_both_ways() {
    let full = Pkt::tcp("192.168.7.1:1", "192.168.7.2:2", ACK, b"inner");
    let full = full.frame(MacAddr([2; 6]), MacAddr([4; 6]));
    let partial = Pkt::tcp("192.168.7.1:1", "192.168.7.2:2", ACK, b"inner").offloaded(0, 0);
    let (inner, partial) = (partial.vnet, partial.frame(MacAddr([2; 6]), MacAddr([4; 6])));
    let field = usize::from(inner.csum_start + inner.csum_offset);
    assert_ne!(full[field..], partial[field..]);
    for zero in [false, true] {
        let mut world = World::new(config());
        world.lan(&Pkt::udp("10.100.0.20:500", "8.8.8.8:4789", b"has the port"));
        let tunnel = |from: &str, to: &str| {
            let mut packet = Pkt::udp(from, to, &[&[8, 0, 0, 0, 0, 0, 5, 0], &full[..]].concat());
            packet.body[16..].copy_from_slice(&partial);
            if zero {
                packet.body[6..8].copy_from_slice(&[0, 0]);
            }
            let csum_start = inner.csum_start + 14 + 20 + 8 + 8;
            packet.vnet = VnetHeader { csum_start, ..inner };
            packet
        };
        let out = tunnel("10.100.0.10:500", "8.8.8.8:4789");
        let (_, vnet, frame) = world.lan(&out).frames.remove(0);
        let public = Seen::of(&frame).src;
        assert!(!public.ends_with(":500"), "the port has changed too");
        let back = tunnel("8.8.8.8:4789", &public);
        let (side, vnet_back, frame_back) = world.uplink(&back).frames.remove(0);
        assert_eq!((side, vnet, vnet_back), (Side::LAN, out.vnet, back.vnet));
        for (mut vnet, mut frame) in [(vnet, frame), (vnet_back, frame_back)] {
            assert_eq!(frame[14 + 20 + 16..], partial[..]);
            assert_eq!(frame[40..42] == [0, 0], zero);
            let end = frame.len();
            wire::offload::complete_checksum(&mut vnet, &mut frame, end);
            assert_eq!(frame[14 + 20 + 16..], full[..]);
            check_sums(vnet, &frame);
        }
        // What points outside the packet, or into the tunnel's own header, does not.
        for csum_start in [36, 41, 2000] {
            let mut wild = out.clone();
            wild.vnet.csum_start = csum_start;
            assert_eq!(world.lan(&wild).dropped(), DropReason::BadOffload, "{csum_start}");
        }
    }
    // Of a tunnel without ports no less.
    let mut gre = Pkt::raw([10, 100, 0, 10].into(), [8, 8, 8, 8].into(), 47, vec![0; 90]);
    gre.vnet = VnetHeader { csum_start: 80, ..inner };
    let sent = World::new(config()).lan(&gre);
    assert_eq!((sent.on(Side::Uplink).src.as_str(), sent.frames[0].1), (OUTSIDE, gre.vnet));
}

#[test]
fn options_odd_lengths_and_padding_pass() {
    let mut world = World::new(config());
    let mut packet = Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"odd");
    packet.options = vec![0x44, 8, 5, 0, 0, 0, 0, 0];
    let sent = world.lan(&packet).on(Side::Uplink);
    assert_eq!((sent.ip.len(), sent.data.as_slice()), (20 + 8 + 8 + 3, &b"odd"[..]));
    // Padded to Ethernet's least: the padding is no part of the packet.
    let mut frame = Pkt::tcp("10.100.0.10:500", "8.8.8.8:53", SYN, b"")
        .frame(crate::world::LAN_MAC, wire::MacAddr([6; 6]));
    frame.extend([0xee; 6]);
    let out = world.put(Side::LAN, wire::VnetHeader::default(), frame);
    assert_eq!(out.on(Side::Uplink).ip.len(), 40);
}

#[test]
fn options_that_do_not_end_in_the_header_are_dropped() {
    let mut world = World::new(config());
    let mut packet = Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"x");
    let good: [&[u8]; 4] = [&[7, 3, 4, 0], &[1, 1, 1, 1], &[1, 0, 9, 200], &[68, 4, 5, 0]];
    let bad: [&[u8]; 4] = [&[7, 0, 4, 0], &[7, 1, 4, 0], &[7, 5, 4, 0], &[1, 1, 1, 7]];
    for options in good {
        packet.options = options.to_vec();
        assert_eq!(world.lan(&packet).on(Side::Uplink).ip.len(), 20 + 4 + 8 + 1, "{options:?}");
    }
    for options in bad {
        packet.options = options.to_vec();
        assert_eq!(world.lan(&packet).dropped(), DropReason::BadHeader, "{options:?}");
    }
}

/// As the kernel does it: `udp: short packet`.
#[test]
fn a_datagram_that_does_not_end_in_its_packet_is_dropped() {
    let mut world = World::new(config());
    for (length, passes) in
        [(11, true), (8, true), (9, true), (12, false), (7, false), (0, false), (65_535, false)]
    {
        let mut frame = Pkt::udp("10.100.0.10:500", "8.8.8.8:53", b"abc")
            .frame(crate::world::LAN_MAC, wire::MacAddr([6; 6]));
        frame[38..40].copy_from_slice(&u16::to_be_bytes(length));
        // Without a sum of its own.
        frame[40..42].fill(0);
        let out = world.put(Side::LAN, wire::VnetHeader::default(), frame);
        match passes {
            true => assert_eq!(out.on(Side::Uplink).ip.len(), 20 + 8 + 3, "{length}"),
            false => assert_eq!(out.dropped(), DropReason::BadHeader, "{length}"),
        }
    }
}

#[test]
fn offloads_that_do_not_fit_their_packet_are_dropped() {
    let mut world = World::new(config());
    let good = Pkt::tcp("10.100.0.10:500", "8.8.8.8:80", ACK, &[1; 3000]).offloaded(1, 1448);
    let bad = |change: fn(&mut Pkt)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    for packet in [
        bad(|p| p.vnet.csum_start += 2),
        bad(|p| p.vnet.csum_offset = 6),
        bad(|p| p.vnet.gso_type = 5),
        bad(|p| p.vnet.gso_type = 3),
        bad(|p| p.vnet.gso_type = 77),
        bad(|p| p.vnet.gso_size = 0),
        bad(|p| p.vnet.gso_type = 0),
        bad(|p| p.fragment = (0, true)),
        bad(|p| p.protocol = 47),
    ] {
        assert_eq!(world.lan(&packet).dropped(), DropReason::BadOffload, "{:?}", packet.vnet);
    }
    assert_eq!(world.lan(&good).frames.len(), 1);
}

#[test]
fn a_sum_of_sctp_left_to_the_device_is_made_on_the_way_out() {
    let mut world = World::new(config());
    let vnet = VnetHeader { flags: 1, csum_start: 34, csum_offset: 8, ..VnetHeader::default() };
    let sctp = |to: [u8; 4], vnet| Pkt {
        vnet,
        ..Pkt::raw([10, 100, 0, 10].into(), to.into(), 132, vec![0; 32])
    };
    // It is made here: nobody further on knows of which kind it is.
    let sent = world.lan(&sctp([8, 8, 8, 8], vnet));
    let whole = sent.on(Side::Uplink);
    assert_eq!((whole.src.as_str(), sent.frames[0].1.needs_csum()), (OUTSIDE, false));
    // CRC-32C of 32 bytes of zero (RFC 3720 appendix B.4).
    assert_eq!(whole.ip[28..32], 0x8a91_36aa_u32.to_le_bytes());
    // Within the LAN it passes as it is.
    assert_eq!(world.lan(&sctp([10, 100, 0, 20], vnet)).on(Side::LAN).dst, "10.100.0.20");
    let wild = VnetHeader { csum_offset: 40, ..vnet };
    assert_eq!(world.lan(&sctp([8, 8, 8, 8], wild)).dropped(), DropReason::BadOffload);
}

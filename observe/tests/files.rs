//! Capture files read by tshark and tcpdump: blocks, times, directions, comments, counts.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use uswitch_observe::pcapng::{Direction, Packet, Statistics, Writer};
use uswitch_observe::segment::segment;
use wire::VnetHeader;

const TIME: u64 = 1_700_000_000_123_456_789;

fn sample() -> Vec<u8> {
    let frames = support::frames();
    let mut writer = Writer::new("uswitch 0.1.0", "icmp");
    let one = writer.interface("veth1", "net1");
    let two = writer.interface("veth2", "net2");
    for (interface, direction, comment, lost) in [
        (one, Direction::In, "forwarded to veth2", 0),
        (two, Direction::Out, "from veth1", 3),
        (one, Direction::In, "dropped: same-port", 0),
    ] {
        writer.packet(&Packet {
            interface,
            time: TIME,
            direction,
            bytes: &frames[0],
            length: 1234,
            lost,
            comment,
        });
    }
    for interface in [one, two] {
        writer.statistics(
            interface,
            &Statistics {
                start: TIME,
                end: TIME + 5,
                received: Some(11),
                dropped: Some(1),
                accepted: Some(3),
                lost: Some(7),
                delivered: Some(3),
            },
        );
    }
    writer.take()
}

#[test]
fn tshark_reads_every_field() {
    if !support::have("tshark") {
        return;
    }
    let fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "frame.interface_description",
        "frame.comment",
        "frame.packet_flags_direction",
        "frame.drop_count",
        "frame.len",
        "ip.src",
    ];
    let mut args = vec!["-r", "-", "-T", "fields", "-E", "separator=|"];
    fields.iter().for_each(|field| args.extend(["-e", field]));
    let text = String::from_utf8(support::run("tshark", &args, &sample())).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "1700000000.123456789|veth1|net1|forwarded to veth2|0x00000001||1234|10.100.0.10",
            "1700000000.123456789|veth2|net2|from veth1|0x00000002|3|1234|10.100.0.10",
            "1700000000.123456789|veth1|net1|dropped: same-port|0x00000001||1234|10.100.0.10",
        ]
    );
}

#[test]
fn capinfos_reads_the_interfaces_and_their_drops() {
    if !support::have("capinfos") {
        return;
    }
    let path = std::env::temp_dir().join(format!("uswitch-observe-{}.pcapng", std::process::id()));
    std::fs::write(&path, sample()).unwrap();
    let out = support::run("capinfos", &[path.to_str().unwrap()], &[]);
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8(out).unwrap();
    for part in
        ["Number of packets:   3", "Name = veth1", "Description = net2", "nanoseconds (9)", "icmp"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn tcpdump_reads_the_file() {
    if !support::have("tcpdump") {
        return;
    }
    let out = support::run("tcpdump", &["-r", "-", "-n", "icmp"], &sample());
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
}

/// tshark sums up each segment itself.
#[test]
fn tshark_finds_the_checksums_of_segments_right() {
    if !support::have("tshark") {
        return;
    }
    let mut frame = support::frames()[1].clone();
    frame.extend([7; 3000]);
    let length = u16::try_from(frame.len() - 14).unwrap();
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    let vnet = VnetHeader {
        flags: wire::vnet::NEEDS_CSUM,
        gso_type: 1,
        hdr_len: 54,
        gso_size: 1000,
        csum_start: 34,
        csum_offset: 16,
    };
    let mut packets = Vec::new();
    segment(vnet, &frame, |packet| packets.push(packet.to_vec()));
    assert_eq!(packets.len(), 4);
    let args = [
        "-r",
        "-",
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
        "-T",
        "fields",
        "-e",
        "ip.checksum.status",
        "-e",
        "tcp.checksum.status",
        "-e",
        "tcp.len",
    ];
    let text = support::run("tshark", &args, &support::file(&packets));
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text, "1\t1\t1000\n1\t1\t1000\n1\t1\t1000\n1\t1\t4\n");
}

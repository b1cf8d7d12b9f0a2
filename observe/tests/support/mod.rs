//! What the tests against tcpdump and tshark share: frames to show them, and a way to run them.

#![allow(clippy::unwrap_used, dead_code)]

mod frames;

use std::io::Write;
use std::process::{Command, Stdio};

use uswitch_observe::pcapng::{Direction, Packet, Writer};

#[path = "../../../tests/support/skip.rs"]
mod skip;

/// Whether `tool` can be started. Says so aloud where not; `USWITCH_REQUIRE_ROOT=1` insists.
pub(crate) fn have(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        skip::skip(format!("{tool} is not installed"));
    }
    found
}

/// Runs `tool` with `input` and returns what it printed.
pub(crate) fn run(tool: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // A tool that has seen enough closes the pipe.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {errors}");
    output.stdout
}

/// A file of these frames; frame n is of second n.
pub(crate) fn file(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::new("uswitch test", "");
    let interface = writer.interface("veth1", "net1");
    for (number, frame) in frames.iter().enumerate() {
        writer.packet(&Packet {
            interface,
            time: number as u64 * 1_000_000_000,
            direction: Direction::In,
            bytes: frame,
            length: frame.len(),
            lost: 0,
            comment: "forwarded to veth2",
        });
    }
    writer.take()
}

fn ethernet(dst: u8, kind: u16, tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = if dst == 0xff { vec![0xff; 6] } else { vec![dst, 0, 0, 0, 0, 2] };
    frame.extend([2, 0, 0, 0, 0, 1]);
    for (tpid, tci) in tags {
        frame.extend(tpid.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(kind.to_be_bytes());
    frame
}

fn transport(protocol: u8, sport: u16, dport: u16) -> Vec<u8> {
    let mut bytes = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    match protocol {
        6 => bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0]),
        1 | 58 => bytes = vec![8, 0, 0, 0, 0, 7, 0, 1],
        _ => bytes.extend([0, 12, 0, 0]),
    }
    bytes.extend(b"data");
    bytes
}

fn v4(protocol: u8, src: [u8; 4], dst: [u8; 4], fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend([src, dst].concat());
    packet.extend(payload);
    packet
}

fn v6(next: u8, src: u8, dst: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([next, 64]);
    for end in [src, dst] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    packet.extend(payload);
    packet
}

fn arp(kind: u16, src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
    let mut frame = ethernet(0xff, kind, &[]);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
    frame.extend(src);
    frame.extend([0; 6]);
    frame.extend(dst);
    frame
}

/// Frames of every kind a filter can tell apart, and some of them cut off at every length.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut frames = whole_frames();
    let (a, b) = ([10, 100, 0, 10], [10, 100, 0, 20]);
    let mut tagged = ethernet(2, 0x0800, &[(0x8100, 100)]);
    tagged.extend(v4(17, a, b, 0, &transport(17, 40_000, 53)));
    let mut sixth = ethernet(0x33, 0x86dd, &[]);
    sixth.extend(v6(6, 1, 2, &transport(6, 80, 6001)));
    let find = |start: &[u8]| {
        let seldom = frames::seldom();
        seldom.into_iter().find(|frame| frame[12..].starts_with(start)).unwrap()
    };
    let labelled = find(&[0x88, 0x47]);
    let session = find(&[0x88, 0x64]);
    let linked = find(&[0, 9, 0xaa, 0xaa]);
    let chain = find(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 48, 0]);
    let cut = [frames[1].clone(), tagged, sixth, arp(0x0806, a, b), labelled, session, linked];
    for whole in cut.into_iter().chain([chain]) {
        frames.extend((1..whole.len()).map(|len| whole[..len].to_vec()));
    }
    frames
}

/// Those of [`frames`] that come first and are whole.
pub(crate) fn whole_frames() -> Vec<Vec<u8>> {
    let (a, b, c) = ([10, 100, 0, 10], [10, 100, 0, 20], [8, 8, 8, 8]);
    let mut frames = Vec::new();
    let tag_sets: [&[(u16, u16)]; 5] = [
        &[],
        &[(0x8100, 100)],
        &[(0x8100, 0xe064)],
        &[(0x88a8, 5), (0x8100, 100)],
        &[(0x9100, 200)],
    ];
    for tags in tag_sets {
        for (src, dst) in [(a, b), (b, a), (a, c), (c, a), (a, [224, 0, 0, 9])] {
            for protocol in [1, 6, 17, 132, 47] {
                let mut frame = ethernet(2, 0x0800, tags);
                frame.extend(v4(protocol, src, dst, 0x4000, &transport(protocol, 40_000, 53)));
                frames.push(frame);
            }
        }
        for (next, sport) in [(6, 80), (17, 443), (58, 1), (132, 80), (44, 9)] {
            let mut frame = ethernet(0x33, 0x86dd, tags);
            let mut payload = transport(next, sport, 6001);
            if next == 44 {
                payload = [vec![17, 0, 0, 1, 0, 0, 0, 1], transport(17, 80, 81)].concat();
            }
            frame.extend(v6(next, 1, 2, &payload));
            frames.push(frame);
        }
    }
    let mut same = ethernet(2, 0x0800, &[]);
    same.extend(v4(17, a, a, 0, &transport(17, 53, 53)));
    frames.push(same);
    let mut group = ethernet(0x33, 0x86dd, &[]);
    group.extend(v6(17, 2, 1, &transport(17, 5353, 5353)));
    group[38] = 0xff;
    frames.push(group);
    // Fragments, options, other lengths.
    for fragment in [0x2000, 0x2001, 0x00b9] {
        let mut frame = ethernet(2, 0x0800, &[]);
        frame.extend(v4(17, a, b, fragment, &transport(17, 53, 80)));
        frames.push(frame);
    }
    let mut options = ethernet(2, 0x0800, &[]);
    let mut packet = v4(6, b, c, 0, &[vec![1; 4], transport(6, 80, 8080)].concat());
    packet[0] = 0x46;
    options.extend(packet);
    frames.push(options);
    frames.push(arp(0x0806, a, b));
    frames.push(arp(0x0806, b, [10, 100, 0, 1]));
    frames.push(arp(0x8035, a, b));
    let mut big = ethernet(2, 0x0800, &[]);
    big.extend(v4(6, a, b, 0, &[transport(6, 5000, 6005), vec![0; 900]].concat()));
    frames.push(big);
    frames.push(ethernet(0xff, 0x88cc, &[]));
    frames.push([ethernet(1, 0x0026, &[]), vec![0; 46]].concat());
    frames.extend(frames::seldom());
    frames
}

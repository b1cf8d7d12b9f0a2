//! The Linux bridge as the oracle: one scenario through it and through ours, and the same frames
//! in the same order at every port.
//!
//! A bridge that does not filter by VLAN has one table for all of them; ours is keyed by (VLAN,
//! MAC), which `each_vlan_has_a_table_of_its_own` shows. That is the one difference meant.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{As, Process, Sandbox, Wire, captured};
use crate::{READY, netns};

const PORTS: [usize; 3] = [1, 2, 3];
const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const C: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
const ALL: [u8; 6] = [0xff; 6];
/// Local experimental EtherType 1 (IEEE 802): no stack takes it for its own.
const OURS: [u8; 2] = [0x88, 0xb5];

/// A tag: its TPID and its VLAN.
type Tag = (u16, u16);
/// One frame: where it enters, to whom, from whom, its tags from the outside in, its length.
type Step = (usize, [u8; 6], [u8; 6], &'static [Tag], usize);

const SCENARIO: &[Step] = &[
    (1, B, A, &[], 60),                        // unknown: flooded
    (2, A, B, &[], 60),                        // known: one port
    (1, B, A, &[], 1514),                      // both known
    (3, ALL, C, &[], 64),                      // broadcast
    (1, [0x01, 0, 0x5e, 1, 2, 3], A, &[], 90), // multicast
    (1, [0x33, 0x33, 0, 0, 0, 1], A, &[], 90), // IPv6 multicast
    (1, [2, 0, 0, 0, 0, 0xee], A, &[], 100),   // never seen
    (1, A, [2, 0, 0, 0, 0, 0xd], &[], 61),     // to a neighbour on its own port: stays there
    (1, [2, 0, 0, 0, 0, 0xd], A, &[], 62),     // and back
    (3, B, A, &[], 200),                       // A moves to port 3
    (2, A, B, &[], 201),                       // and is found there
    (1, B, A, &[], 202),                       // and moves back
    (2, A, B, &[], 203),
    (3, ALL, C, &[(0x8100, 7)], 105), // tagged frames are carried as they are
    (2, ALL, B, &[(0x88a8, 8)], 106),
    (1, ALL, A, &[(0x88a8, 9), (0x8100, 10)], 107),
    (1, ALL, A, &[(0x8100, 0x6007)], 1518), // with a priority
    (1, [0x01, 0x80, 0xc2, 0, 0, 0x0e], A, &[], 80), // link-local: LLDP stays on its link
    (1, [0x01, 0x80, 0xc2, 0, 0, 0x03], A, &[], 80), // 802.1X too
    (1, [0x01, 0x80, 0xc2, 0, 0, 0x01], A, &[], 80), // pause frames too
    (1, B, [0x03, 0, 0, 0, 0, 1], &[], 70), // a group address as source: dropped
    (1, B, [0; 6], &[], 71),                // no source: dropped
    (1, B, ALL, &[], 72),                   // everyone as source: dropped
    (2, C, B, &[], 15),                     // a byte of payload
    (2, C, B, &[], 14),                     // none at all
];

/// Bytes of step `number`.
fn frame(number: usize, (_, dst, src, tags, length): Step) -> Vec<u8> {
    let mut frame = [&dst[..], &src].concat();
    for (protocol, vlan) in tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(OURS);
    let number = u8::try_from(number).unwrap();
    frame.resize(length.max(frame.len()), number);
    frame
}

/// Plays the scenario over net1..net3 and gives what each port heard.
fn play(sandbox: &Sandbox, name: &str, scenario: &[Step]) -> Vec<Vec<Vec<u8>>> {
    let files = PORTS.map(|port| sandbox.dir.join(format!("{name}-{port}.pcap")));
    let dumps = PORTS.map(|port| {
        let (netns, interface) = (format!("net{port}"), format!("vethpeer{port}"));
        let mut command = sandbox.command(As::Root, Path::new("ip"));
        command
            .args(["netns", "exec", &netns, "tcpdump", "-i", &interface, "-Z", "root", "-Q", "in"]);
        command.args(["-U", "--immediate-mode", "-w"]).arg(&files[port - 1]);
        let mut dump = Process::start(command, "tcpdump");
        dump.wait_for_complaint("listening on");
        dump
    });
    let mut wires =
        PORTS.map(|port| Wire::open(netns(&format!("net{port}")), &format!("vethpeer{port}")));
    for (number, step) in scenario.iter().enumerate() {
        wires[step.0 - 1].send(&frame(number, *step));
        // Learning is in the order of arrival: each frame is through before the next comes.
        std::thread::sleep(Duration::from_millis(20));
    }
    let end = |port: usize| frame(0xfe, (port, ALL, A, &[], 60 + port));
    wires[0].send(&end(1));
    wires[1].send(&end(2));
    let ends = [end(2), end(1), end(1)];
    let limit = Instant::now() + Duration::from_secs(60);
    while !files.iter().zip(&ends).all(|(file, end)| heard(file).contains(end)) {
        assert!(Instant::now() < limit, "{name}: the last frame did not come through");
        std::thread::sleep(Duration::from_millis(20));
    }
    for dump in dumps {
        dump.signal(Signal::SIGINT);
        dump.ended();
    }
    files.iter().map(|file| heard(file)).collect()
}

/// The scenario's frames in a capture file (pcap, little endian, microseconds).
fn heard(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, more)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let Some((frame, more)) = more.split_at_checked(length) else { break };
        let mut at = 12;
        while [&[0x81, 0][..], &[0x88, 0xa8]].contains(&frame.get(at..at + 2).unwrap_or_default()) {
            at += 4;
        }
        if frame.get(at..at + 2) == Some(&OURS) {
            frames.push(frame.to_vec());
        }
        rest = more;
    }
    frames
}

/// net1..net3 around a Linux bridge in a namespace of its own.
fn linux_bridge(sandbox: &Sandbox) {
    let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    ip("netns add bridge");
    ip("-n bridge link add br0 type bridge forward_delay 0");
    ip("-n bridge link set br0 up");
    for port in PORTS {
        ip(&format!("netns add net{port}"));
        ip(&format!("-n net{port} link add vethpeer{port} type veth peer veth{port} netns bridge"));
        ip(&format!("-n net{port} link set vethpeer{port} up"));
        ip(&format!("-n bridge link set veth{port} master br0 up"));
    }
    // The ports begin to forward once the bridge has seen their carrier.
    let limit = Instant::now() + Duration::from_secs(60);
    while sandbox.tool("bridge", &["-n", "bridge", "link"]).matches("state forwarding").count() < 3
    {
        assert!(Instant::now() < limit, "the bridge's ports do not forward");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The numbers of the frames in `heard`, which are their last byte.
fn numbers(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|frame| frame.last().copied().unwrap()).collect()
}

#[test]
fn tags_mean_nothing_where_vlans_are_not_told_apart() {
    const SEVEN: &[Tag] = &[(0x8100, 7)];
    const EIGHT: &[Tag] = &[(0x8100, 8)];
    const PROVIDER: &[Tag] = &[(0x88a8, 7)];
    let scenario: &[Step] = &[
        (1, B, A, &[], 60),      // 0: flooded
        (2, A, B, &[], 61),      // 1: to port 1
        (2, A, B, SEVEN, 62),    // 2: A is where it was, whatever tag the frame has
        (1, B, A, SEVEN, 63),    // 3: to port 2
        (3, A, B, EIGHT, 64),    // 4: B has moved to port 3
        (1, B, A, EIGHT, 65),    // 5: to port 3
        (1, B, A, PROVIDER, 66), // 6: the same
        (1, B, A, &[], 67),      // 7: the same
    ];
    captured(|sandbox| {
        let heard = both(sandbox, scenario);
        assert_eq!(numbers(&heard[0]), [1, 2, 4, 0xfe]);
        assert_eq!(numbers(&heard[1]), [0, 3, 0xfe]);
        assert_eq!(numbers(&heard[2]), [0, 5, 6, 7, 0xfe, 0xfe]);
    });
}

#[test]
fn the_same_frames_at_every_port_as_with_the_linux_bridge() {
    captured(|sandbox| {
        let heard = both(sandbox, SCENARIO);
        assert!(heard.iter().flatten().count() > 25, "the scenario was not heard at all");
    });
}

/// A scenario through ours and through the Linux bridge: what was heard, at both.
fn both(sandbox: &Sandbox, scenario: &[Step]) -> Vec<Vec<Vec<u8>>> {
    let mut run = sandbox.start(&["run", "-n", "3", "--uplink", "none"]);
    run.wait_for(READY);
    let ours = play(sandbox, "uswitch", scenario);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.ended().code, Some(0));

    linux_bridge(sandbox);
    let theirs = play(sandbox, "bridge", scenario);
    for (port, (ours, theirs)) in PORTS.iter().zip(ours.iter().zip(&theirs)) {
        assert_eq!(numbers(ours), numbers(theirs), "port {port}: other frames than the bridge's");
        assert_eq!(ours, theirs, "port {port}: other bytes than the bridge's");
    }
    ours
}

//! The scenarios of the kernel's own bridge tests (tools/testing/selftests/net/forwarding), told
//! anew: one description, two switches, and the same frames at every port.
//!
//! | module | after |
//! |---|---|
//! | `ports` | bridge_port_isolation, bridge_locked_port, bridge_sticky_fdb, bridge_vlan_unaware |
//! | `vlans`, `pvids` | bridge_vlan_aware: beside what IEEE 802.1Q says, where the kernel's bridge cannot filter VLANs |
//! | `locked` | bridge_locked_port: what it says of VLANs and of addresses that wait |
//! | `apart` | no_forwarding: each kind of frame, untagged and by VLAN |
//! | `igmp` | bridge_igmp |
//! | `mld` | bridge_mld |
//! | `sources` | both of them, with sources: each case, one after the other |
//! | `timeouts` | both of them: what becomes of sources in time, and of those another port asks for |
//! | `limits` | bridge_fdb_learning_limit |
//! | `mdb` | what both of them compare of `bridge -d -s -j mdb show` |
//! | `neighbours` | test_bridge_neigh_suppress |
//! | `chance` | nobody: frames and settings by chance |
//!
//! Frames are told apart by a number that neither switch looks at: the identification of IPv4, the
//! flow label of IPv6, of others a trailer; a tag is no part of the packet. (The kernel's bridge cuts what follows the packet off a
//! group frame that it reads, padding too, so packets are compared and not what follows them.)

mod apart;
mod chance;
mod igmp;
mod limits;
mod locked;
mod mdb;
mod mld;
mod neighbours;
mod packets;
mod ports;
mod pvids;
mod sources;
mod timeouts;
mod vlans;

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use self::packets::tagged;
use crate::support::{As, Process, Sandbox, Wire, captured, sum};
use crate::{READY, netns};

const PORTS: [usize; 4] = [1, 2, 3, 4];
/// Before the number of a frame that is none of IP's, at its end.
const MARK: [u8; 4] = [0xa5, 0x75, 0x73, 0x77];
/// The same in a packet.
const SIGN: u8 = 0xa5;
/// Of the frames that end a scenario.
const END: u8 = 0xf0;

/// What happens next.
enum Step {
    /// A frame enters by a port.
    Send(usize, Vec<u8>),
    /// Time passes.
    Wait(Duration),
    /// A setting changes: our command, and the lines for `bridge` and `ip` in the bridge's namespace.
    Set(&'static str, &'static [&'static str]),
}

/// One description.
struct Scenario {
    steps: Vec<Step>,
    /// The frames each port hears, by their numbers.
    wanted: [&'static [u8]; 4],
}

fn send(port: usize, frame: Vec<u8>) -> Step {
    Step::Send(port, frame)
}

fn wait(millis: u64) -> Step {
    Step::Wait(Duration::from_millis(millis))
}

/// What each port of ours heard of a scenario.
fn ours(sandbox: &Sandbox, scenario: &Scenario) -> Vec<Vec<Numbered>> {
    let mut run = sandbox.start(&["run", "-n", "4", "--uplink", "none"]);
    run.wait_for(READY);
    let ours = heard_by_all(sandbox, "uswitch", scenario, |line, _| {
        sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
    });
    run.signal(Signal::SIGTERM);
    assert_eq!(run.ended().code, Some(0));
    ours
}

/// Plays a scenario through ours and through the Linux bridge, and compares.
fn play(scenario: &Scenario) {
    captured(|sandbox| {
        let ours = ours(sandbox, scenario);
        for (port, (ours, wanted)) in PORTS.iter().zip(ours.iter().zip(scenario.wanted)) {
            assert_eq!(numbers(ours), wanted, "port {port}: not what was wanted");
        }
        beside(sandbox, scenario, &ours, "");
    });
}

/// The same where nobody knows what is right but that both do the same; `of` says which it is.
fn compare(scenario: &Scenario, of: &str) {
    captured(|sandbox| beside(sandbox, scenario, &ours(sandbox, scenario), of));
}

/// Plays a scenario through the Linux bridge, and compares with what our ports have heard.
fn beside(sandbox: &Sandbox, scenario: &Scenario, ours: &[Vec<Numbered>], of: &str) {
    linux_bridge(sandbox);
    let theirs = heard_by_all(sandbox, "bridge", scenario, |_, lines| in_bridge(sandbox, lines));
    for (port, (ours, theirs)) in PORTS.iter().zip(ours.iter().zip(&theirs)) {
        assert_eq!(numbers(ours), numbers(theirs), "port {port}: other frames than theirs {of}");
        assert_eq!(ours, theirs, "port {port}: other bytes than the bridge's {of}");
    }
}

/// Lines for `bridge` and `ip` in the bridge's namespace.
fn in_bridge(sandbox: &Sandbox, lines: &[&str]) {
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let (tool, rest) = words.split_first().unwrap();
        sandbox.tool(tool, &[&["-n", "bridge"], rest].concat());
    }
}

/// An end of every port's link.
fn wires() -> [Wire; 4] {
    PORTS.map(|port| Wire::open(netns(&format!("net{port}")), &format!("vethpeer{port}")))
}

/// Takes one step after the other; frames have the numbers from 0 on.
fn enact(wires: &mut [Wire; 4], steps: &[Step], set: impl Fn(&str, &[&str])) {
    let mut number = 0;
    for step in steps {
        match step {
            Step::Send(port, frame) => {
                wires[port - 1].send(&numbered(frame, number));
                number += 1;
                // What a frame changes holds before the next comes.
                std::thread::sleep(Duration::from_millis(30));
            }
            Step::Wait(span) => std::thread::sleep(*span),
            Step::Set(ours, theirs) => set(ours, theirs),
        }
    }
}

/// What each port heard of a scenario.
fn heard_by_all(
    sandbox: &Sandbox,
    name: &str,
    scenario: &Scenario,
    set: impl Fn(&str, &[&str]),
) -> Vec<Vec<Numbered>> {
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
    let mut wires = wires();
    enact(&mut wires, &scenario.steps, set);
    // A broadcast by each port, which all others hear but where a setting keeps them apart.
    let settle = Instant::now() + Duration::from_secs(60);
    for port in PORTS {
        let from = u8::try_from(port).unwrap();
        let last = [&[0xff; 6][..], &[2, 0xee, 0, 0, 0, from, 0x88, 0xb5], &[0; 46]].concat();
        wires[port - 1].send(&numbered(&last, END + from));
    }
    let is_through = |files: &[std::path::PathBuf]| {
        let all = files.iter().flat_map(|file| heard(file));
        PORTS.iter().all(|port| {
            let end = END + u8::try_from(*port).unwrap();
            all.clone().any(|(number, _)| number == end)
        })
    };
    while !is_through(&files) {
        assert!(Instant::now() < settle, "{name}: the last frames did not come through");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    for dump in dumps {
        dump.signal(Signal::SIGINT);
        dump.ended();
    }
    let ours = |frame: &Numbered| frame.0 < END;
    files.iter().map(|file| heard(file).into_iter().filter(ours).collect()).collect()
}

/// A frame's number, and its bytes up to the end of its packet.
type Numbered = (u8, Vec<u8>);

/// A frame with its number in it.
fn numbered(frame: &[u8], number: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    match frame[12..14] {
        [0x81, 0x00] | [0x88, 0xa8] => {
            let bare = [&frame[..12], &frame[16..]].concat();
            tagged(&numbered(&bare, number), tag(&frame))
        }
        [0x08, 0x00] => {
            frame[18..20].copy_from_slice(&[SIGN, number]);
            frame[24..26].fill(0);
            let check = (!sum(&[&frame[14..34]])).to_be_bytes();
            frame[24..26].copy_from_slice(&check);
            frame
        }
        [0x86, 0xdd] => {
            frame[16..18].copy_from_slice(&[SIGN, number]);
            frame
        }
        _ => [&frame[..], &MARK, &[number]].concat(),
    }
}

/// The words where a tag is, if there is one.
fn tag(frame: &[u8]) -> (u16, u16) {
    let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    (word(12), word(14))
}

/// The number in a frame, if it is one of ours.
fn read(frame: &[u8]) -> Option<Numbered> {
    if let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(12..14) {
        let (number, bare) = read(&[&frame[..12], frame.get(16..)?].concat())?;
        return Some((number, tagged(&bare, tag(frame))));
    }
    let word =
        |at: usize| Some(usize::from(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?])));
    let (sign, number, end) = match frame.get(12..14)? {
        [0x08, 0x00] => (*frame.get(18)?, *frame.get(19)?, 14 + word(16)?),
        [0x86, 0xdd] => (*frame.get(16)?, *frame.get(17)?, 54 + word(18)?),
        _ => {
            let (body, number) = frame.split_last_chunk::<1>()?;
            let is_ours = body.ends_with(&MARK);
            (if is_ours { SIGN } else { 0 }, number[0], frame.len())
        }
    };
    (sign == SIGN).then(|| (number, frame[..end.min(frame.len())].to_vec()))
}

/// The frames in a capture file (pcap, little endian) that have a number.
fn heard(file: &Path) -> Vec<Numbered> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, more)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let Some((frame, more)) = more.split_at_checked(length) else { break };
        frames.extend(read(frame));
        rest = more;
    }
    frames
}

fn numbers(frames: &[Numbered]) -> Vec<u8> {
    frames.iter().map(|frame| frame.0).collect()
}

/// net1..net4 around a Linux bridge in a namespace of its own, which asks nobody of its own accord.
fn linux_bridge(sandbox: &Sandbox) {
    let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    ip("netns add bridge");
    // Without an address of its own it is no querier of MLD, and floods.
    ip("netns exec bridge sysctl -qw net.ipv6.conf.default.accept_dad=0");
    ip("-n bridge link add br0 type bridge forward_delay 0 mcast_snooping 0");
    ip("-n bridge link set br0 up");
    for port in PORTS {
        ip(&format!("netns add net{port}"));
        ip(&format!("-n net{port} link add vethpeer{port} type veth peer veth{port} netns bridge"));
        ip(&format!("-n net{port} link set vethpeer{port} up"));
        ip(&format!("-n bridge link set veth{port} master br0 up"));
    }
    let limit = Instant::now() + Duration::from_secs(60);
    while sandbox.tool("bridge", &["-n", "bridge", "link"]).matches("state forwarding").count() < 4
    {
        assert!(Instant::now() < limit, "the bridge's ports do not forward");
        std::thread::sleep(Duration::from_millis(20));
    }
}

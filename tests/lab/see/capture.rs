//! Captures beside those of tcpdump on the same cable, as tshark reads them.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::Signal;

use super::{fields, lab, ping, tcpdump};
use crate::support::{Arrived, As, Process, Sandbox, both_ways, captured, datagrams, rooted};

/// Starts `uswitch capture … -w FILE`, which records whatever happens from now on.
fn capture(sandbox: &Sandbox, args: &[&str]) -> (Process, String) {
    let file = sandbox.dir.join("capture.pcapng").display().to_string();
    let mut process = sandbox.start(&[&["capture", "-w", &file], args].concat());
    process.wait_for_complaint("recording frames");
    (process, file)
}

/// The numbers that a capture ends with: frames recorded, and lost.
fn numbers(err: &str) -> (u64, u64) {
    let line = err.lines().last().unwrap();
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [recorded, lost] = numbers[..] else { panic!("{err}") };
    (recorded, lost)
}

fn counted<T: Ord>(rows: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row).or_insert(0) += 1;
    }
    counts
}

/// What of a packet must be the same wherever on one cable it is seen.
const SAME: &[&str] = &[
    "eth.src",
    "eth.dst",
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "ip.id",
    "ip.checksum",
    "icmp.type",
    "icmp.ident",
    "icmp.seq",
    "icmp.checksum",
    "frame.len",
    "data.data",
];

/// What is in the file already goes for a capture that begins, and for no other.
#[test]
fn a_capture_that_is_refused_leaves_the_file_as_it_is() {
    rooted(|sandbox| {
        let file = sandbox.dir.join("kept.pcapng");
        let to = file.to_str().unwrap();
        std::fs::write(&file, "an hour of work").unwrap();
        sandbox.uswitch(&["capture", "-w", to]).complaint(2);
        let _lab = lab(sandbox, &["run"]);
        for words in [&["and and"][..], &["nosuch"], &["net9", "icmp"], &["--name", "nosuch"]] {
            let refused = sandbox.uswitch(&[&["capture", "-w", to], words].concat());
            assert_eq!(refused.code, Some(2), "{words:?}: {}", refused.err);
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "an hour of work", "{words:?}");
        }
        let nowhere = sandbox.uswitch(&["capture", "-w", "/nosuch/file", "-c", "1"]);
        assert!(nowhere.complaint(1).contains("making /nosuch/file"), "{}", nowhere.err);
    });
}

#[test]
fn a_capture_holds_what_tcpdump_sees_on_the_cable() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let (dump, theirs) = tcpdump(sandbox, ("net1", "vethpeer1"), 40, "icmp");
        let (ours, file) = capture(sandbox, &["-c", "40", "net1", "icmp"]);
        ping(sandbox, "net1", "10.100.0.20", "10");
        ping(sandbox, "net1", "8.8.8.8", "10");
        assert_eq!(dump.ended().code, Some(0));
        assert_eq!(numbers(&ours.ended().ok().err), (40, 0));
        let (theirs, rows) = (fields(sandbox, &theirs, SAME), fields(sandbox, &file, SAME));
        assert_eq!(rows.len(), 40);
        assert_eq!(counted(rows), counted(theirs));
    });
}

#[test]
fn tshark_reads_ports_directions_times_and_reasons() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let (ours, file) = capture(sandbox, &["-c", "8", "icmp"]);
        ping(sandbox, "net1", "10.100.0.20", "1");
        ping(sandbox, "net1", "8.8.8.8", "1");
        ours.ended().ok();
        let names = [
            "frame.interface_name",
            "frame.packet_flags_direction",
            "frame.time_epoch",
            "frame.comment",
        ];
        let rows = fields(sandbox, &file, &names);
        let ways: Vec<_> = rows.iter().map(|row| (row[0].as_str(), &row[1][9..])).collect();
        let (came, left) = ("1", "2");
        assert_eq!(
            ways,
            [
                ("veth1", came),
                ("veth2", left),
                ("veth2", came),
                ("veth1", left),
                ("veth1", came),
                ("vethinet", left),
                ("vethinet", came),
                ("veth1", left),
            ]
        );
        for pair in rows.windows(2) {
            let time = |row: &[String]| row[2].parse::<f64>().unwrap();
            assert!(time(&pair[0]) <= time(&pair[1]), "{pair:?}");
        }
        assert!(rows.iter().any(|row| !row[2].ends_with("000")), "no nanoseconds: {rows:?}");
        assert!(rows[0][3].starts_with("forwarded to veth2; table: "), "{}", rows[0][3]);
        assert_eq!(rows[1][3], "from veth1 (net1)");
        assert!(
            rows[4][3].contains("10.100.0.10:") && rows[4][3].contains("appears as 203.0.113.2:")
        );
        // All ports have their block, also those where nothing passed.
        let listed = sandbox.tool("capinfos", &["-I", &file]);
        assert!(listed.contains("veth3"), "{listed}");
        // tcpdump reads it too.
        assert_eq!(sandbox.tool("tcpdump", &["-n", "-r", &file]).lines().count(), 8);
    });
}

#[test]
fn into_a_pipe_and_a_reader_that_stops() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let shell = |line: &str| {
            let mut command = sandbox.command(As::Root, Path::new("sh"));
            command.args([
                "-c",
                &line.replace("uswitch", &sandbox.dir.join("uswitch").display().to_string()),
            ]);
            Process::start(command, line)
        };
        let mut piped = shell("uswitch capture -w - -c 4 net1 icmp | tcpdump -n -l -r -");
        piped.wait_for_complaint("reading from file");
        ping(sandbox, "net1", "10.100.0.20", "2");
        let ended = piped.ended().ok();
        assert_eq!(ended.out.lines().count(), 4, "{}", ended.out);
        assert_eq!(ended.out.matches("echo reply").count(), 2, "{}", ended.out);
        // Whoever reads has what they wanted: no error.
        let mut stopped = shell("(uswitch capture -w - icmp; echo code $?) | head -c 8 >/dev/null");
        while stopped.running() {
            ping(sandbox, "net1", "10.100.0.20", "1");
        }
        let ended = stopped.ended().ok();
        assert!(
            ended.err.contains("frames recorded") && !ended.err.contains("pipe"),
            "{}",
            ended.err
        );
    });
}

#[test]
fn a_full_disk_is_said_and_what_is_there_stays_readable() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let disk = sandbox.dir.join("disk");
        std::fs::create_dir(&disk).unwrap();
        let mounted = disk.display().to_string();
        sandbox.tool("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", &mounted]);
        let file = disk.join("full.pcapng").display().to_string();
        let mut ours = sandbox.start(&["capture", "-w", &file, "icmp"]);
        while ours.running() {
            ping(sandbox, "net1", "10.100.0.20", "20");
        }
        let ended = ours.ended();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let complaint = ended.err.lines().last().unwrap();
        assert!(
            complaint.contains("No space left on device") && complaint.contains(&file),
            "{complaint}"
        );
        let read = sandbox.tool("tcpdump", &["-n", "-r", &file]);
        assert!(read.lines().count() > 50, "{read}");
        sandbox.tool("umount", &[&mounted]);
    });
}

#[test]
fn what_a_slow_reader_loses_is_counted_and_delays_nobody() {
    const SENT: u64 = 20_000;
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let (ours, file) = capture(sandbox, &["net1", "udp and src host net1 and greater 142"]);
        ours.signal(Signal::SIGSTOP);
        let at = "10.100.0.20:7400".parse().unwrap();
        let arrived = datagrams(
            (Path::new("/run/netns/net1"), Path::new("/run/netns/net2")),
            at,
            u32::try_from(SENT).unwrap(),
            100,
        );
        let whole = Arrived { whole: u32::try_from(SENT).unwrap(), ..Arrived::default() };
        assert_eq!(arrived, whole, "the switch was held up");
        ours.signal(Signal::SIGCONT);
        ours.signal(Signal::SIGINT);
        let (recorded, lost) = numbers(&ours.ended().ok().err);
        assert_eq!(recorded + lost, SENT);
        assert!(lost > 0, "nothing was lost: the test does not test");
        assert_eq!(sandbox.tool("tcpdump", &["-n", "-r", &file]).lines().count() as u64, recorded);
    });
}

#[test]
fn a_capture_ends_with_its_statistics_when_the_lab_does() {
    captured(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let (ours, file) = capture(sandbox, &["icmp"]);
        let mut trace = sandbox.start(&["trace", "icmp"]);
        trace.wait_for_complaint("following frames");
        ping(sandbox, "net1", "10.100.0.20", "5");
        run.signal(Signal::SIGINT);
        assert_eq!(run.ended().code, Some(0));
        let ended = ours.ended().ok();
        assert_eq!(numbers(&ended.err), (20, 0), "each where it came in and where it left");
        assert!(trace.ended().ok().err.contains("10 frames followed, 0 missed for want of room"));
        // tshark reads the file's blocks: what passed each port.
        let blocks = sandbox.tool(
            "tshark",
            &["-X", "read_format:MIME Files Format", "-r", &file, "-O", "file-pcapng"],
        );
        let received: Vec<u64> = blocks
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Number of Received Packets: "))
            .map(|count| count.parse().unwrap())
            .collect();
        assert_eq!(received.len(), 3, "{blocks}");
        assert!(received[0] >= 10 && received[1] >= 10, "{received:?}");
    });
}

#[test]
fn segments_as_they_travel_or_as_a_wire_would_carry_them() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let ends = (Path::new("/run/netns/net1"), Path::new("/run/netns/net2"));
        let largest = |args: &[&str], port: u16| {
            let filter = format!("tcp and src host net1 and greater 1000 and port {port}");
            let (ours, file) = capture(sandbox, &[args, &["-c", "10", "net1", &filter]].concat());
            let at = format!("10.100.0.20:{port}").parse().unwrap();
            both_ways(ends, at, 4 << 20);
            ours.ended().ok();
            let rows = fields(sandbox, &file, &["frame.len", "tcp.checksum.status"]);
            std::fs::remove_file(&file).unwrap();
            assert_eq!(rows.len(), 10, "as many as were asked for");
            rows.iter().map(|row| row[0].parse::<u32>().unwrap()).max().unwrap()
        };
        assert!(largest(&[], 7500) > 3000, "no segment came whole");
        assert!(largest(&["--segment"], 7501) <= 1514);
    });
}

#[test]
fn one_that_was_not_read_says_that_the_lab_has_ended_as_all_do() {
    captured(|sandbox| {
        sandbox.uswitch(&["up"]).ok();
        let verbs = ["capture", "trace", "monitor"].map(|verb| {
            let mut process = sandbox.start(&[verb]);
            process.wait_for_complaint("until Ctrl-C");
            process
        });
        verbs.iter().for_each(|one| one.signal(Signal::SIGSTOP));
        let at = "10.100.0.20:7400".parse().unwrap();
        let ends = (Path::new("/run/netns/net1"), Path::new("/run/netns/net2"));
        datagrams(ends, at, 20_000, 1000);
        sandbox.uswitch(&["down"]).ok();
        verbs.iter().for_each(|one| one.signal(Signal::SIGCONT));
        for one in verbs {
            let ended = one.ended();
            assert_eq!(ended.code, Some(1), "{}", ended.err);
            assert_eq!(ended.err.lines().last(), Some("uswitch: lab uswitch has ended"));
        }
    });
}

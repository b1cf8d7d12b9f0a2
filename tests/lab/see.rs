//! `capture`, `trace` and `explain` held against tcpdump and tshark at the nodes' own interfaces.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::READY;
use crate::support::{Arrived, As, Process, Sandbox, both_ways, datagrams, rooted};

/// For what takes a moment on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn lab(sandbox: &Sandbox, args: &[&str]) -> Process {
    let mut run = sandbox.start(args);
    run.wait_for(READY);
    run
}

/// tcpdump at an interface of a namespace, listening, for `count` packets.
fn tcpdump(sandbox: &Sandbox, at: (&str, &str), count: usize, filter: &str) -> (Process, String) {
    let file = sandbox.dir.join(format!("{}.pcap", at.1)).display().to_string();
    let count = count.to_string();
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", at.0, "tcpdump", "-n", "--immediate-mode", "-U"]);
    command.args(["-i", at.1, "-c", &count, "-w", &file, filter]);
    let mut dump = Process::start(command, "tcpdump");
    dump.wait_for_complaint("listening on");
    (dump, file)
}

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

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Fields of each packet of a file, as tshark reads them.
fn fields(sandbox: &Sandbox, file: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut args = vec!["-n", "-r", file, "-T", "fields", "-E", "separator=|"];
    for name in names {
        args.extend(["-e", name]);
    }
    let out = sandbox.tool("tshark", &args);
    out.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

fn counted<T: Ord>(rows: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row).or_insert(0) += 1;
    }
    counts
}

fn ping(sandbox: &Sandbox, from: &str, to: &str, count: &str) {
    let inside = ["netns", "exec", from, "ping", "-n", "-i", "0.02", "-W", "5", "-c", count, to];
    sandbox.tool("ip", &inside);
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

#[test]
fn a_capture_holds_what_tcpdump_sees_on_the_cable() {
    rooted(|sandbox| {
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
    rooted(|sandbox| {
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
    rooted(|sandbox| {
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
    rooted(|sandbox| {
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
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let (ours, file) = capture(sandbox, &["net1", "udp and src host net1"]);
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
fn segments_as_they_travel_or_as_a_wire_would_carry_them() {
    rooted(|sandbox| {
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
            rows.iter().map(|row| row[0].parse::<u32>().unwrap()).max().unwrap()
        };
        assert!(largest(&[], 7500) > 3000, "no segment came whole");
        assert!(largest(&["--segment"], 7501) <= 1514);
    });
}

/// Starts a trace in JSON that sees whatever happens from now on.
fn trace(sandbox: &Sandbox, args: &[&str]) -> Process {
    let mut process = sandbox.start(&[&["trace", "-j"], args].concat());
    process.wait_for_complaint("following frames");
    process
}

fn walks(out: &str) -> Vec<Value> {
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["trace"] == "frame").collect()
}

fn decisions(walk: &Value) -> Vec<(String, String)> {
    let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = walk["steps"].as_array().unwrap().iter();
    steps.map(|step| (word(step, "at"), word(step, "decision"))).collect()
}

fn change<'a>(walk: &'a Value, field: &str) -> (&'a str, &'a str) {
    let changes = walk["changes"].as_array().unwrap();
    let found = changes.iter().find(|change| change["field"] == field);
    let found = found.unwrap_or_else(|| panic!("{field} did not change: {walk}"));
    (found["before"].as_str().unwrap(), found["after"].as_str().unwrap())
}

#[test]
fn a_trace_says_what_tcpdump_sees_on_both_sides() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let (inside, near) = tcpdump(sandbox, ("net1", "vethpeer1"), 2, "icmp");
        let (outside, far) = tcpdump(sandbox, ("inet", "vethpeerinet"), 2, "icmp");
        let ours = trace(sandbox, &["-c", "2", "icmp"]);
        ping(sandbox, "net1", "8.8.8.8", "1");
        let walks = walks(&ours.ended().ok().out);
        inside.ended().ok();
        outside.ended().ok();
        let names = ["eth.src", "eth.dst", "ip.src", "ip.dst", "ip.ttl", "ip.checksum"];
        let (near, far) = (fields(sandbox, &near, &names), fields(sandbox, &far, &names));
        for (walk, (before, after)) in walks.iter().zip([(&near[0], &far[0]), (&far[1], &near[1])])
        {
            for (name, (was, is)) in names.iter().zip(before.iter().zip(after)) {
                if was != is {
                    assert_eq!(change(walk, name), (was.as_str(), is.as_str()), "{walk}");
                }
            }
        }
        assert_eq!(change(&walks[0], "ip.src"), ("10.100.0.10", "203.0.113.2"));
        assert_eq!(change(&walks[0], "ip.ttl"), ("64", "63"));
        assert_eq!(change(&walks[1], "ip.dst"), ("203.0.113.2", "10.100.0.10"));
        let row = |at: &str, decision: &str| (at.to_owned(), decision.to_owned());
        assert_eq!(
            decisions(&walks[0]),
            [
                row("port veth1", "came"),
                row("table", "refreshed"),
                row("table", "local"),
                row("gateway", "route"),
                row("gateway", "nat"),
                row("gateway", "neighbour"),
                row("gateway", "forwards"),
                row("port vethinet", "sent"),
            ]
        );
        assert_eq!(
            decisions(&walks[1]),
            [
                row("port vethinet", "came"),
                row("gateway", "route"),
                row("gateway", "nat"),
                row("gateway", "neighbour"),
                row("gateway", "forwards"),
                row("table", "hit"),
                row("port veth1", "sent"),
            ]
        );
        let said = |walk: &Value, text: &str| walk["steps"].to_string().contains(text);
        assert!(said(&walks[0], "a new session and mapping"), "{}", walks[0]);
        assert!(said(&walks[1], "a running session"), "{}", walks[1]);
        assert!(walks[0]["spent"]["switch"].as_u64().unwrap() > 0);
    });
}

/// Asks about a ping, then sends one: the decisions are the same, and it arrives or not as told.
fn agrees(sandbox: &Sandbox, to: &str, arrives: bool) {
    let foretold = sandbox.uswitch(&["explain", "-j", "net1", to]);
    assert_eq!(foretold.code, Some(i32::from(!arrives)), "{}{}", foretold.out, foretold.err);
    let foretold: Value = serde_json::from_str(&foretold.out).unwrap();
    assert_eq!(foretold["arrives"], arrives, "{foretold}");
    let ours = trace(sandbox, &["-c", "1", "icmp and src host net1 and icmp"]);
    let inside = ["netns", "exec", "net1", "ping", "-n", "-W", "2", "-c", "1", to];
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(inside);
    let answered = Process::start(command, "ping").ended().code == Some(0);
    assert_eq!(answered, arrives, "{to}: {foretold}");
    ours.signal(Signal::SIGINT);
    let ended = ours.ended().ok();
    let walks = walks(&ended.out);
    let mut expected = decisions(&foretold);
    expected.retain(|(at, _)| at != "net1" && at != "inet");
    match walks.first() {
        None => assert!(expected.is_empty(), "{to}: {foretold}, but nothing came"),
        Some(walk) => {
            assert_eq!(decisions(walk), expected, "{to}");
            assert_eq!(walk["verdict"], foretold["verdict"], "{to}");
            assert_eq!(walk["to"], foretold["to"], "{to}");
        }
    }
}

#[test]
fn what_explain_foretells_is_what_happens() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        for (to, arrives) in [
            ("10.100.0.20", true),
            ("10.100.0.30", true),
            ("10.100.0.1", true),
            ("8.8.8.8", true),
            ("203.0.113.2", true),
            ("10.100.0.99", false),
            ("7.7.7.7", false),
            ("240.0.0.1", false),
        ] {
            agrees(sandbox, to, arrives);
        }
        // A link that is down, seen from the other side.
        sandbox.tool("ip", &["-n", "net3", "link", "set", "vethpeer3", "down"]);
        until("the lab hears of the link", || {
            sandbox.uswitch(&["explain", "net1", "net3"]).code == Some(1)
        });
        // And from its own.
        let ended = sandbox.uswitch(&["explain", "net3", "net1"]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.contains("no-route"), "{}", ended.out);
    });
}

#[test]
fn explain_names_what_stops_a_packet() {
    rooted(|sandbox| {
        let mut run = lab(sandbox, &["run", "--uplink", "none"]);
        agrees(sandbox, "8.8.8.8", false);
        let ended = sandbox.uswitch(&["explain", "net1", "8.8.8.8"]);
        assert!(ended.out.contains("dropped: no-route"), "{}", ended.out);
        run.signal(Signal::SIGINT);
        assert!(!run.running() || run.ended().code == Some(0));
        let _lab = lab(sandbox, &["run"]);
        for (args, code, word) in [
            (["inet", "203.0.113.2:80"], 1, "unsolicited-syn"),
            (["inet", "203.0.113.2:53/udp"], 1, "no-session"),
            (["inet", "10.100.0.10:80"], 1, "inside-from-outside"),
            (["net1", "10.100.0.1:80"], 1, "no-service"),
            (["net1", "8.8.8.8:443"], 0, "a new session and mapping"),
            (["net1", "net1"], 0, "stays inside the node"),
        ] {
            let ended = sandbox.uswitch(&["explain", args[0], args[1]]);
            assert_eq!(ended.code, Some(code), "{args:?}: {}{}", ended.out, ended.err);
            assert!(ended.out.contains(word), "{args:?}: {}", ended.out);
        }
        let unknown = sandbox.uswitch(&["explain", "net9", "net1"]);
        assert!(unknown.complaint(1).contains("net1, net2"), "{}", unknown.err);
        // Nothing was opened by asking.
        let traced = sandbox.uswitch(&["explain", "net1", "8.8.8.8:443"]).ok();
        assert!(traced.out.contains("a new session and mapping"), "{}", traced.out);
    });
}

#[test]
fn a_wrong_filter_is_pointed_at() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for verb in ["capture", "trace"] {
            let ended = sandbox.uswitch(&[verb, "net1", "icmp and hots net2"]);
            assert_eq!(ended.code, Some(2), "{}", ended.err);
            assert!(ended.err.contains("was `host` meant?"), "{}", ended.err);
            assert!(ended.err.ends_with("icmp and hots net2\n           ^^^^\n"), "{}", ended.err);
        }
    });
}

#[test]
fn wireshark_finds_the_lab() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let link = sandbox.dir.join("uswitch-extcap");
        std::os::unix::fs::symlink(sandbox.dir.join("uswitch"), &link).unwrap();
        let link = link.display().to_string();
        let listed = sandbox.tool(&link, &["--extcap-interfaces", "--extcap-version=4.0"]);
        assert!(listed.contains("interface {value=uswitch-uswitch}"), "{listed}");
        let on = ["--extcap-interface", "uswitch-uswitch"];
        let dlts = sandbox.tool(&link, &[&on[..], &["--extcap-dlts"]].concat());
        assert!(dlts.starts_with("dlt {number=1}"), "{dlts}");
        let config = sandbox.tool(&link, &[&on[..], &["--extcap-config"]].concat());
        assert!(config.contains("{call=--segment}"), "{config}");
        let fifo = sandbox.dir.join("fifo").display().to_string();
        sandbox.tool("mkfifo", &[&fifo]);
        let mut command = sandbox.command(As::Root, Path::new(&link));
        command.args(on).args(["--capture", "--fifo", &fifo, "--extcap-capture-filter", "icmp"]);
        let ours = Process::start(command, "extcap");
        let mut command = sandbox.command(As::Root, Path::new("tcpdump"));
        command.args(["-n", "-l", "-c", "4", "-r", &fifo]);
        let mut reader = Process::start(command, "tcpdump");
        reader.wait_for_complaint("reading from file");
        ping(sandbox, "net1", "10.100.0.20", "1");
        assert_eq!(reader.ended().ok().out.matches("ICMP echo").count(), 4);
        // As Wireshark ends it.
        ours.signal(Signal::SIGTERM);
        ours.ended().ok();
    });
}

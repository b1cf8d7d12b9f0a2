//! Output that nobody takes: an error wherever it is written, and never a panic.

use nix::sys::signal::Signal;

use crate::READY;
use crate::support::{Sandbox, rooted};

/// A lab in the background, gone when the test is.
struct Up<'a>(&'a Sandbox);

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.0.uswitch(&["down"]);
    }
}

fn up(sandbox: &Sandbox) -> Up<'_> {
    sandbox.uswitch(&["up"]).ok();
    Up(sandbox)
}

/// Verbs that print something of a running lab, or of themselves.
const PRINTING: &[&str] = &[
    "show",
    "show -j",
    "show counters",
    "show fdb -j",
    "metrics",
    "metrics --openmetrics",
    "ping net1 net2 -c 1",
    "ping net1 net2 -c 1 --json",
    "ping --all",
    "explain net1 net2",
    "explain net1 net2 -j",
    "completions bash",
    "completions fish",
    "man",
    "man show",
    "--help",
    "--version",
    "help run",
    "top -b -n 1",
    "add -j",
    "add",
    "fdb flush",
    "nat flush",
    "publish 8080:net1:80",
    "unpublish 8080",
];

#[test]
fn a_full_disk_is_an_error() {
    rooted(|sandbox| {
        let _up = up(sandbox);
        for (to, why) in [(">/dev/full", "No space left"), (">&-", "Bad file descriptor")] {
            for verb in PRINTING {
                let ended = sandbox.shell(&format!("uswitch {verb} {to}"));
                let line = ended.complaint(1);
                assert!(line.contains(why), "{verb} {to}: {line}");
            }
        }
    });
}

#[test]
fn a_reader_who_stops_is_none() {
    rooted(|sandbox| {
        let _up = up(sandbox);
        for verb in ["show -j", "metrics", "man", "completions bash", "--help", "ping --all"] {
            let line = format!("{{ uswitch {verb}; echo $? >&2; }} | true");
            let ended = sandbox.shell(&line);
            assert_eq!(ended.err.trim(), "0", "{verb}");
        }
    });
}

#[test]
fn a_lab_whose_words_are_lost_is_undone() {
    rooted(|sandbox| {
        let before = sandbox.state();
        for verb in ["run --check", "run", "up", "up -n 5", "run pair", "run --check -j"] {
            for to in [">/dev/full", ">&-"] {
                let ended = sandbox.shell(&format!("uswitch {verb} {to}"));
                assert!(ended.complaint(1).contains("cannot write"), "{verb}: {}", ended.err);
                assert_eq!(sandbox.state(), before, "{verb} {to}");
            }
        }
    });
}

#[test]
fn a_full_standard_error_is_no_panic() {
    rooted(|sandbox| {
        let _up = up(sandbox);
        for (verb, code) in [
            ("show nosuch", 2),
            ("nosuch", 2),
            ("exec nosuch -- true", 2),
            ("exec net1 -- /nosuch", 127),
            ("ping net1 nosuch", 2),
            ("ping net1 10.100.0.99 -c 1 -W 1", 1),
            ("run", 1),
            ("run -n 0", 2),
            ("top", 2),
            ("trace 'and and'", 2),
            (
                "capture -c 1 -w - >/dev/full & uswitch ping net1 net2 -c 3 -q >/dev/null; wait $!",
                1,
            ),
            ("-vv show fdb", 0),
        ] {
            for to in ["2>/dev/full", "2>&-"] {
                let ended = sandbox.shell(&format!("exec {to}; uswitch {verb}"));
                assert_eq!(ended.code, Some(code), "{verb} {to}: {}", ended.err);
            }
        }
        let ended = sandbox.shell("uswitch nosuch >/dev/full 2>/dev/full");
        assert_eq!(ended.code, Some(2));
    });
}

#[test]
fn a_lab_outlives_a_full_standard_error() {
    rooted(|sandbox| {
        let mut run = sandbox.start_shell("exec uswitch -vv run 2>/dev/full");
        run.wait_for(READY);
        sandbox.uswitch(&["ping", "net1", "net2", "-c", "1"]).ok();
        run.signal(Signal::SIGINT);
        assert_eq!(run.ended().code, Some(0));
    });
}

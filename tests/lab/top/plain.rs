//! `top -b`, plain text; and where there is nothing to draw on, or nothing to watch.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{As, Process, Sandbox, Terminal, rooted, rootless};
use crate::{READY, lab};

#[test]
fn without_a_terminal_it_says_so() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let ended = sandbox.uswitch(&["top"]);
        assert!(ended.complaint(2).contains("-b"), "{}", ended.err);
        let mut dumb = sandbox.uswitch_command(&["top"]);
        dumb.env("TERM", "dumb");
        let mut top = Terminal::start(&dumb, (80, 24));
        assert_eq!(top.ended(), 2);
        top.wait_for("TERM");
        for wrong in [&["top", "-d", "0"][..], &["top", "-n", "0"], &["top", "-d", "soon"]] {
            assert_eq!(sandbox.uswitch(wrong).code, Some(2), "{wrong:?}");
        }
        let absent = sandbox.uswitch(&["top", "-b", "--name", "absent"]);
        assert!(absent.complaint(2).contains("not running; uswitch is"), "{}", absent.err);
    });
}

#[test]
fn a_lab_without_a_switch_has_nothing_to_watch() {
    rooted(|sandbox| {
        let mut run = sandbox.start(&["run", "pair"]);
        run.wait_for(READY);
        let ended = sandbox.uswitch(&["top", "-b"]);
        assert!(ended.complaint(1).contains("without a switch"), "{}", ended.err);
    });
}

fn batch(sandbox: &Sandbox) {
    let run = lab(sandbox, &["run"]);
    let out = sandbox.uswitch(&["top", "-b", "-d", "0.2", "-n", "3"]).ok().out;
    let looks = out.matches("lab uswitch, up").count();
    assert_eq!(looks, 3, "{out}");
    for words in ["\nPORT", "\nveth1 ", "\nMAC", "\nPROTO", "\nBY", "203.0.113.2", "RX BYTES"] {
        assert_eq!(out.matches(words).count() % 3, 0, "{words}:\n{out}");
        assert!(out.contains(words), "no {words} in\n{out}");
    }
    assert!(!out.contains('\x1b') && !out.contains('▼'), "{out}");
    assert!(out.lines().all(|line| line.trim_end() == line), "{out}");
    run.signal(Signal::SIGTERM);
    run.ended().ok();
}

#[test]
fn plain_text_as_root() {
    rooted(batch);
}

#[test]
fn plain_text_as_an_ordinary_user() {
    rootless(batch);
}

#[test]
fn plain_text_into_a_closed_pipe_and_to_the_labs_end() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let plain = sandbox.uswitch_command(&["top", "-b", "-d", "0.1"]);
        let mut shell = sandbox.command(As::Root, Path::new("bash"));
        shell.args(["-c", r#"set -o pipefail; "$@" | head -1"#, "bash"]);
        shell.arg(plain.get_program()).args(plain.get_args());
        let ended = Process::start(shell, "top -b | head -1").ended().ok();
        assert_eq!((ended.out.lines().count(), ended.err.as_str()), (1, ""));
        let mut top = sandbox.start(&["top", "-b", "-d", "0.1"]);
        top.wait_for("lab uswitch");
        run.signal(Signal::SIGTERM);
        let ended = top.ended();
        assert!(ended.complaint(1).contains("has ended"), "{}", ended.err);
        run.ended().ok();
    });
}

//! How `top` ends, or is interrupted: by a signal, with the lab, by a lab that hangs. Whatever it
//! is, the terminal is as it was.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;

use super::top;
use crate::lab;
use crate::support::{Terminal, rooted};

#[test]
fn signals_give_the_terminal_back() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)]
        {
            let mut top = top(sandbox, &[], (80, 24));
            top.wait_for("veth2");
            assert!(top.look(|screen| screen.alternate_screen() && screen.hide_cursor()));
            top.signal(signal);
            assert_eq!(top.ended(), code, "{signal}");
            top.is_restored();
        }
    });
}

#[test]
fn the_end_of_the_lab_is_its_end() {
    rooted(|sandbox| {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let run = lab(sandbox, &["run"]);
            // It hears of it at once, long before its next look.
            let mut top = top(sandbox, &["-d", "600"], (80, 24));
            top.wait_for("veth2");
            run.signal(signal);
            assert_eq!(top.ended(), 1);
            top.is_restored();
            top.wait_for("uswitch: lab uswitch has ended");
            run.ended();
            sandbox.uswitch(&["down"]).ok();
        }
    });
}

#[test]
fn a_lab_that_hangs_is_told_and_holds_up_no_key() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let mut top = top(sandbox, &["-d", "0.2"], (80, 24));
        top.wait_for("veth2");
        run.signal(Signal::SIGSTOP);
        top.wait_for("the lab has not answered for");
        top.keys("h");
        top.wait_for("sort by traffic");
        top.keys("h");
        run.signal(Signal::SIGCONT);
        top.wait_until("the usual last line", |text| text.contains("q quit"));
        run.signal(Signal::SIGSTOP);
        top.wait_for("the lab has not answered for");
        top.keys("q");
        assert_eq!(top.ended(), 0);
        top.is_restored();
    });
}

#[test]
fn it_can_be_suspended() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let plain = sandbox.uswitch_command(&["top"]);
        // Only below a shell with job control does a stopped program have someone to wake it.
        let mut shell = Command::new("setpriv");
        let script = r#"set -m; "$@"; echo "stopped $?"; read; fg; echo "ended $?""#;
        shell.args(["--pdeathsig", "KILL", "bash", "-c", script, "bash"]);
        shell.arg(plain.get_program()).args(plain.get_args());
        plain.get_envs().for_each(|(name, value)| {
            shell.env(name, value.unwrap_or_default());
        });
        let mut top = Terminal::start(&shell, (80, 24));
        top.wait_for("veth2");
        top.keys("\x1a");
        top.wait_for("stopped 148");
        top.is_restored();
        top.keys("\r");
        top.wait_for("veth2");
        top.keys("q");
        top.wait_for("ended 0");
        assert_eq!(top.ended(), 0);
        top.is_restored();
    });
}

#[test]
fn it_counts_its_looks() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let mut top = top(sandbox, &["-d", "0.1", "-n", "3"], (80, 24));
        assert_eq!(top.ended(), 0);
        top.is_restored();
    });
}

#[test]
fn a_terminal_that_goes_away_ends_it_quietly() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for args in [&["top", "-d", "0.1"][..], &["top", "-d", "600"]] {
            let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
            let pty = openpty(&size, None).unwrap();
            // Else it would hold its own terminal open.
            for end in [&pty.master, &pty.slave] {
                fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
            }
            let mut command = sandbox.uswitch_command(args);
            command.env("TERM", "xterm");
            let end = || Stdio::from(pty.slave.try_clone().unwrap());
            // It is nobody's controlling terminal: no signal says that it goes.
            let mut top = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
            drop(command);
            let mut master = File::from(pty.master);
            let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
            while !String::from_utf8_lossy(&seen).contains("veth2") {
                let read = master.read(&mut bytes).unwrap();
                seen.extend_from_slice(&bytes[..read]);
            }
            drop((master, pty.slave));
            let code = top.wait().unwrap().code();
            assert!(matches!(code, Some(1 | 129)), "{args:?}: {code:?}");
        }
    });
}

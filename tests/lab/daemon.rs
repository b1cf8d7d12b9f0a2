//! The lab in the background: what it has let go of, what it heeds, what it writes, and its part of
//! the cores.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::lab;
use crate::support::{As, Ended, Process, Sandbox, rooted, rootless};

/// Runs a shell's script, in which `$U` is uswitch.
fn script(sandbox: &Sandbox, whom: As, text: &str) -> Ended {
    shell(sandbox, whom, text).ended()
}

fn shell(sandbox: &Sandbox, whom: As, text: &str) -> Process {
    let program = sandbox.uswitch_command(&[]);
    let program = program.get_args().skip_while(|word| *word != "--").nth(1).unwrap();
    let mut command = sandbox.command(whom, Path::new("/bin/sh"));
    command.args(["-c", text]).env("U", program).env("HERE", sandbox.dir.join("tmp"));
    Process::start(command, text)
}

/// The process id of the lab in the background.
fn pid(sandbox: &Sandbox) -> i64 {
    let topology = sandbox.uswitch(&["show", "topology", "-j"]).ok().out;
    let value: serde_json::Value = serde_json::from_str(&topology).unwrap();
    value["pid"].as_i64().unwrap_or_else(|| panic!("no pid in {topology}"))
}

fn proc(pid: i64, file: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{file}")).unwrap()).into_owned()
}

fn link(pid: i64, file: &str) -> String {
    std::fs::read_link(format!("/proc/{pid}/{file}")).unwrap().display().to_string()
}

/// A field of /proc/PID/stat behind the name, counted as proc_pid_stat(5) does.
fn stat(pid: i64, field: usize) -> i64 {
    let stat = proc(pid, "stat");
    let rest = stat.rsplit_once(") ").unwrap().1;
    rest.split(' ').nth(field - 3).unwrap().parse().unwrap()
}

const PGRP: usize = 5;
const SESSION: usize = 6;
const TTY: usize = 7;

#[test]
fn it_holds_nothing_of_its_caller() {
    rooted(|sandbox| {
        let up = "cd $HERE && umask 077 && exec 9>lock 8<. && flock 9 && \
                  NOTIFY_SOCKET=@nobody LISTEN_FDS=2 $U up";
        script(sandbox, As::Root, up).ok();
        let lab = pid(sandbox);
        assert_eq!(proc(lab, "comm").trim(), "uswitch");
        assert!(proc(lab, "cmdline").ends_with("uswitch\0up\0"), "{}", proc(lab, "cmdline"));
        assert_eq!(link(lab, "cwd"), "/");
        let here = sandbox.dir.join("tmp").display().to_string();
        for fd in std::fs::read_dir(format!("/proc/{lab}/fd")).unwrap().flatten() {
            let number = fd.file_name().into_string().unwrap();
            // One that is closed in between points nowhere.
            let Ok(target) = std::fs::read_link(fd.path()) else { continue };
            let target = target.display().to_string();
            assert!(!target.starts_with(&here), "{number} is {target}");
            match number.as_str() {
                "0" | "1" => assert_eq!(target, "/dev/null"),
                "2" => assert!(target.ends_with("/log"), "{target}"),
                _ => {}
            }
        }
        assert!(proc(lab, "status").contains("Umask:\t0022"), "{}", proc(lab, "status"));
        let environment = proc(lab, "environ");
        assert!(!environment.contains("NOTIFY_SOCKET"), "{environment}");
        assert!(!environment.contains("LISTEN_FDS"), "{environment}");
        assert_eq!(stat(lab, TTY), 0, "a controlling terminal");
        assert_eq!(stat(lab, PGRP), lab);
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn an_ordinary_users_lab_has_left_the_terminal_and_its_group() {
    rootless(|sandbox| {
        // `script` gives it a controlling terminal.
        let up = "script -qec \"$U up\" /dev/null >/dev/null && $U show topology -j";
        let shown = script(sandbox, As::User, up).ok().out;
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let lab = value["pid"].as_i64().unwrap();
        assert_eq!(stat(lab, TTY), 0, "a controlling terminal");
        assert_eq!(stat(lab, PGRP), lab);
        assert_eq!(link(lab, "cwd"), "/");
        // The terminal is gone with `script`, and the lab is not.
        sandbox.uswitch(&["ping", "net1", "8.8.8.8", "-c", "1"]).ok();
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn a_relative_run_directory_is_that_of_the_working_directory() {
    rooted(|sandbox| {
        let all = "cd $HERE/.. && export USWITCH_RUN_DIR=runs && $U up && \
                   $U ping net1 10.100.0.20 -c 1 && $U down && test ! -e runs";
        script(sandbox, As::Root, all).ok();
        // What was there before stays.
        let all = "cd $HERE/.. && export USWITCH_RUN_DIR=$PWD/mine && mkdir -m 700 mine && \
                   $U run --check && $U up && $U down && test -d mine && rmdir mine";
        script(sandbox, As::Root, all).ok();
    });
}

#[test]
fn what_is_ignored_stays_so() {
    rooted(|sandbox| {
        for (name, signal) in [("HUP", Signal::SIGHUP), ("INT", Signal::SIGINT)] {
            let text = format!("trap '' {name}; exec $U run");
            let mut run = shell(sandbox, As::Root, &text);
            run.wait_for(crate::READY);
            run.signal(signal);
            std::thread::sleep(Duration::from_millis(500));
            assert!(run.running(), "ended by the {name} it was told to ignore");
            run.signal(Signal::SIGTERM);
            assert_eq!(run.ended().code, Some(0));
            let text = format!("trap '' {name}; exec $U ping 127.0.0.1 -i 0.2");
            let mut ping = shell(sandbox, As::Root, &text);
            ping.wait_for("icmp_seq=1");
            ping.signal(signal);
            std::thread::sleep(Duration::from_millis(500));
            assert!(ping.running(), "ping ended by the {name} it was told to ignore");
        }
    });
}

#[test]
fn dev_null_is_not_needed() {
    rooted(|sandbox| {
        let all = "exec unshare -m sh -c 'mount -t tmpfs none /dev; $U up && $U down'";
        let ended = script(sandbox, As::Root, all).ok();
        assert!(ended.err.is_empty(), "{}", ended.err);
        let all =
            "exec unshare -m sh -c 'mount -t tmpfs none /dev; echo > /dev/null; $U up && $U down'";
        script(sandbox, As::Root, all).ok();
    });
}

#[test]
fn a_log_has_no_colours() {
    rooted(|sandbox| {
        // A terminal at first, which the log is not.
        script(sandbox, As::Root, "script -qec \"$U up\" /dev/null").ok();
        sandbox.tool("ip", &["-n", "net1", "link", "del", "vethpeer1"]);
        let log = Path::new(if sandbox.real_root { "/run" } else { "/run/test/user" });
        let log = log.join("uswitch/uswitch/log");
        let limit = Instant::now() + Duration::from_secs(10);
        let mut text = String::new();
        while text.is_empty() && Instant::now() < limit && log.exists() {
            text = std::fs::read_to_string(&log).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!log.exists() || text.contains("WARN"), "{text:?}");
        assert!(!text.contains('\x1b'), "{text:?}");
        sandbox.uswitch(&["down"]).ok();
        // Nor have the words of any verb in a file.
        let words = sandbox.uswitch(&["run", "--check"]).ok();
        assert!(!words.out.contains('\x1b') && !words.err.contains('\x1b'));
    });
}

/// Keeps every core busy, from a session of its own.
const LOAD: &str = "for core in $(seq $(nproc)); do sh -c 'while :; do :; done' & load=\"$load $!\"; \
                    done; trap 'kill $load' EXIT; sleep 0.5;";

#[test]
fn busy_cores_take_nothing_from_a_lab_in_the_background() {
    rooted(|sandbox| {
        if !sandbox.real_root || !Path::new("/proc/self/autogroup").exists() {
            return eprintln!("SKIPPED: sessions have no scheduling groups here");
        }
        sandbox.uswitch(&["up"]).ok();
        let lab = pid(sandbox);
        assert_eq!(stat(lab, SESSION), lab);
        assert!(proc(lab, "autogroup").ends_with(" nice -19\n"), "{}", proc(lab, "autogroup"));
        pings_beside_a_load(sandbox);
        sandbox.uswitch(&["down"]).ok();
    });
}

/// 100 pings a second, as many as the ring and their patience hold, in the session of the load.
fn pings_beside_a_load(sandbox: &Sandbox) {
    let text = format!("{LOAD} $U exec net1 -- ping -q -i 0.01 -c 300 -W 2 10.100.0.20");
    let mut command = sandbox.command(As::Root, Path::new("setsid"));
    let program = sandbox.dir.join("uswitch");
    command.args(["--wait", "sh", "-c", &text]).env("U", program);
    let said = Process::start(command, "a load and pings").ended();
    assert!(said.out.contains(" 300 received"), "{}{}", said.out, said.err);
}

/// Real-time round robin (`SCHED_RR`), as the fields of /proc/PID/stat tell: 40 and 41.
fn comes_first(task: &Path) -> bool {
    let stat = std::fs::read_to_string(task.join("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[37..39] == ["1", "2"]
}

/// Whether root may have it here, for a control group may forbid it.
fn real_time(sandbox: &Sandbox) -> bool {
    let mut command = sandbox.command(As::Root, Path::new("chrt"));
    command.args(["-r", "1", "true"]);
    Process::start(command, "chrt").ended().code == Some(0)
}

/// The threads of a process that come first, by name.
fn first_ones(process: Pid) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let first = tasks.map(|task| task.unwrap().path()).filter(|task| comes_first(task));
    let mut names: Vec<_> =
        first.map(|task| std::fs::read_to_string(task.join("comm")).unwrap()).collect();
    names.sort();
    names
}

/// A lab in the foreground is in a session that it has not begun: whatever it does for its own part
/// of the cores, the session has nothing of it, and keeps nothing.
#[test]
fn a_shells_session_is_left_as_it_is() {
    rooted(|sandbox| {
        if !sandbox.real_root || !Path::new("/proc/self/autogroup").exists() {
            return eprintln!("SKIPPED: sessions have no scheduling groups here");
        }
        let text = "cat /proc/self/autogroup; $U run >said & lab=$!; \
                    until grep -q 'Ctrl-C' said; do sleep 0.05; done; cat /proc/self/autogroup; \
                    echo $lab; read go; kill -9 $lab; wait $lab; cat /proc/self/autogroup";
        let mut command = sandbox.command(As::Root, Path::new("setsid"));
        command.args(["--wait", "sh", "-c", text]).env("U", sandbox.dir.join("uswitch"));
        command.current_dir(&sandbox.dir);
        let (stdin, mut go) = std::io::pipe().unwrap();
        command.stdin(Stdio::from(OwnedFd::from(stdin)));
        let mut shell = Process::start(command, "run in a session");
        shell.wait_for("\n/autogroup");
        let told = || shell.out().lines().nth(2).map(|pid| Pid::from_raw(pid.parse().unwrap()));
        let limit = Instant::now() + Duration::from_secs(60);
        let lab = loop {
            if let Some(lab) = told() {
                break lab;
            }
            assert!(Instant::now() < limit, "{}", shell.out());
            std::thread::sleep(Duration::from_millis(5));
        };
        let first = first_ones(lab);
        assert_eq!(!first.is_empty(), real_time(sandbox), "{first:?}");
        assert!(first.iter().all(|name| name.starts_with("worker-")), "{first:?}");
        go.write_all(b"\n").unwrap();
        let said = shell.ended();
        let lines: Vec<_> =
            said.out.lines().filter(|line| line.starts_with("/autogroup")).collect();
        assert_eq!(lines.len(), 3, "{}{}", said.out, said.err);
        assert!(lines.iter().all(|line| *line == lines[0]), "{lines:?}");
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn busy_cores_take_nothing_from_a_lab_in_the_foreground() {
    rooted(|sandbox| {
        if !sandbox.real_root || !Path::new("/proc/self/autogroup").exists() {
            return eprintln!("SKIPPED: sessions have no scheduling groups here");
        }
        let run = lab(sandbox, &["run"]);
        if !real_time(sandbox) {
            return eprintln!("SKIPPED: there is no real-time class to be had here");
        }
        assert!(!first_ones(run.pid()).is_empty());
        pings_beside_a_load(sandbox);
    });
}

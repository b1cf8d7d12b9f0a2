//! SIGKILL at any moment: the kernel takes the veths and the switch's namespace, and the next
//! `run` or `down` removes the rest.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::READY;
use crate::support::{Sandbox, rooted, rootless};

/// Moments after the start at which a lab dies. Set-up takes a few tens of milliseconds.
fn moments() -> impl Iterator<Item = Duration> {
    (0..24).map(|step| Duration::from_millis(step * step / 2))
}

fn killed_while_building(sandbox: &Sandbox) {
    let before = sandbox.state();
    let mut left = 0;
    for (turn, moment) in moments().enumerate() {
        let run = sandbox.start(&["run", "-n", "4"]);
        std::thread::sleep(moment);
        run.signal(Signal::SIGKILL);
        run.ended();
        left += usize::from(sandbox.state() != before);
        if turn % 2 == 0 {
            sandbox.uswitch(&["down"]).ok();
        } else {
            sandbox.uswitch(&["run", "-n", "3", "--uplink", "none", "--check"]).ok();
        }
        assert_eq!(sandbox.state(), before, "killed after {moment:?}");
    }
    assert!(
        left > 3,
        "only {left} of the kills left anything to clean: they came too early or late"
    );
}

#[test]
fn the_next_lab_waits_until_one_that_is_killed_is_gone() {
    rooted(|sandbox| {
        for nodes in ["1", "2", "1", "2", "12", "1", "2", "1"] {
            let mut run = sandbox.start(&["run", "-n", nodes, "--uplink", "none"]);
            run.wait_for(READY);
            run.signal(Signal::SIGKILL);
            sandbox.uswitch(&["run", "-n", nodes, "--uplink", "none", "--check"]).ok();
            run.ended();
        }
    });
}

#[test]
fn killed_while_building_as_root() {
    rooted(killed_while_building);
}

#[test]
fn killed_while_building_as_an_ordinary_user() {
    rootless(|sandbox| {
        for (turn, moment) in moments().enumerate() {
            let run = sandbox.start(&["run", "-n", "4"]);
            std::thread::sleep(moment);
            run.signal(Signal::SIGKILL);
            run.ended();
            if turn % 6 == 0 {
                sandbox.uswitch(&["down"]).ok();
            }
        }
        sandbox.uswitch(&["run", "--check"]).ok();
    });
}

#[test]
fn killed_while_running_and_while_undoing() {
    rooted(|sandbox| {
        let before = sandbox.state();
        for moment in [None, Some(0), Some(1), Some(2), Some(4), Some(8), Some(16)] {
            let mut run = sandbox.start(&["run"]);
            run.wait_for(READY);
            if let Some(milliseconds) = moment {
                run.signal(Signal::SIGTERM);
                std::thread::sleep(Duration::from_millis(milliseconds));
            }
            run.signal(Signal::SIGKILL);
            run.ended();
            // Whatever is left of the namespaces, their veths are gone with the switch.
            for name in sandbox.tool("ip", &["netns", "list"]).split_whitespace() {
                if !name.starts_with("net") {
                    continue;
                }
                let veths =
                    || sandbox.tool("ip", &["-n", name, "-o", "link", "show", "type", "veth"]);
                let limit = std::time::Instant::now() + Duration::from_secs(60);
                while !veths().is_empty() {
                    assert!(std::time::Instant::now() < limit, "{name} keeps {}", veths());
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            sandbox.uswitch(&["down"]).ok();
            assert_eq!(sandbox.state(), before, "killed {moment:?} ms into the undoing");
        }
    });
}

#[test]
fn a_lab_in_the_background_is_killed() {
    rooted(|sandbox| {
        let before = sandbox.state();
        for again in [&["down"][..], &["up"], &["run", "--check"]] {
            sandbox.uswitch(&["up"]).ok();
            let lock = std::fs::read_to_string("/run/uswitch/uswitch/lock").unwrap();
            let pid = nix::unistd::Pid::from_raw(lock.trim().parse().unwrap());
            nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
            let limit = std::time::Instant::now() + Duration::from_secs(60);
            while alive(pid) {
                assert!(std::time::Instant::now() < limit, "{pid} does not die");
                std::thread::sleep(Duration::from_millis(5));
            }
            sandbox.uswitch(again).ok();
            sandbox.uswitch(&["down"]).ok();
            assert_eq!(sandbox.state(), before, "then {again:?}");
        }
    });
}

fn alive(pid: nix::unistd::Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
}

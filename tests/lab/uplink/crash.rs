//! What a lab has changed on the host, given back: at its end, and after it was killed.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::host::{Talk, end, eventually, lab, netns, on_a_host, reserved};
use super::{address, is_silent};
use crate::support::in_netns;

const FILE: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

fn reserve(ports: &str) {
    std::fs::write(FILE, ports).unwrap();
}

/// A service of the host in the block can be reached: nothing is dropped any more.
fn the_block_is_the_host_s() {
    let listener = TcpListener::bind("192.0.2.2:25000").unwrap();
    eventually("a connection into the block", || {
        in_netns(netns("server"), || {
            let at = address("192.0.2.2:25000");
            TcpStream::connect_timeout(&at, Duration::from_millis(500)).is_ok()
        })
    });
    drop(listener);
}

#[test]
fn the_end_gives_back_what_was_taken_and_nothing_else() {
    on_a_host(|sandbox| {
        let state = sandbox.state();
        reserve("8080,20500,29000-31000");
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        assert_eq!(reserved(), "8080,20000-31000");
        assert!(is_silent("192.0.2.2:25000"));
        // Somebody else writes to the list meanwhile.
        reserve("9090,20000-31000");
        end(run);
        assert_eq!(reserved(), "9090,20500,29000-31000");
        the_block_is_the_host_s();
        assert_eq!(sandbox.state(), state);
    });
}

#[test]
fn a_long_list_of_others_survives() {
    on_a_host(|sandbox| {
        let mut long: String = (0..3000).map(|n| format!("{},", 32_000 + 2 * n)).collect();
        long.pop();
        reserve(&long);
        assert_eq!(reserved(), long);
        let run = lab(sandbox, &["run", "--uplink", "auto", "--uplink-ports", "30000-30999"]);
        assert_eq!(reserved(), format!("30000-30999,{long}"));
        end(run);
        assert_eq!(reserved(), long);
    });
}

#[test]
fn killed_and_undone_by_down_or_by_the_next_run() {
    on_a_host(|sandbox| {
        let state = sandbox.state();
        reserve("8080");
        let host = Talk::open(("host", "server"), "8.8.8.8:7500");
        for turn in 0..4 {
            let run = lab(sandbox, &["run", "--uplink", "auto"]);
            let node = Talk::open(("net1", "server"), &format!("8.8.8.8:{}", 7501 + turn));
            node.talk();
            host.talk();
            run.signal(Signal::SIGKILL);
            run.ended();
            // The drop has gone with the process; the list is on record.
            the_block_is_the_host_s();
            assert_eq!(reserved(), "8080,20000-29999");
            reserve(&format!("8080,{},20000-29999", 9000 + turn));
            if turn % 2 == 0 {
                sandbox.uswitch(&["down"]).ok();
            } else {
                sandbox.uswitch(&["run", "--uplink", "sim", "--check"]).ok();
            }
            assert_eq!(reserved(), format!("8080,{}", 9000 + turn));
            assert_eq!(sandbox.state(), state);
            reserve("8080");
            host.talk();
        }
    });
}

#[test]
fn killed_at_any_moment() {
    on_a_host(|sandbox| {
        let state = sandbox.state();
        let (mut left, mut turn) = (0, 0);
        // On a busy machine it takes longer until there is anything to leave behind.
        while turn < 16 || left == 0 {
            let run = sandbox.start(&["run", "--uplink", "auto"]);
            std::thread::sleep(Duration::from_millis(turn * 8));
            run.signal(Signal::SIGKILL);
            run.ended();
            left += usize::from(!reserved().is_empty());
            sandbox.uswitch(&["down"]).ok();
            assert_eq!(reserved(), "", "killed after {} ms", turn * 8);
            assert_eq!(sandbox.state(), state);
            turn += if turn < 16 { 1 } else { turn };
            assert!(turn < 8192, "every kill came too early to show anything");
        }
        the_block_is_the_host_s();
    });
}

#[test]
fn ports_of_a_killed_lab_are_its_own_to_give_back() {
    on_a_host(|sandbox| {
        let first = lab(sandbox, &["run", "--uplink", "auto", "--name", "first"]);
        first.signal(Signal::SIGKILL);
        first.ended();
        let second = ["run", "--check", "--uplink", "auto", "--name", "second"];
        let ended = sandbox.uswitch(&second);
        let line = ended.complaint(1);
        assert!(line.contains("lab first") && line.contains("down --name first"), "{line}");
        let elsewhere = ["--uplink-ports", "40000-40999"];
        sandbox.uswitch(&[&second[..], &elsewhere].concat()).ok();
        assert_eq!(reserved(), "20000-29999");
        sandbox.uswitch(&["down", "--name", "first"]).ok();
        assert_eq!(reserved(), "");
        sandbox.uswitch(&second).ok();
        assert_eq!(reserved(), "");
    });
}

#[test]
fn a_torn_record_keeps_no_ports_reserved() {
    on_a_host(|sandbox| {
        let journal = std::path::Path::new("/run/uswitch/uswitch/journal");
        reserve("8080");
        // One cut ends behind a whole line.
        for keep in [0, 40, 400, usize::MAX] {
            let run = lab(sandbox, &["run", "--uplink", "auto"]);
            run.signal(Signal::SIGKILL);
            run.ended();
            let whole = std::fs::read(journal).unwrap();
            let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let keep = if keep == usize::MAX { first } else { keep };
            std::fs::write(journal, &whole[..keep]).unwrap();
            let down = sandbox.uswitch(&["down"]);
            let told = ["is torn", "lacks"].iter().any(|word| down.complaint(1).contains(word));
            assert!(told, "{}", down.err);
            assert_eq!(reserved(), "8080", "{keep} bytes were left");
            assert_eq!(std::fs::read(journal).unwrap(), &whole[..keep]);
            // What others reserve then is theirs.
            reserve("8080,20000-20010");
            assert_eq!(sandbox.uswitch(&["down"]).code, Some(1));
            let next = sandbox.uswitch(&["run", "--check", "--uplink", "auto"]);
            assert!(next.complaint(1).contains("rm /run/uswitch"), "{}", next.err);
            assert_eq!(reserved(), "8080,20000-20010");
            reserve("8080");
            std::fs::remove_file(journal).unwrap();
            for name in ["net1", "net2"] {
                let _ = std::process::Command::new("ip").args(["netns", "del", name]).output();
            }
            sandbox.uswitch(&["run", "--check", "--uplink", "auto"]).ok();
            assert_eq!(reserved(), "8080");
        }
    });
}

#[test]
fn ports_reserved_in_another_namespace_are_not_taken_from_this_one() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        run.signal(Signal::SIGKILL);
        run.ended();
        let path = "/run/uswitch/uswitch/journal";
        assert!(std::fs::read_to_string(path).unwrap().contains("\"cookie\""));
        let binary = sandbox.dir.join("uswitch");
        let script = format!(
            "mount -t sysfs none /sys; echo 20000-29999 > {FILE}; {} down; cat {FILE}",
            binary.display()
        );
        let out = sandbox.tool("unshare", &["-n", "-m", "sh", "-c", &script]);
        assert!(out.ends_with("20000-29999\n"), "{out}");
    });
}

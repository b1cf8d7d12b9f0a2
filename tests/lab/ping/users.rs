//! What an ordinary user gets outside a lab: the datagram socket or a word about how to get it,
//! ping's limits; and what anyone gets for input that cannot be.

use std::path::Path;

use super::answerer::Answerer;
use super::{THERE, joined, joined_to_silence, objects, ours, summary};
use crate::support::{As, Ended, Process, Sandbox, in_netns, rooted, skip};

/// `uswitch ping ARGS` by an ordinary user in namespace `a`.
fn by_user(sandbox: &Sandbox, args: &[&str]) -> Ended {
    let binary = sandbox.dir.join("uswitch");
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", "a", "setpriv", "--reuid", "65534", "--regid", "65534"]);
    command.args(["--clear-groups", "--"]).arg(binary).arg("ping").args(args);
    Process::start(command, &format!("uswitch ping {} by a user", args.join(" "))).ended()
}

/// Lets every group have the datagram socket, or none.
fn let_in(groups: &str) {
    in_netns("/run/netns/a", || {
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", groups).unwrap();
    });
}

#[test]
fn the_datagram_socket_where_raw_is_not_allowed() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return skip("a second user takes the real root");
        }
        joined(sandbox);
        let_in("1 0");
        let refused = by_user(sandbox, &["-c", "1", THERE]);
        let line = refused.complaint(2);
        assert!(line.contains("net.ipv4.ping_group_range"), "{line}");
        let_in("0 2147483647");
        let out = by_user(sandbox, &["-c", "3", "-i", "0.1", THERE]).ok().out;
        assert!(out.contains("3 packets transmitted, 3 received, 0% packet loss"), "{out}");
        assert!(out.contains("64 bytes from 10.9.0.2: icmp_seq=3 ttl=64 time="), "{out}");
        // Errors come by the error queue there.
        let ended = by_user(sandbox, &["--json", "-c", "2", "-i", "0.1", "10.9.0.77"]);
        let error = objects(&ended.out).remove(0);
        assert_eq!((&error["type"], &error["from"]), (&"error".into(), &"10.9.0.1".into()));
        assert_eq!((error["icmp_type"].as_u64(), error["icmp_code"].as_u64()), (Some(3), Some(1)));
        assert_eq!((ended.code, summary(&ended.out)["errors"].as_u64()), (Some(1), Some(2)));
    });
}

#[test]
fn the_datagram_socket_tells_oddities_apart_too() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return skip("a second user takes the real root");
        }
        joined_to_silence(sandbox);
        let_in("0 2147483647");
        let _peer = Answerer::start(|r| match r.seq() {
            1 => vec![r.answer(), r.answer().after(5)],
            2 => vec![r.answer().changed(20).ttl(9)],
            3 => vec![r.answer().cut(10)],
            4 => vec![r.answer().from([10, 9, 0, 66])],
            5 => vec![r.error(11, 0, [0; 4]).from([10, 9, 0, 8])],
            // A wrong checksum does not get through to it.
            6 => vec![r.answer().unsound()],
            _ => vec![r.answer()],
        });
        let args = ["--json", "-c", "7", "-i", "0.2", "-W", "1", THERE];
        let summary = summary(&by_user(sandbox, &args).out);
        for (counter, wanted) in [
            ("transmitted", 7),
            ("received", 5),
            ("duplicates", 1),
            ("changed", 1),
            ("truncated", 1),
            ("wrong_source", 1),
            ("ttl_changes", 2),
            ("errors", 1),
            ("corrupt", 0),
        ] {
            assert_eq!(summary[counter], wanted, "{counter}: {summary}");
        }
        assert_eq!(summary["icmp_errors"][0]["from"], "10.9.0.8");
    });
}

#[test]
fn an_ordinary_user_floods_nobody() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return skip("a second user takes the real root");
        }
        joined(sandbox);
        let_in("0 2147483647");
        for (args, words) in [
            (&["-f"][..], "minimal interval allowed for user is 2ms"),
            (&["-i", "0.001"], "minimal interval allowed for user is 2ms"),
            (&["-l", "4"], "cannot set preload to value greater than 3: 4"),
        ] {
            let ended = by_user(sandbox, &[args, &["-c", "1", THERE]].concat());
            assert!(ended.complaint(2).contains(words), "{args:?}: {}", ended.err);
            assert_eq!(ended.out, "", "{args:?}");
        }
        by_user(sandbox, &["-i", "0.002", "-l", "3", "-c", "3", THERE]).ok();
    });
}

#[test]
fn what_cannot_be_is_one_line_and_code_2() {
    rooted(|sandbox| {
        joined(sandbox);
        for (line, words) in [
            ("-c 1 8.8.8.8", "8.8.8.8: Network is unreachable"),
            ("-c 1 10.9.0.255", "broadcast"),
            ("-c 1 -I nosuch 10.9.0.2", "nosuch"),
            ("-c 1 -I 10.9.0.99 10.9.0.2", "10.9.0.99"),
            ("-c 1 -I va -I vb 10.9.0.2", "vb"),
            ("-c 1 nowhere", "nowhere"),
            ("-f -c 1 10.9.0.2 10.9.0.1", "flood"),
        ] {
            let ended = ours(sandbox, &line.split(' ').collect::<Vec<_>>());
            assert!(ended.complaint(2).contains(words), "{line}: {}", ended.err);
            assert_eq!(ended.out, "", "{line}: nothing was begun");
        }
        for line in [
            "-c 0 10.9.0.2",
            "-c x 10.9.0.2",
            "-i -1 10.9.0.2",
            "-i nan 10.9.0.2",
            "-s 65508 10.9.0.2",
            "-s -1 10.9.0.2",
            "-t 0 10.9.0.2",
            "-t 256 10.9.0.2",
            "-p xyz 10.9.0.2",
            "-Q 256 10.9.0.2",
            "-M maybe 10.9.0.2",
            "-l 0 10.9.0.2",
            "-l 65537 10.9.0.2",
            "-w -1 10.9.0.2",
            "-W x 10.9.0.2",
            "--all 10.9.0.2",
            "-z 10.9.0.2",
            "-q",
        ] {
            let ended = ours(sandbox, &line.split(' ').collect::<Vec<_>>());
            assert_eq!(ended.code, Some(2), "{line}: {}", ended.err);
            assert!(!ended.err.is_empty() && ended.out.is_empty(), "{line}: {}", ended.out);
        }
    });
}

#[test]
fn a_way_that_goes_away_is_told_and_survived() {
    rooted(|sandbox| {
        joined(sandbox);
        let mut pinger = super::start(sandbox, &["-i", "0.1", THERE]);
        pinger.wait_for("icmp_seq=2 ");
        sandbox.tool("ip", &["-n", "a", "link", "set", "va", "down"]);
        pinger.wait_for_complaint("sendmsg: Network is unreachable");
        sandbox.tool("ip", &["-n", "a", "link", "set", "va", "up"]);
        let before = pinger.out().lines().count();
        while pinger.out().lines().count() < before + 2 {
            assert!(pinger.running(), "{}", pinger.out());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        pinger.signal(nix::sys::signal::Signal::SIGINT);
        assert_eq!(pinger.ended().code, Some(0));
    });
}

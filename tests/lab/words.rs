//! What `run` says, and by which exit code it tells.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::READY;
use crate::support::{As, Process, Sandbox, rooted, rootless};

#[test]
fn the_walkthrough_in_lines() {
    rootless(|sandbox| {
        let said = sandbox.uswitch(&["run", "--check"]).ok().out;
        let pings: Vec<_> = said.lines().filter(|line| line.contains(" ping ")).collect();
        let ways = ["net1 -> net2 10.100.0.20", "net2 -> net1 10.100.0.10", "net1 -> internet"];
        assert_eq!(pings.len(), ways.len(), "{said}");
        for (line, way) in pings.iter().zip(ways) {
            assert!(line.contains(way), "no {way} in {line}");
            let times = line.trim_end_matches(" ms").rsplit("  ").next().unwrap();
            let times: Vec<f64> = times.split(' ').map(|time| time.parse().unwrap()).collect();
            assert!(times.len() == 3 && times.iter().all(|time| *time > 0.0), "{line}");
        }
        assert!(!said.contains('\x1b'), "colours into a pipe");
    });
}

#[test]
fn a_mesh_says_what_it_took() {
    rootless(|sandbox| {
        let said = sandbox.uswitch(&["run", "mesh", "-n", "5", "--check"]).ok().out;
        assert!(said.contains("took 10 veth pairs; the switch would have taken 5"), "{said}");
        assert!(said.contains("20 of 20 pings answered"), "{said}");
        let said = sandbox.uswitch(&["run", "mesh", "-n", "3", "--check"]).ok().out;
        assert_eq!(said.matches(" ping ").count(), 6, "{said}");
    });
}

/// `uswitch ARGS` on a terminal, and what it wrote there.
fn on_a_terminal(sandbox: &Sandbox, args: &str, colour: bool) -> String {
    let binary = sandbox.uswitch_command(&[]).get_args().last().unwrap().to_owned();
    let mut command = sandbox.command(As::Root, Path::new("script"));
    let line = format!("{} {args}", binary.to_str().unwrap());
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
    if !colour {
        command.env("NO_COLOR", "1");
    }
    Process::start(command, "script").ended().ok().out
}

#[test]
fn a_terminal_gets_a_picture_and_colours() {
    rooted(|sandbox| {
        for (args, drawn) in [
            ("run --check", "10.100.0.20/16"),
            ("run pair --check", "veth1 10.100.0.1/16 ───"),
            ("run mesh -n 3 --check", "net1 … net3, each joined to each: 3 veth pairs"),
        ] {
            let said = on_a_terminal(sandbox, args, true);
            assert!(said.contains(drawn) && said.contains("\x1b["), "{args}: {said}");
            let plain = on_a_terminal(sandbox, args, false);
            assert!(plain.contains(drawn) && !plain.contains("\x1b[3"), "{args}: {plain}");
        }
    });
}

#[test]
fn colours_can_be_asked_for() {
    rooted(|sandbox| {
        let coloured = |set: &[(&str, &str)]| {
            let mut command = sandbox.uswitch_command(&["run", "--check"]);
            command.envs(set.iter().copied());
            Process::start(command, "run --check").ended().ok().out.contains('\x1b')
        };
        assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
        assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
        assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    });
}

#[test]
fn what_to_try_next_works() {
    rooted(|sandbox| {
        let mut run = sandbox.start(&["run"]);
        run.wait_for(READY);
        for line in ["uswitch ping net1 8.8.8.8", "uswitch show fdb", "ip netns exec net1 ip a"] {
            assert!(run.out().contains(line), "no {line} in {}", run.out());
        }
        run.signal(Signal::SIGINT);
        assert_eq!(run.ended().code, Some(0));
    });
}

#[test]
fn unanswered_pings_are_exit_code_1() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let run = sandbox.start(&["run", "-n", "400", "--uplink", "none", "--check"]);
        // As soon as it is there the last node loses its interface: nobody answers there.
        let gone = (0..2000).any(|_| {
            let mut command = sandbox.command(As::Root, Path::new("ip"));
            command.args(["-n", "net400", "addr", "del", "10.100.2.121/16", "dev", "vethpeer400"]);
            std::thread::sleep(std::time::Duration::from_millis(1));
            Process::start(command, "ip").ended().code == Some(0)
        });
        let ended = run.ended();
        assert!(gone, "net400 was never there");
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(ended.out.contains("of 400 pings answered"), "{}", ended.out);
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn addresses_go_on_behind_the_first_25() {
    rooted(|sandbox| {
        let mut run = sandbox.start(&["run", "-n", "27", "--uplink", "none"]);
        run.wait_for(READY);
        for (node, address) in
            [("25", "10.100.0.250/16"), ("26", "10.100.1.1/16"), ("27", "10.100.1.2/16")]
        {
            let name = format!("net{node}");
            let addresses = sandbox.tool("ip", &["-n", &name, "-o", "-4", "addr"]);
            let wanted = format!("vethpeer{node}    inet {address}");
            assert!(addresses.contains(&wanted), "no {wanted} in {addresses}");
        }
        let names = sandbox.tool("ip", &["netns", "list"]);
        assert!(!names.contains("inet"), "an internet that was not asked for: {names}");
        let mut command = sandbox.command(As::Root, Path::new("ip"));
        command.args(["netns", "exec", "net1", "ping", "-n", "-c1", "-W2", "8.8.8.8"]);
        let ended = Process::start(command, "ping").ended();
        assert!(ended.code == Some(1) && ended.out.contains("Unreachable"), "{}", ended.out);
    });
}

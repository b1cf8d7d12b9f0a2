//! `exec`: the command's own exit code and signals, and what it sees besides the network.

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;

use super::{lab, until};
use crate::support::{Sandbox, rooted, rootless};

fn behaves_as_a_shell_would(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run"]);
    let exec = |args: &[&str]| sandbox.uswitch(&[&["exec", "net1", "--"], args].concat());
    assert_eq!(exec(&["sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(exec(&["no-such-program"]).code, Some(127));
    assert_eq!(exec(&["/etc/passwd"]).code, Some(126));
    assert_eq!(exec(&["sh", "-c", "kill -TERM $$"]).signal, Some(15));
    let addresses = exec(&["ip", "-o", "-4", "addr"]).ok().out;
    assert!(addresses.contains("10.100.0.10/16"), "{addresses}");
    // What looks like an option of ours is the command's own.
    let echoed = sandbox.uswitch(&["exec", "net2", "echo", "-j", "--name", "x"]).ok().out;
    assert_eq!(echoed, "-j --name x\n");
    let ended = exec(&["ping", "-c", "1", "8.8.8.8"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);

    let ended = sandbox.uswitch(&["exec", "net9", "--", "true"]);
    assert!(ended.complaint(2).contains("no node net9; it has net1, net2"), "{}", ended.err);
    assert_eq!(sandbox.uswitch(&["exec", "net1"]).code, Some(2), "a command is missing");
}

fn in_every_node(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run", "-n", "3"]);
    let script = "ip -o -4 addr | grep -o '10.100.0.[0-9]*/'";
    let said = sandbox.uswitch(&["exec", "--all", "--", "sh", "-c", script]).ok().out;
    let wanted = "==> net1 <==\n10.100.0.10/\n\n==> net2 <==\n10.100.0.20/\n\n\
                  ==> net3 <==\n10.100.0.30/\n";
    assert_eq!(said, wanted);
    // One that fails does not keep the others from it, and its code is the answer.
    let script = "ip -o -4 addr | grep -q '10.100.0.20/' && exit 5; echo done";
    let ended = sandbox.uswitch(&["exec", "--all", "--", "sh", "-c", script]);
    assert_eq!((ended.code, ended.out.matches("done").count()), (Some(5), 2), "{}", ended.out);
    let refused = sandbox.uswitch(&["exec", "--all"]);
    let line = refused.complaint(2);
    assert!(line.contains("a command is missing"), "{line}");
}

#[test]
fn in_every_node_as_root() {
    rooted(in_every_node);
}

#[test]
fn in_every_node_as_an_ordinary_user() {
    rootless(in_every_node);
}

#[test]
fn as_root() {
    rooted(behaves_as_a_shell_would);
}

#[test]
fn as_an_ordinary_user() {
    rootless(behaves_as_a_shell_would);
}

#[test]
fn signals_reach_the_command() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
        let mut waiting = sandbox.start(&["exec", "net1", "--", "sh", "-c", script]);
        waiting.wait_for("ready");
        waiting.signal(Signal::SIGTERM);
        let ended = waiting.ended();
        assert_eq!((ended.code, ended.out.as_str()), (Some(9), "ready\ncaught\n"));
        // Without a trap it dies of the signal itself: of one that no shell ignores for what it runs
        // in the background.
        let mut sleeping = sandbox.start(&["exec", "net1", "--", "sleep", "1000"]);
        until("it sleeps", || {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", sleeping.pid()));
            name.is_ok_and(|name| name.trim() == "sleep").then_some(())
        });
        assert!(sleeping.running());
        sleeping.signal(Signal::SIGUSR1);
        assert_eq!(sleeping.ended().signal, Some(Signal::SIGUSR1 as i32));
    });
}

#[test]
fn it_sees_its_own_interfaces_and_names() {
    rooted(|sandbox| {
        // This test's own /etc, with a resolver for the host and one for the node.
        let none = None::<&str>;
        mount(Some("tmpfs"), "/etc", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        std::fs::create_dir_all("/etc/netns/net1").unwrap();
        std::fs::write("/etc/resolv.conf", "the host's\n").unwrap();
        std::fs::write("/etc/netns/net1/resolv.conf", "the node's\n").unwrap();
        let _lab = lab(sandbox, &["run"]);
        let seen = |node: &str, args: &[&str]| {
            sandbox.uswitch(&[&["exec", node, "--"], args].concat()).ok().out
        };
        let resolver = ["cat", "/etc/resolv.conf"];
        assert_eq!(seen("net1", &resolver), "the node's\n");
        assert!(seen("net2", &resolver).contains("nameserver 10.100.0.1\n"));
        assert_eq!(sandbox.tool("cat", &["/etc/resolv.conf"]), "the host's\n");
        if sandbox.real_root {
            let ours = seen("net1", &["ls", "/sys/class/net"]);
            let theirs = sandbox.tool("ip", &["netns", "exec", "net1", "ls", "/sys/class/net"]);
            assert_eq!(ours, theirs);
            assert_eq!(ours, "lo\nvethpeer1\n");
        }
    });
}

/// Whoever is told to end ends what it has started, and starts no more.
#[test]
fn a_command_in_every_node_ends_with_whoever_began_it() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
            let script = "echo pid $$; exec sleep 4321";
            let mut all = sandbox.start(&["exec", "--all", "--", "sh", "-c", script]);
            all.wait_for("pid ");
            let out = all.out();
            let pid = out.split("pid ").nth(1).unwrap().split_whitespace().next().unwrap();
            let folder = std::path::PathBuf::from(format!("/proc/{pid}"));
            all.signal(signal);
            let ended = all.ended_within(std::time::Duration::from_secs(20));
            assert_eq!((ended.code, folder.exists()), (Some(code), false), "{}", ended.err);
            assert!(!ended.out.contains("net2"), "{}", ended.out);
        }
    });
}

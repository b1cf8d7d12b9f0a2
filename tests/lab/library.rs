//! The lab crate in a program of its own: this one. What its documentation promises: nothing is left
//! behind, errors are values, several labs at once, an ordinary user's in a user namespace.

use std::path::Path;
use std::process::Command;

use lab::{Lab, Topology};
use nix::mount::{MsFlags, mount};

use crate::support::{As, Ended, Process, Sandbox, rooted, skip};

#[path = "../../lab/examples/two_nodes.rs"]
mod two_nodes;

/// Set for a test that is started again by another.
const WHAT: &str = "USWITCH_TEST_LIBRARY";

#[test]
fn the_example_does_what_it_says_and_leaves_nothing() {
    rooted(|sandbox| {
        let before = sandbox.state();
        two_nodes::main().unwrap();
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn a_lab_ends_with_its_guard_however_that_goes() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let lab = Lab::builder().start().unwrap();
        assert_ne!(sandbox.state(), before, "a lab has to show");
        let shared = lab.share();
        drop(lab);
        // Whoever still holds it has an empty one.
        assert_eq!(sandbox.state(), before);
        assert!(shared.nodes().is_empty());
        let panicked = std::panic::catch_unwind(|| {
            let _lab = Lab::builder().start().unwrap();
            std::panic::resume_unwind(Box::new("a test failed"));
        });
        assert!(panicked.is_err());
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn the_switch_knows_of_a_cable_when_it_has_been_pulled() {
    rooted(|_| {
        let running = Lab::builder().start().unwrap();
        let lab = running.share();
        let port = lab.nodes()[1].interfaces[0].port.as_ref().unwrap().id;
        let is_up = || lab.with_switch(|switch| switch.port(port)).unwrap().unwrap().1;
        for _ in 0..100 {
            for up in [false, true] {
                lab.set_link("net2", None, up).unwrap();
                assert_eq!(is_up(), up);
            }
        }
    });
}

#[test]
fn labs_stand_side_by_side_and_apart() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let one = Lab::builder().name("one").nodes(3).start().unwrap();
        let other = Lab::builder().topology(Topology::Pair).start().unwrap();
        let why = Lab::builder().name("one").start().err().unwrap().to_string();
        assert!(why.contains("lab one is held by"), "{why}");
        let listed = sandbox.uswitch(&["ls"]).ok().out;
        assert!(listed.contains("one") && listed.contains("lib-"), "{listed}");
        one.node("net3").unwrap().run(["ping", "-c1", "-W5", "net1"]).unwrap().ok().unwrap();
        other.node("net1").unwrap().run(["ping", "-c1", "-W5", "net2"]).unwrap().ok().unwrap();
        // The gateway is the one's alone.
        let beyond =
            other.node("net1").unwrap().run(["ping", "-c1", "-W1", "10.100.0.10"]).unwrap();
        assert!(!beyond.success(), "{beyond:?}");
        one.stop().unwrap();
        drop(other);
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn what_fails_in_a_node_is_a_value() {
    rooted(|_| {
        let lab = Lab::builder().start().unwrap();
        let node = lab.node("net1").unwrap();
        let ran = node.run(["sh", "-c", "echo so far; echo no further >&2; exit 7"]).unwrap();
        assert_eq!((ran.code(), &*ran.out, &*ran.err), (7, "so far\n", "no further\n"));
        let why = ran.ok().unwrap_err().to_string();
        assert!(
            why.starts_with("node net1: sh -c") && why.ends_with("code 7: no further"),
            "{why}"
        );
        assert_eq!(node.run(["sh", "-c", "kill -9 $$"]).unwrap().code(), 128 + 9);
        let why = node.run(["/no/such/program"]).unwrap_err().to_string();
        assert_eq!(why, "node net1: /no/such/program");
        let why = node.with(|| std::fs::read("/no/such/file")).unwrap_err().to_string();
        assert_eq!(why, "in node net1");
        assert!(node.run(Vec::<String>::new()).is_err());
        // The calling thread has stayed where it was.
        assert!(!Path::new("/sys/class/net/vethpeer1").exists());
        assert!(node.with(|| Path::new("/sys/class/net/vethpeer1").metadata()).is_ok());
    });
}

#[test]
fn what_a_killed_process_left_goes_with_the_next_lab() {
    rooted(|sandbox| {
        readable(sandbox);
        let before = sandbox.state();
        let mut killed = again(sandbox, As::Root, "stay", &[]);
        killed.wait_for("it stands");
        killed.signal(nix::sys::signal::Signal::SIGKILL);
        assert!(killed.ended().signal.is_some());
        assert_ne!(sandbox.state(), before, "something has to be left");
        Lab::builder().start().unwrap().stop().unwrap();
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn an_ordinary_user_needs_a_namespace_or_one_thread() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return skip("an ordinary user is played by root");
        }
        readable(sandbox);
        let before = sandbox.state();
        let refused = again(sandbox, As::User, "build", &[]).ended();
        assert!(refused.out.contains("has several threads"), "{}\n{}", refused.out, refused.err);
        // As the documentation has it.
        let inside = ["unshare", "--user", "--map-root-user", "--mount"];
        built(again(sandbox, As::User, "build", &inside).ended());
        assert_eq!(sandbox.state(), before);
    });
}

fn built(ended: Ended) {
    let ended = ended.ok();
    assert!(ended.out.contains("it stands"), "{}\n{}", ended.out, ended.err);
}

/// Starts [`in_another_process`] for `whom`, by `prefix`, to do `what`.
fn again(sandbox: &Sandbox, whom: As, what: &str, prefix: &[&str]) -> Process {
    let here = sandbox.dir.join("self");
    let here = here.to_str().unwrap();
    let test = ["--exact", "library::in_another_process", "--nocapture", "--test-threads=2"];
    let words: Vec<&str> = prefix.iter().copied().chain([here]).chain(test).collect();
    let mut command: Command = sandbox.command(whom, Path::new(words[0]));
    command.args(&words[1..]).env(WHAT, what);
    Process::start(command, what)
}

/// Puts this test's binary where an ordinary user can read it.
fn readable(sandbox: &Sandbox) {
    let here = sandbox.dir.join("self");
    std::fs::write(&here, "").unwrap();
    let (this, none) = (std::env::current_exe().unwrap(), None::<&str>);
    mount(Some(&this), &here, none, MsFlags::MS_BIND, none).unwrap();
}

/// Does nothing unless it is started by a test above.
#[test]
fn in_another_process() {
    let Some(what) = std::env::var_os(WHAT) else { return };
    match Lab::builder().start() {
        Err(why) => println!("{why}"),
        Ok(lab) => {
            let ping = lab.node("net1").unwrap().run(["ping", "-c1", "-W5", "net2"]).unwrap();
            ping.ok().unwrap();
            println!("it stands");
            if what == "stay" {
                std::thread::sleep(crate::support::PATIENCE);
            }
        }
    }
}

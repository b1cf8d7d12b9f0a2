//! The harness itself: it must isolate, and it must notice.

use std::path::Path;

use crate::support::{As, Process, rooted, rootless};

#[test]
fn a_sandbox_is_a_machine_of_its_own() {
    let outside = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    rooted(move |sandbox| {
        assert_ne!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), outside);
        let before = sandbox.state();
        sandbox.tool("ip", &["netns", "add", "net1"]);
        assert_ne!(sandbox.state(), before, "a namespace made here has to show");
        sandbox.tool("ip", &["netns", "del", "net1"]);
        assert_eq!(sandbox.state(), before);
        assert!(sandbox.uswitch(&["--version"]).ok().out.starts_with("uswitch "));
    });
}

#[test]
fn an_ordinary_user_has_no_privilege() {
    rootless(|sandbox| {
        let mut command = sandbox.command(As::User, Path::new("id"));
        command.arg("-u");
        assert_ne!(Process::start(command, "id").ended().ok().out.trim(), "0");
        assert!(sandbox.uswitch(&["--version"]).ok().out.starts_with("uswitch "));
    });
}

#[test]
fn a_wrong_verb_is_a_usage_error() {
    rootless(|sandbox| {
        for (args, word) in [
            (&["frobnicate"][..], "frobnicate"),
            (&["run", "--frobnicate"], "--frobnicate"),
            (&["run", "-n"], "-n"),
            (&["ping"], "DEST"),
        ] {
            let ended = sandbox.uswitch(args);
            assert!(ended.complaint(2).contains(word), "{}", ended.err);
        }
        assert!(sandbox.uswitch(&["run", "--help"]).ok().out.contains("Usage: uswitch run"));
    });
}

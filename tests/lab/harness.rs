//! The harness itself: it must isolate, and it must notice.

use std::path::Path;

use crate::support::{As, Process, rooted, rootless, skip};

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

/// Skipped where the test below asks for it.
#[test]
fn one_that_is_skipped() {
    if std::env::var_os("USWITCH_TEST_SKIPS").is_some() {
        skip("it was asked to be");
    }
}

#[test]
fn a_skipped_test_is_seen() {
    let here = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "harness::one_that_is_skipped"]).env("USWITCH_TEST_SKIPS", "1");
        command.env_remove("USWITCH_REQUIRE_ROOT");
        command
    };
    let passed = here().output().unwrap();
    let said = String::from_utf8_lossy(&passed.stderr);
    let line = "SKIPPED harness::one_that_is_skipped: it was asked to be (1 skipped";
    assert!(passed.status.success() && said.contains(line), "{said}");
    let failed = here().env("USWITCH_REQUIRE_ROOT", "1").output().unwrap();
    assert!(!failed.status.success(), "{}", String::from_utf8_lossy(&failed.stdout));
}

#[test]
fn what_is_left_in_the_background_ends_with_the_machine() {
    let pid = std::sync::Mutex::new(None);
    rooted(|sandbox| {
        sandbox.uswitch(&["up"]).ok();
        let labs = sandbox.uswitch(&["ls", "-j"]).ok().out;
        let labs: serde_json::Value = serde_json::from_str(&labs).unwrap();
        *pid.lock().unwrap() = labs[0]["pid"].as_u64();
    });
    // None where the machine could not be had, which is told.
    let Some(pid) = pid.into_inner().unwrap() else { return };
    crate::door::until("the lab has ended", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let ended = status.is_empty() || status.contains("State:\tZ");
        ended.then_some(())
    });
}

//! A test that cannot run here says so where it is seen, and counts. Test binaries of all rooms
//! include this file.
//!
//! The harness keeps what a test prints by `eprintln!` to itself while the test passes, and a
//! skipped one passes: so this writes to the process's error output itself.

#![allow(dead_code)]

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tests of this process that could not run.
static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// The calling test cannot run: a failure where `USWITCH_REQUIRE_ROOT=1` wants all to.
#[track_caller]
pub(crate) fn skip(why: impl Display) {
    let required = std::env::var_os("USWITCH_REQUIRE_ROOT").is_some_and(|value| value == "1");
    assert!(!required, "could not run: {why}");
    beyond(why);
}

/// The same for what no privilege and no package would bring, a kernel's feature or a second core:
/// never a failure.
pub(crate) fn beyond(why: impl Display) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    let number = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    say(&format!("SKIPPED {name}: {why} ({number} skipped in this binary so far)"));
}

/// Hands on what a test said that was started again as a process of its own.
pub(crate) fn hand_on(said: &str) {
    for line in said.lines().filter(|line| line.starts_with("SKIPPED ")) {
        let why = line.split_once(": ").map_or(line, |(_, why)| why);
        beyond(why.rsplit_once(" (").map_or(why, |(why, _)| why));
    }
}

fn say(line: &str) {
    // One write, so that lines of tests that run at once do not mix. Nobody to hear it is no error.
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

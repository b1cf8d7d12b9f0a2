//! What a black-box test stands on: a machine of its own to break, and the real binary in it.
//!
//! | file | what |
//! |---|---|
//! | `sandbox` | a private mount and network namespace with an empty /run, for one test |
//! | `skip` | a test that cannot run says so where it is seen |
//! | `process` | a started program: its output as it comes, its end by a deadline, its death with us |
//! | `plugin` | what dockerd says to a plugin, at its socket |
//! | `terminal` | a program in a pseudo-terminal: what its screen shows, keys, sizes |
//! | `traffic` | work done inside a node: TCP with a hash, UDP, raw frames in and out |
//!
//! Nothing here leaks: the namespaces belong to the test's thread, and each started program dies
//! with it. Several test binaries include this folder and each uses a part of it.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::disallowed_methods)]

mod plugin;
mod process;
mod sandbox;
mod skip;
mod terminal;
mod traffic;

pub(crate) use plugin::call_plugin;
pub(crate) use process::{Ended, PATIENCE, Process};
pub(crate) use sandbox::{As, Sandbox, captured, captures, rooted, rootless};
pub(crate) use skip::{beyond, skip};
pub(crate) use terminal::Terminal;
pub(crate) use traffic::{
    Arrived, Wire, both_ways, bound, datagrams, in_netns, receive_stream, send_stream, sum,
};

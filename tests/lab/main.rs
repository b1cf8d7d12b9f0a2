//! The real binary in real namespaces, judged by the machine's own programs and sockets.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

mod harness;

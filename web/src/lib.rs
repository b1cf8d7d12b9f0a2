//! The page of a running lab: a small HTTP server on loopback that shows what the lab's door tells.
//!
//! ```text
//!   lab's door ◄── sampler (one look for all pages) ──► hub ──► streams: a snapshot, then differences
//!   (control.sock) ◄── flow (a trace, a capture)  ────────────► streams, downloads
//!                                                     guard: Host, method, token, headers
//! ```
//!
//! It is a client like any other: the lab's process knows nothing of it, and it outlives a lab that
//! stops and comes back. It can change nothing: what it asks of the lab are looks, traces, captures.
//! Loopback is no border (every user and every page in a browser reaches it), so each request for more
//! than the empty page carries a token, and none is answered under a foreign name.

#![forbid(unsafe_code)]

mod facts;
mod flow;
mod guard;
mod handlers;
mod hub;
mod sampler;
mod server;
mod token;

pub use server::{Options, Page, PageError};

//! The door of a running lab: HTTP/1.1 and JSON on a Unix socket that only the owner can open.
//!
//! ```text
//!   lab ── implements ──► Door        api: what goes through, both ways
//!                          │          events: what happens, to whoever listens
//!   Server (own thread) ◄──┘          metrics: the counters as OpenMetrics text
//!      │ DIR/LAB/control.sock
//!   Client (the command)              openapi.json: the same for other clients
//! ```
//!
//! The server never touches the data path: it asks the [`Door`] for snapshots, on threads of its
//! own, and each client, answer and queue is bounded (see [`Limits`]).

#![forbid(unsafe_code)]

pub mod api;
mod client;
mod door;
mod events;
mod exporter;
mod flow;
mod frames;
mod listen;
mod metrics;
mod server;
mod words;

pub use client::{Client, ClientError, EventStream};
pub use door::{Door, DoorError};
pub use events::{EVENTS_KEPT, Events, Listener};
pub use exporter::{Exporter, ExporterError, Reserved};
pub use flow::{CHUNK, Flow, FlowWriter, flow};
pub use frames::{ByteStream, Lines};
pub use listen::no_listening;
pub use metrics::{classic::classic as prometheus_text, openmetrics};
pub use server::accept::{Entrance, serve};
pub use server::calls::{Calls, Lost};
pub use server::{Limits, OPENAPI, Server, ServerError};
pub use words::split;

#[cfg(test)]
mod openapi_tests;
#[cfg(test)]
mod testing;

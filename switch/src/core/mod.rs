//! Decisions: what to do with a frame. Pure; time is an argument.

mod bridge;
mod fdb;
mod port;
mod verdict;

pub use bridge::{Bridge, BridgeConfig, Frame};
pub use fdb::{EntryKind, Fdb, FdbConfig, FdbEntry, Learned};
pub use port::{PortId, PortSettings, PortState};
pub use verdict::{Decision, DropReason, Verdict};

//! Decisions: what to do with a frame. Pure; time is an argument.

mod bridge;
mod fair;
mod fdb;
mod fdb_row;
mod fdb_slots;
mod port;
mod spread;
mod storm;
mod verdict;

pub use bridge::{Bridge, BridgeConfig, Frame};
pub use fair::Fair;
pub use fdb::{Fdb, FdbConfig, FdbEntry, Learned};
pub use fdb_row::EntryKind;
pub use port::{Flooded, PortId, PortSettings, PortState, StormLimits};
pub use spread::{Policy, Window};
pub use storm::Storms;
pub use verdict::{Decision, DropReason, Verdict};

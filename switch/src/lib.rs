//! The learning switch: ports in, one decision a frame, ports out.
//!
//! ```text
//!   ring slot ─► core::Bridge::decide ─► Verdict ─► run::Worker queues the slot ─► one sendmmsg
//!                   │ learns in core::Fdb    └─ Local ─► Station (the gateway), in the slot
//! ```
//!
//! [`core`] decides and is pure: no socket, no clock, no thread. [`run`] moves the frames.

pub mod core;
pub mod run;
pub mod station;
pub mod stats;
pub mod tap;
mod vlan_cells;

pub use crate::core::{
    Bridge, DropReason, EntryKind, Exit, Fdb, FdbConfig, FdbEntry, Flooded, Frame, Learned, Leg,
    NetworkConfig, NetworkId, Path, PortId, PortSettings, Reach, StormLimits, Tagging, Verdict,
};
pub use bpf::{ALL_TCP, Ends, Route};
pub use run::{
    Config, Crossing, Elsewhere, Error, Event, FastPath, FlowInfo, PortInfo, PortRole, PortSpec,
    Roster, Switch, Tally, Waker, Watch,
};
pub use station::{
    Answer, Arrival, Handling, Ignored, Opens, Outlet, Repeat, Repeated, SharedStation, Station,
    Way,
};
pub use stats::{Counters, PortStats};
pub use sys::packet::Refusal;
pub use tap::{Outcome, Tap, TapRecord};
pub use vlan_cells::VlanStats;

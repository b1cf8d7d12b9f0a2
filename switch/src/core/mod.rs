//! Decisions: what to do with a frame. Pure; time is an argument.

mod beside;
mod bridge;
mod bundle;
mod cut;
mod decide;
mod fair;
mod fdb;
mod fdb_entry;
mod fdb_row;
mod fdb_slots;
mod fids;
mod frame;
mod group;
mod heed;
mod loops;
mod mcast;
mod network;
mod other_gateway;
mod path;
mod port;
mod probe;
mod source_guard;
mod spread;
mod storm;
mod suppress;
mod verdict;
mod vlan;
mod withheld;

pub use beside::{Beside, Concern};
pub use bridge::{Bridge, Shared};
pub use bundle::{Bundle, Datagram, settle};
pub use cut::Cut;
pub use fair::Fair;
pub use fdb::{Fdb, FdbConfig};
pub use fdb_entry::{FdbEntry, Learned};
pub use fdb_row::EntryKind;
pub use fids::Scope;
pub use frame::Frame;
pub use loops::{Flaps, Guards, Loop};
pub use mcast::{
    Filter, Group, McastConfig, MdbCounts, MdbEntry, QuerierEntry, RouterEntry, RouterMode, Snoop,
    Snoops,
};
pub use network::{Leg, NetworkConfig, NetworkId};
pub use path::{Exit, Path, Tagging};
pub use port::{Flooded, PortId, PortSettings, PortState, Reach, StormLimits};
pub use source_guard::SourceGuard;
pub use spread::{Policy, Window};
pub use storm::Storms;
pub use suppress::Neighbours;
pub use verdict::{Decision, DropReason, Verdict};
pub use vlan::{Memberships, PortVlans, VlanFilter, VlanSet};
pub use withheld::Withheld;

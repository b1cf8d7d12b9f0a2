//! IGMP and MLD snooping (RFC 4541): a group's frames go to those who have asked for it.
//!
//! ```text
//! message ─► domain (one a VLAN): groups ─► member (sources, timers)
//!                   routers, querier ─► build (queries)
//! snoop: the domains of a network, shared by workers
//! ```
//!
//! Pure: time is an argument, queries leave as bytes. As the kernel's bridge does it
//! (net/bridge/br_multicast.c), with its names and its timers.

mod build;
mod config;
mod domain;
mod hear;
mod member;
mod message;
mod querier;
mod snoop;

pub use config::{McastConfig, RouterMode};
pub use member::Filter;
pub use message::Group;
pub use snoop::{MdbCounts, MdbEntry, QuerierEntry, RouterEntry, Snoop, Snoops};

pub(in crate::core) use build::{Question, query};
pub(in crate::core) use domain::{Ask, Reach};
pub(in crate::core) use message::{Family, Heard, read};

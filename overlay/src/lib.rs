//! One network over several hosts: who is in it, what each host has claimed in it, and what a host's
//! tunnel is to know of that. Pure: keys and values in, rows and transactions out; time is an argument.
//!
//! ```text
//!   a registry (etcd) ── list, changes ─► Registry ─► Desired ─┐
//!                                            │                 ├─► difference ─► FdbOp ─► the tunnel's device
//!                                            │       what there is ┘
//!                     ◄── transactions ── Standing of each of our claims
//!                     ◄── grant, renew ── Session
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`key`] | where things stand in the registry |
//! | [`record`] | what stands there |
//! | [`registry`] | what is known of it: a list, and the changes since |
//! | [`claim`] | names and addresses that one host has, and who has them already |
//! | [`desired`] | the rows of a tunnel's table, and how it gets there from what there is |
//! | [`end`] | addresses that lead to one host, or one node |
//! | [`evpn`] | the same by BGP: routes, and who has an address that several hosts say they have |
//! | [`session`] | the lease by which a host is in the network: when to ask for it again |

#![forbid(unsafe_code)]

pub mod claim;
pub mod desired;
pub mod end;
pub mod evpn;
pub mod key;
pub mod record;
pub mod registry;
pub mod session;

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod model;

pub use claim::{NodeClaim, Standing};
pub use desired::{Desired, FdbOp, Row, Rows, difference};
pub use key::{Key, Space};
pub use record::{Claim, Config, Host};
pub use registry::{Change, Registry, Touched, Unread};
pub use session::{Due, Session};

//! A real uplink: the gateway masquerades behind an address of the host, while the host goes on
//! using it. Everything here is about not getting in each other's way.
//!
//! ```text
//!   wire ─► interface ─┬─► [filter] ─► the gateway's ring       what is the block's
//!                      └─► [silence] ─► the host's stack         all but what the NAT answers
//! ```
//!
//! | file | what |
//! |---|---|
//! | `block` | the ports the NAT has for its own |
//! | `facts` | interface, address, next hop: chosen from what the kernel says; pure |
//! | `ports` | sets of ports, as the kernel writes them; pure |
//! | `reserve` | the block kept from the host's choice of ports, and given back |
//! | `occupied` | who is in the block already: local sockets, other labs |
//! | `forwarded` | ports of the block that the host forwards |
//! | `others` | tunnels that the host has itself |
//! | `filter` | what reaches the ring; pure |
//! | `frame` | how programs read a frame; pure |
//! | `ours` | what of the block is the NAT's at present, in memory that the kernel looks into |
//! | `elements` | the same in the sets of an nftables table, where no BPF is to be had |
//! | `silence` | what the host's stack does not see |
//! | `crossing` | the kernel's way from there to the nodes, for what it repeats |
//! | `host` | all of it together, for as long as the lab runs |
//! | `follow` | addresses, routes and links that change meanwhile |
//! | `rules` | rules of the host's firewall that do |
//! | `shown` | what a lab says of it |

pub(crate) mod crossing;
mod elements;
mod facts;
mod filter;
mod follow;
mod forwarded;
mod frame;
mod host;
mod occupied;
mod others;
mod ours;
mod ports;
pub(crate) mod reserve;
mod rules;
mod shown;
mod silence;

pub use ::topology::PortBlock;
pub(crate) use crossing::Near;
pub(crate) use follow::Follow;
pub(crate) use host::{Host, Prepared};

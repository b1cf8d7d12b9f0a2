//! The gateway in in-memory topologies with virtual time, through its public face alone.
//!
//! One module a subject; `world` is the harness. `docs/nat.md` names these tests row by row.
#![allow(unreachable_pub, clippy::unwrap_used)] // the modules are this binary's own

mod arp;
mod attack;
mod barred;
mod behaviour;
mod by_address;
mod far;
mod fragments;
mod hairpin;
mod host;
mod icmp;
mod legs;
mod lifetimes;
mod names;
mod nodes;
mod offload;
mod own_ports;
mod policy;
mod preview;
mod publish;
mod reasons;
mod redirect;
mod repeat;
mod repeat_room;
mod room;
mod routing;
mod shared;
mod silence;
mod tcp;
mod walkthrough;
mod world;

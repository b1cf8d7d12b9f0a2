//! A lab to be, as a value: what a person asks for before anything is made.
//!
//! ```text
//! a shape (pair, mesh, switch) ─┐
//! a file (YAML, TOML)          ─┼─► Spec ── check ──► Checked ──► lab makes it
//! the running lab              ─┘     └──► a file again
//! ```
//!
//! Pure: no socket, no clock, no file is opened here. The types are what the API, the command and
//! files use for the same thing, so that a setting has one name everywhere.

#![forbid(unsafe_code)]

mod check;
mod checked;
mod cidr;
mod entries;
mod fast_path;
pub mod file;
pub mod internet;
mod invalid;
pub mod join;
mod joint;
mod lab_name;
mod leave;
mod link;
pub mod names;
mod nat;
mod network;
mod node;
mod one_or_many;
mod port;
mod publish;
mod ranges;
mod route;
mod schema;
mod seconds;
mod set_network;
pub mod shape;
mod spec;
mod switched;
mod uplink;
mod vlan;
mod vlan_protocol;

pub use check::{NOT_LED, Problem, mac_of};
pub use checked::{Checked, CheckedInterface, CheckedNode, CheckedRoute, Place};
pub use cidr::{Address, Subnet};
pub use entries::{FdbEntry, FdbKind, Group, MdbEntry};
pub use fast_path::FastPath;
pub use invalid::Invalid;
pub use joint::Joint;
pub use lab_name::{LabName, MAX_NAME, check_node_name, check_node_of, check_served_name};
pub use link::{End, Link};
pub use nat::{NAT_SESSIONS, NAT_SESSIONS_RANGE, NatType};
pub use network::{Gateway, GatewayVlan, Network};
pub use node::{Attachment, Kind, Node};
pub use port::{PortSettings, SetPort, StormLimits};
pub use publish::{Protocol, Publish};
pub use route::{Destination, Route, Via};
pub use schema::SCHEMA;
pub use seconds::Seconds;
pub use set_network::{SetNetwork, Wrong};
pub use spec::{
    MAX_ADDRESSES, MAX_INTERFACE_NAME, MAX_NEIGHBOURS, MAX_NETWORKS, MAX_NODES, MAX_SUBNETS,
    MAX_SUBNETS_EACH, Spec,
};
pub use uplink::{PortBlock, Uplink};
pub use vlan::AddVlan;
pub use vlan_protocol::VlanProtocol;

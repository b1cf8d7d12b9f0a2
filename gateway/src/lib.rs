//! The router of a lab's networks: ARP, ICMP, forwarding and address translation as one pure state
//! machine, with a leg in each network, one uplink and one NAT.
//!
//! ```text
//!   from_leg ────┐                     ┌──► nat ──┐
//!                ├─► course (what is  ─┼──► echo  ├─► egress ──► Verdict::{Leg, Uplink, …}
//!   from_uplink ─┘   to become of it)  └──────────┘      │
//!                        │                               └────► Output: ARP, ICMP errors, fragments
//!                        └── preview asks the same      (and queries for names: `asking`)
//! ```
//! [`Gateway`] is given frames, in place, and the time; it knows no socket, clock or thread. The
//! lab makes it a station of the switch. `nat` lists the files of the translator.

mod arp;
mod asking;
mod barred;
mod by_address;
mod carried;
mod change;
mod config;
mod counters;
mod course;
mod egress;
mod gateway;
mod hairpin;
mod hash;
mod host;
mod ipid;
mod leg;
mod limit;
mod link_local;
mod links;
mod nat;
mod neighbour;
mod node;
mod note;
mod often;
mod opening;
mod output;
mod packet;
mod passage;
mod paths;
mod preview;
mod redirect;
mod repeat;
mod report;
mod report6;
mod reset;
mod rewrite;
mod route;
mod split;
mod summed;
mod turns;
mod unmasked;
mod verdict;

pub use asking::{Asked, Asker};
pub use change::SharedUplink;
pub use config::{Config, Lifetimes, Limits, NatConfig, Routing, Uplink, UplinkAddress};
pub use counters::Counters;
pub use gateway::Gateway;
pub use leg::{LegAddress, LegConfig, LegCounters, LegError, LegId, LegView, Policy};
pub use link_local::{LinkLocalHop, LinkLocalRoute};
pub use nat::NatCounters;
pub use nat::filter::{Filter, NatType, ParseNatTypeError};
pub use nat::forget::Flushing;
pub use nat::ours::Ours;
pub use nat::publish::{PublishError, Published};
pub use nat::session::State;
pub use nat::snapshot::{Closing, Cursor, Event, EventKind, SessionView};
pub use nat::table::Table;
pub use neighbour::{Far, NeighbourView};
pub use node::Node;
pub use note::{Hop, Note, Opening, Step, Translation};
pub use output::{Collected, Output};
pub use packet::{Endpoint, Protocol};
pub use preview::{Outcome, Preview, Probe};
pub use repeat::{Answer, Ignored, Opens, Repeat, Repeated, Repeater, SessionId, Way, ignores};
pub use route::{Route, RouteView};
pub use verdict::{Consumed, DropReason, Side, Verdict};
pub use wire::IpProtocol;

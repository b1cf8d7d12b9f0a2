//! The LAN's router: ARP, ICMP, forwarding and address translation as one pure state machine.
//!
//! ```text
//!   from_lan ──► lan ───┬──► nat ──► egress ──► Verdict::{Lan, Uplink, Consumed, Drop}
//!                       ├──► local (echo)          │
//!   from_uplink ► uplink┘                          └──► Output: ARP, ICMP errors, fragments
//! ```
//! [`Gateway`] is given frames, in place, and the time; it knows no socket, clock or thread. The
//! lab makes it a station of the switch. `nat` lists the files of the translator.

mod arp;
mod change;
mod config;
mod counters;
mod egress;
mod gateway;
mod hash;
mod ipid;
mod lan;
mod limit;
mod local;
mod nat;
mod neighbour;
mod node;
mod note;
mod output;
mod packet;
mod preview;
mod report;
mod rewrite;
mod route;
mod segment;
mod split;
mod turns;
mod uplink;
mod verdict;

pub use config::{Config, Lan, Lifetimes, Limits, NatConfig, Uplink, UplinkAddress};
pub use counters::Counters;
pub use gateway::Gateway;
pub use nat::NatCounters;
pub use nat::filter::{Filter, NatType, ParseNatTypeError};
pub use nat::ours::Ours;
pub use nat::publish::{PublishError, Published};
pub use nat::session::State;
pub use nat::snapshot::{Closing, Cursor, Event, EventKind, SessionView};
pub use nat::table::Table;
pub use neighbour::NeighbourView;
pub use node::Node;
pub use note::{Hop, Note, Opening, Step, Translation};
pub use output::{Collected, Output};
pub use packet::{Endpoint, Protocol};
pub use preview::{Outcome, Preview, Probe};
pub use route::{Route, RouteView};
pub use verdict::{Consumed, DropReason, Side, Verdict};

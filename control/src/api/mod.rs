//! What goes through the door: plain serde types, one file a subject.
//!
//! Names follow the kernel's tools where there is one to follow: ports `ip -j -s link`, addresses
//! `bridge -j fdb show`, neighbours `ip -j neigh`, routes `ip -j route`. Fields of our own stand
//! behind theirs. Lists come in pages, so that no answer is larger than a page.

mod bridge;
mod change;
mod counters;
mod event;
mod fast;
mod mdb;
mod names;
mod network;
mod page;
mod port;
mod router;
mod see;
mod topology;
mod tunnel;

// What a file says by the same name, the door says by the same type.
pub use ::topology::{
    AddVlan, FdbKind, PortSettings, Protocol, Publish, Seconds, SetNetwork, SetPort, Spec,
    StormLimits,
};

pub use bridge::{FdbEntry, Port, PortRates, PortRole, Rate, RxStats, Stats64, TxStats};
pub use change::{AddNode, FlushFdb, FlushNat, Flushed, Problem, Routing, SetGateway, SetLink};
pub use counters::{
    Counters, GatewayCounters, NamesCounters, NatCounters, NatUsage, SwitchCounters,
};
pub use event::{Event, EventKind};
pub use fast::{FastFlow, FastPath, FastRoute};
pub use mdb::{Known, Mdb, MdbEntry, MdbQuerier, MdbRouter, MdbSource, SetMdb};
pub use names::{Name, NameOf};
pub use network::{AddNetwork, Network};
pub use page::{PAGE_DEFAULT, PAGE_MAX, Page, PageQuery};
pub use port::{DelFdb, MovePort, PortVlan, SetFdb, VlanStats};
pub use router::{Neighbour, Published, Route, Session};
pub use see::{
    CaptureAsk, Decision, Echo, ExplainAsk, FieldChange, Spent, Step, TraceAsk, TraceLine, Verdict,
    Walk,
};
pub use topology::{
    Awaited, Home, Host, Interface, NetworkLink, Node, Topology, TopologyKind, Uplink, Version,
};
pub use tunnel::{AddTunnel, Hosts, MemberHost, Tunnel};

//! The lab as the server sees it. The lab implements this; tests do with a lab in memory.
//!
//! Calls come from the server's threads, a few at once. They may block for as long as a
//! configuration step takes (the server bounds how many wait), never for the data path: state is
//! copied from what the workers publish.

use crate::api::{
    AddNetwork, AddNode, AddTunnel, AddVlan, CaptureAsk, Counters, DelFdb, ExplainAsk, FastFlow,
    FdbEntry, FlushFdb, FlushNat, Flushed, Home, Hosts, Known, Mdb, MovePort, Name, Neighbour,
    Network, Node, Page, PageQuery, Port, Protocol, Publish, Published, Route, Routing, Session,
    SetFdb, SetGateway, SetLink, SetMdb, SetNetwork, SetPort, Spec, Topology, TraceAsk, Tunnel,
    Walk,
};
use crate::events::{Events, Listener};
use crate::flow::Flow;

/// Why a request was refused. The text is one line: what, on which object, why, the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It clashes with what is there.
    #[error("{0}")]
    Conflict(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// This lab has no such part: no switch, no gateway.
    #[error("{0}")]
    Unsupported(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

/// A running lab.
pub trait Door: Send + Sync + 'static {
    /// What it is made of.
    fn topology(&self) -> Topology;
    /// The same as a lab's file says it.
    fn spec(&self) -> Result<Spec, DoorError>;
    /// The switch's ports, by rising ifindex.
    fn ports(&self, page: &PageQuery) -> Result<Page<Port>, DoorError>;
    /// The switch's addresses.
    fn fdb(&self, page: &PageQuery) -> Result<Page<FdbEntry>, DoorError>;
    /// The flows by which the kernel repeats what the switch has decided.
    fn fast_flows(&self, page: &PageQuery) -> Result<Page<FastFlow>, DoorError>;
    /// The gateway's neighbours.
    fn neighbours(&self, page: &PageQuery) -> Result<Page<Neighbour>, DoorError>;
    /// The NAT's sessions.
    fn sessions(&self, page: &PageQuery) -> Result<Page<Session>, DoorError>;
    /// The gateway's routes: a handful.
    fn routes(&self) -> Result<Vec<Route>, DoorError>;
    /// The names of nodes, and of the gateway.
    fn names(&self, page: &PageQuery) -> Result<Page<Name>, DoorError>;
    /// All that is counted.
    fn counters(&self) -> Counters;
    /// All ports, and all that is counted: of one moment, so that the ports' frames are the whole's.
    fn ports_counted(&self) -> (Vec<Port>, Counters);
    /// The ports published on the uplink: bounded by the gateway.
    fn published(&self) -> Result<Vec<Published>, DoorError>;
    /// Publishes a port.
    fn publish(&self, ask: &Publish) -> Result<Published, DoorError>;
    /// Withdraws a published port.
    fn unpublish(&self, protocol: Protocol, port: u16) -> Result<(), DoorError>;
    /// Plugs a node in.
    fn add_node(&self, ask: &AddNode) -> Result<Node, DoorError>;
    /// Where a node lives.
    fn home(&self, node: &str) -> Result<Home, DoorError>;
    /// Takes a node out.
    fn remove_node(&self, name: &str) -> Result<(), DoorError>;
    /// Pulls a node's cables, or plugs them in.
    fn set_link(&self, node: &str, ask: &SetLink) -> Result<(), DoorError>;
    /// Switches forwarding and the NAT off or on.
    fn set_gateway(&self, ask: &SetGateway) -> Result<Routing, DoorError>;
    /// Forgets the NAT's sessions.
    fn flush_nat(&self, ask: &FlushNat) -> Result<Flushed, DoorError>;
    /// Forgets learned addresses.
    fn flush_fdb(&self, ask: &FlushFdb) -> Result<Flushed, DoorError>;
    /// Changes a port's settings; it is named by itself or by its node.
    fn set_port(&self, port: &str, ask: &SetPort) -> Result<Port, DoorError>;
    /// Moves a port to another network, or out of all.
    fn move_port(&self, port: &str, ask: &MovePort) -> Result<Port, DoorError>;
    /// Makes a port, or the `gateway`, a member of VLANs.
    fn add_vlan(&self, port: &str, ask: &AddVlan) -> Result<(), DoorError>;
    /// Ends a port's or the gateway's membership of the VLANs from `vlan` to `last`.
    fn del_vlan(&self, port: &str, vlan: u16, last: u16) -> Result<(), DoorError>;
    /// Sets an address by hand.
    fn set_fdb(&self, ask: &SetFdb) -> Result<(), DoorError>;
    /// Takes addresses out.
    fn del_fdb(&self, ask: &DelFdb) -> Result<Flushed, DoorError>;
    /// Who is a member of which group: bounded by the networks' settings.
    fn mdb(&self) -> Result<Mdb, DoorError>;
    /// Sets a membership by hand.
    fn set_mdb(&self, ask: &SetMdb) -> Result<(), DoorError>;
    /// Ends a membership.
    fn del_mdb(&self, ask: &SetMdb) -> Result<(), DoorError>;
    /// Neighbours that are answered for.
    fn known(&self) -> Result<Vec<Known>, DoorError>;
    /// Has a neighbour known, or forgotten.
    fn set_known(&self, ask: &Known) -> Result<(), DoorError>;
    /// The networks: a few hundred at most.
    fn networks(&self) -> Result<Vec<Network>, DoorError>;
    /// Makes a network.
    fn add_network(&self, ask: &AddNetwork) -> Result<Network, DoorError>;
    /// Ends a network that no node is attached to.
    fn remove_network(&self, name: &str) -> Result<(), DoorError>;
    /// Changes a network's settings.
    fn set_network(&self, name: &str, ask: &SetNetwork) -> Result<Network, DoorError>;
    /// The tunnels to other hosts.
    fn tunnels(&self) -> Result<Vec<Tunnel>, DoorError>;
    /// The networks of several hosts that it is in.
    fn hosts(&self) -> Result<Vec<Hosts>, DoorError>;
    /// Plugs one in.
    fn add_tunnel(&self, ask: &AddTunnel) -> Result<Tunnel, DoorError>;
    /// Takes one out.
    fn remove_tunnel(&self, vni: u32) -> Result<(), DoorError>;
    /// Frames from now on, as pcapng.
    fn capture(&self, ask: &CaptureAsk) -> Result<Flow, DoorError>;
    /// The walks of frames from now on, as lines of JSON.
    fn trace(&self, ask: &TraceAsk) -> Result<Flow, DoorError>;
    /// Ends a capture or a trace in an orderly way: what has been seen is still told.
    fn end_flow(&self, id: u64) -> Result<(), DoorError>;
    /// The walk an imagined packet would take. Nothing changes.
    fn explain(&self, ask: &ExplainAsk) -> Result<Walk, DoorError>;
    /// Where events are told.
    fn events(&self) -> &Events;
    /// Listens to events from now on.
    ///
    /// # Errors
    /// Where none will ever be told.
    fn listen(&self) -> Result<Listener, DoorError> {
        Ok(self.events().listen())
    }
}

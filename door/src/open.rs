//! The running lab behind its control door: one [`Door`] over the switch, the gateway and the
//! nodes, the server on the lab's socket, and the pump that tells events.
//!
//! The caller opens it when [`Lab::start`] has built all, and drops it before [`Lab::stop`]. It holds
//! the lab weakly. Snapshots are copied from what workers publish; the gateway's lock, for which a
//! worker may wait, is held for a page at most.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use control::api::{
    AddNetwork, AddNode, AddTunnel, AddVlan, CaptureAsk, Counters, DelFdb, Event, EventKind,
    ExplainAsk, FastFlow, FdbEntry, FlushFdb, FlushNat, Flushed, Home, Hosts, Known, Mdb, MovePort,
    Name, Neighbour, Network, Node, Page, PageQuery, Port, Protocol, Publish, Published, Route,
    Routing, Session, SetFdb, SetGateway, SetLink, SetMdb, SetNetwork, SetPort, Spec, Topology,
    TraceAsk, Tunnel, Walk,
};
use control::{Door, DoorError, Events, Flow, Limits, Listener, Server};
use gateway::Gateway;
use lab::Lab;
use switch::Switch;
use wire::Timestamp;

use crate::error::{Error, Result};
use crate::pump::Pump;
use crate::rates::Sampler;
use crate::see::Watch;
use crate::{
    bridge, change, counters, fast, groups, mdb, names, network, router, settings, spec, topology,
    tunnel,
};

/// The open door; dropping it closes it.
pub struct Open {
    // None once it is ending.
    pump: Option<Pump>,
    _server: Server,
    door: Arc<LabDoor>,
}

/// What the server asks.
pub(crate) struct LabDoor {
    lab: Weak<Lab>,
    pub(crate) events: Events,
    watch: Arc<Watch>,
    rates: Mutex<Sampler>,
    /// Events of the door's own, told by the pump in their place among the others.
    asides: Mutex<Vec<Event>>,
    /// Held while settings are looked at, changed and put back, so that none of two changes is lost.
    turn: Mutex<()>,
    /// Neighbours named by hand.
    pub(crate) started: Timestamp,
}

/// Events of the door's own that may wait for the pump.
const ASIDES: usize = 1024;

/// The clock of the data path, read for a snapshot.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}

impl Open {
    /// Opens the door of `lab` at its ground's socket.
    ///
    /// # Errors
    /// [`Error::Server`] when the socket cannot be had, [`Error::Publish`] when a port of the lab's
    /// configuration cannot be published, [`Error::Thread`].
    pub fn of(lab: &Arc<Lab>) -> Result<Self> {
        let events = Events::new();
        let door = Arc::new(LabDoor {
            lab: Arc::downgrade(lab),
            events: events.clone(),
            watch: Watch::new(lab),
            rates: Mutex::default(),
            asides: Mutex::default(),
            turn: Mutex::default(),
            started: now(),
        });
        // What a file sets to be answered for is answered from the start.
        let _ = groups::tell_known(&door);
        let pump = Pump::start(lab, &door)?;
        let path = lab.ground().socket(&lab.config().name);
        let asked: Arc<dyn Door> = Arc::<LabDoor>::clone(&door);
        for ask in &lab.config().spec.publish {
            change::publish(&door, ask).map_err(|refusal| Error::Publish(refusal.to_string()))?;
        }
        let server = Server::start(&path, asked, Limits::default())?;
        Ok(Self { pump: Some(pump), _server: server, door })
    }

    /// The door, for a further server beside the socket's.
    #[must_use]
    pub fn door(&self) -> Arc<dyn Door> {
        Arc::<LabDoor>::clone(&self.door)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Before the server ends: captures end with what was lost, traces with their numbers.
        self.door.watch.end_all();
        // So that whoever listens hears of all that happened while it was open.
        drop(self.pump.take());
    }
}

impl LabDoor {
    pub(crate) fn lab(&self) -> std::result::Result<Arc<Lab>, DoorError> {
        self.lab.upgrade().ok_or_else(|| DoorError::Failed("the lab is ending".into()))
    }

    /// Tells an event of the door's own, where anybody listens.
    pub(crate) fn tell(&self, kind: EventKind) {
        let event = Event::now(kind);
        let mut asides = self.asides();
        // Where the pump is so far behind, the order matters less than the room.
        if !self.events.heard() || asides.len() >= ASIDES {
            return self.events.tell(event);
        }
        asides.push(event);
    }

    /// One change of settings at a time.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn asides(&self) -> MutexGuard<'_, Vec<Event>> {
        self.asides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rates(&self) -> MutexGuard<'_, Sampler> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn switch<T>(
        &self,
        look: impl FnOnce(&Switch) -> T,
    ) -> std::result::Result<T, DoorError> {
        let lab = self.lab()?;
        lab.with_switch(look).ok_or_else(|| without(&lab, "switch"))
    }

    pub(crate) fn gateway<T>(
        &self,
        look: impl FnOnce(&mut Gateway) -> T,
    ) -> std::result::Result<T, DoorError> {
        let lab = self.lab()?;
        lab.with_gateway(look).ok_or_else(|| without(&lab, "gateway"))
    }
}

fn without(lab: &Lab, part: &str) -> DoorError {
    let (name, topology) = (&lab.config().name, lab.config().topology());
    DoorError::Unsupported(format!(
        "lab {name} is a {topology} and has no {part}: the topology `switch` has one"
    ))
}

/// A failure of the lab in the door's words, with what caused it.
pub(crate) fn refusal(error: &lab::Error) -> DoorError {
    let mut line = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    match error {
        lab::Error::Usage(_) => DoorError::Invalid(line),
        lab::Error::NoNode { .. } | lab::Error::NoNetwork { .. } => DoorError::NotFound(line),
        lab::Error::NodeExists { .. }
        | lab::Error::NetworkExists { .. }
        | lab::Error::NetworkBusy { .. }
        | lab::Error::NetworkJoined { .. }
        | lab::Error::NetworkBeyond { .. }
        | lab::Error::Claimed(_)
        | lab::Error::AddressTaken { .. } => DoorError::Conflict(line),
        lab::Error::NoSwitch(_) => DoorError::Unsupported(line),
        _ => DoorError::Failed(line),
    }
}

pub(crate) type Answer<T> = std::result::Result<T, DoorError>;

impl Door for LabDoor {
    fn topology(&self) -> Topology {
        topology::topology(self)
    }

    fn spec(&self) -> Answer<Spec> {
        spec::spec(self)
    }

    fn ports(&self, page: &PageQuery) -> Answer<Page<Port>> {
        bridge::ports(self, page)
    }

    fn fdb(&self, page: &PageQuery) -> Answer<Page<FdbEntry>> {
        bridge::fdb(self, page)
    }

    fn fast_flows(&self, page: &PageQuery) -> Answer<Page<FastFlow>> {
        fast::flows(self, page)
    }

    fn neighbours(&self, page: &PageQuery) -> Answer<Page<Neighbour>> {
        router::neighbours(self, page)
    }

    fn sessions(&self, page: &PageQuery) -> Answer<Page<Session>> {
        router::sessions(self, page)
    }

    fn routes(&self) -> Answer<Vec<Route>> {
        router::routes(self)
    }

    fn names(&self, page: &PageQuery) -> Answer<Page<Name>> {
        names::names(self, page)
    }

    fn counters(&self) -> Counters {
        counters::counters(self)
    }

    fn ports_counted(&self) -> (Vec<Port>, Counters) {
        counters::with_ports(self)
    }

    fn published(&self) -> Answer<Vec<Published>> {
        router::published(self)
    }

    fn publish(&self, ask: &Publish) -> Answer<Published> {
        change::publish(self, ask)
    }

    fn unpublish(&self, protocol: Protocol, port: u16) -> Answer<()> {
        change::unpublish(self, protocol, port)
    }

    fn add_node(&self, ask: &AddNode) -> Answer<Node> {
        change::add_node(self, ask)
    }

    fn remove_node(&self, name: &str) -> Answer<()> {
        change::remove_node(self, name)
    }

    fn home(&self, node: &str) -> Answer<Home> {
        self.lab()?.home_of(node).map_err(|error| refusal(&error))
    }

    fn tunnels(&self) -> Answer<Vec<Tunnel>> {
        tunnel::tunnels(self)
    }

    fn hosts(&self) -> Answer<Vec<Hosts>> {
        tunnel::hosts(self)
    }

    fn add_tunnel(&self, ask: &AddTunnel) -> Answer<Tunnel> {
        tunnel::add_tunnel(self, ask)
    }

    fn remove_tunnel(&self, vni: u32) -> Answer<()> {
        tunnel::remove_tunnel(self, vni)
    }

    fn set_link(&self, node: &str, ask: &SetLink) -> Answer<()> {
        self.lab()?.set_link(node, ask.network.as_deref(), ask.up).map_err(|error| refusal(&error))
    }

    fn set_gateway(&self, ask: &SetGateway) -> Answer<Routing> {
        change::set_gateway(self, ask)
    }

    fn flush_nat(&self, ask: &FlushNat) -> Answer<Flushed> {
        change::flush_nat(self, ask)
    }

    fn flush_fdb(&self, ask: &FlushFdb) -> Answer<Flushed> {
        change::flush_fdb(self, ask)
    }

    fn set_port(&self, port: &str, ask: &SetPort) -> Answer<Port> {
        let _turn = self.turn();
        settings::set_port(self, port, ask)
    }

    fn move_port(&self, port: &str, ask: &MovePort) -> Answer<Port> {
        let _turn = self.turn();
        settings::move_port(self, port, ask)
    }

    fn add_vlan(&self, port: &str, ask: &AddVlan) -> Answer<()> {
        let _turn = self.turn();
        settings::add_vlan(self, port, ask)
    }

    fn del_vlan(&self, port: &str, vlan: u16, last: u16) -> Answer<()> {
        let _turn = self.turn();
        settings::del_vlan(self, port, vlan, last)
    }

    fn set_fdb(&self, ask: &SetFdb) -> Answer<()> {
        let _turn = self.turn();
        settings::set_fdb(self, ask)
    }

    fn del_fdb(&self, ask: &DelFdb) -> Answer<Flushed> {
        let _turn = self.turn();
        settings::del_fdb(self, ask)
    }

    fn mdb(&self) -> Answer<Mdb> {
        mdb::mdb(self)
    }

    fn set_mdb(&self, ask: &SetMdb) -> Answer<()> {
        let _turn = self.turn();
        mdb::set_mdb(self, ask, true)
    }

    fn del_mdb(&self, ask: &SetMdb) -> Answer<()> {
        let _turn = self.turn();
        mdb::set_mdb(self, ask, false)
    }

    fn known(&self) -> Answer<Vec<Known>> {
        groups::known(self)
    }

    fn set_known(&self, ask: &Known) -> Answer<()> {
        let _turn = self.turn();
        groups::set_known(self, ask)
    }

    fn networks(&self) -> Answer<Vec<Network>> {
        network::networks(self)
    }

    fn add_network(&self, ask: &AddNetwork) -> Answer<Network> {
        let _turn = self.turn();
        network::add_network(self, ask)
    }

    fn remove_network(&self, name: &str) -> Answer<()> {
        let _turn = self.turn();
        network::remove_network(self, name)
    }

    fn set_network(&self, name: &str, ask: &SetNetwork) -> Answer<Network> {
        let _turn = self.turn();
        network::set_network(self, name, ask)
    }

    fn capture(&self, ask: &CaptureAsk) -> Answer<Flow> {
        self.watch.capture(ask)
    }

    fn trace(&self, ask: &TraceAsk) -> Answer<Flow> {
        self.watch.trace(ask)
    }

    fn end_flow(&self, id: u64) -> Answer<()> {
        self.watch.end(id)
    }

    fn explain(&self, ask: &ExplainAsk) -> Answer<Walk> {
        self.watch.explain(ask)
    }

    fn events(&self) -> &Events {
        &self.events
    }

    fn listen(&self) -> Answer<Listener> {
        // All there is to tell comes from the switch and what is behind it.
        self.switch(|_| ())?;
        Ok(self.events.listen())
    }
}

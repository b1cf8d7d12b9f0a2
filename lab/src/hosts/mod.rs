//! The other hosts of a network, by a registry that all of them ask: etcd. Who is there, what each has
//! claimed (names and addresses of nodes), and where it is. Or by BGP, where each says what it has.
//!
//! | file | what |
//! |---|---|
//! | `access` | how a cluster lets this host in: a user's token |
//! | `tls` | … and TLS |
//! | `http` | requests to the members of a cluster |
//! | `lines` | answers that go on |
//! | `etcd` | etcd's calls |
//! | `claims` | names and addresses claimed, all of a node's or none |
//! | `named` | what a spec says of other hosts |
//! | `agree` | what the network is, to all hosts |
//! | `enter` | a host comes into a network, and goes |
//! | `agent` | the thread that keeps the lease, watches, and claims again |
//! | `heard` | … and whether the watch still tells |
//! | `present` | … and puts back what this host says of itself |
//! | `settle` | … and what follows from what it has heard |
//! | `left` | … and from what an earlier process has left |
//! | `apart` | nodes that are cut off from other hosts |
//! | `bgp` | the same by EVPN, where the build has it, in place of `etcd` to `settle` |
//! | `told` | what the lab tells of them |
//! | `device` | the tunnel as an agent keeps it |
//! | `table` | the rows of its device |
//! | `placed` | … and of the switch |
//! | `tags` | the VLANs of nodes, as hosts tell them one another |
//!
//! What is decided is in the room `overlay`. A claim for a node that is added is made by whoever adds it,
//! under the state's lock; the agent holds none while it asks, and waits for that one where it looks at
//! nodes or sets names. Where no quorum answers, all goes on by what is known, and new claims fail.

mod access;
mod agent;
mod agree;
mod apart;
#[cfg(feature = "evpn")]
mod bgp;
mod claims;
mod device;
mod enter;
mod etcd;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod heard;
mod http;
mod left;
mod lines;
mod named;
mod placed;
mod present;
mod settle;
mod table;
mod tags;
mod tls;
mod told;
#[cfg(not(feature = "evpn"))]
mod without;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use overlay::{Config, NodeClaim, Space};
use tokio::sync::mpsc;
use wire::{MacAddr, Timestamp};

use crate::error::{Doing, Result};
use crate::lab::{Lab, State};
use crate::node::{Interface, Node};
use crate::tunnel::Tunnel;

pub use access::{Access, Credentials};
pub(crate) use claims::{beyond, claim};
pub use named::{End, check_build};

/// Whom to ask about other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A cluster that all of them ask.
    Etcd,
    /// A BGP speaker of this host's.
    Bgp,
}

/// A network to join.
#[derive(Clone, Debug)]
pub struct Join {
    /// Whom to ask.
    pub kind: Kind,
    /// The members of the cluster, or the speaker.
    pub members: Vec<SocketAddr>,
    /// How they let this host in.
    pub access: Arc<Access>,
    /// What the network is called there.
    pub name: String,
    /// Its number outside; None for what it has, or its usual one.
    pub vni: Option<u32>,
    /// The UDP port of all ends; None for 4789.
    pub port: Option<u16>,
    /// The network here; None for the first.
    pub network: Option<String>,
    /// This host's address among them.
    pub vtep: IpAddr,
    /// What this host is called there; by BGP as its end of the tunnel.
    pub host: String,
}

impl Join {
    /// What addresses of [`Join::members`] begin with.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.kind {
            Kind::Etcd => self.access.scheme(),
            Kind::Bgp => "bgp",
        }
    }
}

/// What happened among the hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A host is in the network.
    Came(String, IpAddr),
    /// It is no longer.
    Went(String),
    /// The registry does not answer.
    Alone(String),
    /// It answers again.
    Back,
    /// Rows were not as they had been set, and are again: how many.
    Repaired(usize),
    /// A node is cut off from other hosts, for one of them has what was its own.
    CutOff(String, String),
    /// It has its own again.
    Restored(String),
}

/// Events that wait for somebody who listens.
const EVENTS: usize = 1024;

/// A host of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its end of the tunnel.
    pub vtep: IpAddr,
    /// Its nodes.
    pub nodes: Vec<String>,
}

/// A node of another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The host's name.
    pub host: String,
    /// Its end of the tunnel.
    pub vtep: IpAddr,
    /// The node's addresses.
    pub ips: Vec<IpAddr>,
    /// Its hardware addresses.
    pub macs: Vec<MacAddr>,
}

/// A network of several hosts that the lab is in.
#[derive(Clone, Debug)]
pub struct OfSeveral {
    /// What was asked for.
    pub join: Join,
    /// Its number outside.
    pub vni: u32,
    /// The network here.
    pub network: String,
    /// How things stand.
    pub status: Status,
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// All hosts that are known, this one among them, by name.
    pub members: Vec<Member>,
    /// Why this host is not in the network any more, for another has come by its name or its address.
    pub out: Option<String>,
    /// What is wrong in the registry, though all goes on.
    pub amiss: Option<String>,
    /// Since when the registry does not answer, and what was heard of it last.
    pub alone: Option<(Timestamp, String)>,
    /// The revision of the registry up to which all is known; by BGP, how many routes have come and gone.
    pub revision: i64,
    /// Who answers, where it is a speaker of BGP.
    pub speaks: Option<String>,
    /// Addresses of other hosts' nodes.
    pub rows: usize,
    /// Rows that had to be set again.
    pub repairs: u64,
    /// Nodes of ours that are cut off, and why.
    pub cut_off: BTreeMap<String, String>,
    /// Times that a new lease was asked for since the first.
    pub leases_lost: u64,
    pub(crate) lease: Option<i64>,
    /// Other hosts' nodes, by name.
    pub(crate) others: BTreeMap<String, Remote>,
}

/// What the agent, the lab and whoever adds nodes have in common.
pub(crate) struct Shared {
    pub(crate) join: Join,
    pub(crate) vni: u32,
    space: Space,
    /// What all hosts have agreed on.
    config: Config,
    lab: String,
    /// The network here, which may get another name.
    network: Mutex<String>,
    /// What is claimed stays when the lab ends, as long as the lease does: the next process has it.
    stays: AtomicBool,
    /// What our nodes are to have. Changed under the state's lock.
    wanted: Mutex<BTreeMap<String, NodeClaim>>,
    status: Mutex<Status>,
    events: Mutex<VecDeque<Event>>,
}

impl Shared {
    pub(crate) fn wanted(&self) -> MutexGuard<'_, BTreeMap<String, NodeClaim>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn network(&self) -> String {
        self.network.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The network here is called so from now on.
    pub(crate) fn call_network(&self, name: &str) {
        name.clone_into(&mut self.network.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn stays(&self) -> bool {
        self.stays.load(Ordering::Relaxed)
    }

    fn tell(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= EVENTS {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// What happened since the last call.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// What a node is to have in this network; None where it is not in it.
    pub(crate) fn of_node(&self, node: &Node) -> Option<NodeClaim> {
        let network = Some(self.network());
        // The host's own place has the gateway's address, as it has on every host.
        let is_gateway = |own: &Interface| {
            own.addresses.iter().any(|own| self.config.gateways.contains(&own.ip))
        };
        let own = node.interfaces.iter().filter(|own| own.network == network && !is_gateway(own));
        let own: Vec<_> = own.collect();
        let ips = own.iter().flat_map(|own| &own.addresses).map(|address| address.ip).collect();
        let macs = own.iter().map(|own| own.mac).collect();
        (!own.is_empty()).then(|| NodeClaim { node: node.name.clone(), ips, macs, tags: None })
    }
}

/// What the agent is told: nodes have come or gone. It leaves when nobody can tell it anything more.
#[derive(Clone, Copy, Debug)]
struct Look;

/// A network that the lab is in. Dropped, it leaves: what it claimed is free at once.
pub(crate) struct Joined {
    pub(crate) shared: Arc<Shared>,
    words: Option<mpsc::Sender<Look>>,
    thread: Option<JoinHandle<()>>,
}

impl Joined {
    /// Has the agent look at the nodes there are.
    pub(crate) fn look(&self) {
        // Where the channel is full it looks anyway.
        let _ = self.words.as_ref().map(|words| words.try_send(Look));
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        drop(self.words.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Lab {
    /// Has a thread of its own keep this host in a network from now on, until `words` end.
    fn keep_joined(
        &self,
        shared: Arc<Shared>,
        words: mpsc::Sender<Look>,
        tunnel: Tunnel,
        keep: impl FnOnce() + Send + 'static,
    ) -> Result<Tunnel> {
        let thread = std::thread::Builder::new().name("hosts".into()).spawn(keep);
        match thread.doing(|| "starting a thread".into()) {
            Ok(thread) => {
                let joined = Joined { shared, words: Some(words), thread: Some(thread) };
                let mut state = self.state();
                state.joined.push(joined);
                self.tell_gateway(&state);
                drop(state);
                Ok(tunnel)
            }
            Err(error) => {
                let _ = self.remove_tunnel(shared.vni);
                Err(error)
            }
        }
    }
}

/// The networks of several hosts that a lab leaves by ending. Where it serves engines, whose containers
/// live on, the next process is to find what is claimed, if it comes before the lease runs out.
pub(crate) fn parted(state: &mut State, served: bool) -> Vec<Joined> {
    let all = std::mem::take(&mut state.joined);
    all.iter().for_each(|joined| joined.shared.stays.store(served, Ordering::Relaxed));
    all
}

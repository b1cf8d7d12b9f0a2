//! A host comes into a network: what all agree on is agreed on, the host and all its nodes are claimed,
//! and only then is there a tunnel. What fails on the way is taken back by the lease.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use control::api::AddTunnel;
use overlay::key::checked;
use overlay::session::{BEAT, TTL};
use overlay::{Config, Host, Key, NodeClaim, Rows, Session, Space};
use switch::PortId;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use wire::Timestamp;

use super::agent::Agent;
use super::claims;
use super::device::Device;
use super::etcd::{Done, Etcd, Listed, Write};
use super::http::Failed;
use super::settle::SOME;
use super::{Join, Kind, Look, Shared, Status};
use crate::error::{Doing, Error, Result};
use crate::lab::Lab;
use crate::tunnel::{PORT, Tunnel};

pub(super) fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}

pub(super) fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.doing(|| "preparing to ask etcd".into())
}

impl Lab {
    /// Joins a network of this lab to those of other hosts, by what etcd knows of them.
    ///
    /// # Errors
    /// [`Error::Usage`] for what makes no sense, and where the network is another than here;
    /// [`Error::Claimed`] where another host has a name or an address of ours, or this host's own;
    /// [`Error::Registry`] where etcd does not answer; what [`Lab::add_tunnel`] fails by. Nothing is
    /// joined then.
    pub fn join(self: &Arc<Self>, ask: &Join) -> Result<Tunnel> {
        let space = Space::of(&ask.name).map_err(Error::Usage)?;
        checked(&ask.host).map_err(|no| Error::Usage(format!("--host-name: {no}")))?;
        let (network, _) = self.network(ask.network.as_deref())?;
        self.check_apart(&network, &ask.name)?;
        // Before anything is said of us: what the tunnel would be refused for.
        self.check_fits(Some(&network), ask.vtep)?;
        let runtime = runtime()?;
        let etcd = Etcd::new(ask.members.clone(), Arc::clone(&ask.access));
        let mut entry = Entry { etcd, space, ask, said: None };
        let vni = runtime.block_on(entry.agree(|vni| self.config_of(&network, ask, vni)))?;
        let shared = self.shared(ask, (entry.space.clone(), vni, network));
        let wanted = self.claims_of(&shared);
        let fit = wanted.values().try_for_each(claims::check_room);
        let claimed = fit.and_then(|()| runtime.block_on(entry.claim(&shared, &wanted)));
        let (lease, ttl, asked) = claimed.inspect_err(|_| runtime.block_on(entry.unsay(vni)))?;
        *shared.wanted() = wanted;
        shared.status().lease = Some(lease);
        let (tunnel, listed) = meanwhile(
            || runtime.block_on(entry.etcd.clone().brief().list(&shared.space.nodes(), 0)).ok(),
            || self.plug_in_tunnel(&tunnel_of(&shared), true),
        );
        let tunnel = match tunnel {
            Ok(tunnel) => tunnel,
            Err(error) => {
                let _ = runtime.block_on(entry.etcd.revoke(lease));
                runtime.block_on(entry.unsay(vni));
                return Err(error);
            }
        };
        let mut session = Session::new(asked);
        session.granted(lease, ttl, asked);
        let known = (listed.flatten(), Rows::default());
        self.follow_hosts(shared, (runtime, entry.etcd, session), (tunnel, known))
    }

    /// Is again in a network of several hosts that an earlier process of this lab was in, as number
    /// `vni`. The rows that it has left go on until etcd answers. What its nodes have is claimed then; what
    /// another host has claimed meanwhile is told, and its node cut off from other hosts.
    ///
    /// # Errors
    /// [`Error::Usage`] for what makes no sense; what [`Lab::add_tunnel`] fails by.
    pub fn rejoin(self: &Arc<Self>, ask: &Join, vni: u32) -> Result<Tunnel> {
        let space = Space::of(&ask.name).map_err(Error::Usage)?;
        checked(&ask.host).map_err(|no| Error::Usage(format!("--host-name: {no}")))?;
        let (network, _) = self.network(ask.network.as_deref())?;
        self.check_apart(&network, &ask.name)?;
        let runtime = runtime()?;
        let shared = self.shared(ask, (space, vni, network));
        *shared.wanted() = self.claims_of(&shared);
        let left = self.rows_left(&shared);
        let tunnel = self.plug_in_tunnel(&tunnel_of(&shared), false)?;
        let etcd = Etcd::new(ask.members.clone(), Arc::clone(&ask.access));
        self.follow_hosts(shared, (runtime, etcd, Session::new(now())), (tunnel, (None, left)))
    }

    /// Refuses a network here that is in one of several hosts, and one there that another here is in.
    fn check_apart(&self, network: &str, there: &str) -> Result<()> {
        let state = self.state();
        for joined in &state.joined {
            let (own, name) = (joined.shared.network(), &joined.shared.join.name);
            if own == network {
                return Err(Error::Usage(format!(
                    "network {network} is in a network of several hosts already: {name}"
                )));
            }
            if joined.shared.join.kind == Kind::Etcd && name == there {
                return Err(Error::Usage(format!(
                    "network {own} is in {there} of etcd already: join another there"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn shared(&self, ask: &Join, (space, vni, network): (Space, u32, String)) -> Shared {
        Shared {
            join: ask.clone(),
            vni,
            config: self.config_of(&network, ask, vni),
            space,
            lab: self.config().name.to_string(),
            network: Mutex::new(network),
            stays: AtomicBool::default(),
            wanted: Mutex::default(),
            status: Mutex::new(Status::default()),
            events: Mutex::new(VecDeque::new()),
        }
    }

    /// Has a thread keep this host in the network from now on.
    fn follow_hosts(
        self: &Arc<Self>,
        shared: Shared,
        (runtime, etcd, session): (Runtime, Etcd, Session),
        (tunnel, (nodes, left)): (Tunnel, (Option<Listed>, Rows)),
    ) -> Result<Tunnel> {
        let shared = Arc::new(shared);
        if let Some(user) = shared.join.access.bare() {
            tracing::warn!("the password of {user} goes to etcd as it is: etcds:// would hide it");
        }
        let (words, told) = mpsc::channel(16);
        let device = Device::new(self, &tunnel)?;
        let of = (Arc::clone(&shared), Arc::downgrade(self));
        let mut agent = Agent::new(of, (etcd, session), (device, left));
        // The hosts there are, before anybody looks.
        runtime.block_on(agent.begin(nodes));
        self.keep_joined(shared, words, tunnel, move || runtime.block_on(agent.run(told)))
    }

    /// What the nodes there are need.
    pub(super) fn claims_of(&self, shared: &Shared) -> BTreeMap<String, NodeClaim> {
        let nodes = self.nodes();
        let claims = nodes.iter().filter_map(|node| shared.of_node(node));
        claims.map(|claim| (claim.node.clone(), claim)).collect()
    }

    /// The ports of a node in a network.
    pub(super) fn ports_in(&self, node: &str, network: &str) -> Vec<PortId> {
        let state = self.state();
        let held = state.nodes.iter().find(|held| held.node.name == node);
        let own = held.into_iter().flat_map(|held| &held.node.interfaces);
        let own = own.filter(|own| own.network.as_deref() == Some(network));
        own.filter_map(|own| own.port.as_ref()).map(|port| port.id).collect()
    }

    /// What this lab would have all hosts agree on.
    fn config_of(&self, network: &str, ask: &Join, vni: u32) -> Config {
        self.with_spec(|spec| {
            let own = spec.network(network);
            let subnets = own.map(|own| own.all_subnets().map(|s| s.to_string()).collect());
            let gateways = spec.gateways(network).into_iter().map(|address| address.ip).collect();
            Config {
                vni,
                port: ask.port.unwrap_or(PORT),
                subnets: subnets.unwrap_or_default(),
                gateways,
                ipv6: ask.vtep.is_ipv6(),
            }
        })
    }
}

/// Does `this` in a thread of its own while `that` is done here; None where no thread is to be had.
fn meanwhile<T: Send, U>(
    this: impl FnOnce() -> T + Send,
    that: impl FnOnce() -> U,
) -> (U, Option<T>) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("list".into()).spawn_scoped(scope, this).ok();
        let that = that();
        (that, thread.and_then(|thread| thread.join().ok()))
    })
}

/// A host on its way into a network.
pub(super) struct Entry<'a> {
    pub(super) etcd: Etcd,
    pub(super) space: Space,
    pub(super) ask: &'a Join,
    /// When this host has said what the network is, where it was the first.
    pub(super) said: Option<i64>,
}

impl Entry<'_> {
    pub(super) fn silent(&self, failed: &Failed) -> Error {
        failed.to_error(self.space.network(), "the lab has not joined")
    }

    /// Claims the host and all that its nodes have; the lease, how long it lasts, when it was asked for last.
    async fn claim(
        &mut self,
        shared: &Shared,
        wanted: &BTreeMap<String, NodeClaim>,
    ) -> Result<(i64, std::time::Duration, Timestamp)> {
        let asked = now();
        let granted = self.etcd.grant(TTL).await;
        let (lease, ttl) = granted.map_err(|failed| self.silent(&failed))?;
        let claimed = self.claim_by(shared, wanted, (lease, asked)).await;
        if claimed.is_err() {
            // It would be gone by itself soon.
            let _ = self.etcd.clone().brief().revoke(lease).await;
        }
        claimed.map(|renewed| (lease, ttl, renewed))
    }

    async fn claim_by(
        &mut self,
        shared: &Shared,
        wanted: &BTreeMap<String, NodeClaim>,
        (lease, mut renewed): (i64, Timestamp),
    ) -> Result<Timestamp> {
        if let Some(why) = host(&mut self.etcd, shared, lease).await.map_err(|f| self.silent(&f))? {
            return Err(Error::Claimed(why));
        }
        let all: Vec<_> = wanted.values().collect();
        for some in all.chunks(SOME) {
            let made =
                claims::make_many((&mut self.etcd, shared), some.iter().copied(), lease).await;
            let taken = made.map_err(|failed| self.silent(&failed))?;
            if let Some((key, other)) = taken.first() {
                return Err(claims::taken(shared, key, other));
            }
            // Many nodes, or a slow way: what is claimed is not to run out before the last of it is.
            if now().since(renewed) > BEAT {
                renewed = now();
                let kept = self.etcd.renew(lease).await.map_err(|failed| self.silent(&failed))?;
                let lost = || self.silent(&Failed::Silent("the lease has run out".into()));
                kept.ok_or_else(lost)?;
            }
        }
        Ok(renewed)
    }
}

/// Claims this host's name and its end of the tunnel; why not, where another has one of them. What a
/// process of this lab before has left there is this one's, without a moment in which it is nobody's; what
/// nobody has of what that one had claimed is given up as soon as the registry has been listed.
pub(super) async fn host(
    etcd: &mut Etcd,
    shared: &Shared,
    lease: i64,
) -> std::result::Result<Option<String>, Failed> {
    let Join { vtep, host: name, .. } = &shared.join;
    let network = shared.space.network();
    let own = Host { vtep: *vtep, lab: shared.lab.clone() };
    let value = serde_json::to_vec(&own).unwrap_or_default();
    let keys = [Key::Host(name.clone()), Key::Vtep(*vtep)].map(|key| shared.space.write(&key));
    let values = [value, name.as_bytes().to_vec()];
    let mut seen = [0; 2];
    for _ in 0..4 {
        let writes = keys.iter().zip(&values).zip(seen);
        let writes = writes.map(|((key, value), seen)| Write {
            key: key.clone(),
            value: value.clone(),
            seen,
        });
        let there = match etcd.put(&writes.collect::<Vec<_>>(), lease).await? {
            Done::Made => return Ok(None),
            Done::Refused(there) => there,
        };
        seen = [0; 2];
        for kv in &there {
            let other: Option<Host> = serde_json::from_slice(&kv.value).ok();
            if kv.key() == keys[0] && other.as_ref() != Some(&own) {
                let at = other.map_or_else(String::new, |other| {
                    format!(", lab {} at {}", other.lab, other.vtep)
                });
                return Ok(Some(format!(
                    "host {name} is in network {network} already{at}: choose another `--host-name`, or \
                     wait {} s where it was killed",
                    TTL.as_secs()
                )));
            }
            if kv.key() == keys[1] && kv.value != values[1] {
                let other = String::from_utf8_lossy(&kv.value);
                return Ok(Some(format!(
                    "{vtep} is host {other}'s in network {network}: choose another `--vtep`"
                )));
            }
            if let Some(place) = keys.iter().position(|key| kv.key() == *key) {
                seen[place] = kv.mod_revision;
            }
        }
        if there.len() == keys.len() && there.iter().all(|kv| kv.lease == lease) {
            return Ok(None);
        }
    }
    Err(Failed::Silent("what is claimed changes all the time".into()))
}

/// The tunnel of a network: rows are set, so it is told of nobody.
pub(super) fn tunnel_of(shared: &Shared) -> AddTunnel {
    AddTunnel {
        vni: shared.vni,
        local: shared.join.vtep,
        remotes: Vec::new(),
        network: Some(shared.network()),
        port: shared.join.port,
    }
}

/// How an agent is told to leave.
pub(super) type Words = mpsc::Receiver<Look>;

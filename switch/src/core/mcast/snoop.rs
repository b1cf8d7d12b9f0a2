//! The groups of one network, shared by all workers: asked for each group frame that comes in there,
//! changed by the messages of hosts and routers.
//!
//! One lock a network that snoops: taken for reading by data, for writing by messages, by hand and
//! by the first worker's clock. Of a network that does not snoop what was set by hand is kept, for when it does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::config::{McastConfig, RouterMode};
use super::domain::{Ask, At, Domain, Reach, Tally};
use super::member::Filter;
use super::message::{Family, Group, Heard};
use crate::core::network::NetworkId;
use crate::core::port::{PortId, PortSettings};

/// A port in a group, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MdbEntry {
    /// Its VLAN; [`VlanId::NONE`] in a network that does not tell them apart.
    pub vlan: VlanId,
    /// The group.
    pub group: Group,
    /// The port.
    pub port: PortId,
    /// Set by hand.
    pub permanent: bool,
    /// Which sources it wants.
    pub filter: Filter,
    /// How long it lasts yet; zero without a timer of its own.
    pub left: Duration,
    /// The sources it names, with what is left of their timers.
    pub sources: Vec<(IpAddr, Duration)>,
}

/// A port at which a multicast router is, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterEntry {
    /// Its VLAN.
    pub vlan: VlanId,
    /// The port.
    pub port: PortId,
    /// How long that holds yet.
    pub left: Duration,
}

/// Who asks a VLAN which groups it wants, where we do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuerierEntry {
    /// The VLAN.
    pub vlan: VlanId,
    /// Its address.
    pub address: IpAddr,
    /// The port it was heard by.
    pub port: PortId,
    /// How long it is believed yet.
    pub left: Duration,
}

/// How full a network's groups are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MdbCounts {
    /// Groups, in all VLANs.
    pub groups: u32,
    /// Ports in them.
    pub members: u32,
    /// Reports that found no room.
    pub refused: u64,
}

#[derive(Default)]
struct Inner {
    config: McastConfig,
    domains: BTreeMap<VlanId, Domain>,
    tally: Tally,
    /// Questions that are due and wait for their turn.
    due: VecDeque<(VlanId, Ask)>,
    /// When the domains were last told of the time.
    ticked: Timestamp,
}

/// While questions wait the domains are told of the time so often: there may be thousands.
const REST: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub struct Snoop(RwLock<Inner>);

impl Inner {
    fn domain(&mut self, vlan: VlanId) -> (&mut Domain, &McastConfig, &mut Tally) {
        let domain = self.domains.entry(vlan).or_insert_with(Domain::new);
        (domain, &self.config, &mut self.tally)
    }
}

impl Snoop {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the settings; a querier that is switched on begins anew.
    pub(in crate::core) fn configure(&self, config: McastConfig) {
        let mut inner = self.write();
        let begins = config.querier && !(inner.config.querier && inner.config.snooping);
        inner.config = config;
        if !config.querier {
            inner.due.clear();
        }
        if begins {
            inner.domains.values_mut().for_each(Domain::restart);
        }
    }

    /// A message; what has to be asked because of it goes to `asks`.
    pub(in crate::core) fn hear(
        &self,
        vlan: VlanId,
        heard: &Heard<'_>,
        (port, settings): (PortId, &PortSettings),
        own: MacAddr,
        now: Timestamp,
        asks: &mut Vec<Ask>,
    ) {
        let mut inner = self.write();
        let (domain, config, tally) = inner.domain(vlan);
        domain.hear(heard, At { port, settings }, (config, own), tally, now, asks);
    }

    /// Where data for a group goes: `member` is called for each port that wants it, `router` says
    /// of each port given whether a router was heard there.
    pub(in crate::core) fn reach(
        &self,
        vlan: VlanId,
        (group, source, bounded): (Group, Option<IpAddr>, bool),
        now: Timestamp,
        way: &mut Vec<PortId>,
    ) -> Reach {
        let inner = self.read();
        let Some(domain) = inner.domains.get(&vlan) else { return Reach::Everywhere };
        let reach = domain.reach(group, bounded, &inner.config, now);
        if reach == Reach::Members {
            domain.members(group, source, &inner.config, now, |port| way.push(port));
            let family = match group {
                Group::Ip(address) => Some(Family::of(address)),
                Group::Mac(_) => None,
            };
            way.extend(domain.routers.keys().filter(|port| domain.is_router(**port, family, now)));
        }
        reach
    }

    /// Where a report goes: to the routers that `way` then has, or everywhere.
    pub(in crate::core) fn routers(
        &self,
        vlan: VlanId,
        family: Family,
        now: Timestamp,
        way: &mut Vec<PortId>,
    ) -> Reach {
        let inner = self.read();
        let Some(domain) = inner.domains.get(&vlan) else { return Reach::Everywhere };
        if !domain.is_asked(family, &inner.config, now) {
            return Reach::Everywhere;
        }
        let routers = domain.routers.keys();
        way.extend(routers.filter(|port| domain.is_router(**port, Some(family), now)));
        Reach::Members
    }

    /// The network's settings.
    pub(in crate::core) fn settings(&self) -> McastConfig {
        self.read().config
    }

    /// Sets a membership by hand; false where there is no room.
    pub fn set(
        &self,
        vlan: VlanId,
        group: Group,
        (port, settings): (PortId, &PortSettings),
        now: Timestamp,
    ) -> bool {
        let mut inner = self.write();
        let (domain, config, tally) = inner.domain(vlan);
        domain.set(group, At { port, settings }, config, tally, now)
    }

    /// Ends a membership; false where there is none.
    pub fn end(&self, vlan: VlanId, group: Group, port: PortId) -> bool {
        let mut inner = self.write();
        let (domain, _, tally) = inner.domain(vlan);
        domain.end(group, port, tally)
    }

    /// Forgets what was learned in VLANs that are none any more.
    pub(crate) fn forget_learned(&self, gone: impl Fn(VlanId) -> bool) {
        let mut inner = self.write();
        let Inner { domains, tally, .. } = &mut *inner;
        let domains = domains.iter_mut().filter(|(vlan, _)| gone(**vlan));
        domains.for_each(|(_, domain)| domain.forget_learned(tally));
    }

    /// What was set by hand alone, for a network that ceases to snoop; None where there is nothing.
    fn set_aside(&self, config: McastConfig) -> Option<Self> {
        let mut inner = self.write();
        let tally = Tally { refused: 0, ..inner.tally };
        let domains = std::mem::take(&mut inner.domains);
        let mut kept = Inner { config, domains, tally, ..Inner::default() };
        let Inner { domains, tally, .. } = &mut kept;
        domains.values_mut().for_each(|domain| domain.forget_learned(tally));
        domains.retain(|_, domain| !domain.groups.is_empty());
        (!domains.is_empty()).then(|| Self(RwLock::new(kept)))
    }

    /// Time has passed for these VLANs, all there are: says when it next has to be looked at. What is to be
    /// asked is [`Snoop::due`].
    pub(in crate::core) fn tick(
        &self,
        vlans: impl Iterator<Item = VlanId>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut inner = self.write();
        if !inner.due.is_empty() && now.since(inner.ticked) < REST {
            return Some(now);
        }
        inner.ticked = now;
        let known: BTreeSet<VlanId> = vlans.collect();
        inner.domains.retain(|vlan, domain| known.contains(vlan) || !domain.groups.is_empty());
        if inner.config.querier {
            known.iter().for_each(|vlan| _ = inner.domain(*vlan));
        }
        let (mut asks, mut next) = (Vec::new(), None::<Timestamp>);
        let Inner { config, domains, tally, due, .. } = &mut *inner;
        for (vlan, domain) in domains {
            domain.tick(config, tally, now, &mut asks);
            due.extend(asks.drain(..).map(|ask| (*vlan, ask)));
            next = next.into_iter().chain(domain.next(config)).min();
        }
        next
    }

    /// What is to be asked next, and in which VLAN.
    pub(in crate::core) fn due(&self) -> Option<(VlanId, Ask)> {
        self.write().due.pop_front()
    }

    /// Whether something is to be asked yet.
    pub(in crate::core) fn has_due(&self) -> bool {
        !self.read().due.is_empty()
    }

    /// The memberships, as they are now.
    #[must_use]
    pub fn entries(&self, now: Timestamp) -> Vec<MdbEntry> {
        let inner = self.read();
        let mut rows = Vec::new();
        for (vlan, domain) in &inner.domains {
            for (group, members) in &domain.groups {
                for (port, member) in members.iter().filter(|(_, member)| member.lives(now)) {
                    let sources = member.sources.iter();
                    let timed = member.filter == Filter::Exclude && !member.permanent;
                    rows.push(MdbEntry {
                        vlan: *vlan,
                        group: *group,
                        port: *port,
                        permanent: member.permanent,
                        filter: member.filter,
                        left: if timed { member.until.since(now) } else { Duration::ZERO },
                        sources: sources.map(|(ip, until)| (*ip, until.since(now))).collect(),
                    });
                }
            }
        }
        rows.sort_unstable_by_key(|row| (row.vlan, row.group, row.port));
        rows
    }

    /// The ports at which routers were heard.
    #[must_use]
    pub fn router_entries(&self, now: Timestamp) -> Vec<RouterEntry> {
        let inner = self.read();
        let of = |(vlan, domain): (&VlanId, &Domain)| -> Vec<RouterEntry> {
            let heard = domain.routers.iter().map(|(port, until)| RouterEntry {
                vlan: *vlan,
                port: *port,
                left: until[0].max(until[1]).since(now),
            });
            heard.filter(|row| !row.left.is_zero()).collect()
        };
        inner.domains.iter().flat_map(of).collect()
    }

    /// The queriers that are others.
    #[must_use]
    pub fn queriers(&self, now: Timestamp) -> Vec<QuerierEntry> {
        let inner = self.read();
        let of = |(vlan, domain): (&VlanId, &Domain)| {
            let vlan = *vlan;
            let both = [Family::V4, Family::V6].map(|family| domain.other(family, now));
            both.into_iter().flatten().map(move |(address, port, until)| QuerierEntry {
                vlan,
                address,
                port,
                left: until.since(now),
            })
        };
        inner.domains.iter().flat_map(of).collect()
    }

    /// How full it is.
    #[must_use]
    pub fn counts(&self) -> MdbCounts {
        let Tally { groups, members, refused } = self.read().tally;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        MdbCounts { groups: number(groups), members: number(members), refused }
    }

    /// Groups that a port is a member of, in all VLANs.
    #[must_use]
    pub fn of_port(&self, port: PortId) -> u32 {
        let count: usize = self.read().domains.values().map(|domain| domain.of_port(port)).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// The networks' groups: made, kept and ended by whoever owns the networks, who tells the bridges of them.
#[derive(Default)]
pub struct Snoops(Mutex<BTreeMap<NetworkId, Arc<Snoop>>>);

impl Snoops {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NetworkId, Arc<Snoop>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a network with these settings: made where it begins to snoop. Where it ceases to they are
    /// ended, and what was set by hand is kept apart: a bridge that has not been told changes nothing of it.
    pub(crate) fn of(&self, id: NetworkId, config: McastConfig) -> Option<Arc<Snoop>> {
        let mut networks = self.lock();
        if !config.snooping {
            let before = networks.remove(&id);
            let kept = before.and_then(|before| before.set_aside(config));
            kept.map(|kept| networks.insert(id, Arc::new(kept)));
            return None;
        }
        let snoop = Arc::clone(networks.entry(id).or_default());
        drop(networks);
        snoop.configure(config);
        Some(snoop)
    }

    /// Those of a network, if it snoops.
    #[must_use]
    pub fn get(&self, id: NetworkId) -> Option<Arc<Snoop>> {
        self.held(id).filter(|snoop| snoop.settings().snooping)
    }

    /// Those of a network, those kept while it does not snoop included.
    #[must_use]
    pub fn held(&self, id: NetworkId) -> Option<Arc<Snoop>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn forget(&self, id: NetworkId) {
        self.lock().remove(&id);
    }
}

#[path = "snoop_ports.rs"]
mod ports;

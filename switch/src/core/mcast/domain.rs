//! What one VLAN of a snooping network knows of groups: who is a member of which, where routers are,
//! who asks.
//!
//! Pure; owned by [`super::Snoop`], behind its lock. Bounds: [`McastConfig::hash_max`] groups and
//! [`MEMBERS`] memberships a network, and what a port may have. Where a network is full its unknown
//! groups are flooded for as long as a membership lasts, counted; a port that is full gets no more.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use wire::Timestamp;

use super::config::McastConfig;
use super::member::Member;
use super::message::{Family, Group};
use super::querier::Querier;
use crate::core::port::{PortId, PortSettings};

/// Memberships of a network: a port in a group is one.
pub(in crate::core) const MEMBERS: usize = 1 << 16;

/// Repetitions kept of a VLAN; more are not made.
pub(super) const AGAIN: usize = 256;

/// A port, and what it is set to.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct At<'a> {
    pub(in crate::core) port: PortId,
    pub(in crate::core) settings: &'a PortSettings,
}

/// Something to be asked: at one port, or everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) struct Ask {
    pub(in crate::core) port: Option<PortId>,
    pub(in crate::core) family: Family,
    pub(in crate::core) group: Option<IpAddr>,
    pub(in crate::core) sources: Vec<IpAddr>,
}

impl Ask {
    /// Which groups anybody wants.
    fn general(port: Option<PortId>, family: Family) -> Self {
        Self { port, family, group: None, sources: Vec::new() }
    }
}

/// An [`Ask`] to be repeated.
pub(super) struct Again {
    pub(super) at: Timestamp,
    pub(super) left: u8,
    pub(super) ask: Ask,
}

/// Where a group's frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Reach {
    /// Wherever frames of groups do.
    Everywhere,
    /// To members and routers.
    Members,
}

/// How much there is, in all VLANs of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct Tally {
    pub(in crate::core) groups: usize,
    pub(in crate::core) members: usize,
    /// Joins that found no room.
    pub(in crate::core) refused: u64,
}

pub(in crate::core) type Members = BTreeMap<PortId, Member>;

/// See the module.
pub(in crate::core) struct Domain {
    pub(in crate::core) groups: HashMap<Group, Members>,
    /// Ports at which a router was heard, and until when that holds, by family.
    pub(in crate::core) routers: BTreeMap<PortId, [Timestamp; 2]>,
    pub(super) queriers: [Querier; 2],
    pub(super) again: Vec<Again>,
    /// There was no room: unknown groups go everywhere until then.
    pub(super) full_until: Timestamp,
}

pub(super) fn place(family: Family) -> usize {
    usize::from(family == Family::V6)
}

impl Domain {
    pub(in crate::core) fn new() -> Self {
        Self {
            groups: HashMap::new(),
            routers: BTreeMap::new(),
            queriers: [Querier::new(), Querier::new()],
            again: Vec::new(),
            full_until: Timestamp::ZERO,
        }
    }

    /// Asks anew from the start.
    pub(in crate::core) fn restart(&mut self) {
        self.queriers.iter_mut().for_each(Querier::restart);
    }

    /// Asks anew at a port that has come up, or become a member (net/bridge/br_multicast.c,
    /// `br_multicast_enable_port`): nobody there has heard the last question.
    pub(in crate::core) fn greet(&mut self, port: PortId, config: &McastConfig) {
        for family in [Family::V4, Family::V6] {
            let ask = Ask::general(Some(port), family);
            if self.again.iter().any(|again| again.ask == ask) {
                continue;
            }
            if self.again.len() < AGAIN {
                let left = config.startup_query_count.max(1);
                self.again.push(Again { at: Timestamp::ZERO, left, ask });
            } else {
                self.queriers[place(family)].hurry();
            }
        }
    }

    /// Forgets all that was learned.
    pub(in crate::core) fn forget_learned(&mut self, tally: &mut Tally) {
        let learned = |(port, member): (&PortId, &Member)| (!member.permanent).then_some(*port);
        let rows: Vec<_> = self
            .groups
            .iter()
            .flat_map(|(group, all)| all.iter().filter_map(learned).map(|port| (*group, port)))
            .collect();
        rows.into_iter().for_each(|(group, port)| _ = self.end(group, port, tally));
        let groups = std::mem::take(&mut self.groups);
        *self = Self { groups, ..Self::new() };
    }

    pub(super) fn newer(config: &McastConfig, family: Family) -> bool {
        match family {
            Family::V4 => config.igmp_version >= 3,
            Family::V6 => config.mld_version >= 2,
        }
    }

    /// Groups that a port is a member of.
    pub(in crate::core) fn of_port(&self, port: PortId) -> usize {
        self.groups.values().filter(|members| members.contains_key(&port)).count()
    }

    /// Sets a membership by hand; false where there is no room for it.
    pub(in crate::core) fn set(
        &mut self,
        group: Group,
        at: At<'_>,
        config: &McastConfig,
        tally: &mut Tally,
        now: Timestamp,
    ) -> bool {
        let Some(member) = self.member(group, at, config, tally, now) else { return false };
        *member = Member { permanent: true, ..Member::of_all(Timestamp::ZERO) };
        true
    }

    /// Ends a membership; false where there is none.
    pub(in crate::core) fn end(&mut self, group: Group, port: PortId, tally: &mut Tally) -> bool {
        let Some(members) = self.groups.get_mut(&group) else { return false };
        if members.remove(&port).is_none() {
            return false;
        }
        tally.members = tally.members.saturating_sub(1);
        if members.is_empty() {
            self.groups.remove(&group);
            tally.groups = tally.groups.saturating_sub(1);
        }
        true
    }

    /// Whom data for a group reaches; `bounded` as the frame says.
    pub(in crate::core) fn reach(
        &self,
        group: Group,
        bounded: bool,
        config: &McastConfig,
        now: Timestamp,
    ) -> Reach {
        let members = self.groups.get(&group);
        let known = members.is_some_and(|all| all.values().any(|member| member.lives(now)));
        let asked = match group {
            Group::Mac(_) => known,
            Group::Ip(address) => {
                self.queriers[place(Family::of(address))].exists(config, now)
                    && (known || (bounded && self.full_until <= now))
            }
        };
        if asked { Reach::Members } else { Reach::Everywhere }
    }

    /// Whether reports need to reach routers alone, for somebody asks.
    pub(in crate::core) fn is_asked(
        &self,
        family: Family,
        config: &McastConfig,
        now: Timestamp,
    ) -> bool {
        self.queriers[place(family)].exists(config, now)
    }

    /// Calls `each` for the ports of a group that want what `source` sends.
    pub(in crate::core) fn members(
        &self,
        group: Group,
        source: Option<IpAddr>,
        config: &McastConfig,
        now: Timestamp,
        mut each: impl FnMut(PortId),
    ) {
        let by_source = match group {
            Group::Ip(address) => Self::newer(config, Family::of(address)),
            Group::Mac(_) => false,
        };
        for (port, member) in self.groups.get(&group).into_iter().flatten() {
            let is_wanted = match by_source {
                true => member.wants(source, now),
                false => member.lives(now),
            };
            if is_wanted {
                each(*port);
            }
        }
    }

    /// Whether a router was heard at a port.
    pub(in crate::core) fn is_router(
        &self,
        port: PortId,
        family: Option<Family>,
        now: Timestamp,
    ) -> bool {
        let Some(until) = self.routers.get(&port) else { return false };
        match family {
            Some(family) => until[place(family)] > now,
            None => until.iter().any(|until| *until > now),
        }
    }

    /// Forgets what was learned at a port, and what was set there where it is `gone`.
    pub(in crate::core) fn forget_port(&mut self, port: PortId, gone: bool, tally: &mut Tally) {
        self.routers.remove(&port);
        self.queriers.iter_mut().for_each(|querier| querier.forget(port));
        self.again.retain(|again| again.ask.port != Some(port));
        let lost =
            |members: &Members| members.get(&port).is_some_and(|member| gone || !member.permanent);
        let groups: Vec<_> =
            self.groups.iter().filter(|(_, all)| lost(all)).map(|(group, _)| *group).collect();
        for group in groups {
            self.end(group, port, tally);
        }
    }

    /// What has run out is forgotten, what is due asked.
    pub(in crate::core) fn tick(
        &mut self,
        config: &McastConfig,
        tally: &mut Tally,
        now: Timestamp,
        asks: &mut Vec<Ask>,
    ) {
        let mut over = Vec::new();
        for (group, members) in &mut self.groups {
            let ended =
                members.iter_mut().filter_map(|(port, m)| (!m.settle(now)).then_some(*port));
            over.extend(ended.map(|port| (*group, port)));
        }
        for (group, port) in over {
            self.end(group, port, tally);
        }
        self.routers.retain(|_, until| until.iter().any(|until| *until > now));
        let mut all = [false; 2];
        for family in [Family::V4, Family::V6] {
            if self.queriers[place(family)].tick(config, now) {
                all[place(family)] = true;
                asks.push(Ask::general(None, family));
            }
        }
        let queriers = &self.queriers;
        self.again.retain_mut(|again| {
            if !queriers[place(again.ask.family)].is_own(config, now) {
                return false;
            }
            if again.at <= now {
                let general = again.ask.group.is_none();
                if !(general && all[place(again.ask.family)]) {
                    asks.push(again.ask.clone());
                }
                let pause = if general {
                    config.startup_query_interval
                } else {
                    config.last_member_interval
                };
                again.left -= 1;
                again.at = now + pause;
            }
            again.left > 0
        });
    }

    /// When something runs out or is due.
    pub(in crate::core) fn next(&self, config: &McastConfig) -> Option<Timestamp> {
        let ends = self.groups.values().flat_map(|all| all.values().filter_map(Member::next));
        let asks = self.queriers.iter().filter_map(|querier| querier.next(config));
        let again = self.again.iter().map(|again| again.at);
        ends.chain(asks).chain(again).min()
    }

    /// The querier of a family that is not us: its address, port and end.
    pub(in crate::core) fn other(
        &self,
        family: Family,
        now: Timestamp,
    ) -> Option<(IpAddr, PortId, Timestamp)> {
        self.queriers[place(family)].other(now)
    }
}

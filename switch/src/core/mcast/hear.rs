//! Messages of hosts and routers, and what a domain makes of them.
//!
//! Pure; called by [`super::Snoop`] with its lock held.

use std::net::IpAddr;

use wire::{MacAddr, Timestamp};

use super::config::{McastConfig, RouterMode};
use super::domain::{AGAIN, Again, Ask, At, Domain, MEMBERS, Tally, place};
use super::member::{Doubts, Filter, Member, Times};
use super::message::{ALL_NODES_6, Family, Group, Heard, Kind, Query, Record};

/// Whether membership of a group counts: not of those a link always carries.
fn counts(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.is_multicast() && group.octets()[..3] != [224, 0, 0],
        IpAddr::V6(group) => {
            // Interface-local groups never leave a host.
            group.is_multicast() && group != ALL_NODES_6 && group.segments()[0] & 0xf != 1
        }
    }
}

impl Domain {
    /// A message of a host or a router. What has to be asked because of it goes to `asks`.
    pub(in crate::core) fn hear(
        &mut self,
        heard: &Heard<'_>,
        at: At<'_>,
        (config, own): (&McastConfig, MacAddr),
        tally: &mut Tally,
        now: Timestamp,
        asks: &mut Vec<Ask>,
    ) {
        match heard {
            Heard::Data { .. } => {}
            Heard::Join(group) => self.join(*group, at, config, tally, now),
            Heard::Leave(group) => self.leave(*group, at, config, tally, now, asks),
            Heard::Report(records) => {
                for record in *records {
                    self.record(&record, at, config, tally, now, asks);
                }
            }
            Heard::Query(query) => self.query(query, at, (config, own), now),
            Heard::Router(family) => self.router(at, config, *family, now),
        }
    }

    fn router(&mut self, at: At<'_>, config: &McastConfig, family: Family, now: Timestamp) {
        if at.settings.mcast_router == RouterMode::Learned {
            let until = self.routers.entry(at.port).or_default();
            until[place(family)] = now + config.querier_interval;
        }
    }

    fn query(
        &mut self,
        query: &Query,
        at: At<'_>,
        (config, own): (&McastConfig, MacAddr),
        now: Timestamp,
    ) {
        let family = Family::of(query.from);
        if query.of_sources {
            return;
        }
        let Some(group) = query.group else {
            if self.queriers[place(family)].heard(query, at.port, (config, own), now) {
                // From nowhere too, against RFC 4541 2.1.1: so asks a bridge, and what lies behind
                // it reports to it alone. As the kernel's bridge has it.
                self.router(at, config, family, now);
            }
            return;
        };
        if query.suppress && Self::newer(config, family) {
            return;
        }
        let soon = now + query.max_delay * u32::from(config.last_member_count);
        if let Some(members) = self.groups.get_mut(&Group::Ip(group)) {
            for member in members.values_mut().filter(|member| member.filter == Filter::Exclude) {
                member.until = member.until.min(soon);
            }
        }
    }

    /// A port's membership, made where there is none; None where there is no room for it.
    pub(super) fn member(
        &mut self,
        group: Group,
        at: At<'_>,
        config: &McastConfig,
        tally: &mut Tally,
        now: Timestamp,
    ) -> Option<&mut Member> {
        let known = self.groups.get(&group);
        if known.is_none_or(|members| !members.contains_key(&at.port)) {
            let limit = at.settings.mcast_max_groups;
            let full = tally.members >= MEMBERS
                || (known.is_none() && tally.groups >= config.hash_max as usize);
            if full {
                self.full_until = now + config.membership_interval;
            }
            if full || (limit > 0 && self.of_port(at.port) >= limit as usize) {
                tally.refused += 1;
                return None;
            }
            tally.groups += usize::from(known.is_none());
            tally.members += 1;
        }
        let members = self.groups.entry(group).or_default();
        Some(members.entry(at.port).or_insert_with(Member::of_nothing))
    }

    fn join(
        &mut self,
        group: IpAddr,
        at: At<'_>,
        config: &McastConfig,
        tally: &mut Tally,
        now: Timestamp,
    ) {
        if !counts(group) {
            return;
        }
        let until = now + config.membership_interval;
        if let Some(member) = self.member(Group::Ip(group), at, config, tally, now) {
            let permanent = member.permanent;
            *member = Member { permanent, ..Member::of_all(until) };
        }
    }

    fn leave(
        &mut self,
        group: IpAddr,
        at: At<'_>,
        config: &McastConfig,
        tally: &mut Tally,
        now: Timestamp,
        asks: &mut Vec<Ask>,
    ) {
        let (key, family) = (Group::Ip(group), Family::of(group));
        let member = self.groups.get_mut(&key).and_then(|members| members.get_mut(&at.port));
        let Some(member) = member.filter(|member| !member.permanent) else { return };
        if at.settings.fastleave {
            self.end(key, at.port, tally);
            return;
        }
        let querier = &self.queriers[place(family)];
        if querier.other(now).is_some() {
            // It asks, and its question lowers the timer.
            return;
        }
        member.until = member.until.min(now + config.last_member_time());
        member.sources.values_mut().for_each(|until| {
            *until = (*until).min(now + config.last_member_time());
        });
        if querier.is_own(config, now) {
            let ask = Ask { port: Some(at.port), family, group: Some(group), sources: Vec::new() };
            self.ask(ask, config, now, asks);
        }
    }

    /// Asks now, and again until the last time.
    fn ask(&mut self, ask: Ask, config: &McastConfig, now: Timestamp, asks: &mut Vec<Ask>) {
        self.again.retain(|again| again.ask != ask);
        if config.last_member_count > 1 && self.again.len() < AGAIN {
            let at = now + config.last_member_interval;
            self.again.push(Again { at, left: config.last_member_count - 1, ask: ask.clone() });
        }
        asks.push(ask);
    }

    fn record(
        &mut self,
        record: &Record<'_>,
        at: At<'_>,
        config: &McastConfig,
        tally: &mut Tally,
        now: Timestamp,
        asks: &mut Vec<Ask>,
    ) {
        let (group, family) = (record.group, Family::of(record.group));
        let Some(kind) = record.kind.filter(|_| counts(group)) else { return };
        let nothing = !record.has_sources() && matches!(kind, Kind::ToInclude | Kind::IsInclude);
        if !Self::newer(config, family) {
            // Sources do not count: a report of them is one of the group.
            return match nothing {
                true => self.leave(group, at, config, tally, now, asks),
                false => self.join(group, at, config, tally, now),
            };
        }
        let key = Group::Ip(group);
        let is_known = self.groups.get(&key).is_some_and(|all| all.contains_key(&at.port));
        if !is_known && (nothing || kind == Kind::Block) {
            return;
        }
        let times = Times {
            now,
            end: now + config.membership_interval,
            soon: now + config.last_member_time(),
        };
        let Some(member) = self.member(key, at, config, tally, now) else { return };
        if member.permanent {
            return;
        }
        // To include nothing from now on is to leave; to include nothing as ever says nothing new.
        if nothing && kind == Kind::ToInclude && at.settings.fastleave {
            self.end(key, at.port, tally);
            return;
        }
        let Doubts { group: whole, sources } = member.report(kind, record, times);
        if !self.queriers[place(family)].is_own(config, now) {
            return;
        }
        let port = Some(at.port);
        if whole {
            let ask = Ask { port, family, group: Some(group), sources: Vec::new() };
            self.ask(ask, config, now, asks);
        }
        if !sources.is_empty() {
            self.ask(Ask { port, family, group: Some(group), sources }, config, now, asks);
        }
    }
}

//! What is known of a network by BGP, and what follows: behind which end each hardware address is, which
//! of our own we have lost to another host, and what we say.
//!
//! Of two hosts that say they have an address one has it, by [`Route::rank`]. The other withdraws: both
//! routes stand in everybody's table, for each host has a distinguisher of its own, and not everybody goes
//! by the number. It says it again when the other has gone, with a higher number.
//!
//! Bounded by [`MOST`] routes of other hosts; further ones are passed over and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use wire::{MacAddr, Timestamp};

use super::{Key, Mobility, Of, Route};
use crate::desired::Row;
use crate::end::{is_end, is_station};
use crate::registry::Touched;

/// Most routes of other hosts.
pub const MOST: usize = 1 << 18;
/// How long a route stays that was known before the speaker was started anew and that it has not told
/// since: its neighbours are back after some seconds (RFC 4724 has a time like this one).
pub const STALE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    route: Route,
    /// The speaker that runs now has told it.
    fresh: bool,
}

/// A hardware address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    ips: BTreeSet<IpAddr>,
    sequence: u32,
    /// Who has it instead.
    lost: Option<Route>,
}

/// A network as it is known at a host.
#[derive(Clone, Debug)]
pub struct Table {
    /// This host's end of the tunnel.
    me: Ipv4Addr,
    routes: BTreeMap<Key, Held>,
    own: BTreeMap<MacAddr, Own>,
    /// Numbers that an earlier process of this host's said.
    before: BTreeMap<MacAddr, u32>,
    /// Until when routes may stay that are not fresh.
    until: Option<Timestamp>,
    macs: BTreeSet<MacAddr>,
    hosts: bool,
    refused: u64,
}

impl Table {
    /// Of the host whose end of the tunnel is `me`; nothing is known yet.
    #[must_use]
    pub fn new(me: Ipv4Addr) -> Self {
        Self {
            me,
            routes: BTreeMap::new(),
            own: BTreeMap::new(),
            before: BTreeMap::new(),
            until: None,
            macs: BTreeSet::new(),
            hosts: false,
            refused: 0,
        }
    }

    /// What an earlier process of this host has set. The speaker has told none of it yet, so it goes like what
    /// was known before a speaker was started anew.
    pub fn left(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            let IpAddr::V4(vtep) = row.vtep else { continue };
            let of = match row.is_flood() {
                true => Of::Floods(row.vtep),
                false => Of::Mac(row.mac, None),
            };
            // No speaker's: the types of distinguishers are 0 to 2 (RFC 4364, section 4.2).
            let [a, b, c, d] = vtep.octets();
            let key = Key { of, rd: [0xff, 0xff, a, b, c, d, 0, 0] };
            self.hear(key, Route { vtep, mobility: Mobility::default() });
            if let Some(held) = self.routes.get_mut(&key) {
                held.fresh = false;
            }
        }
    }

    /// Another host's route. One that leads nowhere, or back to this host, is none.
    pub fn hear(&mut self, key: Key, route: Route) {
        let Route { vtep, .. } = route;
        let is_node = match key.of {
            Of::Mac(mac, _) => is_station(mac),
            Of::Floods(_) => true,
        };
        if !is_end(vtep.into()) || !is_node || vtep == self.me {
            return self.forget(&key);
        }
        if self.routes.len() >= MOST && !self.routes.contains_key(&key) {
            self.refused += 1;
            return;
        }
        let held = Held { route, fresh: true };
        let before = self.routes.insert(key, held);
        if before.is_none_or(|before| before.route != route) {
            self.touch(key.of);
        }
    }

    /// It has gone.
    pub fn forget(&mut self, key: &Key) {
        if self.routes.remove(key).is_some() {
            self.touch(key.of);
        }
    }

    /// All routes there are, as the speaker lists them: those that it has told before and that are not among
    /// them have gone.
    pub fn list(&mut self, all: impl IntoIterator<Item = (Key, Route)>) {
        let mut there = BTreeSet::new();
        for (key, route) in all {
            self.hear(key, route);
            there.insert(key);
        }
        self.let_go(|key, held| held.fresh && !there.contains(key));
    }

    /// Another speaker answers, or the same one that was started anew: it may have to hear first of what we
    /// know.
    pub fn renewed(&mut self, now: Timestamp) {
        self.routes.values_mut().for_each(|held| held.fresh = false);
        self.until = Some(now + STALE);
    }

    /// When what is not fresh goes.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.until
    }

    /// Lets go of what the speaker has not told within its time.
    pub fn expire(&mut self, now: Timestamp) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            self.let_go(|_, held| !held.fresh);
        }
    }

    fn let_go(&mut self, gone: impl Fn(&Key, &Held) -> bool) {
        let mut left = Vec::new();
        self.routes.retain(|key, held| {
            let goes = gone(key, held);
            left.extend(goes.then_some(key.of));
            !goes
        });
        left.into_iter().for_each(|of| self.touch(of));
    }

    /// A route of ours stands there from an earlier process: the address goes on from its number.
    pub fn remember(&mut self, mac: MacAddr, sequence: u32) {
        let before = self.before.entry(mac).or_default();
        *before = sequence.max(*before);
    }

    /// What our nodes have. An address that comes is here from now on, wherever it was before.
    pub fn set_own(&mut self, all: &BTreeMap<MacAddr, BTreeSet<IpAddr>>) {
        self.macs.extend(self.own.keys().filter(|mac| !all.contains_key(mac)));
        self.own.retain(|mac, _| all.contains_key(mac));
        for (mac, ips) in all {
            if let Some(own) = self.own.get_mut(mac) {
                own.ips.clone_from(ips);
                continue;
            }
            let there = self.best(*mac, false).map(|route| route.mobility.sequence);
            let after = there.map(|sequence| sequence.saturating_add(1));
            let sequence = after.max(self.before.remove(mac)).unwrap_or(0);
            self.own.insert(*mac, Own { ips: ips.clone(), sequence, lost: None });
            self.touch(Of::Mac(*mac, None));
        }
        self.before.clear();
    }

    /// The speaker takes no number this low for an address of ours: it knows a higher one, maybe of another
    /// network.
    pub fn raise(&mut self, mac: MacAddr) {
        if let Some(own) = self.own.get_mut(&mac) {
            own.sequence = own.sequence.saturating_mul(2).saturating_add(1);
        }
    }

    /// Something about it may be otherwise.
    fn touch(&mut self, of: Of) {
        match of {
            Of::Floods(_) => self.hosts = true,
            Of::Mac(mac, _) => {
                self.macs.insert(mac);
                self.settle(mac);
            }
        }
    }

    /// Who has an address of ours.
    fn settle(&mut self, mac: MacAddr) {
        let best = self.best(mac, false);
        let Some(own) = self.own.get_mut(&mac) else { return };
        let mobility = Mobility { sticky: false, sequence: own.sequence };
        let ours = Route { vtep: self.me, mobility };
        let winner = best.filter(|other| other.rank() > ours.rank());
        if let (Some(before), None) = (own.lost, winner) {
            // Not everybody may have heard yet that the other has gone.
            own.sequence = before.mobility.sequence.max(own.sequence).saturating_add(1);
        }
        own.lost = winner;
    }

    /// The route that has an address, among other hosts; with `fresh`, what the speaker has told goes
    /// before what it has not told yet.
    fn best(&self, mac: MacAddr, fresh: bool) -> Option<Route> {
        let rank = |held: &&Held| (fresh && held.fresh, held.route.rank());
        self.of(mac).max_by_key(rank).map(|held| held.route)
    }

    fn of(&self, mac: MacAddr) -> impl Iterator<Item = &Held> {
        let last = IpAddr::V6(Ipv6Addr::from(u128::MAX));
        let from = Key { of: Of::Mac(mac, None), rd: [0; 8] };
        let to = Key { of: Of::Mac(mac, Some(last)), rd: [0xff; 8] };
        self.routes.range(from..=to).map(|(_, held)| held)
    }

    /// What may be otherwise than at the last call.
    pub fn take_touched(&mut self) -> Touched {
        let (macs, hosts) = (std::mem::take(&mut self.macs), std::mem::take(&mut self.hosts));
        Touched::Some { macs, hosts }
    }

    /// The end behind which an address is; None for our own.
    #[must_use]
    pub fn whereabouts(&self, mac: MacAddr) -> Option<IpAddr> {
        let route = match self.own.get(&mac) {
            Some(own) => own.lost,
            None => self.best(mac, true),
        };
        route.map(|route| route.vtep.into())
    }

    /// The ends that are sent what is flooded.
    #[must_use]
    pub fn floods(&self) -> BTreeSet<IpAddr> {
        let floods = self.routes.iter().filter(|(key, _)| matches!(key.of, Of::Floods(_)));
        floods.map(|(_, held)| held.route.vtep.into()).collect()
    }

    /// The ends of all other hosts, those that take nothing flooded among them.
    #[must_use]
    pub fn ends(&self) -> BTreeSet<IpAddr> {
        self.routes.values().map(|held| held.route.vtep.into()).collect()
    }

    /// The addresses of other hosts' nodes, by hardware address: where each is, and its IP addresses there.
    #[must_use]
    pub fn others(&self) -> BTreeMap<MacAddr, (IpAddr, BTreeSet<IpAddr>)> {
        let mut all: BTreeMap<_, (IpAddr, BTreeSet<IpAddr>)> = BTreeMap::new();
        for (key, held) in &self.routes {
            let Of::Mac(mac, ip) = key.of else { continue };
            let there = all.get(&mac).map(|(vtep, _)| *vtep);
            let Some(vtep) = there.or_else(|| self.whereabouts(mac)) else { continue };
            let (_, ips) = all.entry(mac).or_insert((vtep, BTreeSet::new()));
            // What another host says that has it no more is no longer so.
            ips.extend(ip.filter(|_| vtep == held.route.vtep));
        }
        all
    }

    /// What we say: each route, and its number.
    #[must_use]
    pub fn said(&self) -> BTreeMap<Of, u32> {
        let mut said: BTreeMap<_, _> = [(Of::Floods(self.me.into()), 0)].into();
        for (mac, own) in self.own.iter().filter(|(_, own)| own.lost.is_none()) {
            if own.ips.is_empty() {
                said.insert(Of::Mac(*mac, None), own.sequence);
            }
            said.extend(own.ips.iter().map(|ip| (Of::Mac(*mac, Some(*ip)), own.sequence)));
        }
        said
    }

    /// Addresses of ours that another host has, and where.
    pub fn lost(&self) -> impl Iterator<Item = (MacAddr, Route)> + '_ {
        self.own.iter().filter_map(|(mac, own)| Some((*mac, own.lost?)))
    }

    /// Routes of other hosts that there was no room for.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests;

//! What is known of a network by a speaker: other hosts' routes, and which of ours the speaker has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use overlay::NodeClaim;
use overlay::evpn::{Heard, Of, Says, Site, Table};
use wire::{MacAddr, Timestamp};

/// A network, as the speaker tells it and as we would have it.
pub(super) struct Known {
    pub(super) site: Site,
    pub(super) table: Table,
    /// What the speaker has of ours, by its number; None where it is marked for another network.
    there: BTreeMap<Of, Option<u32>>,
    /// Our own gateway's address, which every host has for itself.
    gateway: Option<MacAddr>,
    /// Routes that came and went.
    pub(super) heard: i64,
}

impl Known {
    pub(super) fn new(site: Site, gateway: Option<MacAddr>) -> Self {
        let (table, there) = (Table::new(site.vtep), BTreeMap::new());
        Self { site, table, there, gateway, heard: 0 }
    }

    /// What the speaker tells.
    pub(super) fn hear(&mut self, all: Vec<Heard>) {
        for Heard { key, says } in all {
            self.heard += 1;
            if key.rd == self.site.rd() {
                self.hear_own(key.of, says);
                continue;
            }
            let says = says.filter(|says| self.site.takes(says) && !self.is_gateway(key.of));
            match says {
                Some(says) => self.table.hear(key, says.route),
                None => self.table.forget(&key),
            }
        }
    }

    /// Another network of this host, whose number is the same in as many bits as there are, is passed over.
    fn hear_own(&mut self, of: Of, says: Option<Says>) {
        match says {
            None => drop(self.there.remove(&of)),
            Some(says) if says.vni.is_none_or(|vni| vni == self.site.vni) => {
                let number = says.route.mobility.sequence;
                self.there.insert(of, self.site.takes(&says).then_some(number));
            }
            Some(_) => {}
        }
    }

    /// All that the speaker has.
    pub(super) fn list(&mut self, all: Vec<Heard>) {
        self.there.clear();
        let mut others = Vec::new();
        for Heard { key, says } in all {
            let Some(says) = says else { continue };
            self.heard += 1;
            if key.rd == self.site.rd() {
                if let Of::Mac(mac, _) = key.of {
                    self.table.remember(mac, says.route.mobility.sequence);
                }
                self.hear_own(key.of, Some(says));
            } else if self.site.takes(&says) && !self.is_gateway(key.of) {
                others.push((key, says.route));
            }
        }
        self.table.list(others);
    }

    fn is_gateway(&self, of: Of) -> bool {
        matches!(of, Of::Mac(mac, _) if Some(mac) == self.gateway)
    }

    /// Another speaker answers, or the same one anew: it has nothing of ours until it says so.
    pub(super) fn renewed(&mut self, now: Timestamp) {
        self.table.renewed(now);
        self.there.clear();
    }

    /// What our nodes have.
    pub(super) fn set_own(&mut self, claims: &BTreeMap<String, NodeClaim>) {
        let mut own: BTreeMap<MacAddr, BTreeSet<IpAddr>> = BTreeMap::new();
        for claim in claims.values() {
            let mut macs = claim.macs.iter();
            // Which of several has which address is not told.
            if let (Some(mac), None) = (macs.next(), macs.next()) {
                own.entry(*mac).or_default().extend(&claim.ips);
            } else {
                own.extend(claim.macs.iter().map(|mac| (*mac, BTreeSet::new())));
            }
        }
        self.table.set_own(&own);
    }

    /// What is to be said, or said anew by another number; then what is to be taken back: so there is no
    /// moment in which an address is nobody's.
    pub(super) fn due(&self) -> (Vec<(Of, u32)>, Vec<Of>) {
        let said = self.table.said();
        let new = said.iter().filter(|(of, number)| self.there.get(of) != Some(&Some(**number)));
        let new = new.map(|(of, number)| (*of, *number)).collect();
        let gone = self.there.keys().filter(|of| !said.contains_key(of)).copied();
        (new, gone.collect())
    }

    pub(super) fn said(&mut self, of: Of, number: u32) {
        self.there.insert(of, Some(number));
    }

    pub(super) fn took_back(&mut self, of: Of) {
        self.there.remove(&of);
    }

    /// All that the speaker has of ours.
    pub(super) fn all(&self) -> Vec<Of> {
        self.there.keys().copied().collect()
    }

    /// Why each node is to be cut off from other hosts, whose address another one has.
    pub(super) fn taken(&self, claims: &BTreeMap<String, NodeClaim>) -> BTreeMap<String, String> {
        let mut taken = BTreeMap::new();
        for (mac, route) in self.table.lost() {
            let node = claims.values().find(|claim| claim.macs.contains(&mac));
            let (vtep, number) = (route.vtep, route.mobility.sequence);
            let why = format!("{mac} has moved to {vtep}, by sequence number {number}");
            taken.extend(node.map(|claim| (claim.node.clone(), why)));
        }
        taken
    }

    /// An IP address that a node here and one of another host both have, each by a hardware address of its
    /// own: neither was there when the other asked. Both go on, and who is reached by it is chance.
    pub(super) fn conflict(&self, claims: &BTreeMap<String, NodeClaim>) -> Option<String> {
        let all: BTreeMap<_, _> = claims
            .values()
            .flat_map(|claim| claim.ips.iter().map(move |ip| (*ip, claim)))
            .collect();
        self.table.others().into_iter().find_map(|(mac, (vtep, ips))| {
            let (ip, claim) = ips.iter().find_map(|ip| Some((ip, all.get(ip)?)))?;
            let is_other = !claim.macs.contains(&mac);
            is_other.then(|| {
                let node = &claim.node;
                format!(
                    "{ip} is {node}'s here and {mac}'s on host {vtep}: give one of them another"
                )
            })
        })
    }

    /// The ends of all other hosts.
    pub(super) fn ends(&self) -> BTreeSet<IpAddr> {
        self.table.ends()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use overlay::evpn::{Mobility, Route, Target};

    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 10, 100, 1, 1]);
    const GATEWAY: MacAddr = MacAddr([2, 0, 10, 100, 0, 1]);

    fn end(host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 9, 0, host)
    }

    fn site(host: u8) -> Site {
        Site::usual(100, end(host), 65000)
    }

    fn ip() -> IpAddr {
        [10, 100, 1, 1].into()
    }

    fn said(host: u8, of: Of, sequence: u32) -> Heard {
        let route = Route { vtep: end(host), mobility: Mobility { sticky: false, sequence } };
        let targets = vec![Target { asn: 65000, number: 100 }];
        Heard { key: site(host).key(of), says: Some(Says { vni: Some(100), targets, route }) }
    }

    fn node() -> BTreeMap<String, NodeClaim> {
        let (node, ips, macs) = ("n1".into(), [ip()].into(), [MAC].into());
        let claim = NodeClaim { node, ips, macs, tags: None };
        [("n1".to_owned(), claim)].into()
    }

    #[test]
    fn what_the_speaker_lacks_is_said_and_what_nobody_needs_is_taken_back() {
        let mut known = Known::new(site(1), Some(GATEWAY));
        let (own, floods) = (Of::Mac(MAC, Some(ip())), Of::Floods(end(1).into()));
        // Left by an earlier process: its number goes on, and what has no node is taken back.
        let left = Of::Mac(MacAddr([2, 0, 0, 0, 0, 9]), None);
        known.list(vec![said(1, own, 3), said(1, left, 0)]);
        known.set_own(&node());
        assert_eq!(known.due(), (vec![(floods, 0)], vec![left]));
        known.said(floods, 0);
        known.took_back(left);
        assert_eq!(known.due(), (vec![], vec![]));
        // Somebody takes it away by hand.
        known.hear(vec![Heard { says: None, ..said(1, own, 3) }]);
        assert_eq!(known.due().0, [(own, 3)]);
        known.said(own, 3);
        // It moves away: taken back here, and the node is told why.
        known.hear(vec![said(2, own, 4)]);
        assert_eq!(known.due(), (vec![], vec![own]));
        let why = "02:00:0a:64:01:01 has moved to 10.9.0.2, by sequence number 4";
        assert_eq!(known.taken(&node()), [("n1".to_owned(), why.to_owned())].into());
        // A speaker that is started anew has nothing of ours.
        known.renewed(Timestamp::ZERO);
        assert_eq!(known.due(), (vec![(floods, 0)], vec![]));
    }

    #[test]
    fn an_address_that_two_hosts_have_is_told_until_one_of_them_gives_it_up() {
        let mut known = Known::new(site(1), Some(GATEWAY));
        known.set_own(&node());
        assert_eq!(known.conflict(&node()), None);
        let other = Of::Mac(MacAddr([2, 0, 0, 0, 0, 9]), Some(ip()));
        known.hear(vec![said(2, other, 0)]);
        let says = "10.100.1.1 is n1's here and 02:00:00:00:00:09's on host 10.9.0.2: give one of them \
                    another";
        assert_eq!(known.conflict(&node()).as_deref(), Some(says));
        known.hear(vec![Heard { says: None, ..said(2, other, 0) }]);
        assert_eq!(known.conflict(&node()), None);
        // A node that has moved is one node.
        known.hear(vec![said(2, Of::Mac(MAC, Some(ip())), 4)]);
        assert_eq!(known.conflict(&node()), None);
    }

    #[test]
    fn other_networks_and_our_gateway_are_passed_over() {
        let mut known = Known::new(site(1), Some(GATEWAY));
        let of = Of::Mac(MAC, None);
        let mut other = said(2, of, 0);
        if let Some(says) = &mut other.says {
            says.vni = Some(101);
        }
        known.hear(vec![other.clone(), said(2, Of::Mac(GATEWAY, None), 9)]);
        assert!(known.table.others().is_empty() && known.ends().is_empty());
        known.hear(vec![said(2, of, 0)]);
        assert_eq!(known.table.whereabouts(MAC), Some(end(2).into()));
        // One that was ours and is another network's now is none of ours.
        known.hear(vec![other]);
        assert_eq!(known.table.whereabouts(MAC), None);
    }
}

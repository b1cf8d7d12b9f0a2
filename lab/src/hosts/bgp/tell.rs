//! What the lab tells of hosts that BGP tells of. They have no names, and neither have their nodes: hosts
//! are called by their ends of the tunnel, nodes by an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::{Event, Member, Remote, Shared};
use super::known::Known;

/// Other hosts' nodes, by an address that no other one has.
pub(super) fn remotes(known: &Known) -> BTreeMap<String, Remote> {
    let mut others = BTreeMap::new();
    for (mac, (vtep, ips)) in known.table.others() {
        let by_ip = ips.first().map(ToString::to_string);
        let name = by_ip.filter(|name| !others.contains_key(name));
        let (ips, macs) = (ips.into_iter().collect(), vec![mac]);
        let remote = Remote { host: vtep.to_string(), vtep, ips, macs };
        others.insert(name.unwrap_or_else(|| mac.to_string()), remote);
    }
    others
}

/// Tells how things stand, and who has come and gone. True where somebody's addresses are others now.
pub(super) fn tell(shared: &Shared, known: &Known) -> bool {
    let own = shared.join.vtep;
    let mut members: BTreeMap<IpAddr, Vec<String>> =
        known.ends().into_iter().map(|end| (end, Vec::new())).collect();
    members.insert(own, shared.wanted().keys().cloned().collect());
    let others = remotes(known);
    for (name, remote) in &others {
        members.entry(remote.vtep).or_default().push(name.clone());
    }
    let member = |(vtep, nodes): (IpAddr, _)| Member { name: vtep.to_string(), vtep, nodes };
    let members: Vec<_> = members.into_iter().map(member).collect();
    let mut status = shared.status();
    let ends = |all: &[Member]| -> BTreeSet<_> {
        all.iter().map(|member| member.vtep).filter(|vtep| *vtep != own).collect()
    };
    let (before, after) = (ends(&status.members), ends(&members));
    let news = status.others != others;
    status.members = members;
    status.rows = others.len();
    status.others = others;
    status.revision = known.heard;
    drop(status);
    for vtep in before.difference(&after) {
        shared.tell(Event::Went(vtep.to_string()));
    }
    for vtep in after.difference(&before) {
        shared.tell(Event::Came(vtep.to_string(), *vtep));
    }
    news
}

//! What lies behind a tunnel: which host an address is on, as the tunnel's device knows it, and what a
//! registry has told of that host and its nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::AsFd;

use ns::vxlan;
use switch::PortId;
use wire::MacAddr;

use crate::lab::Lab;

/// What lies behind a tunnel at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Far {
    /// The network's number outside.
    pub vni: u32,
    /// The other hosts' ends, and what they are called, where that is known.
    pub ends: BTreeMap<IpAddr, Option<String>>,
    /// The end behind which an address is.
    pub macs: BTreeMap<MacAddr, IpAddr>,
    /// The nodes that addresses belong to, where that is known.
    pub nodes: BTreeMap<MacAddr, String>,
}

impl Lab {
    /// What lies behind each tunnel, by its port.
    #[must_use]
    pub fn far(&self) -> BTreeMap<PortId, Far> {
        let tunnels = self.tunnels();
        if tunnels.is_empty() {
            return BTreeMap::new();
        }
        let remotes = self.remotes();
        let hosts: BTreeMap<u32, BTreeMap<_, _>> = self
            .hosts()
            .into_iter()
            .map(|own| {
                // By BGP hosts have no names but their ends.
                let members = own.status.members.into_iter();
                let members = members.filter(|member| member.name != member.vtep.to_string());
                (own.vni, members.map(|member| (member.vtep, member.name)).collect())
            })
            .collect();
        let far = |tunnel: &super::Tunnel| {
            let rows = self.switch_ns.as_ref().map(|ns| vxlan::rows(ns.as_fd(), tunnel.port.index));
            let rows = rows.and_then(std::result::Result::ok).unwrap_or_default();
            let floods = rows.iter().filter(|row| MacAddr(row.mac) == MacAddr::ZERO);
            let ends: BTreeSet<_> =
                floods.map(|row| row.remote).chain(tunnel.remotes.iter().copied()).collect();
            let macs = rows.iter().map(|row| (MacAddr(row.mac), row.remote));
            let macs = macs.filter(|(mac, _)| *mac != MacAddr::ZERO).collect();
            let own = remotes.iter().filter(|(network, _)| *network == tunnel.network);
            let nodes = own
                .flat_map(|(_, nodes)| nodes)
                .flat_map(|(name, remote)| remote.macs.iter().map(move |mac| (*mac, name.clone())));
            let name_of = |end: &IpAddr| hosts.get(&tunnel.vni)?.get(end).cloned();
            Far {
                vni: tunnel.vni,
                ends: ends.into_iter().map(|end| (end, name_of(&end))).collect(),
                macs,
                nodes: nodes.collect(),
            }
        };
        tunnels.iter().map(|tunnel| (tunnel.port.id, far(tunnel))).collect()
    }
}

impl Far {
    /// The host that an address is on, in words: `h2, 10.9.0.2, VNI 100`; None for one that is not known.
    #[must_use]
    pub fn host_of(&self, mac: MacAddr) -> Option<String> {
        let end = self.macs.get(&mac)?;
        let name = self.ends.get(end).and_then(Option::as_ref);
        let name = name.map_or_else(String::new, |name| format!("{name}, "));
        Some(format!("{name}{end}, VNI {}", self.vni))
    }

    /// All hosts, in words: the first few by name.
    #[must_use]
    pub fn all(&self) -> String {
        const NAMED: usize = 4;
        let word = |(end, name): (&IpAddr, &Option<String>)| match name {
            Some(name) => format!("{name} {end}"),
            None => end.to_string(),
        };
        let mut words: Vec<_> = self.ends.iter().take(NAMED).map(word).collect();
        if self.ends.len() > NAMED {
            words.push(format!("{} more", self.ends.len() - NAMED));
        }
        let words = if words.is_empty() { "no host".into() } else { words.join(", ") };
        format!("{words}, VNI {}", self.vni)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_by_what_is_known_of_them() {
        let [near, mac] = [1, 2].map(MacAddr::from_u64);
        let end = |last| IpAddr::from([10, 9, 0, last]);
        let far = Far {
            vni: 100,
            ends: [(end(2), Some("h2".into())), (end(3), None)].into(),
            macs: [(mac, end(2)), (near, end(3))].into(),
            nodes: [(mac, "n2".into())].into(),
        };
        assert_eq!(far.host_of(mac).as_deref(), Some("h2, 10.9.0.2, VNI 100"));
        assert_eq!(far.host_of(near).as_deref(), Some("10.9.0.3, VNI 100"));
        assert_eq!(far.host_of(MacAddr::BROADCAST), None);
        assert_eq!(far.all(), "h2 10.9.0.2, 10.9.0.3, VNI 100");
        let ends = (1..=9).map(|last| (end(last), None)).collect();
        let many = Far { vni: 5, ends, ..Far::default() };
        assert_eq!(many.all(), "10.9.0.1, 10.9.0.2, 10.9.0.3, 10.9.0.4, 5 more, VNI 5");
    }
}

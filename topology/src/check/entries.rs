//! What a network's tables hold from the start.

use std::net::IpAddr;

use super::{Check, few};
use crate::entries::FdbKind;
use crate::join::Join;
use crate::network::Network;
use crate::spec::MAX_NEIGHBOURS;
use crate::vlan::LAST;

impl Check<'_> {
    pub(super) fn entries(&mut self, name: &str, network: &Network) {
        for (at, entry) in network.fdb.iter().enumerate() {
            let at = at.to_string();
            let path = ["networks", name, "fdb", at.as_str()];
            let mac = entry.mac;
            if mac.is_group() || mac == wire::MacAddr::ZERO {
                self.problem(path, format!("{mac} is no address of one host"));
            }
            match (entry.kind, &entry.node) {
                (FdbKind::Blackhole, None) => {}
                (FdbKind::Blackhole, Some(_)) => {
                    self.problem(path, format!("{mac}: a blackhole leads nowhere: leave node out"));
                }
                (_, None) => self.problem(path, format!("{mac}: say the node it is behind")),
                (_, Some(node)) => match entry.dst {
                    Some(end) => self.far(&path, name, (node, end)),
                    None => self.behind(&path, name, node),
                },
            }
            if entry.dst.is_some() && matches!(entry.kind, FdbKind::Blackhole | FdbKind::Local) {
                self.problem(path, format!("{mac}: what leads nowhere has no dst: leave it out"));
            }
            self.of_vlan(&path, (name, network), (entry.node.as_deref(), entry.vlan));
            // Without a VLAN it is one that may be named beside it.
            let one = |a: Option<u16>, b: Option<u16>| a == b || a.is_none() || b.is_none();
            let same = |other: &crate::FdbEntry| other.mac == mac && one(other.vlan, entry.vlan);
            if network.fdb[..at.parse().unwrap_or(0)].iter().any(same) {
                self.problem(path, format!("{mac} is there already"));
            }
        }
        for (at, entry) in network.mdb.iter().enumerate() {
            let at = at.to_string();
            let path = ["networks", name, "mdb", at.as_str()];
            if network.mcast_snooping != Some(true) {
                let text = "groups go to everybody here: say mcast_snooping: true";
                self.problem(path, text);
            }
            self.behind(&path, name, &entry.node);
            self.of_vlan(&path, (name, network), (Some(&entry.node), entry.vlan));
        }
    }

    /// What is behind a tunnel.
    fn far(&mut self, path: &[&str; 4], network: &str, (port, end): (&str, IpAddr)) {
        let spec = self.spec;
        let first = spec.networks.keys().next().map(String::as_str);
        let joined = match &spec.join {
            Some(Join::Named(tunnel)) => Some(tunnel),
            _ => None,
        };
        let mut all = spec.tunnels.iter().chain(joined);
        let Some(tunnel) = all.find(|own| format!("vxlan{}", own.vni) == port) else {
            self.problem(path, format!("{port} is no tunnel, so nobody there is behind {end}"));
            return;
        };
        if tunnel.network.as_deref().or(first) != Some(network) {
            self.problem(path, format!("{port} has no port in {network}"));
        } else if !tunnel.remotes.contains(&end) {
            let all: Vec<_> = tunnel.remotes.iter().map(ToString::to_string).collect();
            let all = few(all.iter());
            self.problem(path, format!("{end} is no remote end of {port}: {all}"));
        }
    }

    pub(super) fn neighbours(&mut self) {
        let spec = self.spec;
        if spec.neigh.len() > MAX_NEIGHBOURS {
            self.problem(["neigh"], format!("up to {MAX_NEIGHBOURS} neighbours are known by hand"));
        }
        for (ip, mac) in &spec.neigh {
            let path = ["neigh".to_owned(), ip.to_string()];
            if ip.is_multicast() || ip.is_unspecified() || ip.is_loopback() {
                self.problem(&path, format!("{ip} is no address of one host"));
            }
            if mac.is_group() || *mac == wire::MacAddr::ZERO {
                self.problem(&path, format!("{mac} is no address of one host"));
            }
        }
    }

    fn behind(&mut self, path: &[&str; 4], network: &str, node: &str) {
        match self.spec.node(node) {
            Some(own) if own.attachment(network).is_some() => {}
            None if self.spec.joint(node).is_some_and(|own| own.networks.contains(&network)) => {}
            Some(_) => self.problem(path, format!("{node} has no port in {network}")),
            None => {
                let all = few(self.spec.nodes.keys());
                self.problem(path, format!("there is no node {node}: {all}"));
            }
        }
    }

    fn of_vlan(
        &mut self,
        path: &[&str; 4],
        (name, network): (&str, &Network),
        (node, vlan): (Option<&str>, Option<u16>),
    ) {
        let Some(vlan) = vlan else { return };
        let member = |node: &str| match self.spec.port(node, name).vlans {
            None => network.default_pvid() == Some(vlan),
            Some(own) => {
                own.iter().any(|own| (own.vlan..=own.vlan_end.unwrap_or(own.vlan)).contains(&vlan))
            }
        };
        let stranger = node.filter(|node| !member(node)).map(str::to_owned);
        if !network.filters_vlans() {
            self.problem(path, "VLANs are not told apart here: say vlan_filtering: true");
        } else if !(1..=LAST).contains(&vlan) {
            self.problem(path, format!("{vlan} is no VLAN: 1 to {LAST}"));
        } else if let Some(node) = stranger {
            self.problem(path, format!("{node} is no member of VLAN {vlan}: say it at its port"));
        }
    }
}

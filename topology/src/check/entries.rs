//! What a network's tables hold from the start.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

use super::networks::NO_HOSTS;
use super::{Check, few};
use crate::cidr::Subnet;
use crate::entries::FdbKind;
use crate::join::Join;
use crate::network::Network;
use crate::spec::{MAX_NEIGHBOURS, Spec};
use crate::vlan::LAST;

/// The rows there have been, with their VLANs.
struct Seen<T>(HashMap<T, HashSet<Option<u16>>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Seen<T> {
    /// Notes a row; whether there was one before that may be of the same VLAN: without one a row is in all
    /// those of its port.
    fn has(&mut self, row: T, vlan: Option<u16>) -> bool {
        let vlans = self.0.entry(row).or_default();
        let has = vlans.contains(&None) || (vlan.is_none() && !vlans.is_empty());
        !vlans.insert(vlan) || has
    }
}

impl Check<'_> {
    pub(super) fn entries(&mut self, name: &str, network: &Network) {
        let mut seen = Seen::default();
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
            if seen.has(mac, entry.vlan) {
                self.problem(path, format!("{mac} is there already"));
            }
        }
        let mut seen = Seen::default();
        for (at, entry) in network.mdb.iter().enumerate() {
            let at = at.to_string();
            let path = ["networks", name, "mdb", at.as_str()];
            if network.mcast_snooping != Some(true) {
                let text = "groups go to everybody here: say mcast_snooping: true";
                self.problem(path, text);
            }
            self.behind(&path, name, &entry.node);
            self.of_vlan(&path, (name, network), (Some(&entry.node), entry.vlan));
            if seen.has((entry.group, &entry.node), entry.vlan) {
                let (node, group) = (&entry.node, entry.group);
                self.problem(path, format!("{node} is a member of {group} already"));
            }
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
            if let Err(why) = spec.names_neighbour(*ip) {
                self.problem(&path, why);
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
        let Some(vlan) = vlan else {
            let own = node.filter(|_| network.filters_vlans()).map(|node| {
                let own = self.spec.port(node, name).vlans;
                (node, own.map_or(network.default_pvid().is_none(), |own| own.is_empty()))
            });
            if let Some((node, true)) = own {
                self.problem(path, format!("{node} is a member of no VLAN: say one at its port"));
            }
            return;
        };
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

impl Spec {
    /// Whether somebody can have an address by which questions are answered for them. A node's may be named:
    /// its kernel can give it another hardware address than the lab has.
    ///
    /// # Errors
    /// One line, for what is no host's address and for the gateway's.
    pub fn names_neighbour(&self, ip: IpAddr) -> Result<(), String> {
        let no_host = match ip {
            IpAddr::V4(own) => NO_HOSTS
                .iter()
                .any(|(net, length, _)| Subnet::v4(*net, *length).contains(own.into())),
            IpAddr::V6(own) => {
                own.is_multicast()
                    || own.is_unspecified()
                    || own.is_loopback()
                    || own.to_ipv4_mapped().is_some()
            }
        };
        if no_host {
            return Err(format!("{ip} is no address of one host"));
        }
        let mut subnets = self.networks.values().flat_map(Network::all_subnets);
        if let Some(subnet) = subnets.find(|subnet| subnet.contains(ip) && !subnet.is_host(ip)) {
            return Err(format!("{ip} is no host's address in {subnet}"));
        }
        let is_it = |network: &&Network| network.all_gateways().iter().any(|own| own.ip == ip);
        match self.networks.iter().find(|(_, network)| is_it(network)) {
            Some((name, _)) => {
                Err(format!("{ip} is the gateway's in {name}, which is known by its own address"))
            }
            None => Ok(()),
        }
    }
}

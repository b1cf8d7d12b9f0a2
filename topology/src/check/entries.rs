//! What a network's tables hold from the start.

use super::{Check, few};
use crate::entries::FdbKind;
use crate::network::Network;
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
                (_, Some(node)) => self.behind(&path, name, node),
            }
            self.of_vlan(&path, network, entry.vlan);
            let same = |other: &crate::FdbEntry| other.mac == mac && other.vlan == entry.vlan;
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
            self.of_vlan(&path, network, entry.vlan);
        }
    }

    fn behind(&mut self, path: &[&str; 4], network: &str, node: &str) {
        match self.spec.node(node) {
            Some(own) if own.attachment(network).is_some() => {}
            Some(_) => self.problem(path, format!("{node} has no port in {network}")),
            None => {
                let all = few(self.spec.nodes.keys());
                self.problem(path, format!("there is no node {node}: {all}"));
            }
        }
    }

    fn of_vlan(&mut self, path: &[&str; 4], network: &Network, vlan: Option<u16>) {
        let Some(vlan) = vlan else { return };
        if !network.filters_vlans() {
            self.problem(path, "VLANs are not told apart here: say vlan_filtering: true");
        } else if !(1..=LAST).contains(&vlan) {
            self.problem(path, format!("{vlan} is no VLAN: 1 to {LAST}"));
        }
    }
}

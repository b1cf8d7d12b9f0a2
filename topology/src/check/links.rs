//! Wires from node to node.

use super::{Check, few};
use crate::link::Link;

/// Most of them: a mesh of 181 nodes has 16,290.
const MAX_LINKS: usize = 16_384;

impl Check<'_> {
    pub(super) fn links(&mut self) {
        let spec = self.spec;
        if spec.links.len() > MAX_LINKS {
            let count = spec.links.len();
            self.problem(["links"], format!("{count} links: a lab has {MAX_LINKS} at most"));
            return;
        }
        for (at, link) in spec.links.iter().enumerate() {
            self.link(&at.to_string(), link);
        }
    }

    fn link(&mut self, at: &str, link: &Link) {
        let path = ["links", at];
        let [a, b] = &link.endpoints;
        for end in [a, b] {
            if self.spec.nodes.contains_key(&end.node) {
                continue;
            }
            let text = if self.spec.networks.contains_key(&end.node) {
                format!(
                    "{} is a network, and links join nodes: a node of kind router joins networks, \
                     or `routed` of one of them",
                    end.node
                )
            } else {
                format!("there is no node {}: {}", end.node, few(self.spec.nodes.keys()))
            };
            self.problem(path, text);
            return;
        }
        if a.node == b.node {
            let text = format!("both ends are {}'s: a link joins two nodes", a.node);
            self.problem(path, text);
        }
        for end in [a, b] {
            for address in &end.addresses {
                self.placed(&path, *address, &[]);
                self.own_address(&path, address.ip, end.node.clone());
            }
            if let Some(mac) = end.mac {
                self.own_mac(&path, mac, end.node.clone());
            }
        }
        if let Some(mtu) = link.mtu {
            let ipv6 = [a, b].iter().any(|end| end.addresses.iter().any(|own| own.ip.is_ipv6()));
            self.mtu(&["links", at, "mtu"], mtu, ipv6);
        }
    }
}

//! Wires from node to node, and links from network to network.

use super::{Check, few};
use crate::joint::Parts;
use crate::link::{End, Link};
use crate::port::SetPort;

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
        self.rings();
    }

    fn link(&mut self, at: &str, link: &Link) {
        let path = ["links", at];
        let [a, b] = &link.endpoints;
        if self.spec.joins(link) {
            return self.between(at, link);
        }
        for end in [a, b] {
            if self.spec.nodes.contains_key(&end.node) {
                continue;
            }
            let text = if self.spec.networks.contains_key(&end.node) {
                let other = if end == a { &b.node } else { &a.node };
                format!(
                    "{} is a network and {other} is none: a link joins two nodes, or two networks; a \
                     node is attached to one by `network` of its own",
                    end.node
                )
            } else {
                let nodes = few(self.spec.nodes.keys());
                format!("there is no node {}: {nodes}", end.node)
            };
            self.problem(path, text);
            return;
        }
        if a.node == b.node {
            let text = format!("both ends are {}'s: a link joins two nodes", a.node);
            self.problem(path, text);
        }
        for end in [a, b] {
            if self.too_many_addresses(&path, end.addresses.len()) {
                continue;
            }
            for address in &end.addresses {
                self.placed(&path, *address, &[]);
                self.own_address(&path, address.ip, end.node.clone());
            }
            if let Some(mac) = end.mac {
                self.own_mac(&path, mac, end.node.clone());
            }
        }
        let ipv6 = [a, b].iter().any(|end| end.addresses.iter().any(|own| own.ip.is_ipv6()));
        match link.mtu {
            Some(mtu) => self.mtu(&["links", at, "mtu"], mtu, ipv6),
            None if ipv6 => self.mtu(&["mtu"], self.spec.mtu(), true),
            None => {}
        }
    }

    /// A link from network to network.
    fn between(&mut self, at: &str, link: &Link) {
        let path = ["links", at];
        let [a, b] = &link.endpoints;
        if a.node == b.node {
            let text = format!("both ends are in {}: frames would go round for ever", a.node);
            self.problem(path, text);
        }
        for End { node, interface, addresses, mac } in [a, b] {
            let said = [
                ("interface", interface.is_some()),
                ("addresses", !addresses.is_empty()),
                ("mac", mac.is_some()),
            ];
            for (key, _) in said.into_iter().filter(|(_, said)| *said) {
                let text =
                    format!("{node} is a network, whose end of a link has no {key}: leave it out");
                self.problem(path, text);
            }
        }
        if let Some(mtu) = link.mtu {
            let v6 =
                |end: &&End| self.spec.network(&end.node).is_some_and(crate::Network::has_ipv6);
            let ipv6 = [a, b].iter().any(v6);
            self.mtu(&["links", at, "mtu"], mtu, ipv6);
        }
    }

    /// A ring of networks is one in which frames go round for ever, unless one of its links may be shut.
    fn rings(&mut self) {
        let spec = self.spec;
        let mut parts = Parts::default();
        for joint in spec.joints() {
            let [a, b] = joint.networks;
            let protects = |end: &&str| {
                let SetPort { loop_protect, .. } = spec.port(&joint.name, end);
                loop_protect == Some(true)
            };
            if a == b || [a, b].iter().any(protects) || parts.join([a, b]) {
                continue;
            }
            let name = &joint.name;
            let text = format!(
                "{a} and {b} hang together without it, so frames would go round for ever: say \
                 `{name}: {{loop_protect: true}}` under ports, which shuts it where it sees that, or \
                 leave it out"
            );
            self.problem(["links", &joint.place.to_string()], text);
        }
    }
}

//! Nodes: their names, the networks they are attached to, and what was chosen for them there.

use std::collections::HashMap;

use super::{Check, few};
use crate::lab_name::check_node_of;
use crate::node::{Attachment, Node};
use crate::spec::{MAX_ADDRESSES, MAX_INTERFACE_NAME, MAX_NODES};

/// Names that a namespace's interfaces cannot have, or that mean all of them.
const NO_INTERFACE: [&str; 5] = ["lo", "all", "default", ".", ".."];

impl Check<'_> {
    pub(super) fn nodes(&mut self) {
        let spec = self.spec;
        let count = spec.nodes.len();
        // One that is left in an empty network can be given others.
        if count == 0 && spec.networks.is_empty() && !self.growing {
            self.problem(["nodes"], "a lab has at least one node, or a network: say nodes");
        }
        if count > MAX_NODES as usize {
            self.problem(["nodes"], format!("{count} nodes: a lab has {MAX_NODES} at most"));
            return;
        }
        let ports: usize = spec.nodes.values().map(|node| node.networks.len()).sum();
        let ports = ports + 2 * spec.joints().count();
        if ports > MAX_NODES as usize {
            self.problem(
                ["nodes"],
                format!("they take {ports} ports, and the switch has {MAX_NODES}"),
            );
            return;
        }
        let mut named: HashMap<String, &str> = HashMap::new();
        let lab = spec.name.clone().unwrap_or_default();
        for (name, node) in &spec.nodes {
            if let Err(why) = check_node_of(name, &lab) {
                self.problem(["nodes", name], why);
            }
            // Names are looked up whatever their case (RFC 4343).
            if let Some(other) = named.insert(name.to_ascii_lowercase(), name) {
                let text = format!("{name} and {other} differ in case alone, which names do not");
                self.problem(["nodes", name], text);
            }
            self.attachments(name, node);
            self.interfaces(name, node);
            for (at, line) in node.exec.iter().enumerate() {
                if line.trim().is_empty() || line.contains('\0') {
                    let text = "an empty line is no command: leave it out";
                    self.problem(["nodes", name, "exec", &at.to_string()], text);
                }
            }
        }
    }

    fn attachments(&mut self, name: &str, node: &Node) {
        let spec = self.spec;
        for (at, place) in node.networks.iter().enumerate() {
            let path = ["nodes", name, "networks", &place.network];
            let Some(network) = spec.network(&place.network) else {
                let all = few(spec.networks.keys());
                let text = format!("there is no network {}: {all}", place.network);
                self.problem(path, text);
                continue;
            };
            if node.networks[..at].iter().any(|other| other.network == place.network) {
                let text = format!("{name} is in {} twice: once is enough", place.network);
                self.problem(path, text);
                continue;
            }
            let pvid = spec.pvid(name, &place.network);
            let own = place.addresses.as_deref().unwrap_or_default();
            if self.too_many_addresses(&path, own.len()) {
                continue;
            }
            for address in own {
                self.placed(&path, *address, network.subnets_of(pvid));
                self.own_address(&path, address.ip, name.to_owned());
            }
            self.chosen(&path, name, place);
        }
    }

    /// Whether more addresses stand there than an interface has.
    pub(super) fn too_many_addresses(&mut self, path: &[&str], count: usize) -> bool {
        let is_so = count > MAX_ADDRESSES;
        if is_so {
            self.problem(path, format!("{count} addresses: up to {MAX_ADDRESSES}"));
        }
        is_so
    }

    fn chosen(&mut self, path: &[&str], name: &str, place: &Attachment) {
        if let Some(mac) = place.mac {
            self.own_mac(path, mac, name.to_owned());
        }
    }

    /// Names of interfaces, those of links too.
    fn interfaces(&mut self, name: &str, node: &Node) {
        let spec = self.spec;
        let mut seen: HashMap<&str, ()> = HashMap::new();
        let of_networks = node.networks.iter().filter_map(|place| {
            let path = ["nodes", name, "networks", &place.network].map(str::to_owned);
            Some((place.interface.as_deref()?, path.to_vec()))
        });
        let of_links = spec.links.iter().enumerate().flat_map(|(at, link)| {
            let own = link.endpoints.iter().filter(move |end| end.node == name);
            own.filter_map(move |end| {
                Some((end.interface.as_deref()?, vec!["links".to_owned(), at.to_string()]))
            })
        });
        for (interface, path) in of_networks.chain(of_links).collect::<Vec<_>>() {
            if let Some(why) = no_interface(interface) {
                self.problem(&path, why);
            } else if seen.insert(interface, ()).is_some() {
                self.problem(&path, format!("{name} has an interface {interface} already"));
            }
        }
    }
}

/// Why nothing can be an interface's name.
fn no_interface(name: &str) -> Option<String> {
    if name.len() > MAX_INTERFACE_NAME {
        return Some(format!(
            "{name:?} is {} bytes long: an interface's name has {MAX_INTERFACE_NAME} at most",
            name.len()
        ));
    }
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '"' | '\'' | '\\');
    if name.is_empty() || !name.chars().all(plain) || NO_INTERFACE.contains(&name) {
        return Some(format!("{name:?} is no name of an interface: eth1, for one, is"));
    }
    None
}

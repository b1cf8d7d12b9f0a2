//! What ports are called, and whose they are: for the words of captures and walks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gateway::{LegId, Side};
use switch::{Exit, PortId, PortRole, Tagging};
use wire::{MacAddr, VlanId};

use lab::Lab;
use lab::tunnel::Far;

use crate::bridge;

/// How many ports of a flood are named.
const NAMED: usize = 4;

/// The other end of a link between networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// The link's name.
    link: String,
    /// The port there.
    pub(crate) port: PortId,
    /// The network there.
    network: String,
}

/// The ports at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The switch's roster as it was before they were looked up.
    version: u64,
    ports: BTreeMap<PortId, (String, Option<String>)>,
    /// The networks of bridged ports.
    networks: BTreeMap<PortId, String>,
    /// Whether the lab has more than one.
    several: bool,
    /// The networks of the gateway's legs, with the VLAN where they are told apart.
    legs: BTreeMap<LegId, String>,
    pub(crate) uplink: Option<PortId>,
    /// What lies behind tunnels, by their ports.
    pub(crate) far: BTreeMap<PortId, Far>,
    /// The other ends of links between networks, by their ports.
    joints: BTreeMap<PortId, Beyond>,
}

impl Names {
    /// As they are now; empty once the lab has ended.
    pub(crate) fn of(lab: &Lab) -> Self {
        let version = lab.with_switch(|switch| switch.roster().version()).unwrap_or_default();
        let mut names = Self { version, ..Self::default() };
        let nodes = lab.nodes();
        let networks = bridge::networks(lab);
        names.far = lab.far();
        names.joints = joints(lab);
        names.several = networks.len() > 1;
        for (network, domain) in lab.networks() {
            let called = |(vlan, leg): &(VlanId, LegId)| match *vlan {
                VlanId::NONE => (*leg, network.clone()),
                vlan => (*leg, format!("{network} VLAN {}", vlan.get())),
            };
            names.legs.extend(domain.legs.iter().map(called));
        }
        for info in lab.with_switch(switch::Switch::ports).unwrap_or_default() {
            let of = |node: &&lab::Node| node.at(info.id).is_some();
            let node = nodes.iter().find(of).map(|node| node.name.clone());
            let joint = || names.joints.get(&info.id).map(|beyond| beyond.link.clone());
            let node = node.or_else(joint);
            if info.spec.role == PortRole::Routed {
                names.uplink = Some(info.id);
            }
            if let Some(network) = bridge::named(&networks, &info) {
                names.networks.insert(info.id, network);
            }
            names.ports.insert(info.id, (info.spec.name, node));
        }
        names
    }

    /// Names for a lab that is made up.
    #[cfg(test)]
    pub(crate) fn invented(ports: u16, uplink: PortId) -> Self {
        let row = |n: u16| (PortId(n), (format!("veth{n}"), Some(format!("net{n}"))));
        let mut names =
            Self { ports: (0..ports).map(row).collect(), uplink: Some(uplink), ..Self::default() };
        names.ports.insert(uplink, ("uplink".into(), None));
        names
    }

    /// Ports with their nodes and networks, of a lab that is made up.
    #[cfg(test)]
    pub(crate) fn said(rows: &[(u16, &str, &str)]) -> Self {
        let mut names = Self { several: true, ..Self::default() };
        for (id, node, network) in rows {
            names.ports.insert(PortId(*id), (format!("us{id}"), Some((*node).into())));
            names.networks.insert(PortId(*id), (*network).into());
        }
        names
    }

    /// The version of the switch's roster that they are of, at least.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Takes over what ports were called `before` whose numbers nobody has now.
    pub(crate) fn outlive(&mut self, before: Self) {
        let Self { ports, mut networks, mut joints, .. } = before;
        for (id, port) in ports {
            if let Entry::Vacant(place) = self.ports.entry(id) {
                place.insert(port);
                self.networks.extend(networks.remove(&id).map(|network| (id, network)));
                self.joints.extend(joints.remove(&id).map(|joint| (id, joint)));
            }
        }
    }

    /// A port's name.
    pub(crate) fn port(&self, id: PortId) -> String {
        match self.ports.get(&id) {
            _ if id == PortId::LOCAL => "gateway".into(),
            Some((name, _)) => name.clone(),
            None => format!("port number {}", id.0),
        }
    }

    /// A side of the gateway, by its network.
    pub(crate) fn side(&self, side: Side) -> String {
        match side {
            Side::Leg(leg) => self.legs.get(&leg).cloned().unwrap_or_else(|| side.to_string()),
            Side::Uplink => side.to_string(),
        }
    }

    /// The network of a port, where there are several.
    pub(crate) fn network(&self, id: PortId) -> Option<&str> {
        self.networks.get(&id).filter(|_| self.several).map(String::as_str)
    }

    /// The network of a port, however many there are.
    pub(crate) fn home(&self, id: PortId) -> Option<&str> {
        self.networks.get(&id).map(String::as_str)
    }

    /// The ports of a network.
    pub(crate) fn of_network(&self, network: &str) -> Vec<PortId> {
        let here = self.networks.iter().filter(|(_, own)| *own == network);
        here.map(|(id, _)| *id).collect()
    }

    /// The node behind a port.
    pub(crate) fn node(&self, id: PortId) -> Option<&str> {
        self.ports.get(&id).and_then(|(_, node)| node.as_deref())
    }

    /// The port at the other end of a link between networks.
    pub(crate) fn beyond(&self, id: PortId) -> Option<PortId> {
        self.joints.get(&id).map(|beyond| beyond.port)
    }

    /// Who is at the other end of a port: a node, or a network over a link.
    pub(crate) fn neighbour(&self, id: PortId) -> Option<String> {
        match self.joints.get(&id) {
            Some(Beyond { link, network, .. }) => Some(format!("network {network}, over {link}")),
            None => self.node(id).map(str::to_owned),
        }
    }

    /// A port with whose an address there is.
    pub(crate) fn at(&self, id: PortId, mac: MacAddr) -> String {
        let far = self.far.get(&id).and_then(|far| far.nodes.get(&mac));
        far.map_or_else(|| self.whole(id), |node| format!("{} ({node})", self.port(id)))
    }

    /// A port with what is behind it.
    pub(crate) fn whole(&self, id: PortId) -> String {
        match self.node(id) {
            Some(node) => format!("{} ({node})", self.port(id)),
            None => self.port(id),
        }
    }

    /// The ports of several exits, the first few by name, with what becomes of the frame's tag there.
    pub(crate) fn list(&self, exits: &[Exit]) -> String {
        let word = |exit: &Exit| format!("{}{}", self.port(exit.port), retagged(exit.tagging));
        let mut words: Vec<_> = exits.iter().take(NAMED).map(word).collect();
        if exits.len() > NAMED {
            words.push(format!("{} more", exits.len() - NAMED));
        }
        if words.is_empty() { "nobody".into() } else { words.join(", ") }
    }

    /// All ports, with their names and nodes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (PortId, &str, Option<&str>)> {
        self.ports.iter().map(|(id, (name, node))| (*id, name.as_str(), node.as_deref()))
    }

    /// The ports that a word stands for: one by its name, all of a node, or the one of a node in a network
    /// (`NODE:NETWORK`).
    pub(crate) fn find(&self, word: &str) -> Vec<PortId> {
        if let Some((node, network)) = word.split_once(':') {
            let here = self.of_network(network).into_iter();
            return here.filter(|id| self.node(*id) == Some(node)).collect();
        }
        let is =
            |(_, name, node): &(PortId, &str, Option<&str>)| *name == word || *node == Some(word);
        self.all().filter(is).map(|(id, ..)| id).collect()
    }
}

/// What becomes of a frame's tag: the end of a phrase, empty where it leaves as it came.
pub(crate) fn retagged(tagging: Tagging) -> String {
    match tagging {
        Tagging::Keep => String::new(),
        Tagging::Pop => " without its tag".into(),
        Tagging::Set(tag) | Tagging::Push(tag) => format!(" tagged {}", tag.id().get()),
    }
}

fn joints(lab: &Lab) -> BTreeMap<PortId, Beyond> {
    let mut all = BTreeMap::new();
    for joint in lab.joints() {
        for own in &joint.ports {
            let Some((port, network)) = joint.beyond(own.id) else { continue };
            let (link, network) = (joint.name.clone(), network.to_owned());
            all.insert(own.id, Beyond { link, port, network });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_all_its_ports_and_one_of_a_network_by_both_names() {
        let names = Names::said(&[(0, "web", "front"), (1, "web", "back"), (2, "db", "back")]);
        for (word, wanted) in [
            ("web", &[0, 1][..]),
            ("db", &[2]),
            ("us1", &[1]),
            ("web:back", &[1]),
            ("web:front", &[0]),
            ("db:front", &[]),
            ("nobody", &[]),
        ] {
            let wanted: Vec<_> = wanted.iter().copied().map(PortId).collect();
            assert_eq!(names.find(word), wanted, "{word}");
        }
    }

    #[test]
    fn a_port_that_is_gone_keeps_its_name_until_its_number_is_anothers() {
        let before = Names::said(&[(0, "net1", "lan"), (1, "net2", "lan"), (2, "net3", "dmz")]);
        let mut after = Names::said(&[(0, "net1", "dmz"), (2, "web", "lan")]);
        after.outlive(before);
        let told: Vec<_> = (0..3).map(PortId).map(|id| (after.node(id), after.home(id))).collect();
        let wanted = [("net1", "dmz"), ("net2", "lan"), ("web", "lan")];
        assert_eq!(told, wanted.map(|(node, network)| (Some(node), Some(network))));
    }
}

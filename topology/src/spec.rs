//! A lab to be. What is said here is what was asked for; what nobody chose (addresses, names of
//! interfaces) is None or empty, and follows when it is checked.

use std::collections::HashSet;
use std::net::IpAddr;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};
use wire::MacAddr;

use crate::cidr::{Address, Subnet};
use crate::fast_path::FastPath;
use crate::join::{Join, Tunnel};
use crate::lab_name::LabName;
use crate::link::{End, Link};
use crate::nat::{NAT_SESSIONS, NatType};
use crate::network::Network;
use crate::node::{Attachment, Node};
use crate::port::{SetPort, StormLimits};
use crate::publish::{self, Publish};
use crate::ranges;
use crate::shape;
use crate::uplink::{PortBlock, Uplink};

#[cfg(test)]
mod tests;

/// Most networks of a lab.
pub const MAX_NETWORKS: usize = 256;
/// Most subnets of a lab, those of VLANs too.
pub const MAX_SUBNETS: usize = 8192;
/// Most subnets of a network, or of a VLAN that has its own.
pub const MAX_SUBNETS_EACH: usize = 256;
/// Most addresses of a node in a network, and at an end of a link.
pub const MAX_ADDRESSES: usize = 4096;
/// Most nodes of a lab, and most ports of its switch, less one for the uplink.
pub const MAX_NODES: u32 = 4095;
/// Most neighbours that are known by hand.
pub const MAX_NEIGHBOURS: usize = 4096;
/// Longest name of an interface (IFNAMSIZ, less its end).
pub const MAX_INTERFACE_NAME: usize = 15;
/// The largest packet of a link, where nobody says another.
const MTU: u32 = 1500;

/// A lab to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[cfg_attr(any(test, feature = "schema"), schemars(title = "A lab of uswitch"))]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The lab's name; `--name` of the command goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<LabName>,
    /// The largest packet of every link, in bytes (1500); what is said here no tunnel makes less.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "u32"))]
    pub mtu: Option<u32>,
    /// Its networks, by name.
    #[serde(
        default,
        alias = "switches",
        deserialize_with = "networks",
        skip_serializing_if = "IndexMap::is_empty"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "IndexMap<String, Option<Network>>", default)
    )]
    pub networks: IndexMap<String, Network>,
    /// Its nodes, by name; a range such as `h[1-3]` stands for several.
    #[serde(default, deserialize_with = "ranges::map", skip_serializing_if = "IndexMap::is_empty")]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "IndexMap<String, Option<Node>>", default)
    )]
    pub nodes: IndexMap<String, Node>,
    /// Wires from node to node, and links from network to network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What ports are set to: those of a node, `NODE`, or the one in a network, `NODE:NETWORK`; and those of
    /// the first link between networks, `link1`, or its end in one of them, `link1:NETWORK`.
    #[serde(default, deserialize_with = "ranges::map", skip_serializing_if = "IndexMap::is_empty")]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "IndexMap<String, SetPort>", default)
    )]
    pub ports: IndexMap<String, SetPort>,
    /// What lies behind the gateway: `sim`, `none`, `auto`, or an interface; without it `sim`, where
    /// the gateway serves a network that is not internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Uplink>,
    /// The ports the NAT has for its own on an interface of the host (20000-29999).
    #[serde(default, skip_serializing_if = "PortBlock::is_default")]
    pub uplink_ports: PortBlock,
    /// How the NAT maps and filters.
    #[serde(default, skip_serializing_if = "NatType::is_default")]
    pub nat: NatType,
    /// How many sessions the NAT has room for, of TCP, of UDP and of echoes each (65536): 1024 to 1048576.
    #[serde(default = "nat_sessions", skip_serializing_if = "is_nat_sessions")]
    pub nat_sessions: u32,
    /// Whether the kernel repeats what the switch has decided, by BPF programs: `on`, `off`, or `auto`, where
    /// it can be had; `--fast-path` of the command goes before it.
    #[serde(default, skip_serializing_if = "FastPath::is_default")]
    pub fast_path: FastPath,
    /// Ports of the uplink that lead to nodes: `[ADDR:]PORT:NODE:PORT[/udp]`.
    #[serde(default, with = "publish::list", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Vec<publish::Forms>", default))]
    pub publish: Vec<Publish>,
    /// Whoever the switch answers for at ports that suppress questions (`neigh_suppress`), beside the
    /// lab's nodes: hardware addresses by addresses of IPv4 and IPv6.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "IndexMap<String, String>", default)
    )]
    pub neigh: IndexMap<IpAddr, MacAddr>,
    /// Other hosts that a network of the lab reaches: `vtep://ADDRESS[,ADDRESS…]?vni=N`,
    /// `etcd://ADDRESS[:PORT][,…]/NET` or `bgp://ADDRESS[:PORT]/NET?vni=N`; `--join` of the command
    /// goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<String>", default))]
    pub join: Option<Join>,
    /// Tunnels to hosts that are named, beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<Tunnel>,
    /// Most frames a second of each kind that each port may have flooded.
    #[serde(default, skip_serializing_if = "StormLimits::is_none")]
    pub storm: StormLimits,
}

/// Networks by name; `lan:` with nothing behind it says nothing more.
fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<IndexMap<String, Network>, D::Error> {
    let all = IndexMap::<String, Option<Network>>::deserialize(from)?;
    Ok(all.into_iter().map(|(name, network)| (name, network.unwrap_or_default())).collect())
}

/// What stands there; nothing behind its word says nothing.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    u32::deserialize(from).map(Some)
}

fn nat_sessions() -> u32 {
    NAT_SESSIONS
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_nat_sessions(count: &u32) -> bool {
    *count == NAT_SESSIONS
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            name: None,
            mtu: None,
            networks: IndexMap::new(),
            nodes: IndexMap::new(),
            links: Vec::new(),
            ports: IndexMap::new(),
            uplink: None,
            uplink_ports: PortBlock::default(),
            nat: NatType::default(),
            nat_sessions: NAT_SESSIONS,
            fast_path: FastPath::default(),
            publish: Vec::new(),
            neigh: IndexMap::new(),
            join: None,
            tunnels: Vec::new(),
            storm: StormLimits::default(),
        }
    }
}

impl Spec {
    /// A node, by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// A network, by its name.
    #[must_use]
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.get(name)
    }

    /// Whether it takes a switch: somebody is, or can be, attached to a network.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        !self.networks.is_empty()
    }

    /// Whether the gateway has a leg anywhere.
    #[must_use]
    pub fn has_gateway(&self) -> bool {
        self.networks.values().any(|network| !network.all_gateways().is_empty())
    }

    /// The gateway's addresses in a network.
    #[must_use]
    pub fn gateways(&self, network: &str) -> Vec<Address> {
        self.network(network).map(Network::gateways).unwrap_or_default()
    }

    /// What lies behind the gateway: what was said, or the simulated internet where the gateway
    /// serves a network that is not internal.
    #[must_use]
    pub fn uplink(&self) -> Uplink {
        let leaves = |network: &Network| !network.internal && !network.all_gateways().is_empty();
        match &self.uplink {
            Some(uplink) => uplink.clone(),
            None if self.networks.values().any(leaves) => Uplink::Sim,
            None => Uplink::None,
        }
    }

    /// The largest packet of links that have none of their own.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        self.mtu.unwrap_or(MTU)
    }

    /// The largest packet of a network's links.
    #[must_use]
    pub fn mtu_of(&self, network: &str) -> u32 {
        self.network(network).and_then(|network| network.mtu).unwrap_or_else(|| self.mtu())
    }

    /// Whether the gateway forwards between two networks: one of them says so.
    #[must_use]
    pub fn routes_between(&self, one: &str, other: &str) -> bool {
        let says = |from: &str, to: &str| {
            self.network(from).is_some_and(|network| network.routed.iter().any(|name| name == to))
        };
        one == other || says(one, other) || says(other, one)
    }

    /// What was said of a node's port in a network: for all its ports, then for this one.
    #[must_use]
    pub fn port(&self, node: &str, network: &str) -> SetPort {
        let of_node = self.ports.get(node).cloned().unwrap_or_default();
        match self.ports.get(&format!("{node}:{network}")) {
            Some(own) => of_node.overlaid(own),
            None => of_node,
        }
    }

    /// The VLAN that frames of a node's port without a tag belong to; None where its network does
    /// not tell VLANs apart, and where it is in none without tags.
    #[must_use]
    pub fn pvid(&self, node: &str, network: &str) -> Option<u16> {
        let own = self.network(network).filter(|network| network.filters_vlans())?;
        match self.port(node, network).vlans {
            None => own.default_pvid(),
            Some(vlans) => vlans.iter().rev().find(|vlan| vlan.pvid).map(|vlan| vlan.vlan),
        }
    }

    /// Whether what a node sends without a tag is taken up, and what is answered comes without one.
    #[must_use]
    pub fn speaks_untagged(&self, node: &str, network: &str) -> bool {
        if !self.network(network).is_some_and(Network::filters_vlans) {
            return true;
        }
        match self.port(node, network).vlans {
            None => self.pvid(node, network).is_some(),
            Some(vlans) => {
                let own = vlans.iter().rev().find(|vlan| vlan.pvid);
                own.is_some_and(|vlan| vlan.untagged)
            }
        }
    }

    /// The nodes attached to a network, with their places in it.
    pub fn members<'a>(
        &'a self,
        network: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Attachment)> + 'a {
        self.nodes
            .iter()
            .filter_map(move |(name, node)| Some((name.as_str(), node.attachment(network)?)))
    }

    /// The ends of links at a node.
    pub fn ends<'a>(&'a self, node: &'a str) -> impl Iterator<Item = (&'a Link, &'a End)> + 'a {
        let ends = |link: &'a Link| link.endpoints.iter().map(move |end| (link, end));
        self.links.iter().flat_map(ends).filter(move |(_, end)| end.node == node)
    }

    /// Every address that was chosen: nodes', ends of links', the gateway's.
    #[must_use]
    pub fn chosen(&self) -> HashSet<IpAddr> {
        let of_nodes = self.nodes.values().flat_map(|node| &node.networks);
        let of_nodes = of_nodes.filter_map(|place| place.addresses.as_deref()).flatten();
        let of_links = self.links.iter().flat_map(|link| &link.endpoints);
        let of_links = of_links.flat_map(|end| &end.addresses);
        let all = of_nodes.chain(of_links).map(|address| address.ip);
        let gateways = self.networks.values().flat_map(Network::all_gateways);
        all.chain(gateways.map(|address| address.ip)).collect()
    }

    /// The next address of a subnet that nobody has chosen, and nobody of another host (`others`). In the
    /// shapes' subnet the order is the walkthrough's.
    #[must_use]
    pub fn next_free(&self, subnet: Subnet, others: &HashSet<IpAddr>) -> Option<IpAddr> {
        let chosen = self.chosen();
        free(subnet, |address| chosen.contains(&address) || others.contains(&address))
    }

    /// The lowest `netN` that no node is called.
    #[must_use]
    pub fn next_name(&self) -> String {
        let mut number = 1;
        while self.nodes.contains_key(&format!("net{number}")) {
            number += 1;
        }
        format!("net{number}")
    }
}

/// The next address of a subnet that is not taken.
pub(crate) fn free(subnet: Subnet, mut taken: impl FnMut(IpAddr) -> bool) -> Option<IpAddr> {
    match shape::order(subnet) {
        Some(mut order) => order.find(|address| !taken(*address)),
        None => subnet.next_free(taken),
    }
}

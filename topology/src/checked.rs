//! A lab to be without contradictions, and with all that follows from what was said: each interface
//! has its name, its addresses and its hardware address, each port its settings, each route an
//! address it leads by. What makes labs starts from here.

use std::net::IpAddr;

use wire::MacAddr;

use crate::cidr::{Address, Subnet};
use crate::network::Network;
use crate::node::{Attachment, Kind, Node};
use crate::port::SetPort;
use crate::spec::Spec;
use crate::uplink::Uplink;

/// A lab to be, checked; made by [`Spec::check`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub(crate) spec: Spec,
    pub(crate) nodes: Vec<CheckedNode>,
    pub(crate) uplink: Uplink,
}

/// A node, with all that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedNode {
    /// Its number, from 1: its place in the spec.
    pub number: u32,
    /// Its name, without the lab's prefix.
    pub name: String,
    /// A host, or a router.
    pub kind: Kind,
    /// Its interfaces: those at ports of the switch, in the order of its networks, then those of
    /// links.
    pub interfaces: Vec<CheckedInterface>,
    /// Its routes, the default ones among them.
    pub routes: Vec<CheckedRoute>,
    /// Lines for a shell inside it.
    pub exec: Vec<String>,
}

/// An interface of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedInterface {
    /// Its name in the node.
    pub name: String,
    /// What it is joined to.
    pub place: Place,
    /// Its addresses, each with a prefix length.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Its hardware address.
    pub mac: MacAddr,
    /// Its largest packet, in bytes.
    pub mtu: u32,
}

/// What an interface is joined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A port of the switch.
    Port {
        /// The port's network.
        network: String,
        /// What the port is set to, where that is not the default.
        settings: Box<SetPort>,
    },
    /// An end of a link.
    Link {
        /// The link, by its place in [`Spec::links`].
        link: usize,
        /// Which of its ends: 0 or 1.
        end: usize,
    },
}

/// A route with the address it leads by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedRoute {
    /// Where it leads; None for the default of the next hop's family.
    pub to: Option<Subnet>,
    /// The next hop.
    pub via: IpAddr,
    /// The interface it leads out of, by its place in [`CheckedNode::interfaces`].
    pub interface: usize,
}

impl CheckedInterface {
    /// Its first address of IPv4.
    #[must_use]
    pub fn ipv4(&self) -> Option<IpAddr> {
        self.addresses.iter().map(|(ip, _)| *ip).find(IpAddr::is_ipv4)
    }

    /// Whether it has this address.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == ip)
    }

    /// Whether an address lies in a subnet of its own.
    #[must_use]
    pub fn is_beside(&self, ip: IpAddr) -> bool {
        let beside = |(own, prefix): &(IpAddr, u8)| {
            Subnet::of(*own, *prefix).is_some_and(|subnet| subnet.contains(ip))
        };
        self.addresses.iter().any(beside)
    }

    /// The network of its port.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match &self.place {
            Place::Port { network, .. } => Some(network),
            Place::Link { .. } => None,
        }
    }
}

impl Checked {
    /// What was asked for.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The nodes, in the order of the spec.
    #[must_use]
    pub fn nodes(&self) -> &[CheckedNode] {
        &self.nodes
    }

    /// A node, by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&CheckedNode> {
        let at = self.spec.nodes.get_index_of(name)?;
        self.nodes.get(at)
    }

    /// The networks, in the order of the spec.
    pub fn networks(&self) -> impl Iterator<Item = (&str, &Network)> {
        self.spec.networks.iter().map(|(name, network)| (name.as_str(), network))
    }

    /// What lies behind the gateway.
    #[must_use]
    pub fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// How many ports the switch needs, for nodes and for links between networks.
    #[must_use]
    pub fn ports(&self) -> usize {
        let of_nodes: usize = self.spec.nodes.values().map(|node| node.networks.len()).sum();
        of_nodes + 2 * self.spec.joints().count()
    }

    /// The same lab with nothing left to choose: what follows from it does not change when a node
    /// comes or goes. A running lab keeps this one.
    #[must_use]
    pub fn spelled_out(&self) -> Spec {
        let mut spec = self.spec.clone();
        spec.uplink = Some(self.uplink.clone());
        for (node, own) in spec.nodes.values_mut().zip(&self.nodes) {
            own.spell_out(node);
            for interface in &own.interfaces {
                let Place::Link { link, end } = interface.place else { continue };
                if let Some(link) = spec.links.get_mut(link) {
                    link.endpoints[end].interface = Some(interface.name.clone());
                    link.endpoints[end].mac = Some(interface.mac);
                }
            }
        }
        spec
    }
}

impl CheckedNode {
    /// The interface it has in a network.
    #[must_use]
    pub fn in_network(&self, network: &str) -> Option<&CheckedInterface> {
        self.interfaces.iter().find(|interface| interface.network() == Some(network))
    }

    fn spell_out(&self, node: &mut Node) {
        for (place, interface) in node.networks.iter_mut().zip(&self.interfaces) {
            let addresses = interface.addresses.iter();
            *place = Attachment {
                network: place.network.clone(),
                addresses: Some(
                    addresses
                        .map(|(ip, prefix)| Address { ip: *ip, prefix: Some(*prefix) })
                        .collect(),
                ),
                mac: Some(interface.mac),
                interface: Some(interface.name.clone()),
            };
        }
    }
}

//! A node and its interfaces: as planned, and as it runs. Plain values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::topology::Address;
use switch::PortId;
use wire::MacAddr;

use crate::blueprint::NodePlan;
use crate::config::LabConfig;

/// One interface of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the node.
    pub name: String,
    /// The network it is attached to; None for the end of a link to another node, and where its port
    /// is in no network.
    pub network: Option<String>,
    /// Its addresses, each with its prefix length.
    pub addresses: Vec<Address>,
    /// Its hardware address.
    pub mac: MacAddr,
    /// The port of the switch at its other end; None for a link, and once the port is gone.
    pub port: Option<Plug>,
    /// Who is asked for the node what the lab does not know; empty for the host's resolvers.
    pub servers: Vec<IpAddr>,
    /// What the node is called in its network, beside its own name, by those who ask for names.
    pub names: Vec<String>,
}

/// The switch's end of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plug {
    /// Its number; [`PortId::LOCAL`] until it is plugged in.
    pub id: PortId,
    /// The interface's name in the switch's namespace.
    pub name: String,
    /// Its index there.
    pub index: u32,
}

impl Interface {
    /// Its first address of IPv4, with the prefix length.
    #[must_use]
    pub fn ipv4(&self) -> Option<(Ipv4Addr, u8)> {
        self.addresses.iter().find_map(|address| match address.ip {
            IpAddr::V4(own) => Some((own, address.prefix.unwrap_or(32))),
            IpAddr::V6(_) => None,
        })
    }

    /// The address that its node's kernel gives it by itself.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        self.mac.to_link_local()
    }

    /// Whether it has this address.
    #[must_use]
    pub fn has(&self, address: impl Into<IpAddr>) -> bool {
        let address = address.into();
        self.addresses.iter().any(|own| own.ip == address)
    }
}

/// A node of the running lab.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its number, from 1.
    pub number: u32,
    /// Its name, without the lab's prefix.
    pub name: String,
    /// Its namespace's name.
    pub file: String,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
}

impl Node {
    /// The address it is known by: its first of IPv4.
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.interfaces.iter().find_map(Interface::ipv4).map(|(address, _)| address)
    }

    /// The interface that has an address.
    #[must_use]
    pub fn interface(&self, address: impl Into<IpAddr>) -> Option<&Interface> {
        let address = address.into();
        self.interfaces.iter().find(|interface| interface.has(address))
    }

    /// Its ports of the switch.
    pub fn ports(&self) -> impl Iterator<Item = &Plug> {
        self.interfaces.iter().filter_map(|interface| interface.port.as_ref())
    }

    /// The interface at a port of the switch.
    #[must_use]
    pub fn at(&self, port: PortId) -> Option<&Interface> {
        let is = |interface: &&Interface| interface.port.as_ref().is_some_and(|p| p.id == port);
        self.interfaces.iter().find(is)
    }

    /// Whether it is called so, with or without the lab's prefix.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.file == name
    }
}

/// A node as it runs, its ports plugged in under these numbers.
pub(crate) fn running(config: &LabConfig, node: &NodePlan, ids: &[Option<PortId>]) -> Node {
    let mut interfaces: Vec<Interface> = node.interfaces.clone();
    for (interface, id) in interfaces.iter_mut().zip(ids) {
        if let (Some(port), Some(id)) = (&mut interface.port, id) {
            port.id = *id;
        }
    }
    Node {
        number: node.number,
        name: node.name.clone(),
        file: format!("{}{}", config.prefix(), node.name),
        interfaces,
    }
}

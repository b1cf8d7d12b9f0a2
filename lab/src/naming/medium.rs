//! What joins nodes, as the names see it: who is in the same one knows each other by the addresses
//! there, and who asks the gateway asks it where it is in that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::topology::{Address, Spec};
use names::{Network, NetworkId, Subnet};

use super::Naming;
use crate::node::Interface;

/// What joins nodes: each is a network to the names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Medium {
    /// A network of the lab's, by its name.
    Network(String),
    /// A VLAN of a network that has subnets of its own: the gateway keeps it apart from the rest.
    Vlan(String, u16),
    /// A link between two nodes, by its subnet.
    Link(Subnet),
}

/// A network as it is to the names: itself, and each VLAN that has subnets of its own; with the
/// subnets and the gateway's addresses there.
pub(super) fn media(spec: &Spec, name: &str) -> Vec<(Medium, Vec<Subnet>, Vec<IpAddr>)> {
    let Some(network) = spec.network(name) else { return Vec::new() };
    let own = (Medium::Network(name.to_owned()), &network.subnets, network.gateways());
    let filters = network.filters_vlans();
    let vlans = network.vlans.iter().map(|(number, vlan)| {
        let gateway = if filters { network.gateways_of(Some(*number)) } else { Vec::new() };
        (Medium::Vlan(name.to_owned(), *number), &vlan.subnets, gateway)
    });
    let known = |(medium, subnets, gateway): (Medium, &Vec<::topology::Subnet>, Vec<Address>)| {
        let subnets = subnets.iter();
        let subnets = subnets.map(|s| Subnet { address: s.network(), length: s.prefix() });
        let gateway = gateway.into_iter().map(|address| address.ip);
        (medium, subnets.collect(), gateway.collect())
    };
    std::iter::once(own).chain(vlans).map(known).collect()
}

impl Naming {
    /// The number of what joins nodes; a new one is never one that was used.
    pub(super) fn number(&mut self, medium: Medium) -> NetworkId {
        *self.numbers.entry(medium).or_insert_with(|| {
            self.next += 1;
            NetworkId(self.next)
        })
    }

    /// What an interface is joined to.
    pub(super) fn joined(&mut self, interface: &Interface) -> Option<NetworkId> {
        if let Some(name) = &interface.network {
            let vlan = self.vlan_of(name, interface);
            return Some(vlan.unwrap_or_else(|| self.number(Medium::Network(name.clone()))));
        }
        if interface.port.is_some() {
            // A port in no network leads to nobody.
            return None;
        }
        let first = interface.addresses.first()?;
        let subnet = subnet(first.ip, first.prefix.unwrap_or(u8::MAX));
        let id = self.number(Medium::Link(subnet));
        let network = Network { subnets: vec![subnet], ..Network::default() };
        self.change(|zone| zone.set_network(id, network.clone()));
        Some(id)
    }

    /// The VLAN of a network that an interface is in: the one its addresses are of.
    fn vlan_of(&self, network: &str, interface: &Interface) -> Option<NetworkId> {
        let first = Medium::Vlan(network.to_owned(), 0);
        let last = Medium::Vlan(network.to_owned(), u16::MAX);
        let mut vlans = self.numbers.range(first..=last).map(|(_, id)| *id);
        vlans.find(|id| {
            let subnets = self.zone.network(*id).map(|network| network.subnets.as_slice());
            let home = |ip| subnets.unwrap_or_default().iter().any(|subnet| subnet.contains(ip));
            interface.addresses.iter().any(|address| home(address.ip))
        })
    }
}

fn subnet(address: IpAddr, prefix: u8) -> Subnet {
    let (address, bits): (IpAddr, u8) = match address {
        IpAddr::V4(own) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            (Ipv4Addr::from_bits(own.to_bits() & mask).into(), 32)
        }
        IpAddr::V6(own) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            (Ipv6Addr::from_bits(own.to_bits() & mask).into(), 128)
        }
    };
    Subnet { address, length: prefix.min(bits) }
}

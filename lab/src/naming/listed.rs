//! The names as a list, for those who look at a running lab.

use std::net::IpAddr;

use names::{GATEWAY, Host, NetworkId, Place};

use super::{Medium, Naming};
use crate::lab::Lab;

/// A name of the lab's, with its addresses in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What else it is called.
    pub aliases: Vec<String>,
    /// Whose it is.
    pub whose: Whose,
    /// The network the addresses are in; None on a link, and beyond the gateway.
    pub network: Option<String>,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

/// Whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// The gateway's.
    Gateway,
    /// A node's.
    Node,
    /// Somebody's beyond the gateway.
    Beyond,
}

impl Naming {
    /// The names, network by network in the order of their addresses.
    fn listed(&self) -> Vec<Named> {
        let mut all = Vec::new();
        for id in self.zone.networks() {
            let addresses = self.zone.network(id).map(|net| net.gateway.clone());
            let addresses = addresses.unwrap_or_default();
            let named = Named {
                name: GATEWAY.into(),
                aliases: Vec::new(),
                whose: Whose::Gateway,
                network: self.name_of(id),
                addresses,
            };
            all.push(((Whose::Gateway, Some(id)), named));
        }
        for host in self.zone.hosts() {
            let mut places: Vec<_> = host.places.iter().map(at).collect();
            places.dedup();
            for place in places {
                let addresses = host.places.iter().filter(|other| at(other) == place);
                let named = Named {
                    name: host.name.clone(),
                    aliases: self.aliases(host, place.1),
                    whose: place.0,
                    network: place.1.and_then(|id| self.name_of(id)),
                    addresses: addresses.map(Place::address).collect(),
                };
                all.push((place, named));
            }
        }
        all.retain(|(_, named)| !named.addresses.is_empty());
        all.sort_by_key(|(place, named)| (place.1.is_none(), place.1, place.0, named.first()));
        all.into_iter().map(|(_, named)| named).collect()
    }

    /// What else a host is called in a network.
    fn aliases(&self, host: &Host, network: Option<NetworkId>) -> Vec<String> {
        let here = network.map(|id| self.zone.names_in(&host.name, id)).unwrap_or_default();
        host.aliases.iter().chain(here).cloned().collect()
    }

    fn name_of(&self, id: NetworkId) -> Option<String> {
        self.numbers.iter().find(|(_, other)| **other == id).and_then(|(medium, _)| match medium {
            Medium::Network(name) | Medium::Vlan(name, _) => Some(name.clone()),
            Medium::Link(_) => None,
        })
    }
}

/// Whose place it is, and in which network.
fn at(place: &Place) -> (Whose, Option<NetworkId>) {
    match place {
        Place::In(id, _) => (Whose::Node, Some(*id)),
        Place::Beyond(_) => (Whose::Beyond, None),
    }
}

impl Named {
    fn first(&self) -> Option<IpAddr> {
        self.addresses.first().copied()
    }
}

impl Lab {
    /// The lab's domain, and the names in it.
    #[must_use]
    pub fn names(&self) -> (String, Vec<Named>) {
        let state = self.state();
        (state.naming.zone.domain().to_owned(), state.naming.listed())
    }
}

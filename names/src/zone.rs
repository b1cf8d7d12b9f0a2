//! What has a name: nodes with their addresses, network by network, and who may see whom.
//!
//! The lab puts nodes in and takes them out; the resolver and the hosts files look up. Names are
//! compared without case. Where a node is in several networks, whoever asks is told the addresses
//! in the network he shares with it, and only where there is none the others he can reach. A node
//! he cannot reach is not there for him.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use crate::subnet::Subnet;

/// A network's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u32);

/// What the names know of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The gateway's addresses there.
    pub gateway: Vec<IpAddr>,
    /// Its subnets: their reverse names are answered here.
    pub subnets: Vec<Subnet>,
    /// The other networks that its nodes may reach.
    pub reaches: BTreeSet<NetworkId>,
    /// Whether its nodes may reach what lies beyond the gateway.
    pub beyond: bool,
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a network.
    In(NetworkId, IpAddr),
    /// Beyond the gateway.
    Beyond(IpAddr),
}

/// Something that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name. No two have the same.
    pub name: String,
    /// What else it is called.
    pub aliases: Vec<String>,
    /// Its addresses.
    pub places: Vec<Place>,
}

/// What a name stands for, for one who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// The lab's own domain, which is no host.
    Domain,
    /// Nothing, and nobody else is to be asked: the name would be the lab's.
    NotHere,
    /// Nothing the lab knows about.
    Elsewhere,
}

/// The gateway's own name, in each network.
pub const GATEWAY: &str = "gateway";
/// Every host's name for itself (RFC 6761 section 6.3).
const LOCALHOST: &str = "localhost";

/// All the names of a lab.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    domain: String,
    networks: BTreeMap<NetworkId, Network>,
    hosts: BTreeMap<String, Host>,
    /// In lower case: the hosts that are called so.
    called: HashMap<String, BTreeSet<String>>,
    at: HashMap<IpAddr, BTreeSet<String>>,
    /// By host: whom it has asked in each network, where that is not whom all ask.
    servers: HashMap<String, BTreeMap<NetworkId, Vec<IpAddr>>>,
}

impl Zone {
    /// No names yet, below `domain` (which is the lab's name).
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_ascii_lowercase(), ..Self::default() }
    }

    /// The domain, in lower case, without a dot at its end.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Adds a network, or changes it.
    pub fn set_network(&mut self, id: NetworkId, network: Network) {
        self.networks.insert(id, network);
    }

    /// Takes a network out. What was there stays known to the networks that reach it.
    pub fn remove_network(&mut self, id: NetworkId) {
        self.networks.remove(&id);
    }

    /// A network.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<&Network> {
        self.networks.get(&id)
    }

    /// The networks' numbers.
    pub fn networks(&self) -> impl Iterator<Item = NetworkId> + '_ {
        self.networks.keys().copied()
    }

    /// Adds a host, or puts it in the place of the one with its name.
    pub fn put(&mut self, host: Host) {
        self.remove(&host.name);
        for name in host.aliases.iter().chain([&host.name]) {
            let called = self.called.entry(name.to_ascii_lowercase()).or_default();
            called.insert(host.name.clone());
        }
        for place in &host.places {
            self.at.entry(place.address()).or_default().insert(host.name.clone());
        }
        self.hosts.insert(host.name.clone(), host);
    }

    /// Takes a host out, by its name.
    pub fn remove(&mut self, name: &str) {
        let Some(host) = self.hosts.remove(name) else { return };
        self.servers.remove(name);
        for called in host.aliases.iter().chain([&host.name]) {
            let key = called.to_ascii_lowercase();
            if let Some(names) = self.called.get_mut(&key) {
                names.remove(name);
                if names.is_empty() {
                    self.called.remove(&key);
                }
            }
        }
        for place in &host.places {
            if let Some(names) = self.at.get_mut(&place.address()) {
                names.remove(name);
                if names.is_empty() {
                    self.at.remove(&place.address());
                }
            }
        }
    }

    /// Who is asked for a host what is not known here, by the network that it asks in. None for one that
    /// is not there, or is put in anew.
    pub fn set_servers(&mut self, name: &str, servers: BTreeMap<NetworkId, Vec<IpAddr>>) {
        if self.hosts.contains_key(name) && !servers.is_empty() {
            self.servers.insert(name.to_owned(), servers);
        }
    }

    /// Who is asked what is not known here, for the host that asks in a network by this address; empty
    /// for whom all ask.
    #[must_use]
    pub fn servers(&self, from: NetworkId, address: IpAddr) -> &[IpAddr] {
        let hosts = self.at.get(&address).into_iter().flatten();
        let of = |name: &String| {
            let is = |place: &Place| *place == Place::In(from, address);
            let here = self.hosts.get(name)?.places.iter().any(is);
            self.servers.get(name).filter(|_| here)?.get(&from)
        };
        let mut servers = hosts.filter_map(of);
        servers.next().map_or(&[], Vec::as_slice)
    }

    /// A host, by its name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// The hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// What `name` (in any case, without a dot at its end) stands for in a network.
    #[must_use]
    pub fn find(&self, name: &str, from: NetworkId) -> Found {
        self.find_in_turn(name, from, 0)
    }

    /// The same; of several that are called so another one comes first in each turn.
    #[must_use]
    pub fn find_in_turn(&self, name: &str, from: NetworkId, turn: u16) -> Found {
        let name = name.to_ascii_lowercase();
        let within = name.strip_suffix(&self.domain).and_then(|head| head.strip_suffix('.'));
        // A host may be called like the domain, or like a name in it.
        let known = self.called.contains_key(&name);
        for short in [Some(name.as_str()), within].into_iter().flatten() {
            let addresses = self.addresses(short, from, turn);
            if !addresses.is_empty() {
                return Found::Addresses(addresses);
            }
        }
        match () {
            () if name == self.domain => Found::Domain,
            () if known || within.is_some() || name == GATEWAY => Found::NotHere,
            () => Found::Elsewhere,
        }
    }

    fn addresses(&self, name: &str, from: NetworkId, turn: u16) -> Vec<IpAddr> {
        if name == LOCALHOST || name.ends_with(".localhost") {
            return vec![
                std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::Ipv6Addr::LOCALHOST.into(),
            ];
        }
        if name == GATEWAY {
            return self.networks.get(&from).map_or_else(Vec::new, |net| net.gateway.clone());
        }
        let hosts = self.called.get(name).into_iter().flatten();
        let mut hosts: Vec<&Host> = hosts.filter_map(|host| self.hosts.get(host)).collect();
        // Those in the asker's own network, if there are any; not one from further away beside them.
        let is_near = |host: &&Host| {
            host.places.iter().any(|place| matches!(place, Place::In(id, _) if *id == from))
        };
        if hosts.iter().any(is_near) {
            hosts.retain(is_near);
        }
        let from = BTreeSet::from([from]);
        let seen = hosts.into_iter().map(|host| self.seen(host, &from));
        let mut seen: Vec<_> = seen.filter(|addresses| !addresses.is_empty()).collect();
        let turn = usize::from(turn).checked_rem(seen.len()).unwrap_or_default();
        seen.rotate_left(turn);
        seen.concat()
    }

    /// The addresses of a host for one who is in these networks.
    #[must_use]
    pub fn seen(&self, host: &Host, from: &BTreeSet<NetworkId>) -> Vec<IpAddr> {
        let shared = |place: &&Place| matches!(place, Place::In(id, _) if from.contains(id));
        let mut places: Vec<_> = host.places.iter().filter(shared).collect();
        if places.is_empty() {
            let reached = |place: &&Place| from.iter().any(|id| self.reaches(*id, place));
            places = host.places.iter().filter(reached).collect();
        }
        places.into_iter().map(|place| place.address()).collect()
    }

    fn reaches(&self, from: NetworkId, place: &Place) -> bool {
        let Some(network) = self.networks.get(&from) else { return false };
        match place {
            Place::In(id, _) => *id == from || network.reaches.contains(id),
            Place::Beyond(_) => network.beyond,
        }
    }

    /// The name that goes with an address, with the domain, for one who asks in a network.
    #[must_use]
    pub fn reverse(&self, address: IpAddr, from: NetworkId) -> Reverse {
        if address.is_loopback() {
            return Reverse::Name(LOCALHOST.into());
        }
        if self.networks.get(&from).is_some_and(|network| network.gateway.contains(&address)) {
            return Reverse::Name(format!("{GATEWAY}.{}", self.domain));
        }
        let from = BTreeSet::from([from]);
        let names = self.at.get(&address).into_iter().flatten();
        let mut hosts = names.filter_map(|name| self.hosts.get(name));
        if let Some(host) = hosts.find(|host| self.seen(host, &from).contains(&address)) {
            return Reverse::Name(format!("{}.{}", host.name, self.domain));
        }
        let subnets = self.networks.values().flat_map(|network| &network.subnets);
        match subnets.filter(|subnet| subnet.contains(address)).max_by_key(|subnet| subnet.length) {
            Some(subnet) => Reverse::NotHere(*subnet),
            None => Reverse::Elsewhere,
        }
    }
}

/// What an address is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverse {
    /// This.
    Name(String),
    /// Nothing, and nobody else is to be asked: it lies in this subnet of the lab's.
    NotHere(Subnet),
    /// It is no address of the lab's.
    Elsewhere,
}

impl Place {
    /// The address there.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        match *self {
            Self::In(_, address) | Self::Beyond(address) => address,
        }
    }
}

#[cfg(test)]
mod tests;

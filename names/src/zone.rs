//! What has a name: nodes with their addresses, network by network, and who may see whom.
//!
//! The lab puts nodes in and takes them out; the resolver and the hosts files look up. Names are
//! compared without case. Who asks is in one network or in several, whichever of them the question came
//! by. He is told the addresses of a node in the networks he shares with it, and only where there is none
//! the others he can reach. A node he cannot reach is not there for him.

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

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The network that the question came by.
    pub at: NetworkId,
    /// All networks that he is in, that one among them.
    pub all: BTreeSet<NetworkId>,
}

impl From<NetworkId> for View {
    fn from(at: NetworkId) -> Self {
        Self { at, all: BTreeSet::from([at]) }
    }
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
    /// By host: what it is called in one network alone.
    names: HashMap<String, BTreeMap<NetworkId, Vec<String>>>,
    /// By the number of who asks: the networks he is in.
    askers: HashMap<u64, BTreeSet<NetworkId>>,
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
        let here = self.names.remove(name).unwrap_or_default();
        for called in host.aliases.iter().chain([&host.name]).chain(here.values().flatten()) {
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

    /// What a host is called beside its other names, by the network that it is called so in: for those in
    /// that network, and those that reach it. None for one that is not there, or is put in anew.
    pub fn set_names(&mut self, name: &str, names: BTreeMap<NetworkId, Vec<String>>) {
        if !self.hosts.contains_key(name) || names.is_empty() {
            return;
        }
        for called in names.values().flatten() {
            self.called.entry(called.to_ascii_lowercase()).or_default().insert(name.to_owned());
        }
        self.names.insert(name.to_owned(), names);
    }

    /// What a host is called in a network alone.
    #[must_use]
    pub fn names_in(&self, name: &str, network: NetworkId) -> &[String] {
        let names = self.names.get(name).and_then(|names| names.get(&network));
        names.map_or(&[], Vec::as_slice)
    }

    /// Who asks by this number is in these networks; in none where he has gone.
    pub fn set_asker(&mut self, number: u64, networks: BTreeSet<NetworkId>) {
        match networks.len() {
            // Where the question comes by says as much.
            0 | 1 => self.askers.remove(&number),
            _ => self.askers.insert(number, networks),
        };
    }

    /// Who has this number and asks in a network.
    #[must_use]
    pub fn view(&self, at: NetworkId, number: u64) -> View {
        let known = self.askers.get(&number).filter(|networks| networks.contains(&at));
        known.map_or_else(|| at.into(), |all| View { at, all: all.clone() })
    }

    /// The network whose servers are asked what is not known here: the one that the question came by, or
    /// another one of who asks, where nothing beyond the gateway is reached from there.
    #[must_use]
    pub fn way_out(&self, from: &View) -> Option<NetworkId> {
        let mut all = [from.at].into_iter().chain(from.all.iter().copied());
        all.find(|id| self.networks.get(id).is_some_and(|network| network.beyond))
    }

    /// Who is asked what is not known here, for the host that has this address in the network `at`, by the
    /// network `out`; empty for whom all ask.
    #[must_use]
    pub fn servers(&self, (at, address): (NetworkId, IpAddr), out: NetworkId) -> &[IpAddr] {
        let hosts = self.at.get(&address).into_iter().flatten();
        let of = |name: &String| {
            let is = |place: &Place| *place == Place::In(at, address);
            let here = self.hosts.get(name)?.places.iter().any(is);
            self.servers.get(name).filter(|_| here)?.get(&out)
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

    /// What `name` (in any case, without a dot at its end) stands for, for one who asks.
    #[must_use]
    pub fn find(&self, name: &str, from: &View) -> Found {
        self.find_in_turn(name, from, 0)
    }

    /// The same; of several that are called so another one comes first in each turn.
    #[must_use]
    pub fn find_in_turn(&self, name: &str, from: &View, turn: u16) -> Found {
        let name = name.to_ascii_lowercase();
        let within = name.strip_suffix(&self.domain).and_then(|head| head.strip_suffix('.'));
        // A host may be called like the domain, or like a name in it. One of another network that is called
        // like somebody in the world hides nobody there.
        let known = self.called.contains_key(&name) && !name.contains('.');
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

    fn addresses(&self, name: &str, from: &View, turn: u16) -> Vec<IpAddr> {
        if name == LOCALHOST || name.ends_with(".localhost") {
            return vec![
                std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::Ipv6Addr::LOCALHOST.into(),
            ];
        }
        let hosts = self.called.get(name).into_iter().flatten();
        let hosts = hosts.filter_map(|host| self.hosts.get(host));
        let mut hosts: Vec<Vec<&Place>> = hosts.map(|host| self.called_at(host, name)).collect();
        // Those in the asker's own networks, if there are any; not one from further away beside them.
        let is_near = |places: &Vec<&Place>| {
            places.iter().any(|place| matches!(place, Place::In(id, _) if from.all.contains(id)))
        };
        if hosts.iter().any(is_near) {
            hosts.retain(is_near);
        } else if name == GATEWAY {
            return self.networks.get(&from.at).map_or_else(Vec::new, |net| net.gateway.clone());
        }
        let seen = hosts.into_iter().map(|places| self.seen_of(&places, &from.all));
        let mut seen: Vec<_> = seen.filter(|addresses| !addresses.is_empty()).collect();
        let turn = usize::from(turn).checked_rem(seen.len()).unwrap_or_default();
        seen.rotate_left(turn);
        seen.concat()
    }

    /// Where a host is called so: everywhere, or in some of its networks.
    fn called_at<'z>(&self, host: &'z Host, name: &str) -> Vec<&'z Place> {
        let is = |own: &String| own.eq_ignore_ascii_case(name);
        let everywhere = is(&host.name) || host.aliases.iter().any(is);
        let here = |place: &&Place| match place {
            Place::In(id, _) => everywhere || self.names_in(&host.name, *id).iter().any(is),
            Place::Beyond(_) => everywhere,
        };
        host.places.iter().filter(here).collect()
    }

    /// The addresses of a host for one who is in these networks.
    #[must_use]
    pub fn seen(&self, host: &Host, from: &BTreeSet<NetworkId>) -> Vec<IpAddr> {
        self.seen_of(&host.places.iter().collect::<Vec<_>>(), from)
    }

    fn seen_of(&self, all: &[&Place], from: &BTreeSet<NetworkId>) -> Vec<IpAddr> {
        let shared = |place: &&&Place| matches!(place, Place::In(id, _) if from.contains(id));
        let mut places: Vec<_> = all.iter().filter(shared).collect();
        if places.is_empty() {
            let reached = |place: &&&Place| from.iter().any(|id| self.reaches(*id, place));
            places = all.iter().filter(reached).collect();
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

    /// The name that goes with an address, with the domain, for one who asks.
    #[must_use]
    pub fn reverse(&self, address: IpAddr, from: &View) -> Reverse {
        if address.is_loopback() {
            return Reverse::Name(LOCALHOST.into());
        }
        let mut networks = from.all.iter().filter_map(|id| self.networks.get(id));
        if networks.any(|network| network.gateway.contains(&address)) {
            return Reverse::Name(format!("{GATEWAY}.{}", self.domain));
        }
        let names = self.at.get(&address).into_iter().flatten();
        let mut hosts = names.filter_map(|name| self.hosts.get(name));
        if let Some(host) = hosts.find(|host| self.seen(host, &from.all).contains(&address)) {
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

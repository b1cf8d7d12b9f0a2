//! The names of a running lab: what its resolver answers, and the files that programs in nodes see as
//! /etc/hosts and /etc/resolv.conf. Told by the lab of each node and network that comes and goes,
//! under the state's lock.
//!
//! The files lie in LAB/etc/VIEW: nodes of the same networks see the same names, so they share a
//! view. LAB/etc/NAMESPACE is a link to its view, and so is /etc/netns/NAMESPACE of root's labs, where
//! `ip netns exec` looks (`system`). `exec` mounts the files, so each is changed in place and never
//! replaced. What cannot be written is told in the log; the lab goes on without.

mod askers;
pub(crate) mod listed;
mod medium;
mod others;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::topology::Spec;
use names::hosts::{self, Hosts};
use names::resolv::{self, Resolv};
use names::{Host, Network, NetworkId, Place, Zone};
use ns::user::Privilege;

use crate::address;
use crate::config::{LabConfig, LabName, Uplink};
use crate::domain::Domains;
use crate::error::{Doing, Error, Result};
use crate::folder::Folder;
use crate::ground::Ground;
use crate::names as words;
use crate::node::Node;
use crate::station::GatewayStation;

use self::medium::{Medium, media};

/// The files' folder in a lab's.
const FOLDER: &str = "etc";
/// The files of a view.
pub(crate) const HOSTS: &str = "hosts";
const RESOLV: &str = "resolv.conf";
/// The longest address, and the longest name of a node or a lab.
const ADDRESS: usize = 39;
const NAME: usize = crate::config::MAX_NAME;

/// The names of a lab.
pub(crate) struct Naming {
    zone: Zone,
    numbers: BTreeMap<Medium, NetworkId>,
    next: u32,
    /// What other hosts' nodes are called, and where each is found.
    beyond: BTreeMap<String, BTreeMap<NetworkId, Vec<IpAddr>>>,
    /// By node: the numbers it asks by.
    askers: BTreeMap<String, Vec<u64>>,
    views: BTreeMap<Vec<NetworkId>, View>,
    folder: Folder,
    /// Where `ip netns exec` is to find them as well: the run directory that its links lead to.
    system: Option<PathBuf>,
    head: Vec<String>,
    widest: usize,
    search: Vec<String>,
    /// Where the resolver is.
    station: Option<Arc<Mutex<GatewayStation>>>,
}

/// What nodes of the same networks see.
struct View {
    name: String,
    hosts: Hosts,
}

/// What a lab begins with: its domain, and who lies beyond.
pub(crate) fn zone(config: &LabConfig) -> Zone {
    let mut zone = Zone::new(config.name.as_str());
    if config.spec.uplink() == Uplink::Sim {
        let inet = format!("{}{}", config.prefix(), words::INET);
        let aliases = Some(inet).filter(|inet| inet != words::INET).into_iter().collect();
        let beyond = |address: Ipv4Addr| vec![Place::Beyond(address.into())];
        let (router, first) = (beyond(address::SIM_ROUTER), beyond(address::SIM_HOSTS[0]));
        zone.put(Host { name: words::INET.into(), aliases, places: router });
        zone.put(Host { name: words::INTERNET.into(), aliases: vec![], places: first });
    }
    zone
}

impl Naming {
    /// Names the nodes there are, and writes the files.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn begin<'n>(
        config: &LabConfig,
        ground: &Ground,
        nodes: impl IntoIterator<Item = &'n Node>,
        (domains, station): (&Domains, Option<Arc<Mutex<GatewayStation>>>),
    ) -> Result<Self> {
        let missing = || Error::NotRunning(config.name.to_string());
        let lab = ground.folder(&config.name)?.ok_or_else(missing)?;
        let folder = lab.make(FOLDER, 0o755)?.ok_or_else(missing)?;
        let root = ground.privilege() == Privilege::Root;
        let host =
            |file: &str| std::fs::read(file).map(|b| String::from_utf8_lossy(&b).into_owned());
        // What the host searches is of use where its resolvers are asked.
        let search = match config.spec.uplink() {
            Uplink::Host(_) => Resolv::parse(&host("/etc/resolv.conf").unwrap_or_default()).search,
            _ => Vec::new(),
        };
        let mut naming = Self {
            zone: zone(config),
            numbers: BTreeMap::new(),
            beyond: BTreeMap::new(),
            askers: BTreeMap::new(),
            next: 0,
            views: BTreeMap::new(),
            folder,
            system: root.then(|| ground.base().to_path_buf()),
            head: hosts::head(config.name.as_str(), &host("/etc/hosts").unwrap_or_default()),
            widest: ADDRESS + 4 + 3 * NAME + 1 + config.prefix().len() + NAME,
            search,
            station,
        };
        naming.set_networks(&config.spec, domains);
        let nodes: Vec<_> = nodes.into_iter().collect();
        for node in &nodes {
            naming.put(node);
        }
        if let Some(base) = &naming.system {
            system::tidy(base, naming.folder.path());
        }
        for node in nodes {
            naming.show(node).doing(|| {
                let place = naming.folder.path().display();
                format!("writing the names that node {} sees to {place}", node.name)
            })?;
        }
        Ok(naming)
    }

    /// A node has come.
    pub(crate) fn added(&mut self, node: &Node) {
        self.put(node);
        if let Err(error) = self.show(node).and_then(|()| self.refresh()) {
            tracing::warn!("node {} may not be known by its name in files: {error}", node.name);
        }
    }

    /// A node has gone.
    pub(crate) fn removed(&mut self, node: &Node) {
        self.forget_guest(&node.name);
        if self.system.is_some() {
            system::unlink(&node.file, self.folder.path());
        }
        let gone = self.folder.remove(&node.file).and_then(|()| self.refresh());
        if let Err(error) = gone {
            tracing::warn!("node {} may still be known by its name in files: {error}", node.name);
        }
    }

    /// A container is to be found by its names, where its engine leaves them to us. Nobody sees files.
    pub(crate) fn guest(&mut self, node: &Node) {
        match node.interfaces.iter().any(|own| !own.names.is_empty()) {
            true => self.put(node),
            false => {
                self.name_beyond(&node.name);
                self.set_asker(node);
            }
        }
    }

    /// It has gone.
    pub(crate) fn forget_guest(&mut self, name: &str) {
        self.name_beyond(name);
        self.forget_asker(name);
    }

    /// Networks have come, gone or changed.
    pub(crate) fn networks(&mut self, spec: &Spec, domains: &Domains) {
        self.set_networks(spec, domains);
        if let Err(error) = self.refresh() {
            tracing::warn!("files may not have the names of other networks as they are: {error}");
        }
    }

    fn set_networks(&mut self, spec: &Spec, domains: &Domains) {
        let gone = |medium: &Medium| match medium {
            Medium::Network(name) => spec.network(name).is_none(),
            Medium::Vlan(name, vlan) => {
                spec.network(name).is_none_or(|network| !network.vlans.contains_key(vlan))
            }
            Medium::Link(_) => false,
        };
        let gone: Vec<_> = self.numbers.keys().filter(|medium| gone(medium)).cloned().collect();
        for medium in gone {
            if let Some(id) = self.numbers.remove(&medium) {
                self.change(|zone| zone.remove_network(id));
                self.beyond.values_mut().for_each(|known| _ = known.remove(&id));
                self.beyond.retain(|_, known| !known.is_empty());
            }
        }
        for name in spec.networks.keys() {
            let others = spec.networks.keys().filter(|other| *other != name);
            let reached =
                |other: &&String| spec.routes_between(name, other) || spec.linked(name, other);
            let others = others.filter(reached);
            let reaches = others.flat_map(|other| media(spec, other)).map(|(other, ..)| other);
            let reaches: BTreeSet<_> = reaches.map(|other| self.number(other)).collect();
            for (medium, subnets, gateway) in media(spec, name) {
                let internal = spec.network(name).is_some_and(|network| network.internal);
                let known = Network {
                    beyond: !internal && !gateway.is_empty() && spec.uplink() != Uplink::None,
                    gateway,
                    subnets,
                    reaches: reaches.clone(),
                };
                let id = self.number(medium);
                self.change(|zone| zone.set_network(id, known.clone()));
            }
        }
        let numbers = &self.numbers;
        let legs = domains.iter().flat_map(|(name, domain)| {
            domain.legs.iter().filter_map(move |(vlan, leg)| {
                let own = numbers.get(&Medium::Vlan(name.clone(), vlan.get()));
                let id = own.or_else(|| numbers.get(&Medium::Network(name.clone())))?;
                Some((*leg, *id))
            })
        });
        let legs = legs.collect();
        if let Some(station) = &self.station {
            station.lock().unwrap_or_else(PoisonError::into_inner).set_networks(legs);
        }
    }

    /// Changes what is known here and what the resolver answers by.
    fn change(&mut self, change: impl Fn(&mut Zone)) {
        change(&mut self.zone);
        if let Some(station) = &self.station {
            let mut station = station.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(names) = station.names() {
                change(names.resolver_mut().zone_mut());
            }
        }
    }

    fn put(&mut self, node: &Node) {
        let (mut places, mut servers) = (Vec::new(), BTreeMap::new());
        let (mut names, mut here) = (BTreeMap::<_, Vec<String>>::new(), BTreeSet::new());
        for interface in &node.interfaces {
            let Some(id) = self.joined(interface) else { continue };
            here.insert(id);
            if !interface.servers.is_empty() {
                servers.insert(id, interface.servers.clone());
            }
            let own = interface.names.iter().filter(|name| **name != node.name);
            names.entry(id).or_default().extend(own.cloned());
            places.extend(interface.addresses.iter().map(|address| Place::In(id, address.ip)));
        }
        places.extend(self.beyond(&node.name, &here));
        names.retain(|_, own| !own.is_empty());
        let aliases = Some(&node.file).filter(|file| **file != node.name).cloned();
        let host = Host { name: node.name.clone(), aliases: aliases.into_iter().collect(), places };
        self.change(|zone| {
            zone.put(host.clone());
            zone.set_servers(&host.name, servers.clone());
            zone.set_names(&host.name, names.clone());
        });
        self.set_asker(node);
    }

    /// Lets a node see the names.
    fn show(&mut self, node: &Node) -> io::Result<()> {
        let mut networks = Vec::new();
        for interface in &node.interfaces {
            let Some(id) = self.joined(interface) else { continue };
            if !networks.contains(&id) {
                networks.push(id);
            }
        }
        let view = match self.views.get(&networks) {
            Some(view) => view.name.clone(),
            None => {
                let view = self.view(&networks)?;
                let name = view.name.clone();
                self.views.insert(networks, view);
                name
            }
        };
        self.folder.link(&view, &node.file)?;
        if let Some(base) = &self.system {
            system::link(&node.file, &self.folder.path().join(&view), base);
        }
        Ok(())
    }

    /// Writes the files of a view.
    fn view(&self, networks: &[NetworkId]) -> io::Result<View> {
        // A node's name has a letter, so none is called like a view.
        let name = self.views.len().to_string();
        let folder = self.folder.make(&name, 0o755).map_err(io::Error::other)?;
        let folder = folder.ok_or(io::ErrorKind::NotFound)?;
        let mut hosts = Hosts::new(&self.head, self.widest);
        // Nobody looks yet: all at once.
        hosts.set(hosts::lines(&self.zone, networks));
        fresh(&folder, HOSTS, &hosts.whole())?;
        // Where the host has none there is nothing to put it over.
        let seen = Path::new("/etc/resolv.conf").exists();
        if let Some(gateway) = gateway(&self.zone, networks).filter(|_| seen) {
            let text = resolv::write(gateway, self.zone.domain(), &self.search);
            fresh(&folder, RESOLV, text.as_bytes())?;
        }
        Ok(View { name, hosts })
    }

    /// Writes down what has changed.
    fn refresh(&mut self) -> io::Result<()> {
        for (networks, view) in &mut self.views {
            let writes = view.hosts.set(hosts::lines(&self.zone, networks));
            if writes.is_empty() {
                continue;
            }
            let folder = self.folder.enter(&view.name).map_err(io::Error::other)?;
            let folder = folder.ok_or(io::ErrorKind::NotFound)?;
            let file = folder.change(HOSTS).map_err(io::Error::other)?;
            let file = file.ok_or(io::ErrorKind::NotFound)?;
            for write in writes {
                file.write_all_at(&write.bytes, write.at)?;
            }
        }
        Ok(())
    }
}

/// Where those in these networks ask: the resolver is at addresses of IPv4.
fn gateway(zone: &Zone, networks: &[NetworkId]) -> Option<IpAddr> {
    let networks = networks.iter().filter_map(|id| zone.network(*id));
    networks.flat_map(|network| &network.gateway).copied().find(IpAddr::is_ipv4)
}

/// A file that programs in nodes can read, whoever they are.
fn fresh(folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = folder.fresh(name)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(0o644))
}

/// The folder with the files that a node sees, in the lab's; None where there is none.
pub(crate) fn seen_by(lab: &Folder, namespace: &str) -> Option<PathBuf> {
    let folder = lab.enter(FOLDER).ok().flatten()?;
    let view = folder.target(namespace)?;
    let plain = !view.is_empty() && view.bytes().all(|byte| byte.is_ascii_digit());
    let view = plain.then(|| folder.enter(&view).ok().flatten()).flatten()?;
    Some(view.path().to_path_buf())
}

/// Removes the files of a lab, and the links to them.
pub(crate) fn sweep(lab: &Folder, ground: &Ground) -> Result<()> {
    let Some(folder) = lab.enter(FOLDER)? else { return Ok(()) };
    if ground.privilege() == Privilege::Root {
        system::sweep(ground.base(), folder.path());
    }
    let what = |name: &str| format!("removing {}", folder.path().join(name).display());
    for name in folder.names()? {
        if folder.target(&name).is_some() {
            folder.remove(&name).doing(|| what(&name))?;
        } else if let Some(view) = folder.enter(&name)? {
            for file in [HOSTS, RESOLV] {
                view.remove(file).doing(|| what(file))?;
            }
            folder.remove_folder(&name).doing(|| what(&name))?;
        }
    }
    lab.remove_folder(FOLDER).doing(|| format!("removing {}", folder.path().display()))
}

/// Whether `link` leads to the files of a lab in some run directory: DIR/LAB/etc/NUMBER. They are its
/// own nodes' alone.
pub(crate) fn leads_to_a_lab(link: &Path) -> bool {
    let Ok(target) = std::fs::read_link(link) else { return false };
    let mut names = target.iter().rev().map(|name| name.to_str().unwrap_or_default());
    let is_view = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    names.next().is_some_and(is_view)
        && names.next() == Some(FOLDER)
        && names.next().is_some_and(|name| name.parse::<LabName>().is_ok())
}

/// Whether `link` is one of those that lead `ip netns exec` to `folder`.
pub(crate) fn leads_to(link: &Path, folder: &Path) -> bool {
    std::fs::read_link(link).is_ok_and(|target| target == folder)
}

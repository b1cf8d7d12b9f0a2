//! Does what engines ask. Each call may come again, out of order or never: whatever is there already
//! is used, whatever is gone already is fine, and a new place with the address of an older one takes
//! over from it.
//!
//! The tables' lock is held for a look at most; the lab has its own. What fails is undone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use engine::docker::{Driver, Joined, Published};
use engine::{Attach, Network, PortAsk, Refusal};
use lab::Lab;
use lab::guest::{Attached, Far, Guest};
use lab::host_port::HostPort;
use lab::hosts::End;
use lab::served::network_at;
use tokio::sync::mpsc::UnboundedSender;
use topology::join::Join;
use wire::MacAddr;

use crate::Config;
use crate::error::{Result, line};
use crate::hosts::taken;
use crate::lost::identity;
use crate::publish::Publisher;
use crate::store::{Kept, Place, Store};
use crate::turns::Turns;

/// Digits of an engine's number that people see.
pub(crate) const SHORT: usize = 12;
/// Digits of a network's number in the name of the host's interface, as Docker's bridges have ten.
const HOST: usize = 10;

/// What is served.
pub(crate) struct Daemon {
    pub(crate) lab: Arc<Lab>,
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
    tables: Mutex<Tables>,
    /// Held by whoever has a network come for a plugin's container, or go with the last.
    pub(crate) coming: Mutex<()>,
    /// What is done for places.
    pub(crate) turns: Turns,
    /// Held by whoever chooses by which of its networks a container's ports lead.
    pub(crate) choosing: Mutex<()>,
    /// Nobody comes any more: set while `coming` is held.
    pub(crate) leaving: AtomicBool,
    /// Hears of each call that has been answered, where the server goes with its last container.
    pub(crate) calls: OnceLock<Sender<()>>,
    /// Held for reading by whoever names a network to the lab, for writing while one gets another name.
    pub(crate) naming: RwLock<()>,
    /// Networks taken on from the disk, which their engine may have removed meanwhile.
    pub(crate) doubted: Mutex<BTreeSet<String>>,
    /// The network of several hosts that networks join which say nothing, and this host among them.
    pub(crate) usual: (Option<Join>, End),
    /// Networks whose names, and whose containers' names, are to be asked for.
    pub(crate) asker: Mutex<Option<UnboundedSender<String>>>,
}

/// All that engines have asked for.
#[derive(Default)]
pub(crate) struct Tables {
    /// Networks by number, each with its name in the lab.
    pub(crate) networks: BTreeMap<String, (Kept, String)>,
    /// Places by number.
    pub(crate) places: BTreeMap<String, Place>,
    /// How often the link of each was put back that was lost.
    pub(crate) put_back: BTreeMap<String, u32>,
    /// Places whose link could not be put back yet.
    pub(crate) waiting: BTreeSet<String>,
}

/// The first digits of a number.
pub(crate) fn short(id: &str, digits: usize) -> &str {
    id.get(..digits).unwrap_or(id)
}

/// The names of a place's link: its port in the switch's namespace, and its far end.
pub(crate) fn port_of(endpoint: &str) -> String {
    format!("us{}", short(endpoint, SHORT))
}

pub(crate) fn peer_of(endpoint: &str) -> String {
    format!("ue{}", short(endpoint, SHORT))
}

/// The name of a device beside a place's interface, in its container.
pub(crate) fn beside_of(endpoint: &str) -> String {
    format!("ub{}", short(endpoint, SHORT))
}

/// The names of the host's link into a network: its port, and the host's interface.
pub(crate) fn host_port(kept: &Kept, name: &str) -> HostPort {
    let network = &kept.network;
    HostPort {
        network: name.into(),
        port: format!("uh{}", short(&network.id, SHORT)),
        interface: format!("us{}", short(&network.id, HOST)),
        // Nobody but our resolver knows the names of other hosts' containers.
        names: network.names || kept.reached.is_some(),
    }
}

/// An error of the lab's, for the engine's user.
pub(crate) fn refusal(error: &dyn std::error::Error) -> Refusal {
    Refusal(line(error))
}

impl Daemon {
    /// One that knows of nothing yet.
    pub(crate) fn new(lab: &Arc<Lab>, config: &Config) -> Result<Self> {
        let places = lab::served::places(lab.ground(), &lab.config().name);
        Ok(Self {
            lab: Arc::clone(lab),
            store: Store::open(&config.state, places)?,
            publisher: Publisher::start()?,
            tables: Mutex::default(),
            coming: Mutex::default(),
            turns: Turns::default(),
            choosing: Mutex::default(),
            leaving: AtomicBool::default(),
            calls: OnceLock::new(),
            naming: RwLock::default(),
            doubted: Mutex::default(),
            usual: (config.join.clone(), config.end.clone()),
            asker: Mutex::default(),
        })
    }

    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Networks, and places in them.
    pub(crate) fn count(&self) -> (usize, usize) {
        let tables = self.tables();
        (tables.networks.len(), tables.places.len())
    }

    pub(crate) fn names_stay(&self) -> RwLockReadGuard<'_, ()> {
        self.naming.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a network in the lab, and the host's place in it; says what it is called there.
    pub(crate) fn make_network(&self, kept: &Kept) -> std::result::Result<String, Refusal> {
        let _names = self.names_stay();
        let network = &kept.network;
        let mut made = network.to_topology()?;
        // Links that live on have it already.
        let carried = kept.reached.as_ref().map(|own| own.mtu).filter(|mtu| *mtu != u32::MAX);
        made.mtu = carried.map(|mtu| made.mtu.map_or(mtu, |own| own.min(mtu))).or(made.mtu);
        let digits = short(&network.id, SHORT);
        let fit = lab::config::check_node_name(digits).is_ok();
        let number = if fit { digits.to_owned() } else { format!("n-{digits}") };
        // What was asked for is so or is refused; what the engine says, where nothing else is meant.
        let fits =
            |name: &&String| lab::config::check_served_name(name, &self.lab.config().name).is_ok();
        let free = |name: &&String| {
            !self.tables().networks.values().any(|(_, known)| known == *name) && fits(name)
        };
        let own = network.options.name.as_ref().or(kept.name.as_ref().filter(free));
        // One that is longer than a lab's own names it gets afterwards, as from Docker.
        let long = own.filter(fits).filter(|own| lab::config::check_node_name(own).is_err());
        let name = own.filter(|_| long.is_none()).cloned().unwrap_or(number);
        self.lab.add_network(&name, made).map_err(|error| refusal(&error))?;
        let host = host_port(kept, &name);
        if let Err(error) = self.lab.attach_host(&host) {
            let _ = self.lab.remove_network(&name);
            return Err(refusal(&error));
        }
        Ok(long.filter(|long| self.lab.rename_network(&name, long)).cloned().unwrap_or(name))
    }

    /// Ends a network in the lab, with the places that are left in it.
    pub(crate) fn end_network(&self, id: &str) -> std::result::Result<(), Refusal> {
        let left: Vec<String> = {
            let tables = self.tables();
            let here = tables.places.iter().filter(|(_, place)| place.attach.network == id);
            here.map(|(endpoint, _)| endpoint.clone()).collect()
        };
        left.iter().try_for_each(|endpoint| self.forget(endpoint))?;
        let _names = self.names_stay();
        let Some((_, name)) = self.tables().networks.get(id).cloned() else { return Ok(()) };
        self.lab.leave_hosts(&name).map_err(|error| refusal(&error))?;
        self.lab.detach_host(&name).map_err(|error| refusal(&error))?;
        self.lab.remove_network(&name).map_err(|error| refusal(&error))?;
        self.tables().networks.remove(id);
        Ok(())
    }

    /// Gives a place its link, where it has none.
    pub(crate) fn attach(&self, place: &Place, far: Far) -> std::result::Result<(), Refusal> {
        match self.attach_by(place, far)? {
            Attached::Made => Ok(()),
            Attached::Found => self.lab.see_links().map_err(|error| refusal(&error)),
        }
    }

    /// The same; whether a link that was found is up remains to be seen.
    pub(crate) fn attach_by(
        &self,
        place: &Place,
        far: Far,
    ) -> std::result::Result<Attached, Refusal> {
        let _names = self.names_stay();
        let attach = &place.attach;
        let (network, name) = self.known(&attach.network)?;
        let sandbox = place.sandbox.clone();
        let node = self.node_of(sandbox.as_deref(), &attach.endpoint);
        let told = place.plugin.as_ref().map(|plugin| plugin.interface.clone());
        let told = told.or_else(|| place.interface.clone());
        let guest = Guest {
            interface: told.unwrap_or_else(|| format!("eth{}", self.lab.interfaces_of(&node))),
            node,
            sandbox: sandbox.map(PathBuf::from),
            network: name,
            port: port_of(&attach.endpoint),
            far,
            mac: place.mac(),
            addresses: attach.addresses.clone(),
            settings: network.port_settings(),
            spoofs: network.options.spoof,
            names: attach.names.clone(),
            servers: attach.servers.clone(),
        };
        self.lab.attach(&guest).map_err(|error| taken(&error, &guest.addresses))
    }

    /// What the node of a container is called: as in the other network it is in, else by number.
    fn node_of(&self, sandbox: Option<&str>, endpoint: &str) -> String {
        let others: Vec<String> = {
            let tables = self.tables();
            let same = tables.places.values().filter(|place| {
                sandbox.is_some()
                    && place.sandbox.as_deref() == sandbox
                    && place.attach.endpoint != endpoint
            });
            same.map(|place| port_of(&place.attach.endpoint)).collect()
        };
        let found = others.iter().find_map(|port| self.lab.node_at(port));
        found.unwrap_or_else(|| format!("ep-{}", short(endpoint, SHORT)))
    }

    pub(crate) fn known(&self, network: &str) -> std::result::Result<(Network, String), Refusal> {
        let known = self.tables().networks.get(network).cloned();
        known.map(|(kept, name)| (kept.network, name)).ok_or_else(|| {
            Refusal(format!(
                "uswitch knows of no network {}: make it again, `docker network create`",
                short(network, SHORT)
            ))
        })
    }
}

impl Driver for Daemon {
    fn create_network(&self, network: Network) -> std::result::Result<(), Refusal> {
        let _coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        self.stays()?;
        self.doubted().remove(&network.id);
        let before = self.tables().networks.get(&network.id).cloned();
        if let Some((known, _)) = before {
            if known.network == network {
                return Ok(());
            }
            self.end_network(&network.id)?;
        }
        let mut kept = Kept { network, name: None, reached: None };
        let name = self.make_new(&mut kept)?;
        let id = kept.network.id.clone();
        let written = self.store.writer().keep_network(&kept);
        self.tables().networks.insert(id.clone(), (kept, name));
        if let Err(error) = written {
            let _ = self.end_network(&id);
            return Err(refusal(&error));
        }
        self.ask_for_names(&id);
        Ok(())
    }

    fn delete_network(&self, network: &str) -> std::result::Result<(), Refusal> {
        self.end_network(network)?;
        self.store.writer().forget_network(network).map_err(|error| refusal(&error))
    }

    fn create_endpoint(&self, mut attach: Attach) -> std::result::Result<MacAddr, Refusal> {
        let (network, _) = self.known(&attach.network)?;
        network.options.bind(&mut attach.ports);
        let _turn = self.turns.of(&attach.endpoint);
        let (sandbox, netns, name, interface, plugin) = (None, None, None, None, None);
        let (published, found) = (false, Vec::new());
        let place = Place { attach, sandbox, netns, published, found, name, interface, plugin };
        let mac = place.mac();
        network.takes(mac)?;
        self.make_way(&place)?;
        self.keep(place)?;
        Ok(mac)
    }

    fn delete_endpoint(&self, endpoint: &str) -> std::result::Result<(), Refusal> {
        let _turn = self.turns.of(endpoint);
        self.forget(endpoint)
    }

    fn join(&self, endpoint: &str, sandbox: &str) -> std::result::Result<Joined, Refusal> {
        let _turn = self.turns.of(endpoint);
        let mut place = self.place(endpoint)?;
        let (network, _) = self.known(&place.attach.network)?;
        place.sandbox = Some(sandbox.to_owned()).filter(|sandbox| !sandbox.is_empty());
        let interface = peer_of(endpoint);
        self.attach(&place, Far::Waits(interface.clone()))?;
        let netns = place.sandbox.as_ref().and_then(|path| network_at(Path::new(path)).ok());
        let netns = netns.and_then(|netns| identity(&netns));
        self.change(endpoint, |known| (known.sandbox, known.netns) = (place.sandbox, netns))?;
        // Another that asked for its address at this moment may have it, and its network may be gone.
        if let Err(gone) = self.place(endpoint) {
            self.forget(endpoint)?;
            return Err(gone);
        }
        if self.lab.node_at(&port_of(endpoint)).is_none() {
            return Err(Refusal::new("its link was taken away: start the container again"));
        }
        self.ask_for_names(&place.attach.network);
        let mut joined = Joined { interface, gateway: None, gateway6: None };
        let ways = network.ways_out(&place.attach.addresses);
        for own in ways.into_iter().filter_map(|way| way.via) {
            match own {
                IpAddr::V4(own) => joined.gateway = Some(own),
                IpAddr::V6(own) => joined.gateway6 = Some(own),
            }
        }
        Ok(joined)
    }

    fn leave(&self, endpoint: &str) -> std::result::Result<(), Refusal> {
        let _turn = self.turns.of(endpoint);
        self.unlead(endpoint);
        // The link stays until dockerd has given the interface back, and DeleteEndpoint comes.
        self.lab.detach(&port_of(endpoint)).map_err(|error| refusal(&error))?;
        self.change(endpoint, |place| {
            (place.sandbox, place.interface, place.published) = (None, None, false);
        })
    }

    fn publish(
        &self,
        endpoint: &str,
        ports: Option<Vec<PortAsk>>,
    ) -> std::result::Result<(), Refusal> {
        let _turn = self.turns.of(endpoint);
        let mut place = self.place(endpoint)?;
        if let Some(mut ports) = ports {
            let (network, _) = self.known(&place.attach.network)?;
            network.options.bind(&mut ports);
            place.attach.ports = ports;
        }
        self.free(&place);
        self.lead(&place, Vec::new())?;
        let kept = self.change(endpoint, |known| {
            (known.attach.ports, known.published) = (place.attach.ports, true);
        });
        self.lead_no_dead(endpoint);
        kept
    }

    fn withdraw(&self, endpoint: &str) -> std::result::Result<(), Refusal> {
        let _turn = self.turns.of(endpoint);
        self.unlead(endpoint);
        self.change(endpoint, |place| place.published = false)
    }

    fn settled(&self, endpoint: &str) -> Vec<Published> {
        if let Ok(place) = self.place(endpoint) {
            self.ask_for_names(&place.attach.network);
        }
        self.published(endpoint)
    }
}

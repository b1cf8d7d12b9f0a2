//! The running lab: built, watched, undone. Shared as `Arc<Lab>` between the command, the door that
//! is opened over it and the watch of links; every method takes `&self`. It knows no client.
//!
//! What is built is held from the moment it exists: where [`Lab::start`] fails half-way, dropping
//! what there is undoes it. [`Lab::stop`] goes on after a failure and returns all of them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ::topology::{Checked, Spec};
use gateway::Gateway;
use ns::watch::Watcher;
use ns::{Directory, Namespace};
use switch::{NetworkId, PortId, SharedStation, Switch};

use crate::blueprint::{CheckPlan, blueprint};
use crate::clean;
use crate::config::{LabConfig, Uplink};
use crate::domain::{self, Domains};
use crate::error::{Doing, Error, Result};
use crate::fast::Fast;
use crate::ground::Ground;
use crate::home::Home;
use crate::hosts::{self, Joined};
use crate::joint::{self, Joint};
use crate::journal::{Header, Journal};
use crate::known::{gateways, known};
use crate::links::{Heard, Links};
use crate::lock::Lock;
use crate::naming::Naming;
use crate::node::{Node, running};
use crate::plug::Plugged;
use crate::progress::{Progress, Recorder};
use crate::repeated::Kernel;
use crate::served;
use crate::station::{self, GatewayStation};
use crate::steps;
use crate::tunnel::Tunnel;
use crate::uplink::{Follow, Host, Prepared};
use crate::watch::Watches;

pub(crate) struct Held {
    pub(crate) node: Node,
    pub(crate) home: Home,
}

pub(crate) struct State {
    /// What the lab consists of now.
    pub(crate) spec: Spec,
    /// Its networks in the switch and at the gateway.
    pub(crate) domains: Domains,
    pub(crate) nodes: Vec<Held>,
    inet: Option<Namespace>,
    /// Links between networks.
    pub(crate) joints: Vec<Joint>,
    /// To other hosts.
    pub(crate) tunnels: Vec<Tunnel>,
    /// The networks that other hosts are in.
    pub(crate) joined: Vec<Joined>,
    /// The uplink's port.
    pub(crate) uplink: Option<(PortId, u32)>,
    pub(crate) journal: Option<Journal>,
    pub(crate) naming: Naming,
    /// The next interface index in the switch's namespace.
    pub(crate) next_index: u32,
    links: Option<Links>,
    /// Ports that were published for nodes that are gone, until somebody asks. Bounded: only what is
    /// published can be withdrawn.
    pub(crate) withdrawn: Vec<gateway::Published>,
    /// Ports of the host that lead to containers, by the containers' ports.
    pub(crate) led: std::collections::BTreeMap<String, crate::led::Leads>,
    /// An interface of the host.
    pub(crate) host: Option<Host>,
    pub(crate) follow: Option<Follow>,
    /// Follow the host's addresses, where containers are served, and what tunnels send by.
    pub(crate) host_watches: Watches,
    lock: Option<Lock>,
}

/// A running lab.
pub struct Lab {
    config: LabConfig,
    ground: Ground,
    pub(crate) directory: Directory,
    pairs: usize,
    pub(crate) fast: Fast,
    checks: Vec<CheckPlan>,
    switch: RwLock<Option<Switch>>,
    station: Option<Arc<Mutex<GatewayStation>>>,
    pub(crate) switch_ns: Option<OwnedFd>,
    /// The host's, where containers are served.
    pub(crate) host_ns: Option<OwnedFd>,
    state: Mutex<State>,
    /// One link at a time is tried out: another that is held shut would keep back its probe.
    pub(crate) trial: Mutex<()>,
    pub(crate) heard: Heard,
    /// Neighbours that were named by hand.
    pub(crate) named: Mutex<crate::neighbours::Known>,
}

impl Lab {
    /// Builds a lab, after removing what a crash may have left of one of this name.
    ///
    /// # Errors
    /// [`Error::Usage`], [`Error::Held`], [`Error::Interrupted`] once `stop` is set, and whatever
    /// the kernel refuses; nothing is left behind then.
    pub fn start(
        config: LabConfig,
        ground: &Ground,
        stop: &AtomicBool,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Arc<Self>> {
        let checked = config.check()?;
        let config = LabConfig { spec: checked.spelled_out(), ..config };
        let lock = Lock::take(ground, &config.name)?;
        let left = clean::leftovers(ground, &config.name)?;
        if left.names > 0 {
            tell(Progress::Cleaned(left.names));
        }
        let host = Prepared::look(&config, ground)?;
        tell(Progress::Begun);
        let built = Self::build((config.clone(), &checked), host, ground, stop, tell);
        match built {
            Ok(lab) => {
                lab.state().lock = Some(lock);
                Ok(lab)
            }
            Err(error) => {
                // The guards have undone what was made; the files go before the lock does.
                if let Err(left) = clean::leftovers(ground, &config.name) {
                    tracing::warn!("{left}");
                }
                Err(error)
            }
        }
    }

    fn build(
        (config, checked): (LabConfig, &Checked),
        host: Option<Prepared>,
        ground: &Ground,
        stop: &AtomicBool,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Arc<Self>> {
        let grounds = config.served.then(|| served::grounds(ground, &config.name)).transpose()?;
        let mut print = blueprint(&config, checked, grounds.as_ref().map(|own| own.next_index));
        let directory = ground.directory(&config.name)?;
        // Before anything is made: where it was asked for and is not to be had, nothing is.
        let fast = Fast::ask(&config, ground)?;
        print.plan.tunnels(fast.finish);
        let rootless = ground.privilege() == ns::user::Privilege::Ordinary;
        let header = Header::of_this_process(rootless, config.prefix(), config.topology());
        let missing = || Error::NotRunning(config.name.to_string());
        let folder = ground.folder(&config.name)?.ok_or_else(missing)?;
        let mut journal = Journal::begin(folder, header)?;
        let lines = config.steps.then(|| steps::planned(&config, &print.plan));
        let lines = lines.unwrap_or_default().into_iter();
        let mut recorder = Recorder { journal: &mut journal, stop, tell: &mut *tell, lines };
        let existing: Vec<_> = grounds.iter().map(|grounds| grounds.switch.as_fd()).collect();
        let mut applied = ns::apply(&print.plan, &directory, &existing, &mut recorder)?;
        let lines = recorder.lines;
        let switch_ns = print.switch.and_then(|ns| applied.fd(ns));
        let switch_ns = switch_ns.map(|fd| fd.try_clone_to_owned()).transpose();
        let switch_ns = switch_ns.doing(|| "holding the switch's namespace".into())?;
        let (mut switch, mut station) = (None, None);
        let mut domains = domain::all(&config.spec)?;
        let mut plugged = Plugged { next_index: ns::plan::LOOPBACK + 1, ..Plugged::default() };
        if let Some(netns) = &switch_ns {
            let begun = station::of(&config, &domains, host.as_ref())?;
            if let Some(path) = &fast.path {
                let mut station = begun.lock().unwrap_or_else(PoisonError::into_inner);
                station.gateway().repeat_by(Box::new(Kernel::new(Arc::clone(path))));
            }
            let shared: SharedStation = Arc::clone(&begun) as SharedStation;
            let asked = switch::Config {
                workers: config.workers.unwrap_or(1),
                spread: config.workers.is_none() && fast.path.is_none(),
                fast: fast.path.clone(),
                finish: fast.finish,
                wakeful: !config.power_save,
                ..switch::Config::default()
            };
            let started = Switch::start(asked, netns.as_fd(), Some(shared))?;
            let mut ids = config.spec.networks.keys();
            if let Some(first) = ids.next() {
                let first = domain::of_switch(&config.spec, &domains, first);
                started.set_network(NetworkId::FIRST, first)?;
            }
            for name in ids {
                let id = started.add_network(domain::of_switch(&config.spec, &domains, name))?;
                domains.entry(name.clone()).and_modify(|domain| domain.id = id);
            }
            plugged = Plugged::all(&started, (&config.spec, &domains), &print)?;
            plugged.next_index =
                grounds.as_ref().map_or(plugged.next_index, |grounds| grounds.next_index);
            for line in steps::of_switch(&config, &print) {
                tell(Progress::Step(line));
            }
            (switch, station) = (Some(started), Some(begun));
        }
        // The ports are plugged in: now their links may come up.
        let mut recorder = Recorder { journal: &mut journal, stop, tell: &mut *tell, lines };
        applied.finish(&print.plan, &directory, &mut recorder)?;
        if let Some(switch) = &switch {
            plugged.up(switch)?.into_iter().for_each(|words| tell(Progress::Done(words)));
        }
        let mut nodes = Vec::with_capacity(print.nodes.len());
        let ports = plugged.nodes.into_iter().chain(std::iter::repeat(Vec::new()));
        for (node, ids) in print.nodes.iter().zip(ports) {
            if let Some(netns) = applied.take(node.ns) {
                let home = Home::Own(netns);
                nodes.push(Held { node: running(&config, node, &ids), home });
            }
        }
        let inet = print.inet.and_then(|ns| applied.take(ns));
        let joints = joint::running(&print.joints, &plugged.joints);
        let gateways = config.spec.networks.keys().flat_map(|name| gateways(&config.spec, name));
        journal.know(gateways.chain(nodes.iter().flat_map(|held| known(&held.node))))?;
        let there = nodes.iter().map(|held| &held.node);
        let naming = Naming::begin(&config, ground, there, (&domains, station.clone()))?;
        if let (Some(switch), Some(station), Uplink::Host(_)) =
            (&switch, &station, config.spec.uplink())
        {
            let mut station = station.lock().unwrap_or_else(PoisonError::into_inner);
            station.ask_the_host(switch).doing(|| "asking the host's resolvers".into())?;
        }
        tell(Progress::Done(print.words()));
        if switch.is_some() {
            for line in steps::of_gateway(&config, &print) {
                tell(Progress::Step(line));
            }
            tell(Progress::Done(station::words(&config, host.as_ref())));
        }
        let across = switch_ns.as_ref().map(|fd| fast.across(fd)).transpose()?.flatten();
        let begin = |(host, parts): (Prepared, _)| {
            host.begin(parts, (across, &mut plugged.next_index), &mut journal, tell)
        };
        let parts = switch.as_ref().zip(station.as_deref());
        let host = host.zip(parts).map(begin).transpose()?;
        let watcher = switch_ns.as_ref().map(|netns| Watcher::new(netns.as_fd())).transpose()?;
        let journal = Some(journal);
        let lab = Arc::new(Self {
            ground: ground.clone(),
            directory,
            pairs: print.pairs,
            fast,
            checks: print.checks,
            switch: RwLock::new(switch),
            station,
            switch_ns,
            host_ns: grounds.map(|grounds| grounds.host),
            trial: Mutex::default(),
            state: Mutex::new(State {
                spec: config.spec.clone(),
                domains,
                nodes,
                inet,
                joints,
                tunnels: Vec::new(),
                joined: Vec::new(),
                uplink: plugged.uplink,
                journal,
                naming,
                next_index: plugged.next_index,
                links: None,
                withdrawn: Vec::new(),
                led: std::collections::BTreeMap::new(),
                host,
                follow: None,
                host_watches: Watches::default(),
                lock: None,
            }),
            heard: Heard::default(),
            named: Mutex::new(config.spec.neigh.iter().map(|(ip, mac)| (*ip, *mac)).collect()),
            config,
        });
        if let Some(watcher) = watcher {
            // What changed before the watch began.
            let up = lab.list_links()?;
            lab.state().links = Some(Links::watch(watcher, &lab, up)?);
        }
        let state = lab.state();
        state.spec.networks.keys().try_for_each(|name| lab.set_entries(&state, name))?;
        drop(state);
        lab.follow_uplink()?;
        lab.follow_host()?;
        Ok(lab)
    }

    /// Undoes everything, going on after a failure. A second call finds nothing to do.
    pub fn stop(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        // Without the state's lock, for which those who end may wait.
        let watches = {
            let mut state = self.state();
            let joined = hosts::parted(&mut state, self.config.served);
            (joined, state.links.take(), state.follow.take(), state.host_watches.take())
        };
        drop(watches);
        let switch = self.switch.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = switch.map(Switch::stop) {
            errors.push(error.into());
        }
        let mut state = self.state();
        errors.extend(self.unmake_tunnels(&mut state));
        drop(state.host.take());
        let nodes = state.nodes.drain(..).map(|held| held.home).collect::<Vec<_>>();
        let mut clean = true;
        for home in nodes.into_iter().chain(state.inet.take().map(Home::Own)) {
            if let Err(error) = home.remove() {
                errors.push(error);
                clean = false;
            }
        }
        if let Some(lock) = state.lock.take() {
            let journal = state.journal.take();
            if let Err(error) = clean::close(&self.ground, &self.config.name, journal, clean) {
                errors.push(error);
            }
            drop(lock);
        }
        errors
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked for.
    #[must_use]
    pub fn config(&self) -> &LabConfig {
        &self.config
    }

    /// Looks at what it consists of now: nodes and networks come and go.
    pub fn with_spec<T>(&self, look: impl FnOnce(&Spec) -> T) -> T {
        look(&self.state().spec)
    }

    /// Where it stands.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The veth pairs it took to build.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// The pings that show it works.
    #[must_use]
    pub fn checks(&self) -> &[CheckPlan] {
        &self.checks
    }

    /// The nodes, in the order they came.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.state().nodes.iter().map(|held| held.node.clone()).collect()
    }

    /// Looks at the switch, or asks it for something; None in a topology without one, and once
    /// the lab is stopped.
    pub fn with_switch<T>(&self, look: impl FnOnce(&Switch) -> T) -> Option<T> {
        self.switch.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }

    pub(crate) fn station(&self) -> Option<&Mutex<GatewayStation>> {
        self.station.as_deref()
    }

    /// Looks at the gateway, or asks it for something. Workers wait meanwhile: be short.
    pub fn with_gateway<T>(&self, look: impl FnOnce(&mut Gateway) -> T) -> Option<T> {
        let path = self.fast.path.as_ref();
        let before = path.map(|path| path.generation());
        let seen = look(self.station()?.lock().unwrap_or_else(PoisonError::into_inner).gateway());
        // What it has changed holds for frames that are under way too, once this returns.
        if let Some(path) = path.filter(|path| before != Some(path.generation())) {
            path.wait();
        }
        Some(seen)
    }

    /// The ports that were published for nodes which have gone since the last call.
    #[must_use]
    pub fn take_withdrawn(&self) -> Vec<gateway::Published> {
        std::mem::take(&mut self.state().withdrawn)
    }

    /// A node's namespace, by its name with or without the prefix.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<OwnedFd> {
        let state = self.state();
        let held = state.nodes.iter().find(|held| held.node.is(name));
        held?.home.descriptor().ok()
    }
}

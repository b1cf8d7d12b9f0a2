//! The handle: starts the workers, plugs ports in and out, reads tables and counters.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bpf::Lane;
use crossbeam_channel::{Receiver, Sender, bounded};
use sys::packet::{PacketIo, Pass, RingConfig};
use wire::Timestamp;

use super::command::Command;
use super::config::{Config, Error, Event};
use super::crew::{Crew, Member};
use super::fast::FastPath;
use super::finisher::Finisher;
use super::keeper::{Keeper, Recipe};
use super::ports::{Port, PortInfo, PortRole, PortSpec};
use super::roster::Roster;
use super::running::{Running, Says};
use crate::core::{
    Bridge, Fdb, FdbEntry, Guards, Neighbours, NetworkConfig, NetworkId, PortId, Shared, Snoops,
};
use crate::station::SharedStation;
use crate::stats::{Counters, PortCells, PortStats};
use crate::tap::Tap;

/// Events kept for whoever fetches them; more are counted and lost.
const EVENTS: usize = 4096;

/// Slots of the rings of workers that take part at times.
const OTHERS_SLOTS: usize = 1024;

/// A running switch. Dropping it stops the workers.
pub struct Switch {
    pub(super) fdb: Arc<Fdb>,
    pub(super) snoops: Arc<Snoops>,
    pub(super) guards: Arc<Guards>,
    networks: Mutex<BTreeMap<NetworkId, NetworkConfig>>,
    pub(super) neighbours: Mutex<BTreeMap<NetworkId, Neighbours>>,
    pub(super) slots: usize,
    pub(super) crew: Option<Arc<Crew>>,
    ports: Mutex<BTreeMap<PortId, Port>>,
    pub(super) roster: Roster,
    pub(super) workers: Vec<Running>,
    pub(super) fast: Option<Arc<FastPath>>,
    /// After the workers: it ends when they have.
    pub(super) keeper: Keeper,
    /// Ends after the workers, which send by what it holds.
    _finisher: Option<Finisher>,
    events: (Sender<Event>, Receiver<Event>),
}

impl Switch {
    /// Starts the workers in the network namespace `netns`.
    ///
    /// # Errors
    /// [`Error::Open`] without CAP_NET_RAW there or without memory for the rings;
    /// [`Error::Thread`].
    pub fn start(
        config: Config,
        netns: BorrowedFd<'_>,
        station: Option<SharedStation>,
    ) -> Result<Self, Error> {
        // Before there are workers, which may not.
        sys::memory::shrink_once();
        let fdb = Arc::new(Fdb::new(config.fdb));
        let fast = config.fast.clone();
        let mac = |s: &SharedStation| s.lock().unwrap_or_else(PoisonError::into_inner).mac();
        let local = station.as_ref().map(mac).or(config.network.local);
        let first = NetworkConfig { local, ..config.network.clone() };
        let events = bounded(EVENTS);
        let crew = (config.spread && config.workers <= 1).then(Crew::new).flatten();
        let count = crew.as_ref().map_or(config.workers.max(1), |crew| crew.workers());
        let group = (count > 1 && crew.is_none()).then_some(1);
        let mut keeper = Keeper::new();
        let home = Arc::new(netns.try_clone_to_owned().map_err(Error::Open)?);
        if let Some(fast) = &fast {
            fast.begin(&home, &fdb).map_err(Error::Thread)?;
        }
        let finisher = config.finish.then(|| Finisher::start(Arc::clone(&home)));
        let finisher = finisher.transpose().map_err(Error::Thread)?;
        let open = |number| {
            // Those of the others are short: whoever makes frames for them shares a core with them.
            let slots = if crew.is_some() && number > 0 { OTHERS_SLOTS } else { config.slots };
            let ring = RingConfig {
                slots,
                fanout: group,
                marking: config.finish,
                ..RingConfig::default()
            };
            let open = || match (&crew, &fast) {
                (Some(crew), _) => PacketIo::steered(ring, Arc::clone(&crew.steering), number),
                (None, Some(fast)) => fast.open(Lane::Ports, ring),
                (None, None) => PacketIo::open(ring),
            };
            let (netns, fast) = (Arc::clone(&home), fast.clone());
            let fast = fast.map(|fast| (fast, Lane::Ports));
            let recipe = Recipe { netns, config: ring, pass: Pass::All, fast };
            Ok((sys::netns::inside(home.as_fd(), open).map_err(Error::Open)?, recipe))
        };
        let (rings, recipes): (Vec<_>, Vec<_>) =
            (0..count).map(open).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        keeper.recipes.lock().unwrap_or_else(PoisonError::into_inner).main = recipes;
        let shared = Shared::default();
        let mut workers: Vec<Running> = Vec::new();
        // The first comes last, for it has to know the others.
        for (number, io) in rings.into_iter().enumerate().rev() {
            let bridge = Bridge::counting(first.clone(), Arc::clone(&fdb), shared.clone());
            let finish = finisher.as_ref().map(Finisher::way);
            let says = Says { events: events.0.clone(), asks: keeper.asks(), finish };
            let member = match &crew {
                Some(crew) if number > 0 => Some(Member::other(Arc::clone(crew), number)),
                Some(crew) => {
                    let others = workers.iter().map(Running::poke).collect::<io::Result<_>>();
                    Some(Member::first(Arc::clone(crew), others.map_err(Error::Thread)?))
                }
                None => None,
            };
            let station = station.clone();
            workers.push(Running::start(number, io, bridge, station, says, &config, member)?);
        }
        workers.reverse();
        let tellers = workers.iter().map(Running::teller).collect::<io::Result<_>>();
        keeper.start(tellers.map_err(Error::Thread)?)?;
        let networks = Mutex::new(BTreeMap::from([(NetworkId::FIRST, first)]));
        let Shared { snoops, guards, .. } = shared;
        Ok(Self {
            fdb,
            snoops,
            guards,
            networks,
            neighbours: Mutex::default(),
            slots: config.slots,
            crew,
            ports: Mutex::default(),
            roster: Roster::default(),
            workers,
            fast,
            keeper,
            _finisher: finisher,
            events,
        })
    }

    /// Plugs in an interface that lies in the switch's namespace.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::NoRoom`], [`Error::NoRoomForVlans`], [`Error::Dead`].
    pub fn add_port(&self, spec: PortSpec) -> Result<PortId, Error> {
        let networks = self.networks();
        if spec.role == PortRole::Bridged && !networks.contains_key(&spec.network) {
            return Err(Error::NoNetwork(spec.network));
        }
        self.reserve(&networks, spec.network, &[&spec.vlans])?;
        let mut ports = self.lock();
        if spec.netns.is_some() && spec.role == PortRole::Bridged {
            return Err(Error::Elsewhere(spec.name));
        }
        let same = |port: &Port| {
            port.spec.ifindex == spec.ifindex && port.spec.netns.is_none() && spec.netns.is_none()
        };
        let second =
            |port: &Port| port.spec.role == PortRole::Routed && spec.role == port.spec.role;
        if ports.values().any(|port| same(port) || second(port)) {
            return Err(Error::Taken(spec.name));
        }
        let id = self.roster.number(|id| ports.contains_key(&id)).ok_or(Error::NoRoom)?;
        let cells: Vec<_> = self.workers.iter().map(|_| Arc::<PortCells>::default()).collect();
        let role = spec.role;
        let links = self.foreign_links(&spec)?;
        let name = spec.name.as_str().into();
        let mut port = Port { up: spec.up, spec, cells };
        self.plug_beside(id, &mut port);
        port.make_room(&networks);
        let state = port.state();
        for ((worker, cells), link) in self.workers.iter().zip(&port.cells).zip(links) {
            let (state, port) = (state.clone(), port.plugged(cells));
            worker.tell(Command::Set { id, role, state, port, link })?;
        }
        ports.insert(id, port);
        self.note(Event::Added { port: id, name });
        Ok(id)
    }

    /// Unplugs a port and forgets its addresses. Frames of it still in a ring are dropped and
    /// counted as from an unknown port.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn remove_port(&self, id: PortId) -> Result<(), Error> {
        let networks = self.networks();
        let mut ports = self.lock();
        let port = ports.remove(&id).ok_or(Error::NoPort(id))?;
        self.roster.turn();
        self.all(|| Command::Remove { id })?;
        // Nobody may learn there any more when its addresses are forgotten.
        self.sync_of(id)?;
        self.fdb.forget_port(id);
        self.unplug_beside(id);
        drop(ports);
        self.give_back(&networks);
        self.note(Event::Removed { port: id, name: port.spec.name.as_str().into() });
        Ok(())
    }

    /// Tells of a port's link. Going down forgets what was learned there. That one which was
    /// plugged in before its link comes up for the first time is no event.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_link(&self, id: PortId, up: bool) -> Result<(), Error> {
        let mut expected = false;
        self.mark_beside(id, up);
        self.change(id, |port| {
            expected = up && !port.spec.up;
            port.spec.up |= up;
            port.up = up;
        })?;
        if expected {
            return Ok(());
        }
        if !up {
            self.sync_of(id)?;
            self.fdb.flush(Some(id));
        }
        self.note(Event::Link { port: id, up });
        Ok(())
    }

    /// Tells of a port's MTU, in bytes.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_mtu(&self, id: PortId, mtu: u32) -> Result<(), Error> {
        self.change(id, |port| port.spec.mtu = mtu)
    }

    /// The ports with their counters, by number; each is read as it stands, while frames pass
    /// ([`Switch::tally`] has them of one moment).
    #[must_use]
    pub fn ports(&self) -> Vec<PortInfo> {
        self.catch_up();
        let ports = self.lock();
        let row = |(id, port): (&PortId, &Port)| {
            let mut stats = PortStats::default();
            port.cells.iter().for_each(|cells| stats.add(cells));
            PortInfo { id: *id, spec: port.spec.clone(), up: port.up, stats }
        };
        ports.iter().map(row).collect()
    }

    /// What a port is, and whether its link is up.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<(PortSpec, bool)> {
        self.lock().get(&id).map(|port| (port.spec.clone(), port.up))
    }

    /// The table's living entries.
    #[must_use]
    pub fn fdb(&self) -> Vec<FdbEntry> {
        self.fdb.snapshot(Timestamp::from_nanos(sys::clock::now()))
    }

    /// The table itself: to set entries, or to look one up.
    #[must_use]
    pub fn table(&self) -> &Fdb {
        &self.fdb
    }

    /// Forgets learned entries, of one port or of all; says how many.
    pub fn flush_fdb(&self, port: Option<PortId>) -> usize {
        self.fdb.flush(port)
    }

    /// The counters of all workers together, each as it stands, while frames pass.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.workers.iter().for_each(|worker| sum.add(&worker.cells));
        self.add_beside(&mut sum);
        sum
    }

    /// Shows every frame from now on to `tap`, or to nobody. When this returns, the tap set before
    /// is not called any more.
    ///
    /// # Errors
    /// [`Error::Dead`].
    pub fn set_tap(&self, tap: Option<Arc<dyn Tap>>) -> Result<(), Error> {
        self.all(|| Command::Tap(tap.clone()))?;
        self.sync()
    }

    /// How many threads forward: where they come and go, how many do now.
    #[must_use]
    pub fn workers(&self) -> usize {
        match &self.crew {
            Some(crew) if !crew.steering.spreads() => 1,
            _ => self.workers.len(),
        }
    }

    /// The threads that forward, also those that do not now.
    #[must_use]
    pub fn threads(&self) -> Vec<sys::urgent::Thread> {
        self.workers.iter().filter_map(|worker| worker.id).collect()
    }

    /// How often frames began to be spread over all workers; None where that cannot be.
    #[must_use]
    pub fn spreads(&self) -> Option<u64> {
        self.crew.as_ref().map(|crew| crew.steering.begun())
    }

    /// Bytes of the rings shared with the kernel.
    #[must_use]
    pub fn ring_memory(&self) -> usize {
        self.workers.iter().map(|worker| worker.memory).sum()
    }

    /// Where events arrive. Each goes to one of the receivers.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.events.1.clone()
    }

    /// Stops the workers and waits for them.
    ///
    /// # Errors
    /// [`Error::Dead`] where one had died before.
    pub fn stop(mut self) -> Result<(), Error> {
        self.halt()
    }

    fn halt(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let told = worker.tell(Command::Stop);
                let joined = thread.join().map_err(|_| Error::Dead);
                outcome = outcome.and(told).and(joined);
            }
        }
        outcome
    }

    pub(super) fn change(&self, id: PortId, change: impl FnOnce(&mut Port)) -> Result<(), Error> {
        let mut ports = self.lock();
        let port = ports.get_mut(&id).ok_or(Error::NoPort(id))?;
        change(port);
        let state = port.state();
        self.all(|| Command::State { id, state: state.clone() })?;
        if self.fast.is_some() { self.sync_of(id) } else { Ok(()) }
    }

    pub(super) fn all(&self, command: impl Fn() -> Command) -> Result<(), Error> {
        self.workers.iter().try_for_each(|worker| worker.tell(command()))
    }

    fn note(&self, event: Event) {
        // Events wait for nobody; those of the handle itself are known to its caller anyway.
        let _ = self.events.0.try_send(event);
    }

    /// Taken before the ports' lock, where both are.
    pub(super) fn networks(&self) -> MutexGuard<'_, BTreeMap<NetworkId, NetworkConfig>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<PortId, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

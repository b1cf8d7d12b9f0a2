//! The handle: starts the workers, plugs ports in and out, reads tables and counters.

use std::collections::BTreeMap;
use std::io::{self, PipeWriter, Write};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use sys::packet::{PacketIo, RingConfig};
use wire::{MacAddr, Timestamp, VlanId};

use super::outbox::Stage;
use super::ports::{PortInfo, PortMap, PortSpec};
use super::worker::{self, Command, SharedStation, Wake, Worker};
use crate::core::{
    Bridge, BridgeConfig, Fdb, FdbConfig, FdbEntry, PortId, PortSettings, PortState,
};
use crate::station::Station;
use crate::stats::{Counters, PortCells, PortStats, WorkerCells};

/// Events kept for whoever fetches them; more are counted and lost.
const EVENTS: usize = 4096;
/// Commands on their way to a worker; the handle waits for room.
const COMMANDS: usize = 64;

/// How a switch is made.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Threads that forward; the kernel spreads flows over them by hash.
    pub workers: usize,
    /// Slots of each worker's ring (68 KiB each).
    pub slots: usize,
    /// How long a worker looks for the next frame before it sleeps.
    pub spin: Duration,
    /// The table.
    pub fdb: FdbConfig,
    /// Link-local groups let through (`group_fwd_mask`).
    pub link_local_mask: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            slots: 255,
            spin: Duration::from_micros(50),
            fdb: FdbConfig::default(),
            link_local_mask: 0,
        }
    }
}

/// What can go wrong with a running switch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The packet sockets could not be opened.
    #[error("the switch cannot open its packet sockets")]
    Open(#[source] io::Error),
    /// A thread could not be started.
    #[error("the switch cannot start a worker")]
    Thread(#[source] io::Error),
    /// There is no more room for ports.
    #[error("the switch has all the {} ports it can have", PortId::MAX)]
    NoRoom,
    /// The interface is plugged in already.
    #[error("interface {0} is a port of the switch already")]
    Taken(String),
    /// No such port.
    #[error("the switch has no port number {}", .0.0)]
    NoPort(PortId),
    /// A worker is gone: it panicked.
    #[error("a worker of the switch has died")]
    Dead,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An address was seen for the first time.
    Learned {
        /// The address.
        mac: MacAddr,
        /// Its VLAN.
        vlan: VlanId,
        /// Where.
        port: PortId,
    },
    /// An address was seen at another port than before.
    Moved {
        /// The address.
        mac: MacAddr,
        /// Its VLAN.
        vlan: VlanId,
        /// Where it was.
        from: PortId,
        /// Where it is.
        to: PortId,
    },
    /// A port was plugged in.
    Added(PortId),
    /// A port was unplugged.
    Removed(PortId),
    /// A port's link changed.
    Link {
        /// Which.
        port: PortId,
        /// Up or down.
        up: bool,
    },
}

/// A running switch. Dropping it stops the workers.
pub struct Switch {
    fdb: Arc<Fdb>,
    ports: Mutex<BTreeMap<PortId, Port>>,
    workers: Vec<Running>,
    events: (Sender<Event>, Receiver<Event>),
}

struct Port {
    spec: PortSpec,
    up: bool,
    cells: Vec<Arc<PortCells>>,
}

struct Running {
    commands: Sender<Command>,
    pending: Arc<AtomicBool>,
    pipe: PipeWriter,
    cells: Arc<WorkerCells>,
    memory: usize,
    thread: Option<JoinHandle<()>>,
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
        station: Option<Box<dyn Station>>,
    ) -> Result<Self, Error> {
        let fdb = Arc::new(Fdb::new(config.fdb));
        let bridge = BridgeConfig {
            local: station.as_ref().map(|s| s.mac()),
            link_local_mask: config.link_local_mask,
        };
        let station: Option<SharedStation> = station.map(|s| Arc::new(Mutex::new(s)));
        let events = bounded(EVENTS);
        let group = (config.workers > 1).then_some(1);
        let mut workers = Vec::new();
        for number in 0..config.workers.max(1) {
            let ring = RingConfig { slots: config.slots, fanout: group, ..RingConfig::default() };
            let io = sys::netns::inside(netns, || PacketIo::open(ring)).map_err(Error::Open)?;
            let bridge = Bridge::new(bridge, Arc::clone(&fdb));
            let events = events.0.clone();
            workers.push(Running::start(number, io, bridge, station.clone(), events, config.spin)?);
        }
        Ok(Self { fdb, ports: Mutex::default(), workers, events })
    }

    /// Plugs in an interface that lies in the switch's namespace.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::NoRoom`], [`Error::Dead`].
    pub fn add_port(&self, spec: PortSpec) -> Result<PortId, Error> {
        let mut ports = self.lock();
        if ports.values().any(|port| port.spec.ifindex == spec.ifindex) {
            return Err(Error::Taken(spec.name));
        }
        let free = (0..PortId::MAX).filter_map(|n| u16::try_from(n).ok()).map(PortId);
        let id = free.into_iter().find(|id| !ports.contains_key(id)).ok_or(Error::NoRoom)?;
        let cells: Vec<_> = self.workers.iter().map(|_| Arc::<PortCells>::default()).collect();
        let (ifindex, role) = (spec.ifindex, spec.role);
        let port = Port { spec, up: true, cells };
        let state = port.state();
        for (worker, cells) in self.workers.iter().zip(&port.cells) {
            let cells = Arc::clone(cells);
            worker.tell(Command::Set { id, ifindex, role, state, cells })?;
        }
        ports.insert(id, port);
        self.note(Event::Added(id));
        Ok(id)
    }

    /// Unplugs a port and forgets its addresses. Frames of it still in a ring are dropped and
    /// counted as from an unknown port.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn remove_port(&self, id: PortId) -> Result<(), Error> {
        let mut ports = self.lock();
        ports.remove(&id).ok_or(Error::NoPort(id))?;
        self.all(|| Command::Remove { id })?;
        self.fdb.forget_port(id);
        self.note(Event::Removed(id));
        Ok(())
    }

    /// Tells of a port's link. Going down forgets what was learned there.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_link(&self, id: PortId, up: bool) -> Result<(), Error> {
        self.change(id, |port| port.up = up)?;
        if !up {
            self.fdb.flush(Some(id));
        }
        self.note(Event::Link { port: id, up });
        Ok(())
    }

    /// Changes a port's settings.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_settings(&self, id: PortId, settings: PortSettings) -> Result<(), Error> {
        self.change(id, |port| port.spec.settings = settings)
    }

    /// Tells of a port's MTU, in bytes.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_mtu(&self, id: PortId, mtu: u32) -> Result<(), Error> {
        self.change(id, |port| port.spec.mtu = mtu)
    }

    /// The ports with their counters, by number.
    #[must_use]
    pub fn ports(&self) -> Vec<PortInfo> {
        let ports = self.lock();
        let row = |(id, port): (&PortId, &Port)| {
            let mut stats = PortStats::default();
            port.cells.iter().for_each(|cells| stats.add(cells));
            PortInfo { id: *id, spec: port.spec.clone(), up: port.up, stats }
        };
        ports.iter().map(row).collect()
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

    /// The counters of all workers together.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.workers.iter().for_each(|worker| sum.add(&worker.cells));
        sum
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

    fn change(&self, id: PortId, change: impl FnOnce(&mut Port)) -> Result<(), Error> {
        let mut ports = self.lock();
        let port = ports.get_mut(&id).ok_or(Error::NoPort(id))?;
        change(port);
        let state = port.state();
        self.all(|| Command::State { id, state })
    }

    fn all(&self, command: impl Fn() -> Command) -> Result<(), Error> {
        self.workers.iter().try_for_each(|worker| worker.tell(command()))
    }

    fn note(&self, event: Event) {
        // Events wait for nobody; those of the handle itself are known to its caller anyway.
        let _ = self.events.0.try_send(event);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PortId, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

impl Port {
    fn state(&self) -> PortState {
        PortState { settings: self.spec.settings, mtu: self.spec.mtu, up: self.up }
    }
}

impl Running {
    fn start(
        number: usize,
        io: PacketIo,
        bridge: Bridge,
        station: Option<SharedStation>,
        events: Sender<Event>,
        spin: Duration,
    ) -> Result<Self, Error> {
        let (reader, pipe) = io::pipe().map_err(Error::Thread)?;
        let pending = Arc::new(AtomicBool::new(false));
        let cells = Arc::<WorkerCells>::default();
        let (sender, commands) = bounded(COMMANDS);
        let memory = io.ring_memory();
        let worker = Worker {
            io,
            bridge,
            ports: PortMap::default(),
            cells: Arc::clone(&cells),
            // The first worker alone keeps the station's clock.
            next_tick: (number == 0 && station.is_some()).then_some(Timestamp::ZERO),
            station,
            commands,
            events,
            wake: Wake { pending: Arc::clone(&pending), pipe: reader },
            spin,
            stage: Stage::new(),
            scratch: worker::scratch(),
            next_expiry: Timestamp::ZERO,
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || worker.run())
            .map_err(Error::Thread)?;
        Ok(Self { commands: sender, pending, pipe, cells, memory, thread: Some(thread) })
    }

    fn tell(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| Error::Dead)?;
        if !self.pending.swap(true, Ordering::AcqRel) {
            (&self.pipe).write_all(&[1]).map_err(|_| Error::Dead)?;
        }
        Ok(())
    }
}

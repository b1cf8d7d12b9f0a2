//! A worker as the handle holds it: its thread, the channel to it, its counters.
//!
//! Commands wait for room in the channel; a worker that has died is an error to whoever tells it.

use std::io::{self, PipeWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use sys::latency::CpuLatency;
use sys::packet::PacketIo;
use wire::Timestamp;

use super::awake::Awake;
use super::bundles::Bundles;
use super::command::Command;
use super::config::{Config, Error, Event};
use super::crew::Member;
use super::fast::Scribe;
use super::finisher::Way;
use super::keeper::Ask;
use super::link::Link;
use super::outbox::{LONGEST, Links};
use super::ports::PortMap;
use super::pulse::Pulse;
use super::rhythm::Rhythm;
use super::stage::Stage;
use super::worker::{self, Wake, Worker};
use crate::core::{Bridge, Fair, Flaps, Path};
use crate::station::SharedStation;
use crate::stats::WorkerCells;

/// Commands on their way to a worker; the handle waits for room.
const COMMANDS: usize = 64;
/// How long a worker looks for the next frame where the kernel repeats what is decided: little is
/// left for it then, and whoever is served by the kernel needs the core.
const FAST_SPIN: Duration = Duration::from_micros(5);

pub(super) struct Running {
    commands: Sender<Command>,
    pending: Arc<AtomicBool>,
    pipe: PipeWriter,
    pub(super) cells: Arc<WorkerCells>,
    pub(super) memory: usize,
    pub(super) thread: Option<JoinHandle<()>>,
    /// The same as the kernel calls it.
    pub(super) id: Option<sys::urgent::Thread>,
}

/// The means to have a worker look around.
pub(super) struct Poke {
    pending: Arc<AtomicBool>,
    pipe: PipeWriter,
}

impl Poke {
    pub(super) fn poke(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // Where nobody reads any more the worker has ended.
            let _ = (&self.pipe).write_all(&[1]);
        }
    }
}

/// Where a worker's own words go: what happened, and what it needs.
pub(super) struct Says {
    pub(super) events: Sender<Event>,
    pub(super) asks: Option<Sender<Ask>>,
    pub(super) finish: Option<Arc<Way>>,
}

/// The means to tell a worker something.
pub(super) struct Teller {
    commands: Sender<Command>,
    poke: Poke,
}

impl Teller {
    pub(super) fn tell(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| Error::Dead)?;
        self.poke.poke();
        Ok(())
    }
}

/// What a worker is made of.
pub(super) struct Parts<L: Link> {
    pub(super) number: usize,
    pub(super) link: L,
    /// Of the link.
    pub(super) slots: usize,
    pub(super) bridge: Bridge,
    pub(super) station: Option<SharedStation>,
    pub(super) says: Says,
    pub(super) member: Option<Member>,
    pub(super) commands: Receiver<Command<L>>,
    pub(super) wake: Wake,
    pub(super) cells: Arc<WorkerCells>,
}

/// A worker that has taken nothing yet.
pub(super) fn worker<L: Link>(parts: Parts<L>, config: &Config) -> Worker<L> {
    let Parts { number, link, slots, bridge, station, says, member, commands, wake, cells } = parts;
    Worker {
        number,
        links: Links {
            main: link,
            uplink: None,
            bundles: Bundles::new(),
            finish: says.finish,
            made: Vec::with_capacity(LONGEST),
            sent: 0,
        },
        pulses: [Pulse::default(), Pulse::default()],
        asks: says.asks,
        round: None,
        bridge,
        path: Path::roomy(),
        fair: Fair::new(slots),
        ports: PortMap::default(),
        cells,
        // The first worker alone keeps the station's clock.
        next_tick: (number == 0 && station.is_some()).then_some(Timestamp::ZERO),
        station,
        commands,
        events: says.events,
        wake,
        spin: if config.fast.is_some() { config.spin.min(FAST_SPIN) } else { config.spin },
        member,
        rhythm: Rhythm::default(),
        scribe: Scribe::new(config.fast.clone()),
        awake: Awake::new(config.wakeful.then(CpuLatency::open).and_then(Result::ok)),
        stage: Stage::new(),
        scratch: worker::scratch(),
        next_expiry: Timestamp::ZERO,
        next_count: Timestamp::ZERO,
        next_groups: None,
        flaps: Flaps::default(),
        tap: None,
        before: Vec::new(),
        egress: Vec::new(),
        said: Vec::new(),
        repeat: None,
        station_time: Duration::ZERO,
    }
}

impl Running {
    pub(super) fn start(
        number: usize,
        io: PacketIo,
        bridge: Bridge,
        station: Option<SharedStation>,
        says: Says,
        config: &Config,
        member: Option<Member>,
    ) -> Result<Self, Error> {
        let (reader, pipe) = io::pipe().map_err(Error::Thread)?;
        let pending = Arc::new(AtomicBool::new(false));
        let cells = Arc::<WorkerCells>::default();
        let (sender, commands) = bounded(COMMANDS);
        let memory = io.ring_memory();
        let worker = worker(
            Parts {
                number,
                slots: io.slots(),
                link: io,
                bridge,
                station,
                says,
                member,
                commands,
                wake: Wake { pending: Arc::clone(&pending), pipe: reader },
                cells: Arc::clone(&cells),
            },
            config,
        );
        let (tell, told) = bounded(1);
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                let _ = tell.send(sys::urgent::Thread::own());
                if let Err(error) = sys::confine::forwarding() {
                    tracing::warn!("worker {number} may make any system call: {error}");
                }
                worker.run();
            })
            .map_err(Error::Thread)?;
        let id = told.recv().ok();
        Ok(Self { commands: sender, pending, pipe, cells, memory, thread: Some(thread), id })
    }

    pub(super) fn teller(&self) -> io::Result<Teller> {
        Ok(Teller { commands: self.commands.clone(), poke: self.poke()? })
    }

    pub(super) fn poke(&self) -> io::Result<Poke> {
        Ok(Poke { pending: Arc::clone(&self.pending), pipe: self.pipe.try_clone()? })
    }

    pub(super) fn tell(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| Error::Dead)?;
        if !self.pending.swap(true, Ordering::AcqRel) {
            (&self.pipe).write_all(&[1]).map_err(|_| Error::Dead)?;
        }
        Ok(())
    }
}

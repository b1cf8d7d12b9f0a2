//! A worker: takes frames out of its rings, has them decided, sends them on, sleeps when idle.
//!
//! Owns its rings, its senders, its copy of the ports and its counters. Nothing here allocates,
//! locks (the station's lock apart, once a batch at most) or logs for a frame. It ends when told.
//! What happens to one frame stands in `frame.rs`.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bpf::Lane;
use crossbeam_channel::{Receiver, Sender};
use sys::packet::PacketIo;
use wire::Timestamp;

use super::awake::Awake;
use super::command::Command;
use super::config::Event;
use super::crew::Member;
use super::fast::Scribe;
use super::keeper::Ask;
use super::link::Link;
use super::outbox::{Links, Place};
use super::ports::{PortMap, PortRole};
use super::pulse::Pulse;
use super::rhythm::Rhythm;
use super::round::Round;
use super::stage::Stage;
use crate::core::{Bridge, Exit, Fair, Flaps, Path, PortId};
use crate::station::{Repeat, SharedStation, Station};
use crate::stats::WorkerCells;
use crate::tap::Tap;

/// Frames taken before what is queued is sent and the slots go back.
const BATCH: usize = 64;
/// A group frame up to this size is shown to the station, as a copy.
const SCRATCH: usize = 2048;
/// How often a worker with nothing to do forgets aged addresses, at most and at least.
const EXPIRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// How often a busy worker reads the kernel's count of drops; a sleepy one reads it as it dozes off.
const COUNTING: Duration = Duration::from_millis(100);
/// A station that was given a frame is asked for its next wish this soon.
const STATION_SOON: Duration = Duration::from_millis(100);
/// While spinning, the share of the time after which the core is offered to others.
const YIELD_AFTER: Duration = Duration::from_micros(15);

/// The places of a worker's two rings.
pub(super) const MAIN: usize = 0;
pub(super) const UPLINK: usize = 1;

/// How a worker is woken: a flag, and a byte in a pipe for the one that sleeps.
pub(super) struct Wake {
    pub(super) pending: Arc<AtomicBool>,
    pub(super) pipe: PipeReader,
}

/// The station's lock, once a frame of the batch has needed it.
pub(super) type Held<'s> = Option<MutexGuard<'s, dyn Station + 'static>>;

/// All a worker owns.
pub(super) struct Worker<L: Link = PacketIo> {
    pub(super) number: usize,
    pub(super) links: Links<L>,
    /// Of its ring, and of the uplink's.
    pub(super) pulses: [Pulse; 2],
    pub(super) asks: Option<Sender<Ask>>,
    pub(super) round: Option<Arc<Round>>,
    pub(super) bridge: Bridge,
    /// The way out of the frame at hand.
    pub(super) path: Path,
    pub(super) fair: Fair,
    pub(super) ports: PortMap,
    pub(super) cells: Arc<WorkerCells>,
    pub(super) station: Option<SharedStation>,
    pub(super) commands: Receiver<Command<L>>,
    pub(super) events: Sender<Event>,
    pub(super) wake: Wake,
    pub(super) spin: Duration,
    /// Its place among workers of which at times only the first works.
    pub(super) member: Option<Member>,
    pub(super) rhythm: Rhythm,
    pub(super) scribe: Scribe,
    pub(super) awake: Awake,
    pub(super) stage: Stage,
    pub(super) scratch: Box<[u8; SCRATCH]>,
    pub(super) next_tick: Option<Timestamp>,
    pub(super) next_expiry: Timestamp,
    pub(super) next_count: Timestamp,
    /// When groups want to be looked at; the first worker's alone.
    pub(super) next_groups: Option<Timestamp>,
    /// Addresses that have moved of late.
    pub(super) flaps: Flaps,
    pub(super) tap: Option<Arc<dyn Tap>>,
    /// For the tap: a frame's bytes as they came, the ports it went to.
    pub(super) before: Vec<u8>,
    pub(super) egress: Vec<Exit>,
    /// For the tap: what the switch has said of its own since it was last shown.
    pub(super) said: Vec<(Vec<u8>, Exit)>,
    /// How the station would have the frame at hand repeated.
    pub(super) repeat: Option<Repeat>,
    /// For the tap: the station's time with the frame at hand.
    pub(super) station_time: Duration,
}

pub(super) fn scratch() -> Box<[u8; SCRATCH]> {
    Box::new([0; SCRATCH])
}

impl<L: Link> Worker<L> {
    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        if let Some(member) = &self.member {
            member.begin();
        }
        loop {
            if self.wake.pending.load(Ordering::Acquire) && !self.obey() {
                return;
            }
            let now = now();
            let taken = self.turn(now);
            if taken == 0 && !(self.spins() && self.look_out(now + self.spin)) {
                self.sleep();
            }
        }
    }

    /// Takes a batch, and does what is due; says how many frames it took.
    fn turn(&mut self, now: Timestamp) -> usize {
        let taken = self.batch(now);
        if taken > 0 {
            self.awake.batch(now);
        }
        self.timers(now);
        if let Some(member) = &mut self.member
            && let Some(ring) = self.links.main.ring()
        {
            member.turn(ring, now);
        }
        taken
    }

    /// Does what the handle asked; false when that was to stop.
    fn obey(&mut self) -> bool {
        let mut byte = [0];
        // The handle writes the byte right after it sets the flag.
        let _ = self.wake.pipe.read(&mut byte);
        self.wake.pending.store(false, Ordering::Release);
        self.next_groups = (self.number == 0).then_some(Timestamp::ZERO);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Set { id, role, state, port, link } => {
                    if let Some(link) = link {
                        self.links.uplink = Some(*link);
                    }
                    self.ports.insert(id, role, port);
                    match role {
                        PortRole::Bridged => self.bridge.set_port(id, state),
                        PortRole::Routed => self.bridge.remove_port(id),
                    }
                    self.next_tick = self.station.as_ref().map(|_| Timestamp::ZERO);
                }
                Command::State { id, state } => {
                    if self.bridge.port(id).is_some() {
                        self.ports.set_mtu(id, state.mtu);
                        self.bridge.set_port(id, state);
                    }
                }
                Command::Network { id, config, groups } => match config {
                    Some(config) => self.bridge.set_network_with(id, config, groups),
                    None => self.bridge.remove_network(id),
                },
                Command::Remove { id } => {
                    if self.ports.get(id).is_some_and(|port| port.foreign) {
                        self.links.uplink = None;
                    }
                    self.ports.remove(id);
                    self.bridge.remove_port(id);
                }
                Command::Tap(tap) => {
                    // Room for the largest frame, so that watching does not allocate for each.
                    self.before.reserve(if tap.is_some() { 1 << 18 } else { 0 });
                    self.egress.reserve(if tap.is_some() { PortId::MAX } else { 0 });
                    self.links.bundles.watch(tap.is_some());
                    self.tap = tap;
                }
                Command::Round(round) => self.round = Some(round),
                Command::Ring { uplink, spare } => self.renew(uplink, spare),
                Command::Neighbours { id, known } => self.bridge.set_neighbours(id, known),
                Command::Between(mut look, done) => {
                    look();
                    // Whoever asked may have given up waiting.
                    let _ = done.try_send(look);
                    continue;
                }
                Command::Tick => self.next_tick = self.station.is_some().then_some(Timestamp::ZERO),
                Command::Sync(done) => {
                    self.heed(now());
                    // Whoever asked may have given up waiting.
                    let _ = done.try_send(());
                }
                Command::Stop => return false,
            }
            self.scribe.changed(self.tap.is_some());
        }
        true
    }

    /// Takes up to a batch of frames from each ring; says how many.
    fn batch(&mut self, now: Timestamp) -> usize {
        let uplink_ready = self.links.uplink.as_ref().is_some_and(|io| io.ready(0));
        if !self.links.main.ready(0) && !uplink_ready {
            self.links.main.settle();
            return 0;
        }
        self.scribe.begin();
        let main = &self.links.main;
        self.fair.look(|ahead| main.ready(ahead));
        let (shared, mut station, mut taken) = (self.station.clone(), None, 0);
        while taken < BATCH && self.links.main.admit(taken) {
            self.frame(Place::Main(taken), shared.as_ref(), &mut station, now);
            taken += 1;
        }
        let mut came = 0;
        while came < BATCH && self.links.uplink.as_mut().is_some_and(|io| io.admit(came)) {
            self.frame(Place::Uplink(came), shared.as_ref(), &mut station, now);
            came += 1;
        }
        if station.is_some() {
            // What it was given may have started a clock of its own, so it is asked again soon.
            let soon = now + STATION_SOON;
            self.next_tick = Some(self.next_tick.map_or(soon, |at| at.min(soon)));
        }
        drop(station);
        for (pulse, count) in self.pulses.iter_mut().zip([taken, came]) {
            if count > 0 {
                pulse.beat();
            }
        }
        self.links.flush(&self.ports, &self.cells);
        if let Some(member) = &mut self.member {
            member.batch(taken, self.links.sent);
        }
        self.links.main.release(taken);
        self.scribe.passed(Lane::Ports, taken as u64);
        if let Some(uplink) = &mut self.links.uplink {
            uplink.release(came);
            self.scribe.passed(Lane::Uplink, came as u64);
        }
        taken + came
    }

    /// The station's and the table's clocks.
    fn timers(&mut self, now: Timestamp) {
        if self.next_tick.is_some_and(|at| at <= now)
            && let Some(shared) = &self.station
        {
            let mut station = shared.lock().unwrap_or_else(PoisonError::into_inner);
            self.next_tick = station.tick(&mut self.stage, now);
            drop(station);
            self.send_all_staged(now);
            self.links.flush(&self.ports, &self.cells);
        }
        let gone_by = self.scribe.look(self.bridge.fdb(), self.station.as_ref(), now);
        self.awake.gone_by(gone_by, now);
        self.heed(now);
        if self.next_groups.is_some_and(|at| at <= now) {
            self.look_at_groups(now);
        }
        if self.next_expiry <= now {
            let aged = self.bridge.fdb().expire(now);
            if aged > 0 && self.events.try_send(Event::Aged(aged)).is_err() {
                self.cells.events_lost.add(1);
            }
            let [often, seldom] = EXPIRY;
            self.next_expiry = now + self.bridge.fdb().ageing().clamp(often, seldom);
        }
        if self.next_count <= now {
            self.count_rings();
            self.next_count = now + COUNTING;
        }
    }

    /// Looks for the next frame without sleeping; true where one came or something is asked.
    fn look_out(&self, until: Timestamp) -> bool {
        let begun = now();
        loop {
            for _ in 0..32 {
                if self.ready() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if self.wake.pending.load(Ordering::Acquire) {
                return true;
            }
            let now = now();
            if now >= until {
                return false;
            }
            if now.since(begun) >= YIELD_AFTER {
                std::thread::yield_now();
            }
        }
    }

    /// Sleeps until a frame, a command or a timer. An idle switch with an empty table sleeps on.
    fn sleep(&mut self) {
        self.count_rings();
        let dozing = now();
        let watch = self.rhythm.next(dozing).filter(|_| self.spins());
        let expiry = (!self.bridge.fdb().is_empty()).then_some(self.next_expiry);
        let turn = self.member.as_ref().and_then(Member::until);
        let look = self.pulses.iter().map(|pulse| pulse.next(dozing)).min();
        let flows = self.scribe.until(dozing);
        let watched = watch.map(|w| w.from);
        let groups = self.next_groups;
        let times =
            [self.next_tick, expiry, watched, self.awake.until(), turn, look, flows, groups];
        let next = times.into_iter().flatten().min();
        // An error here would come again at once: the pause keeps it from becoming a busy loop.
        let Links { main, uplink, .. } = &self.links;
        let limit = next.map(|at| at.since(dozing));
        if main.wait(uplink.as_ref(), self.wake.pipe.as_fd(), limit).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(member) = &mut self.member {
            member.slept(now().since(dozing));
        }
        let mut came = self.ready();
        if let Some(watch) = watch.filter(|watch| !came && watch.from <= now()) {
            came = self.look_out(watch.until) && self.ready();
            if !came {
                self.rhythm.miss();
            }
        }
        if came {
            self.rhythm.beat(now());
        } else {
            self.awake.slept(now());
        }
    }

    /// Whether it may be awake without work.
    fn spins(&self) -> bool {
        self.member.as_ref().is_none_or(Member::spins)
    }

    fn ready(&self) -> bool {
        self.links.main.ready(0) || self.links.uplink.as_ref().is_some_and(|io| io.ready(0))
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;

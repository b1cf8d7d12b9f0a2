//! A worker: takes frames out of its ring, has them decided, sends them on, sleeps when idle.
//!
//! Owns its ring, its sender, its copy of the ports and its counters. Nothing here allocates,
//! locks (the station's lock apart, once a batch at most) or logs for a frame. It ends when told.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use sys::packet::{PacketIo, Received};
use wire::{FrameMut, MacAddr, Timestamp, VlanId, VlanTag};

use super::meta;
use super::outbox::{self, Out, Stage};
use super::ports::{Plugged, PortMap, PortRole};
use super::switch::Event;
use crate::core::{Bridge, DropReason, Frame, Learned, PortId, PortState, Verdict};
use crate::station::{Handling, Station};
use crate::stats::{PortCells, WorkerCells};

/// Frames taken before what is queued is sent and the slots go back.
const BATCH: usize = 64;
/// A group frame up to this size is shown to the station, as a copy.
const SCRATCH: usize = 2048;
/// How often a worker with nothing to do forgets aged addresses.
const EXPIRY: Duration = Duration::from_secs(30);
/// While spinning, the share of the time after which the core is offered to others.
const YIELD_AFTER: Duration = Duration::from_micros(15);

/// What the handle tells a worker.
pub(super) enum Command {
    Set { id: PortId, ifindex: u32, role: PortRole, state: PortState, cells: Arc<PortCells> },
    State { id: PortId, state: PortState },
    Remove { id: PortId },
    Stop,
}

/// How a worker is woken: a flag, and a byte in a pipe for the one that sleeps.
pub(super) struct Wake {
    pub(super) pending: Arc<AtomicBool>,
    pub(super) pipe: PipeReader,
}

pub(super) type SharedStation = Arc<Mutex<Box<dyn Station>>>;

/// All a worker owns.
pub(super) struct Worker {
    pub(super) io: PacketIo,
    pub(super) bridge: Bridge,
    pub(super) ports: PortMap,
    pub(super) cells: Arc<WorkerCells>,
    pub(super) station: Option<SharedStation>,
    pub(super) commands: Receiver<Command>,
    pub(super) events: Sender<Event>,
    pub(super) wake: Wake,
    pub(super) spin: Duration,
    pub(super) stage: Stage,
    pub(super) scratch: Box<[u8; SCRATCH]>,
    pub(super) next_tick: Option<Timestamp>,
    pub(super) next_expiry: Timestamp,
}

pub(super) fn scratch() -> Box<[u8; SCRATCH]> {
    Box::new([0; SCRATCH])
}

impl Worker {
    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        loop {
            if self.wake.pending.load(Ordering::Acquire) && !self.obey() {
                return;
            }
            let now = now();
            let taken = self.batch(now);
            self.timers(now);
            if taken == 0 && !self.spin(now) {
                self.sleep();
            }
        }
    }

    /// Does what the handle asked; false when that was to stop.
    fn obey(&mut self) -> bool {
        let mut byte = [0];
        // The handle writes the byte right after it sets the flag.
        let _ = self.wake.pipe.read(&mut byte);
        self.wake.pending.store(false, Ordering::Release);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Set { id, ifindex, role, state, cells } => {
                    self.ports.insert(id, role, Plugged { ifindex, cells });
                    match role {
                        PortRole::Bridged => self.bridge.set_port(id, state),
                        PortRole::Routed => self.bridge.remove_port(id),
                    }
                    self.next_tick = Some(Timestamp::ZERO);
                }
                Command::State { id, state } => {
                    if self.bridge.port(id).is_some() {
                        self.bridge.set_port(id, state);
                    }
                }
                Command::Remove { id } => {
                    self.ports.remove(id);
                    self.bridge.remove_port(id);
                }
                Command::Stop => return false,
            }
        }
        true
    }

    /// Takes up to a batch of frames; says how many.
    fn batch(&mut self, now: Timestamp) -> usize {
        if !self.io.ready(0) {
            return 0;
        }
        let shared = self.station.clone();
        let mut station = None;
        let mut taken = 0;
        while taken < BATCH && self.io.ready(taken) {
            self.frame(taken, shared.as_ref(), &mut station, now);
            taken += 1;
        }
        drop(station);
        outbox::flush(&mut self.io, &self.ports, &self.cells);
        self.io.release(taken);
        taken
    }

    fn frame<'s>(
        &mut self,
        ahead: usize,
        shared: Option<&'s SharedStation>,
        station: &mut Option<MutexGuard<'s, Box<dyn Station>>>,
        now: Timestamp,
    ) {
        self.cells.received.add(1);
        let Some((received, data)) = self.io.slot(ahead) else {
            return self.cells.drops[DropReason::Runt.index()].add(1);
        };
        let vlan = tag(received);
        let Some(mut view) = FrameMut::new(data, vlan) else {
            return self.cells.drops[DropReason::Runt.index()].add(1);
        };
        let len = view.bytes.len();
        let Some(ingress) = self.ports.by_ifindex(received.ifindex) else {
            return self.cells.drops[DropReason::UnknownPort.index()].add(1);
        };
        if let Some(port) = self.ports.get(ingress) {
            port.cells.rx_packets.add(1);
            port.cells.rx_bytes.add(len as u64);
        }
        if received.clipped {
            return self.dropped(ingress, DropReason::Clipped);
        }
        let vnet = view.vnet();
        let Some(header) = meta::read(vnet, view.bytes, vlan) else {
            return self.dropped(ingress, DropReason::Runt);
        };
        if let Some(short) = meta::with_short_headers(vnet, view.bytes) {
            view.set_vnet(short);
        }
        if self.ports.uplink() == Some(ingress) {
            let Some(station) = lock(shared, station) else {
                return self.dropped(ingress, DropReason::NoStation);
            };
            let handling = station.on_uplink(&mut view, &mut self.stage, now);
            return self.handled(handling, ahead, len, &header, Source::Uplink(ingress), now);
        }
        let decision = self.bridge.decide(&header, ingress, now);
        self.tell(decision.learned, header.src, header.vlan, ingress);
        match decision.verdict {
            Verdict::Forward(to) => {
                self.cells.forwarded.add(1);
                outbox::slot(&mut self.io, &self.ports, ahead, len, vlan, to);
            }
            Verdict::Local => {
                let Some(station) = lock(shared, station) else {
                    return self.dropped(ingress, DropReason::NoStation);
                };
                let Some((_, data)) = self.io.slot(ahead) else { return };
                let Some(mut view) = FrameMut::new(data, vlan) else { return };
                let handling = station.on_bridge(&mut view, &mut self.stage, now);
                self.handled(handling, ahead, len, &header, Source::Bridge(ingress), now);
            }
            Verdict::Flood => {
                self.cells.flooded.add(1);
                if header.dst.is_group()
                    && let Some(station) = lock(shared, station)
                {
                    self.show(ahead, station, now);
                }
                for to in self.bridge.flood_set(&header, ingress) {
                    outbox::slot(&mut self.io, &self.ports, ahead, len, vlan, to);
                }
            }
            Verdict::Drop(reason) => self.dropped(ingress, reason),
        }
    }

    /// Shows a flooded frame to the station: a copy, for the slot is being sent as it is.
    fn show(&mut self, ahead: usize, station: &mut Box<dyn Station>, now: Timestamp) {
        let Some((received, data)) = self.io.slot(ahead) else { return };
        let Some(copy) = self.scratch.get_mut(..data.len()) else { return };
        copy.copy_from_slice(data);
        if let Some(mut view) = FrameMut::new(copy, tag(received)) {
            // Whatever it did to the copy, the copy goes nowhere: it answers through the stage.
            let _ = station.on_bridge(&mut view, &mut self.stage, now);
            self.send_staged(now);
        }
    }

    /// Sends on what the station has rewritten in its slot, and what it made besides.
    fn handled(
        &mut self,
        handling: Handling,
        ahead: usize,
        len: usize,
        before: &Frame,
        source: Source,
        now: Timestamp,
    ) {
        if let Handling::Drop(_) = handling {
            self.dropped(source.port(), DropReason::Station);
        } else {
            match source {
                Source::Bridge(_) => self.cells.local.add(1),
                Source::Uplink(_) => self.cells.uplink.add(1),
            }
        }
        match handling {
            Handling::ToUplink => match self.ports.uplink() {
                Some(to) => {
                    self.cells.station_to_uplink.add(1);
                    outbox::slot(&mut self.io, &self.ports, ahead, len, None, to);
                }
                None => self.cells.station_lost.add(1),
            },
            Handling::ToBridge => self.rewritten_to_bridge(ahead, len, before, now),
            Handling::Consumed | Handling::Drop(_) => {}
        }
        self.send_staged(now);
    }

    fn rewritten_to_bridge(&mut self, ahead: usize, len: usize, before: &Frame, now: Timestamp) {
        let Some((_, data)) = self.io.slot(ahead) else { return };
        let Some(view) = FrameMut::new(data, None) else { return };
        let Some(eth) = wire::Ethernet::parse(view.bytes) else { return };
        let after = Frame { dst: eth.dst(), src: eth.src(), vlan: VlanId::NONE, ..*before };
        match self.bridge.route(&after, PortId::LOCAL, now) {
            Verdict::Forward(to) => {
                outbox::slot(&mut self.io, &self.ports, ahead, len, None, to);
            }
            Verdict::Flood => {
                for to in self.bridge.flood_set(&after, PortId::LOCAL) {
                    outbox::slot(&mut self.io, &self.ports, ahead, len, None, to);
                }
            }
            Verdict::Local | Verdict::Drop(_) => return self.cells.station_lost.add(1),
        }
        self.cells.station_to_bridge.add(1);
    }

    fn send_staged(&mut self, now: Timestamp) {
        let mut out =
            Out { io: &mut self.io, bridge: &self.bridge, ports: &self.ports, cells: &self.cells };
        self.stage.send(&mut out, now);
    }

    fn dropped(&self, ingress: PortId, reason: DropReason) {
        self.cells.drops[reason.index()].add(1);
        if let Some(port) = self.ports.get(ingress) {
            port.cells.drops[reason.index()].add(1);
        }
    }

    fn tell(&self, learned: Learned, mac: MacAddr, vlan: VlanId, port: PortId) {
        let event = match learned {
            Learned::New => Event::Learned { mac, vlan, port },
            Learned::Moved(from) => Event::Moved { mac, vlan, from, to: port },
            Learned::Known | Learned::Full | Learned::Sticky | Learned::Off => return,
        };
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            self.cells.events_lost.add(1);
        }
    }

    /// The station's and the table's clocks.
    fn timers(&mut self, now: Timestamp) {
        if self.next_tick.is_some_and(|at| at <= now)
            && let Some(shared) = &self.station
        {
            let mut station = shared.lock().unwrap_or_else(PoisonError::into_inner);
            self.next_tick = station.tick(&mut self.stage, now);
            drop(station);
            self.send_staged(now);
            outbox::flush(&mut self.io, &self.ports, &self.cells);
        }
        if self.next_expiry <= now {
            self.bridge.fdb().expire(now);
            self.next_expiry = now + EXPIRY;
            self.count_ring();
        }
    }

    /// Looks for the next frame without sleeping; true where one came or something is asked.
    fn spin(&self, since: Timestamp) -> bool {
        loop {
            for _ in 0..32 {
                if self.io.ready(0) {
                    return true;
                }
                std::hint::spin_loop();
            }
            if self.wake.pending.load(Ordering::Acquire) {
                return true;
            }
            let spent = now().since(since);
            if spent >= self.spin {
                return false;
            }
            if spent >= YIELD_AFTER {
                std::thread::yield_now();
            }
        }
    }

    /// Sleeps until a frame, a command or a timer. An idle switch with an empty table sleeps on.
    fn sleep(&mut self) {
        self.count_ring();
        let expiry = (!self.bridge.fdb().is_empty()).then_some(self.next_expiry);
        let next = [self.next_tick, expiry].into_iter().flatten().min();
        let millis = next.map(|at| {
            let left = at.since(now()).as_millis() + 1;
            u16::try_from(left).unwrap_or(u16::MAX)
        });
        // An error here would come again at once: the timeout keeps it from becoming a busy loop.
        if self.io.wait(self.wake.pipe.as_fd(), millis).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.station_may_have_changed();
    }

    /// The handle may have given the station something to do meanwhile.
    fn station_may_have_changed(&mut self) {
        if self.next_tick.is_none() && self.station.is_some() {
            self.next_tick = Some(now() + Duration::from_secs(1));
        }
    }

    fn count_ring(&self) {
        if let Ok(stats) = self.io.stats() {
            self.cells.ring_packets.add(stats.packets);
            self.cells.ring_drops.add(stats.drops);
        }
    }
}

/// Where a frame that the station handled came from.
#[derive(Clone, Copy)]
enum Source {
    Bridge(PortId),
    Uplink(PortId),
}

impl Source {
    fn port(self) -> PortId {
        match self {
            Self::Bridge(id) | Self::Uplink(id) => id,
        }
    }
}

/// The station, locked for the rest of the batch.
fn lock<'g, 's>(
    shared: Option<&'s SharedStation>,
    held: &'g mut Option<MutexGuard<'s, Box<dyn Station>>>,
) -> Option<&'g mut Box<dyn Station>> {
    let shared = shared?;
    let guard = held.get_or_insert_with(|| shared.lock().unwrap_or_else(PoisonError::into_inner));
    Some(&mut **guard)
}

fn tag(received: Received) -> Option<VlanTag> {
    received.vlan.map(|(tpid, tci)| VlanTag { tpid, tci })
}

fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}

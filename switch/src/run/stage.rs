//! Frames a station made while it held a slot: kept aside, sent when the slot is free again.
//!
//! Holds [`STAGE`] bytes in [`STAGED`] frames; what comes beyond is counted and lost.

use wire::{Timestamp, VnetHeader};

use super::link::Link;
use super::meta;
use super::outbox::{Links, went};
use super::ports::PortMap;
use crate::core::{Bridge, DropReason, Exit, Leg, Path, Tagging, Verdict};
use crate::station::Outlet;
use crate::stats::WorkerCells;
use crate::tap::{Outcome, Tap, TapRecord};

/// Bytes of frames a station can make in answer to one frame.
const STAGE: usize = 256 * 1024;
/// Frames a station can make in answer to one frame.
const STAGED: usize = 1024;

/// Where a frame of the station's is to go.
#[derive(Clone, Copy)]
enum To {
    Bridge(Leg),
    Uplink,
}

/// The frames kept.
pub(super) struct Stage {
    bytes: Vec<u8>,
    frames: Vec<(To, VnetHeader, usize)>,
    lost: u64,
    path: Path,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(STAGE),
            frames: Vec::with_capacity(STAGED),
            lost: 0,
            path: Path::roomy(),
        }
    }

    fn keep(&mut self, to: To, vnet: VnetHeader, frame: &[u8]) {
        if self.bytes.len() + frame.len() > STAGE || self.frames.len() == STAGED {
            self.lost += 1;
            return;
        }
        self.bytes.extend_from_slice(frame);
        self.frames.push((to, vnet, frame.len()));
    }

    /// Queues what was kept.
    pub(super) fn send(&mut self, out: &mut Out<'_, impl Link>, now: Timestamp) {
        out.cells.station_lost.add(std::mem::take(&mut self.lost));
        let mut rest = self.bytes.as_slice();
        for (to, vnet, len) in self.frames.drain(..) {
            let (frame, tail) = rest.split_at(len);
            rest = tail;
            let outcome = match to {
                To::Uplink => out.copy_up(vnet, frame),
                To::Bridge(leg) => out.copy_to_bridge(leg, vnet, frame, &mut self.path, now),
            };
            out.show(to, vnet, frame, outcome, now);
        }
        self.bytes.clear();
    }
}

impl Outlet for Stage {
    fn to_bridge(&mut self, leg: Leg, vnet: VnetHeader, frame: &[u8]) {
        self.keep(To::Bridge(leg), vnet, frame);
    }

    fn to_uplink(&mut self, vnet: VnetHeader, frame: &[u8]) {
        self.keep(To::Uplink, vnet, frame);
    }
}

/// Where the station's frames go out.
pub(super) struct Out<'a, L: Link> {
    pub(super) links: &'a mut Links<L>,
    pub(super) bridge: &'a Bridge,
    pub(super) ports: &'a PortMap,
    pub(super) cells: &'a WorkerCells,
    pub(super) tap: Option<&'a dyn Tap>,
    /// Filled for the tap alone.
    pub(super) egress: &'a mut Vec<Exit>,
}

impl<L: Link> Out<'_, L> {
    fn copy(&mut self, vnet: VnetHeader, frame: &[u8], exit: Exit) {
        self.links.copy(self.ports, vnet, frame, exit.tagging.tags(None), exit.port);
        if self.tap.is_some() {
            self.egress.push(exit);
        }
    }

    fn copy_to_bridge(
        &mut self,
        leg: Leg,
        vnet: VnetHeader,
        frame: &[u8],
        path: &mut Path,
        now: Timestamp,
    ) -> Outcome {
        let Some(header) = meta::read(vnet, frame, None) else {
            self.cells.station_lost.add(1);
            return Outcome::Dropped(DropReason::Runt);
        };
        let verdict = self.bridge.send_reading(&header, frame, leg, now, path);
        path.exits().iter().for_each(|exit| self.copy(vnet, frame, *exit));
        if let Some(vlan) = path.vlan() {
            self.cells.legs.said((leg, vlan), 1, frame.len() as u64);
            went(self.ports, path, vlan, frame.len());
        }
        let outcome = match verdict {
            Verdict::Forward(to) => Outcome::Forwarded(to),
            Verdict::Flood => Outcome::Flooded,
            Verdict::Members => Outcome::Members,
            Verdict::Local => Outcome::Dropped(DropReason::SamePort),
            Verdict::Drop(reason) => Outcome::Dropped(reason),
        };
        match outcome {
            Outcome::Dropped(_) => self.cells.station_lost.add(1),
            _ => self.cells.station_to_bridge.add(1),
        }
        outcome
    }

    fn copy_up(&mut self, vnet: VnetHeader, frame: &[u8]) -> Outcome {
        match self.ports.uplink() {
            Some(to) if wire::Ethernet::parse(frame).is_some() => {
                self.cells.station_to_uplink.add(1);
                self.copy(vnet, frame, Exit { port: to, tagging: Tagging::Keep });
                Outcome::Forwarded(to)
            }
            _ => {
                self.cells.station_lost.add(1);
                Outcome::Dropped(DropReason::NoTarget)
            }
        }
    }

    fn show(&mut self, to: To, vnet: VnetHeader, frame: &[u8], outcome: Outcome, now: Timestamp) {
        let Some(tap) = self.tap else { return };
        let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let retagged = self.egress.iter().any(|exit| exit.tagging != Tagging::Keep);
        if retagged || tap.wants(frame, None, wire_len) {
            let header = meta::read(vnet, frame, None);
            let target = header.and_then(|header| match to {
                To::Bridge(leg) => self.bridge.entry_at(header.dst, leg, now),
                To::Uplink => None,
            });
            tap.frame(&TapRecord { target, ..TapRecord::own(vnet, frame, outcome, self.egress) });
        }
        self.egress.clear();
    }
}

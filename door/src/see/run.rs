//! A watcher's thread: sightings out of the queue, into bytes, to the client.
//!
//! It ends when the client has gone, when it is asked to, after the frames asked for, or when the
//! lab ends. It alone waits for the client; the tap never does.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use control::{CHUNK, FlowWriter};
use crossbeam_channel::RecvTimeoutError;
use switch::{PortId, PortStats, Roster};

use super::Watch;
use super::names::Names;
use super::recorder::{Sighting, Sightings, Watcher};
use lab::Lab;

/// How soon a watcher without frames hears that it has to end.
const PAUSE: Duration = Duration::from_millis(50);
/// Sightings between two looks at what lies behind ports: hosts, that is, for of ports it is heard.
const NAMING: u64 = 1024;

/// What becomes of sightings.
pub(crate) trait Sink: Send + 'static {
    /// Takes a frame in, of which at most `room` places may be told; says how many were.
    fn frame(&mut self, sighting: &Sighting, names: &Names, room: u64) -> u64;
    /// Takes the end in.
    fn end(&mut self, progress: &Progress<'_>);
    /// Bytes waiting.
    fn pending(&self) -> usize;
    /// The bytes.
    fn take(&mut self) -> Vec<u8>;
}

/// How far a watcher has come.
pub(crate) struct Progress<'a> {
    pub(crate) watcher: &'a Watcher,
    /// What the ports have counted by now, where the lab is still there.
    pub(crate) ports: BTreeMap<PortId, PortStats>,
}

/// What the ports of a lab have counted.
pub(crate) fn counted(lab: &Lab) -> BTreeMap<PortId, PortStats> {
    let ports = lab.with_switch(switch::Switch::ports).unwrap_or_default();
    ports.into_iter().map(|port| (port.id, port.stats)).collect()
}

/// All a watcher's thread owns.
pub(crate) struct Task<S> {
    pub(crate) watch: Weak<Watch>,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) sightings: Sightings,
    pub(crate) names: Names,
    pub(crate) roster: Roster,
    pub(crate) sink: S,
    pub(crate) writer: FlowWriter,
    /// Frames told after which it ends.
    pub(crate) count: u64,
}

impl<S: Sink> Task<S> {
    /// Runs to its end, and takes the watcher out of the tap.
    pub(crate) fn run(mut self) {
        self.work();
        self.watcher.ended.store(true, Ordering::Relaxed);
    }

    fn work(&mut self) {
        let heard = self.follow();
        if let Some(watch) = self.watch.upgrade() {
            watch.remove(self.watcher.id);
        }
        if heard {
            // What was seen before the end is still told.
            while self.count > 0
                && let Ok(sighting) = self.sightings.seen.try_recv()
            {
                self.tell(sighting);
                if self.sink.pending() >= CHUNK && !self.writer.write(self.sink.take()) {
                    return;
                }
            }
            let lab = self.watch.upgrade().and_then(|watch| watch.lab());
            let ports = lab.map(|lab| counted(&lab)).unwrap_or_default();
            self.sink.end(&Progress { watcher: &self.watcher, ports });
            let _ = self.writer.write(self.sink.take());
        }
    }

    /// Follows until the end; false where nobody listens any more.
    fn follow(&mut self) -> bool {
        let mut seen = 0u64;
        if self.sink.pending() > 0 && !self.writer.write(self.sink.take()) {
            return false;
        }
        while self.count > 0 && !self.watcher.ending.load(Ordering::Relaxed) {
            let mut next = match self.sightings.seen.recv_timeout(PAUSE) {
                Ok(sighting) => Some(sighting),
                Err(RecvTimeoutError::Timeout) if self.writer.is_closed() => return false,
                Err(RecvTimeoutError::Timeout) => {
                    if self.is_outdated() {
                        self.name_anew();
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            while let Some(sighting) = next {
                if seen.is_multiple_of(NAMING) || self.is_outdated() {
                    self.name_anew();
                }
                seen += 1;
                self.tell(sighting);
                let full = self.sink.pending() >= CHUNK || self.count == 0;
                next = if full { None } else { self.sightings.seen.try_recv().ok() };
            }
            if self.sink.pending() > 0 && !self.writer.write(self.sink.take()) {
                return false;
            }
        }
        true
    }

    fn tell(&mut self, sighting: Box<Sighting>) {
        let told = self.sink.frame(&sighting, &self.names, self.count);
        self.count = self.count.saturating_sub(told);
        self.sightings.give_back(sighting);
    }

    fn is_outdated(&self) -> bool {
        self.roster.version() != self.names.version()
    }

    /// What has passed is still told by the names of ports that are gone.
    fn name_anew(&mut self) {
        if let Some(lab) = self.watch.upgrade().and_then(|watch| watch.lab()) {
            let names = Names::of(&lab);
            self.watcher.look_up(&names);
            let before = std::mem::replace(&mut self.names, names);
            self.names.outlive(before);
        }
    }
}

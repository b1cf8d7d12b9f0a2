//! The tap: copies the frames a watcher wants, with what is known of them, into its bounded queue.
//!
//! Called by the switch's workers, so nothing here waits, and nothing is allocated for a frame:
//! each watcher has [`SMALL`] buffers for ordinary frames and [`LARGE`] for segments that travel
//! whole, which go round between the tap and the watcher's thread. Where none is free the frame is
//! lost to that watcher, and counted by port.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use gateway::Note;
use observe::filter::{Filter, Frame};
use observe::pcapng::Direction;
use switch::{Exit, FdbEntry, Learned, Outcome, PortId, Tap, TapRecord};
use wire::{VlanTag, VnetHeader};

use super::names::Names;
use super::selection::Selection;

/// Buffers for frames of ordinary size, and the bytes each holds: as they came and as they left.
const SMALL: usize = 1024;
const SMALL_BYTES: usize = 2 * 1600;
/// Buffers for frames as long as a link of a lab allows (BIG TCP); what is longer is clipped.
const LARGE: usize = 64;
const LARGE_BYTES: usize = 2 * 200_000;
/// Ports of a flood that fit without taking memory.
const EGRESS: usize = 64;

/// A frame as a watcher gets it.
pub(crate) struct Sighting {
    /// When the kernel took it and when the switch had handled it, in nanoseconds since 1970.
    pub(crate) taken: u64,
    pub(crate) done: u64,
    pub(crate) spent: Duration,
    pub(crate) station: Duration,
    pub(crate) ingress: Option<PortId>,
    pub(crate) vlan: Option<VlanTag>,
    pub(crate) vnet: VnetHeader,
    pub(crate) wire_len: usize,
    pub(crate) outcome: Outcome,
    pub(crate) learned: Option<Learned>,
    pub(crate) source: Option<FdbEntry>,
    pub(crate) target: Option<FdbEntry>,
    pub(crate) note: Option<Note>,
    pub(crate) egress: Vec<Exit>,
    /// Whether the watcher wants it where it came in, and where of all it left.
    pub(crate) came: bool,
    pub(crate) left: Vec<Exit>,
    /// Frames lost to the watcher before this one.
    pub(crate) lost: u64,
    bytes: Vec<u8>,
    before: usize,
    rewritten: bool,
    large: bool,
}

impl Sighting {
    fn new(bytes: usize, large: bool) -> Self {
        Self {
            taken: 0,
            done: 0,
            spent: Duration::ZERO,
            station: Duration::ZERO,
            ingress: None,
            vlan: None,
            vnet: VnetHeader::default(),
            wire_len: 0,
            outcome: Outcome::Flooded,
            learned: None,
            source: None,
            target: None,
            note: None,
            egress: Vec::with_capacity(EGRESS),
            came: false,
            left: Vec::with_capacity(EGRESS),
            lost: 0,
            bytes: Vec::with_capacity(bytes),
            before: 0,
            rewritten: false,
            large,
        }
    }

    /// The frame as it came.
    pub(crate) fn before(&self) -> &[u8] {
        &self.bytes[..self.before]
    }

    /// The tags it left with by one of its exits, the outermost first.
    pub(crate) fn tags(&self, exit: Exit) -> [Option<VlanTag>; 2] {
        exit.tagging.tags(self.vlan.filter(|_| !self.rewritten))
    }

    /// The frame as it left, where the station rewrote it.
    pub(crate) fn after(&self) -> Option<&[u8]> {
        self.rewritten.then(|| &self.bytes[self.before..])
    }
}

/// What a watcher wants to see.
pub(crate) struct Wish {
    pub(crate) filter: Filter,
    pub(crate) ports: Selection,
    /// Bytes of each frame.
    pub(crate) snap: usize,
}

/// The tap's end of a watcher.
pub(crate) struct Watcher {
    pub(crate) id: u64,
    wish: Wish,
    free: [Receiver<Box<Sighting>>; 2],
    seen: Sender<Box<Sighting>>,
    lost: AtomicU64,
    lost_at: Box<[AtomicU64]>,
    /// Asked to end in an orderly way.
    pub(crate) ending: AtomicBool,
    /// Has told its end.
    pub(crate) ended: AtomicBool,
}

/// The watcher's end.
pub(crate) struct Sightings {
    pub(crate) seen: Receiver<Box<Sighting>>,
    back: [Sender<Box<Sighting>>; 2],
}

impl Sightings {
    /// A buffer that has been read.
    pub(crate) fn give_back(&self, sighting: Box<Sighting>) {
        // There is room for all there are.
        let _ = self.back[usize::from(sighting.large)].try_send(sighting);
    }
}

impl Watcher {
    pub(crate) fn new(id: u64, wish: Wish) -> (Arc<Self>, Sightings) {
        let pool = |count: usize, bytes: usize, large| {
            let (back, free) = bounded(count);
            for _ in 0..count {
                let _ = back.try_send(Box::new(Sighting::new(bytes, large)));
            }
            (back, free)
        };
        let (small_back, small) = pool(SMALL, SMALL_BYTES, false);
        let (large_back, large) = pool(LARGE, LARGE_BYTES, true);
        let (seen, sightings) = bounded(SMALL + LARGE);
        let watcher = Self {
            id,
            wish,
            free: [small, large],
            seen,
            lost: AtomicU64::new(0),
            lost_at: (0..=PortId::MAX).map(|_| AtomicU64::new(0)).collect(),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        };
        (Arc::new(watcher), Sightings { seen: sightings, back: [small_back, large_back] })
    }

    /// Frames lost, in all.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Frames of a port lost.
    pub(crate) fn lost_at(&self, port: PortId) -> u64 {
        self.lost_at[port.index().min(PortId::MAX)].load(Ordering::Relaxed)
    }

    /// Whether a port is among those wanted.
    pub(crate) fn selects(&self, port: PortId) -> bool {
        self.wish.ports.has(port)
    }

    /// Finds anew which ports are wanted.
    pub(crate) fn look_up(&self, names: &Names) {
        self.wish.ports.look_up(names);
    }

    /// Whether a frame is wanted where it came in.
    fn wants_it(&self, record: &TapRecord<'_>) -> bool {
        let frame = frame(record.before, [record.vlan, None], record.wire_len, Direction::In);
        record.ingress.is_some_and(|port| port != PortId::LOCAL && self.selects(port))
            && self.wish.filter.wants(&frame)
    }

    /// The exits at which it is wanted, as it leaves there.
    fn wanted<'r>(&'r self, record: &'r TapRecord<'_>) -> impl Iterator<Item = Exit> + 'r {
        let bytes = record.after.unwrap_or(record.before);
        // Of a flood most leave alike.
        let mut last = None;
        let here = record.egress.iter().copied().filter(|exit| self.selects(exit.port));
        here.filter(move |exit| {
            let tags = record.tags(*exit);
            let known = last.filter(|(of, _)| *of == tags).map(|(_, wanted)| wanted);
            let wanted = known.unwrap_or_else(|| {
                let frame = frame(bytes, tags, record.wire_len, Direction::Out);
                self.wish.filter.wants(&frame)
            });
            last = Some((tags, wanted));
            wanted
        })
    }

    /// Takes a frame in, if it is wanted and there is room.
    pub(crate) fn offer(&self, record: &TapRecord<'_>) {
        let came = self.wants_it(record);
        if !came && self.wanted(record).next().is_none() {
            return;
        }
        let snap = self.wish.snap.min(LARGE_BYTES / 2);
        let before = &record.before[..record.before.len().min(snap)];
        let after = record.after.map(|after| &after[..after.len().min(snap)]);
        let size = before.len() + after.map_or(0, <[u8]>::len);
        let pool = &self.free[usize::from(size > SMALL_BYTES)];
        let Ok(mut sighting) = pool.try_recv() else { return self.lose(record, came) };
        let done = wall_clock();
        let s = &mut *sighting;
        s.taken = if record.taken == 0 { done } else { record.taken };
        s.done = done;
        (s.spent, s.station) = (record.spent, record.station);
        (s.ingress, s.vlan, s.vnet) = (record.ingress, record.vlan, record.vnet);
        s.wire_len = usize::try_from(record.wire_len).unwrap_or(usize::MAX).max(before.len());
        (s.outcome, s.learned) = (record.outcome, record.learned);
        (s.source, s.target) = (record.source, record.target);
        s.note = record.note.and_then(|note| note.downcast_ref::<Note>().copied());
        s.egress.clear();
        s.egress.extend_from_slice(record.egress);
        s.came = came;
        s.left.clear();
        s.left.extend(self.wanted(record));
        s.lost = self.lost();
        s.bytes.clear();
        s.bytes.extend_from_slice(before);
        s.before = before.len();
        s.rewritten = after.is_some();
        s.bytes.extend_from_slice(after.unwrap_or_default());
        // There is room for all the buffers there are; an error means that the watcher has ended.
        let _ = self.seen.try_send(sighting);
    }

    fn lose(&self, record: &TapRecord<'_>, came: bool) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        let ingress = record.ingress.filter(|_| came);
        let egress = self.wanted(record).map(|exit| exit.port);
        for port in ingress.into_iter().chain(egress) {
            self.lost_at[port.index().min(PortId::MAX)].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The watchers there are, as one tap; made anew when one comes or goes.
pub(crate) struct Fan(pub(crate) Vec<Arc<Watcher>>);

impl Tap for Fan {
    fn wants(&self, bytes: &[u8], vlan: Option<VlanTag>, wire_len: u32) -> bool {
        let frame = frame(bytes, [vlan, None], wire_len, Direction::In);
        self.0.iter().any(|watcher| {
            let filter = &watcher.wish.filter;
            filter.wants(&frame) || filter.wants(&Frame { direction: Direction::Out, ..frame })
        })
    }

    fn frame(&self, record: &TapRecord<'_>) {
        for watcher in &self.0 {
            watcher.offer(record);
        }
    }
}

fn frame(
    bytes: &[u8],
    tags: [Option<VlanTag>; 2],
    wire_len: u32,
    direction: Direction,
) -> Frame<'_> {
    let length = usize::try_from(wire_len).unwrap_or(usize::MAX);
    Frame { bytes, tags, length, direction }
}

#[expect(clippy::disallowed_methods, reason = "the wall clock, for people and capture files")]
pub(crate) fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The watchers of a lab.
#[derive(Default)]
pub(crate) struct Watchers {
    list: Mutex<Vec<Arc<Watcher>>>,
    pub(crate) next: AtomicU64,
}

impl Watchers {
    /// The list, to be changed by `change`, which is then handed the watchers there now are.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Arc<Watcher>>) -> T,
        set: impl FnOnce(&[Arc<Watcher>]),
    ) -> T {
        let mut list = self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let outcome = change(&mut list);
        set(&list);
        outcome
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }
}

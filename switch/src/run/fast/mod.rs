//! The fast path: what the worker has decided about a pair of addresses, the kernel repeats.
//!
//! ```text
//! worker ── a frame was forwarded ──► scribe ──► book ──► flows in shared memory ──► programs
//!   ▲                                   │          ▲                                    │
//!   └── what has no flow: the ring ◄────┘          └── frames, bytes, last use ◄────────┘
//! ```
//!
//! The switch stays the authority: a flow holds only while nothing has changed that a decision looks
//! at. Every change, of whatever kind, ends them all ([`bpf::Table::advance`]), and each then costs
//! one more trip through the ring. What the kernel did is added to the ports' counters and to the
//! table's ages before anybody looks at them.
//!
//! | file | what |
//! |---|---|
//! | `flow` | what one is |
//! | `book` | which flows there are, whose, what they have done: pure |
//! | `porter` | has the kernel look at a port, once there is something to repeat |
//! | `scribe` | the worker's part: what it decided into the book |
//! | `flooded` | the same of groups that are flooded to many ports |
//! | `pending` | decisions about what nobody has answered yet |
//! | `routed` | the station's part: what it sends on, and what it is told of that |

mod book;
mod flooded;
mod flow;
mod pending;
mod porter;
mod routed;
mod scribe;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bpf::{Asked, FlowId, Lane, Programs, Table};
use sys::bpf::Area;
use sys::packet::{PacketIo, RingConfig, Spare};
use wire::Timestamp;

use super::ports::{Crossing, Elsewhere, Port, PortRole};
use super::switch::Switch;
use super::worker::now;
use crate::core::{Beside, Concern, Fdb, Frame, PortId};
use crate::stats::{Counters, PortCells, WorkerCells};

use book::Book;
pub use flow::FlowInfo;
use flow::{Across, Decided, Hook, Plug};
use porter::{Ask, Porter};
pub(super) use scribe::{Forwarded, Scribe};

/// Where the kernel says nothing about the end of what is under way.
const GRACE: Duration = Duration::from_millis(20);

/// Programs, flows, and the book about them; for one switch.
pub struct FastPath {
    /// Once its switch has started.
    porter: OnceLock<Porter>,
    /// The ages of its addresses.
    fdb: OnceLock<Weak<Fdb>>,
    programs: Arc<Programs>,
    table: Table,
    book: Arc<Mutex<Book>>,
}

impl FastPath {
    /// Loads the programs for one switch.
    ///
    /// # Errors
    /// What the kernel refuses: all of it without CAP_BPF of the first user namespace.
    pub fn load() -> Result<Arc<Self>, bpf::Error> {
        let (programs, table) = Programs::load()?;
        let (porter, fdb) = (OnceLock::new(), OnceLock::new());
        let (programs, book) = (Arc::new(programs), Arc::new(Mutex::new(Book::new())));
        Ok(Arc::new(Self { porter, fdb, programs, table, book }))
    }

    /// Bytes shared with the kernel.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    /// A bit a port, those of TCP, then those of UDP: which ports of an uplink elsewhere are the switch's
    /// besides those of its [`Crossing`].
    #[must_use]
    pub fn held(&self) -> &Arc<Area> {
        self.programs.held()
    }

    /// Its switch has started in this namespace.
    pub(super) fn begin(self: &Arc<Self>, home: &Arc<OwnedFd>, fdb: &Arc<Fdb>) -> io::Result<()> {
        let (programs, book) = (Arc::clone(&self.programs), Arc::clone(&self.book));
        // One switch has it; another would find the place taken, and its ports refused.
        let _ = self.porter.set(Porter::start(Arc::clone(home), programs, book)?);
        let _ = self.fdb.set(Arc::downgrade(fdb));
        fdb.go_beside(Arc::clone(self) as Arc<dyn Beside>);
        Ok(())
    }

    pub(super) fn open(&self, lane: Lane, config: RingConfig) -> io::Result<PacketIo> {
        PacketIo::tapped(config, self.programs.tap(lane))
    }

    pub(super) fn spare(&self, lane: Lane, config: RingConfig) -> io::Result<Spare> {
        Spare::tapped(config, self.programs.tap(lane))
    }

    /// Says what is the switch's of an uplink in another namespace, before its rings are opened.
    pub(super) fn share(&self, crossing: &Crossing) {
        let Crossing { near, address, ref ports, .. } = *crossing;
        let ports = [*ports.start(), *ports.end()];
        self.table.share(&bpf::Shared { address, ports, crossing: near });
    }

    /// Writes a decision down, where the kernel looks at what comes in by its port; else that is asked
    /// for.
    fn put(&self, decided: &Decided<'_>, now: Timestamp) {
        self.write(decided, now);
    }

    /// The same of the segment that has opened a connection: where its direction has no flow yet, no frame
    /// of it is in the ring that another could overtake.
    fn put_first(&self, decided: &Decided<'_>, now: Timestamp) -> Option<FlowId> {
        let key = self.book().key(decided);
        let first = key.is_some_and(|key| self.table.find(&key).is_none());
        let id = self.write(decided, now)?;
        if first {
            let _ = self.table.cut(id);
        }
        Some(id)
    }

    /// The same of both directions of a connection: of what answers, and of what waits for that. False
    /// where there was no place for both.
    fn put_both(&self, answer: &Decided<'_>, asked: &Decided<'_>, now: Timestamp) -> bool {
        let awaits = self.put_first(answer, now);
        awaits.is_some() && self.put_first(&Decided { awaits, ..*asked }, now).is_some()
    }

    fn write(&self, decided: &Decided<'_>, now: Timestamp) -> Option<FlowId> {
        let mut book = self.book();
        let ends = [decided.ingress, decided.egress];
        // What leaves to another namespace is looked at there once more.
        let asked = ends.map(|port| {
            let looked_at = port == decided.ingress || book.is_across(port);
            !looked_at || self.looks(&mut book, port) == Some(true)
        });
        if asked == [true; 2] { book.put(&self.table, decided, now) } else { None }
    }

    /// Whether the kernel looks at what comes in by a port; None until that is known, for it is asked
    /// for here.
    fn looks(&self, book: &mut Book, port: PortId) -> Option<bool> {
        let Some((ifindex, across, hook)) = book.hook(port) else { return Some(false) };
        match hook {
            Hook::On(_) => return Some(true),
            Hook::Never => return Some(false),
            Hook::Asked => {}
            Hook::Off => {
                let ask = Ask::Attach { port, ifindex, across: across.clone() };
                if self.porter.get().is_some_and(|porter| porter.ask(ask)) {
                    *hook = Hook::Asked;
                }
            }
        }
        None
    }

    fn unplug(&self, fdb: &Fdb, id: PortId) {
        let plug = self.book().unplug(&self.table, fdb, id, now());
        if let (Some(Plug { hook: Hook::On(attached), .. }), Some(porter)) =
            (plug, self.porter.get())
        {
            // Where too much waits there it is taken away here.
            let _ = porter.ask(Ask::Detach(attached));
        }
    }

    fn fold(&self, fdb: &Fdb, now: Timestamp) -> u64 {
        self.book().fold(&self.table, fdb, now)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no program goes by what no longer holds: where there are no flows, none does.
    pub(super) fn grace(&self) {
        if self.book().is_empty() {
            return;
        }
        grace();
    }

    /// Has the places of flows that have ended become free, once somebody is through with them.
    fn free(&self, book: &mut Book) {
        if book.wants_grace() && self.porter.get().is_some_and(|porter| porter.ask(Ask::Grace)) {
            book.grace_asked();
        }
    }
}

/// Waits until no program is under way that was when this was called.
fn grace() {
    if sys::grace::wait().is_err() {
        std::thread::sleep(GRACE);
    }
}

impl std::fmt::Debug for FastPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FastPath").finish_non_exhaustive()
    }
}

impl Beside for FastPath {
    fn changed(&self) {
        self.table.advance();
    }

    fn settle(&self, concern: Concern) {
        if concern == Concern::All {
            return self.grace();
        }
        // A port that is new, and an address that was not known, have no flows.
        let mut book = self.book();
        if book.end_of(&self.table, concern) {
            let number = book.grace_begins();
            drop(book);
            grace();
            self.book().grace_ended(number);
        }
    }

    fn catch_up(&self, table: &Fdb, now: Timestamp) {
        let mut book = self.book();
        if book.is_due(now) {
            book.fold(&self.table, table, now);
        }
    }
}

impl Switch {
    /// The flows that the kernel forwards by; None where it does not.
    #[must_use]
    pub fn flows(&self) -> Option<Vec<FlowInfo>> {
        let fast = self.fast.as_ref()?;
        fast.fold(&self.fdb, now());
        Some(fast.book().list(&fast.table, now()))
    }

    /// Has the kernel look at what comes in by a port, and waits until it does; otherwise it begins to
    /// some ten milliseconds after there is something to repeat. False where it never will.
    pub fn repeat_from(&self, port: PortId) -> bool {
        let Some(fast) = &self.fast else { return false };
        loop {
            if let Some(looks) = fast.looks(&mut fast.book(), port) {
                return looks;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Frames the kernel has forwarded by flows in all; None where it repeats nothing.
    #[must_use]
    pub fn repeated(&self) -> Option<u64> {
        let fast = self.fast.as_ref()?;
        fast.fold(&self.fdb, now());
        let book = fast.book();
        let cells = &book.cells;
        let ours = [&cells.forwarded, &cells.flooded, &cells.local, &cells.uplink];
        Some(ours.iter().map(|count| count.get()).sum())
    }

    /// Whether the kernel would carry a frame that comes in by a port, of these bytes: from its destination
    /// address on, without its outermost tag. None where it repeats nothing.
    #[must_use]
    pub fn repeats(&self, frame: &Frame, bytes: &[u8], ingress: PortId) -> Option<bool> {
        let fast = self.fast.as_ref()?;
        let Some(ifindex) = fast.book().ifindex(ingress) else { return Some(false) };
        let key = scribe::key(frame, None, ifindex);
        let asked = Asked { key, bytes, length: frame.packet_len };
        Some(fast.table.carries(&asked, now()))
    }

    /// Has the kernel repeat what is decided about a port that is being plugged in.
    pub(super) fn plug_beside(&self, id: PortId, port: &mut Port) {
        let Some(fast) = &self.fast else { return };
        // One more than there are workers: what the kernel does counts there.
        let cells = Arc::<PortCells>::default();
        let spec = &port.spec;
        let place = match &spec.netns {
            None => Some((spec.ifindex, None)),
            Some(Elsewhere { netns, crossing, .. }) => crossing.as_ref().map(|crossing| {
                let (netns, ends) = (Arc::clone(netns), [crossing.near, crossing.far]);
                (bpf::elsewhere(spec.ifindex), Some(Across { netns, ends }))
            }),
        };
        if let Some((ifindex, across)) = place {
            let (uplink, up, behind) = (spec.role == PortRole::Routed, spec.up, spec.behind);
            let (cells, hook) = (Arc::clone(&cells), Hook::Off);
            fast.book().plug(id, Plug { ifindex, uplink, up, across, behind, cells, hook });
        }
        port.cells.push(cells);
    }

    /// A port's link goes up or down.
    pub(super) fn mark_beside(&self, id: PortId, up: bool) {
        if let Some(fast) = &self.fast {
            fast.book().mark(id, up);
        }
    }

    /// The workers know the port no more.
    pub(super) fn unplug_beside(&self, id: PortId) {
        if let Some(fast) = &self.fast {
            fast.unplug(&self.fdb, id);
        }
    }

    /// The counters are about to be read.
    pub(super) fn catch_up(&self) {
        if let Some(fast) = &self.fast {
            fast.fold(&self.fdb, now());
        }
    }

    pub(super) fn add_beside(&self, sum: &mut Counters) {
        if let Some(fast) = &self.fast {
            fast.fold(&self.fdb, now());
            sum.add(&fast.book().cells);
        }
    }

    /// Looks at what the kernel has done so far.
    pub(super) fn look_beside(&self, look: impl FnOnce(&WorkerCells)) {
        if let Some(fast) = &self.fast {
            let mut book = fast.book();
            book.fold(&fast.table, &self.fdb, now());
            look(&book.cells);
        }
    }

    /// Looks at what every one counts that forwards: the workers, and the kernel.
    pub(super) fn each_counts(&self, mut look: impl FnMut(&WorkerCells)) {
        self.workers.iter().for_each(|worker| look(&worker.cells));
        if let Some(fast) = &self.fast {
            look(&fast.book().cells);
        }
    }

    /// Nothing that the kernel has under way was decided before.
    pub(super) fn grace(&self) {
        if let Some(fast) = &self.fast {
            fast.grace();
        }
    }
}

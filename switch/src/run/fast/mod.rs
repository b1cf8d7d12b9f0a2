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
//! | `scribe` | the worker's part: what it decided into the book |
//! | `routed` | the station's part: what it sends on, and what it is told of that |

mod book;
mod flow;
mod routed;
mod scribe;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bpf::{Programs, Table};
use sys::packet::{PacketIo, RingConfig, Spare};
use wire::{MacAddr, Timestamp};

use super::ports::{Port, PortRole};
use super::switch::Switch;
use super::worker::now;
use crate::core::{Beside, Fdb, Frame, PortId};
use crate::stats::{Counters, PortCells};

use book::Book;
pub use flow::FlowInfo;
use flow::{Decided, Plug};
pub(super) use scribe::{Forwarded, Scribe};

/// Where the kernel says nothing about the end of what is under way.
const GRACE: Duration = Duration::from_millis(20);

/// Programs, flows, and the book about them; for one switch.
pub struct FastPath {
    /// Where its switch is, once that has started.
    home: OnceLock<Arc<OwnedFd>>,
    /// The ages of its addresses.
    fdb: OnceLock<Weak<Fdb>>,
    programs: Programs,
    table: Table,
    book: Mutex<Book>,
}

impl FastPath {
    /// Loads the programs for one switch.
    ///
    /// # Errors
    /// What the kernel refuses: all of it without CAP_BPF of the first user namespace.
    pub fn load() -> Result<Arc<Self>, bpf::Error> {
        let (programs, table) = Programs::load()?;
        let (home, fdb, book) = (OnceLock::new(), OnceLock::new(), Mutex::new(Book::new()));
        Ok(Arc::new(Self { home, fdb, programs, table, book }))
    }

    /// Bytes shared with the kernel.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    /// Its switch has started in this namespace.
    pub(super) fn begin(self: &Arc<Self>, home: &Arc<OwnedFd>, fdb: &Arc<Fdb>) {
        // One switch has it; another would find the place taken, and its ports refused.
        let _ = self.home.set(Arc::clone(home));
        let _ = self.fdb.set(Arc::downgrade(fdb));
        fdb.go_beside(Arc::clone(self) as Arc<dyn Beside>);
    }

    pub(super) fn open(&self, config: RingConfig) -> io::Result<PacketIo> {
        PacketIo::tapped(config, self.programs.tap())
    }

    pub(super) fn spare(&self, config: RingConfig) -> io::Result<Spare> {
        Spare::tapped(config, self.programs.tap())
    }

    fn plug(
        &self,
        id: PortId,
        ifindex: u32,
        (role, behind): (PortRole, Option<MacAddr>),
        cells: &Arc<PortCells>,
    ) -> io::Result<()> {
        let attach = || self.programs.attach(ifindex);
        let home = self.home.get().ok_or(io::ErrorKind::NotConnected)?;
        let attached = Some(sys::netns::inside(home.as_fd(), attach)?);
        let uplink = role == PortRole::Routed;
        let plug = Plug { ifindex, uplink, behind, cells: Arc::clone(cells), attached };
        self.book().plug(id, plug);
        Ok(())
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
        if sys::grace::wait().is_err() {
            std::thread::sleep(GRACE);
        }
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

    fn settle(&self) {
        self.grace();
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

    /// Frames the kernel has forwarded by flows in all; None where it repeats nothing.
    #[must_use]
    pub fn repeated(&self) -> Option<u64> {
        let fast = self.fast.as_ref()?;
        fast.fold(&self.fdb, now());
        let book = fast.book();
        let cells = &book.cells;
        Some(cells.forwarded.get() + cells.local.get() + cells.uplink.get())
    }

    /// Whether the kernel would carry such a frame that comes in by a port; None where it repeats
    /// nothing.
    #[must_use]
    pub fn repeats(&self, frame: &Frame, ingress: PortId) -> Option<bool> {
        let fast = self.fast.as_ref()?;
        let Some(ifindex) = fast.book().ifindex(ingress) else { return Some(false) };
        let found = fast.table.find(&scribe::key(frame, None, ifindex));
        Some(found.is_some_and(|id| fast.table.holds(id, now())))
    }

    /// Has the kernel repeat what is decided about a port that is being plugged in.
    pub(super) fn plug_beside(&self, id: PortId, port: &mut Port) -> io::Result<()> {
        let Some(fast) = &self.fast else { return Ok(()) };
        // One more than there are workers: what the kernel does counts there.
        let cells = Arc::<PortCells>::default();
        let spec = &port.spec;
        if spec.netns.is_none() {
            fast.plug(id, spec.ifindex, (spec.role, spec.behind), &cells)?;
        }
        port.cells.push(cells);
        Ok(())
    }

    /// The workers know the port no more.
    pub(super) fn unplug_beside(&self, id: PortId) {
        if let Some(fast) = &self.fast {
            fast.book().unplug(&fast.table, &self.fdb, id, now());
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

    /// Nothing that the kernel has under way was decided before.
    pub(super) fn grace(&self) {
        if let Some(fast) = &self.fast {
            fast.grace();
        }
    }
}

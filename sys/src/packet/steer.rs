//! Steering: which ring of a crew gets a frame. Either the first gets all, or each gets those that
//! arise on its cores, so that a frame is taken where it was made.
//!
//! The rings' sockets are ordinary ones, and only the first is bound while it gets all: a frame
//! then costs nothing more. [`Steering::arm`] binds the others too and gives each socket a filter.
//! The kernel shows a frame to the socket bound last first; the filter of that one decides and
//! leaves word for the others, a word a core, for a core has one frame at hand at a time.
//!
//! A flow keeps its order. It changes rings only when all of its frames that went to the old one
//! have been sent on, as the kernel's receive flow steering has it
//! (Documentation/networking/scaling.rst); flows that share an entry of the table count as one.
//! The rings' owners tell how far they are ([`Steering::passed`]). Without CAP_BPF there is none.

mod area;
mod program;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use area::{BARRIER, BY_FLOW, CORES, MODE, WORDS, came, gone, word};

use super::{filter, socket};
use crate::bpf::{Area, Kind, Program};
use crate::{clock, cores};

/// Most rings of a crew: a spread frame is shown to each.
pub const RINGS: usize = 4;
/// Counters begin here, so that none is ever below what is taken from it.
const BEGIN: u64 = 1 << 32;
/// More than will ever come.
const NEVER: u64 = 1 << 60;
/// A frame that has been counted is in its ring after this time, in nanoseconds.
const ON_THE_WAY: u64 = 5_000;

/// The programs, what they share with the rings' owners, and the sockets of all but the first.
#[derive(Debug)]
pub struct Steering {
    area: Area,
    programs: Vec<Program>,
    others: Mutex<Others>,
    /// Of each other ring: its socket is to be unbound by its owner.
    leaving: Vec<AtomicBool>,
}

/// The sockets of all rings but the first.
#[derive(Debug, Default)]
struct Others {
    fds: Vec<OwnedFd>,
    /// They are bound, and the first has its filter.
    armed: bool,
}

impl Steering {
    /// For a crew of so many rings (2 to [`RINGS`]); the first gets all.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; EINVAL on a kernel before 5.12; ENOTSUP on a machine with more
    /// than 128 cores.
    pub fn new(rings: usize) -> io::Result<Self> {
        let rings = rings.clamp(2, RINGS);
        if cores::installed() > CORES {
            return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
        }
        let area = Area::new("steering", WORDS)?;
        for ring in 0..rings {
            area.words()[came(ring)].store(BEGIN, Ordering::Relaxed);
            area.words()[gone(ring)].store(BEGIN, Ordering::Relaxed);
        }
        let load = |ring| {
            let ops = match ring + 1 == rings {
                true => program::decide(&area, rings),
                false => program::follow(&area, ring),
            };
            Program::load(Kind::SocketFilter, "steering", &ops)
        };
        let programs = (0..rings).map(load).collect::<io::Result<_>>()?;
        let leaving = (1..rings).map(|_| AtomicBool::new(false)).collect();
        Ok(Self { area, programs, others: Mutex::default(), leaving })
    }

    /// Number of rings.
    #[must_use]
    pub fn rings(&self) -> usize {
        self.programs.len()
    }

    /// Takes in the socket of the next ring, which is not bound yet.
    pub(super) fn join(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = others.fds.len() + 1;
        let program = self.programs.get(ring).ok_or(io::ErrorKind::InvalidInput)?;
        program.filter(fd)?;
        others.fds.push(fd.try_clone_to_owned()?);
        Ok(())
    }

    /// Makes all sockets ready for frames to be spread; the first ring still gets all. False where
    /// the others have not all left since the last time.
    pub(super) fn arm(&self, first: BorrowedFd<'_>) -> io::Result<bool> {
        if self.leaving.iter().any(|leaves| leaves.load(Ordering::Acquire)) {
            return Ok(false);
        }
        let words = self.area.words();
        // What a core was told the last time holds no more.
        (0..CORES).for_each(|core| words[word(core)].store(0, Ordering::SeqCst));
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = others.fds.iter().try_for_each(|fd| socket::bind(fd.as_fd(), 0));
        let armed = bound.and_then(|()| self.programs[0].filter(first));
        if let Err(error) = armed {
            drop(others);
            self.disarm(first);
            return Err(error);
        }
        others.armed = true;
        // How far the first is cannot be told yet: frames are on their way that nobody counted.
        words[gone(0)].store(0, Ordering::SeqCst);
        Ok(true)
    }

    /// The first socket gets all again, and the others' owners are to unbind theirs
    /// ([`Self::leave`]). To be called some time after spreading has ended, when their rings are
    /// empty.
    pub(super) fn disarm(&self, first: BorrowedFd<'_>) {
        filter::detach(first);
        self.others.lock().unwrap_or_else(PoisonError::into_inner).armed = false;
        self.leaving.iter().for_each(|leaves| leaves.store(true, Ordering::Release));
    }

    /// Another socket takes the place of a ring's. While armed the one that decides is bound anew
    /// after it, for it has to be the last; what it would have got in between, some milliseconds,
    /// is lost, and the others go by what they were told before.
    pub(super) fn replace(&self, ring: usize, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let Others { fds, armed } = &mut *others;
        if let Some(program) = self.programs.get(ring)
            && (ring > 0 || *armed)
        {
            program.filter(fd)?;
        }
        if let Some(mine) = ring.checked_sub(1).and_then(|place| fds.get_mut(place)) {
            *mine = fd.try_clone_to_owned()?;
            if !*armed {
                return Ok(());
            }
        }
        let decides = fds.last().filter(|_| *armed && ring + 1 != self.programs.len());
        decides.map_or(Ok(()), |last| socket::unbind(last.as_fd()))?;
        socket::bind(fd, 0)?;
        decides.map_or(Ok(()), |last| socket::bind(last.as_fd(), 0))
    }

    /// Unbinds the socket of a ring where that is asked; it waits for the kernel, some
    /// milliseconds.
    pub(super) fn leave(&self, ring: usize, fd: BorrowedFd<'_>) -> io::Result<()> {
        let Some(leaves) = ring.checked_sub(1).and_then(|other| self.leaving.get(other)) else {
            return Ok(());
        };
        if leaves.load(Ordering::Acquire) {
            socket::unbind(fd)?;
            leaves.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// From now on frames are spread over the rings by their flows, as soon as they are let out of
    /// the first ([`Self::open`]), until [`Self::by_core`]; or the first gets all. For the owner of
    /// the first alone, and only while armed. Says whether they are spread: not before the others
    /// are empty.
    pub fn spread(&self, on: bool) -> bool {
        let words = self.area.words();
        let mode = words[MODE].load(Ordering::Relaxed);
        if mode & 1 == 1 && !on {
            words[MODE].store(mode & !1, Ordering::SeqCst);
        } else if on && self.alone() {
            words[BARRIER].store(NEVER, Ordering::SeqCst);
            words[BY_FLOW].store(1, Ordering::SeqCst);
            words[MODE].store(mode + 3, Ordering::SeqCst);
        }
        self.spreads()
    }

    /// Lets flows out of the first ring, when it is past all that it has been given until now. Some
    /// time after spreading has begun: then no frame is on its way any more that has not been
    /// counted. True where it is not known to the frame how far the ring is: it is to be settled.
    pub(super) fn open(&self, pending: impl Fn() -> u64) -> bool {
        let words = self.area.words();
        let came = words[came(0)].load(Ordering::SeqCst);
        let unknown = words[gone(0)].load(Ordering::Relaxed) < BEGIN;
        if unknown {
            // At least so many have gone; the rest comes out when the ring is empty.
            let at_hand = pending() + cores::installed() as u64;
            words[gone(0)].store(came - at_hand, Ordering::SeqCst);
        }
        words[BARRIER].store(came, Ordering::SeqCst);
        unknown
    }

    /// Frames that are spread go to the ring of the core they arise on (its number modulo the
    /// rings), no longer by their flows.
    pub fn by_core(&self) {
        self.area.words()[BY_FLOW].store(0, Ordering::SeqCst);
    }

    /// How often spreading has begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.area.words()[MODE].load(Ordering::Relaxed) >> 1
    }

    /// Whether frames are spread.
    #[must_use]
    pub fn spreads(&self) -> bool {
        self.area.words()[MODE].load(Ordering::Relaxed) & 1 == 1
    }

    /// Whether the first ring is the only one with frames in it.
    #[must_use]
    pub fn alone(&self) -> bool {
        let words = self.area.words();
        let count = |word: usize| words[word].load(Ordering::Acquire);
        !self.spreads() && (1..self.rings()).all(|ring| count(came(ring)) <= count(gone(ring)))
    }

    /// So many more frames of a ring have been sent on.
    pub(super) fn passed(&self, ring: usize, count: usize) {
        let gone = &self.area.words()[gone(ring)];
        gone.store(gone.load(Ordering::Relaxed) + count as u64, Ordering::Release);
    }

    /// Counts anew how far a ring is that is empty: what was lost on the way is not waited for any
    /// more. False where frames came meanwhile.
    pub(super) fn settle(&self, ring: usize, empty: impl Fn() -> bool) -> bool {
        let words = self.area.words();
        let count = || words[came(ring)].load(Ordering::SeqCst);
        let before = count();
        let begun = clock::now();
        while clock::now() < begun + ON_THE_WAY {
            if count() != before || !empty() {
                return false;
            }
        }
        words[gone(ring)].store(before, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests;

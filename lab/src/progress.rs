//! What is told while a lab is built, and what is written down.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use ns::{Identity, Observer};

use crate::journal::Journal;

/// What happens while a lab is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many names were left by a crash and are gone now.
    Cleaned(usize),
    /// Nothing stands in the way: building begins.
    Begun,
    /// A step, as the line of shell that would do the same; where that was asked for.
    Step(String),
    /// Steps done, of so many.
    Building {
        /// Done.
        done: usize,
        /// Of.
        total: usize,
    },
    /// Something of the host is about to be changed, to be undone at the end; in words.
    Host(String),
    /// Something is finished; in words.
    Done(String),
}

/// Writes names down as they are made and hands progress on.
pub(crate) struct Recorder<'a> {
    pub(crate) journal: &'a mut Journal,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) tell: &'a mut (dyn FnMut(Progress) + Send),
    /// The steps' lines, where they are to be told.
    pub(crate) lines: std::vec::IntoIter<String>,
}

impl Observer for Recorder<'_> {
    fn recording(&mut self, identity: &Identity) -> io::Result<()> {
        self.journal.add(identity)
    }

    fn progress(&mut self, done: usize, total: usize) -> bool {
        // A line a step.
        if let Some(line) = self.lines.next() {
            (self.tell)(Progress::Step(line));
        }
        (self.tell)(Progress::Building { done, total });
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Of a plan that makes no names, and that nobody waits for: nothing is written down or told.
pub(crate) struct Quiet;

impl Observer for Quiet {
    fn recording(&mut self, _: &Identity) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: usize, _: usize) -> bool {
        true
    }
}

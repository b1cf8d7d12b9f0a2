//! Having the station ticked from outside: for those whose answers it waits for.
//!
//! Called by threads of the lab; waits while the worker's channel is full, and does nothing once the
//! switch has stopped.

use std::io;

use super::command::Command;
use super::running::{Running, Teller};
use super::switch::Switch;

/// The means to have the station ticked soon.
pub struct Waker(Teller);

impl Waker {
    /// Has it ticked.
    pub fn wake(&self) {
        // A worker that has ended ticks nothing, and needs not.
        let _ = self.0.tell(Command::Tick);
    }
}

impl Switch {
    /// The means to have the station ticked by the worker that keeps its clock.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn waker(&self) -> io::Result<Waker> {
        let worker = self.workers.first().map(Running::teller);
        worker.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into())).map(Waker)
    }
}

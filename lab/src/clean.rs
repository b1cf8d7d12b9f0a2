//! `down`: stops a lab and removes what is left, also after a crash. What is ours the journal
//! says; what it does not name is never touched.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ns::namespace::{self, Removal};

use crate::config::LabName;
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;
use crate::journal;
use crate::lock::{self, Lock};
use crate::uplink::reserve;

/// How long a lab may take to undo itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(5);

/// What `down` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downed {
    /// Nothing of this name.
    Nothing,
    /// It ran, and was stopped.
    Stopped,
    /// It had crashed; this many names were left.
    Leftovers(usize),
}

/// Stops the lab, if it runs, and removes what is left of it.
///
/// # Errors
/// What could not be removed, or a lab that does not end.
pub fn down(ground: &Ground, name: &LabName) -> Result<Downed> {
    if !ground.lab(name).exists() {
        return Ok(Downed::Nothing);
    }
    let stopped = match lock::held_by(ground, name) {
        Some(pid) => stop(ground, name, pid)?,
        None => false,
    };
    if !ground.lab(name).exists() {
        return Ok(if stopped { Downed::Stopped } else { Downed::Nothing });
    }
    let lock = Lock::take(ground, name)?;
    let left = leftovers(ground, name)?;
    drop(lock);
    Ok(match (stopped, left) {
        (true, _) => Downed::Stopped,
        (false, left) => Downed::Leftovers(left),
    })
}

/// Asks the holder to end, and waits until it has let go; then insists.
fn stop(ground: &Ground, name: &LabName, pid: i32) -> Result<bool> {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => return Err(e).doing(|| format!("stopping lab {name}, process {pid}")),
        }
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if lock::held_by(ground, name) != Some(pid) {
                return Ok(true);
            }
            std::thread::sleep(PAUSE);
        }
    }
    Err(Error::Held { name: name.to_string(), pid: pid.to_string() })
}

/// Removes what the journal names and the lab's files. Called with the lock held. Says how many
/// names were removed.
pub(crate) fn leftovers(ground: &Ground, name: &LabName) -> Result<usize> {
    let mut removed = 0;
    let mut failed = None;
    let record = journal::read(&ground.lab(name))?;
    if let Some(record) = &record
        && record.header.is_of_this_boot()
        && !record.header.rootless
    {
        for identity in &record.names {
            match namespace::remove(identity) {
                Ok(Removal::Removed) => removed += 1,
                Ok(Removal::Absent | Removal::Foreign) => {}
                Err(error) => failed = Some(error),
            }
        }
    }
    if let Some(record) = record.filter(|record| record.header.is_of_this_boot()) {
        for reserved in &record.reserved {
            match reserve::remove(reserved) {
                Ok(true) => {}
                Ok(false) => tracing::warn!(
                    "lab {name} reserved ports {} in another network namespace: they stay",
                    reserved.ports
                ),
                Err(e) => return Err(e).doing(|| format!("giving back ports {}", reserved.ports)),
            }
        }
    }
    // With something left over the journal has to stay.
    if let Some(error) = failed {
        return Err(error.into());
    }
    ground.sweep(name)?;
    Ok(removed)
}

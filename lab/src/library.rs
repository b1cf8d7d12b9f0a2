//! Labs for other programs and their tests: asked for in a line, gone when dropped.
//!
//! ```
//! # if let Err(why) = uswitch_lab::ready() { eprintln!("skipped: {why}"); return Ok(()); }
//! use uswitch_lab::Lab;
//!
//! let lab = Lab::builder().nodes(2).start()?;
//! let out = lab.node("net1")?.run(["ping", "-c1", "-W5", "net2"])?;
//! assert!(out.success(), "{out:?}");
//! # Ok::<(), uswitch_lab::Error>(())
//! ```
//!
//! **What it takes.** Root (CAP_SYS_ADMIN and CAP_NET_ADMIN, and a `/run` to write to), or a user
//! namespace. A process with one thread gets its own when its first lab starts, and is root of that
//! namespace ever after. A test harness has several threads, which the kernel refuses it: start that inside
//! one, `unshare --user --map-root-user --mount cargo test`. [`ready`] says which is lacking.
//!
//! **What it leaves.** Nothing: a [`LabGuard`] undoes its lab when it is dropped, also while a test's
//! panic unwinds. What a process that was killed has left, the next lab's start removes.

mod builder;
mod inside;

use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ns::user::{self, Privilege};

pub use builder::Builder;
pub use inside::{Inside, Ran};

use crate::error::{Error, Result};
use crate::ground::Ground;
use crate::lab::Lab;

/// Where this process's labs stand: found once, for a process that enters a user namespace seems to be
/// somebody else afterwards.
static GROUND: OnceLock<Ground> = OnceLock::new();
static READY: Mutex<bool> = Mutex::new(false);

/// Gets this process ready for labs, as [`Builder::start`] does first: more open files, and a user
/// namespace where it is no root. For tests that are to be skipped where there can be none.
///
/// # Errors
/// [`Error::Threads`] where it is too late for a user namespace, [`Error::Ns`] where the system forbids
/// one; each with the mend.
pub fn ready() -> Result<()> {
    ground().map(|_| ())
}

fn ground() -> Result<Ground> {
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    let ground = GROUND.get_or_init(Ground::find);
    if !*ready {
        match ground.privilege() {
            // Inside one already, with a mount namespace beside it.
            Privilege::Ordinary if user::is_capable() => _ = user::raise_open_files()?,
            Privilege::Ordinary if threads() > 1 => return Err(Error::Threads),
            _ => ground.enter()?,
        }
        *ready = true;
    }
    Ok(ground.clone())
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// A running lab that is undone when this is dropped. All of [`Lab`] can be asked through it.
#[must_use = "the lab is undone when this is dropped"]
pub struct LabGuard(Arc<Lab>);

impl LabGuard {
    /// Undoes the lab, and says what could not be.
    ///
    /// # Errors
    /// The first failure; the others are logged. The rest is undone all the same.
    pub fn stop(self) -> Result<()> {
        let mut errors = self.0.stop().into_iter();
        let first = errors.next();
        errors.for_each(|error| tracing::warn!("{error}"));
        first.map_or(Ok(()), Err)
    }

    /// The lab, to be shared with what serves it, as the door does. It is undone when this guard goes,
    /// whoever else holds it.
    #[must_use]
    pub fn share(&self) -> Arc<Lab> {
        Arc::clone(&self.0)
    }
}

impl Deref for LabGuard {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for LabGuard {
    fn drop(&mut self) {
        for error in self.0.stop() {
            tracing::warn!("{error}");
        }
    }
}

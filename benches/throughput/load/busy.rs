//! Other work on every core, from a session of its own (the kernel shares the cores among sessions
//! first): a shell's loop a core, ended with the guard.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Loops as long as `$1` says, each of a process of its own.
const LOOPS: &str = "n=0; while [ $n -lt $1 ]; do (while :; do :; done) & n=$((n + 1)); done; wait";

/// The loops; dropping it ends them.
pub struct Busy(Child);

impl Busy {
    /// Starts one for each core, and waits until they run.
    ///
    /// # Errors
    /// Without `setsid` or a shell.
    pub fn start() -> Result<Self> {
        let cores = std::thread::available_parallelism()?.to_string();
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", LOOPS, "sh", &cores]).stdin(Stdio::null());
        let busy = Self(command.spawn().context("starting the loops")?);
        std::thread::sleep(Duration::from_millis(300));
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // It leads the session, and so the group.
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

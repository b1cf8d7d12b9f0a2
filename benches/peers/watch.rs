//! Somebody who looks at a lab of uswitch while it is measured: `uswitch capture`, whose file is
//! /dev/null. Of the other forwarders there is nothing to look at in this way.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Lab, log, start, until};

/// What a capture says once frames are looked at.
const LOOKING: &str = "recording frames in lab";
const PATIENCE: Duration = Duration::from_secs(20);

/// A capture that runs until this is dropped.
pub struct Watching(Child);

impl Lab {
    /// Whether somebody can look.
    pub fn can_be_watched(&self) -> bool {
        self.captures.is_some()
    }

    /// Begins to capture what matches `filter`; everything, where that is empty.
    ///
    /// # Errors
    /// When it does not begin.
    pub fn watch(&self, filter: &str) -> Result<Watching> {
        let binary = self.captures.as_ref().context("this forwarder has no capture")?;
        let said_before = log().len();
        let words = ["capture", "-w", "/dev/null", filter];
        let words = words.into_iter().filter(|word| !word.is_empty()).map(String::from);
        let mut child = start(None, binary, &words.collect::<Vec<_>>())?;
        let begun = until(PATIENCE, || {
            let log = log();
            let said = log.get(said_before..).unwrap_or_default();
            said.contains(LOOKING).then_some(()).context("the capture does not begin")
        });
        if let Err(error) = begun {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(Watching(child))
    }
}

impl Watching {
    /// Ends it; its last frames have then been taken.
    ///
    /// # Errors
    /// When it had ended before, or does not end.
    pub fn end(mut self) -> Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("the capture ended with {status} before it was asked to");
        }
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT).context("ending the capture")?;
        let limit = Instant::now() + PATIENCE;
        while self.0.try_wait()?.is_none() {
            if Instant::now() > limit {
                bail!("the capture does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

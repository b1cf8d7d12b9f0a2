//! Waiting until a change is everywhere: at the workers, and in what is under way beside them.

use std::time::Duration;

use crossbeam_channel::bounded;

use super::command::Command;
use super::config::Error;
use super::switch::Switch;
use crate::core::{Beside, Concern, PortId};

/// How long a worker may take to do what it is told; a batch takes far less.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

impl Switch {
    /// Waits until every worker has done what it was told so far: the proof that they live.
    ///
    /// # Errors
    /// [`Error::Dead`] where one does not answer within some seconds.
    pub fn sync(&self) -> Result<(), Error> {
        self.sync_workers()?;
        self.grace();
        Ok(())
    }

    /// The same after a change of one port: what is under way by others goes where it went.
    pub(super) fn sync_of(&self, id: PortId) -> Result<(), Error> {
        self.sync_workers()?;
        if let Some(fast) = &self.fast {
            fast.settle(Concern::Port(id));
        }
        Ok(())
    }

    pub(super) fn sync_workers(&self) -> Result<(), Error> {
        let (done, all) = bounded(self.workers.len());
        self.all(|| Command::Sync(done.clone()))?;
        drop(done);
        for _ in &self.workers {
            all.recv_timeout(PATIENCE).map_err(|_| Error::Dead)?;
        }
        Ok(())
    }
}

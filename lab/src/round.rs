//! The veth pair by which the switch shows that frames pass: both ends in the switch's namespace,
//! neither a port. Made when a service manager asks for proofs of life; gone with the namespace.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;

use ns::Plan;
use ns::plan::VethOptions;
use switch::Watch;

use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::progress::Recorder;

/// What its ends are called.
const ENDS: [&str; 2] = ["round1", "round2"];

impl Lab {
    /// The means to ask whether frames pass; None in a topology without a switch.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn watch(&self) -> Result<Option<Watch>> {
        let Some(netns) = &self.switch_ns else { return Ok(None) };
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(journal) = &mut state.journal else {
            return Err(Error::NotRunning(self.config().name.to_string()));
        };
        let mut plan = Plan::new();
        let switch = plan.existing("the switch's namespace", state.next_index);
        let (first, second) =
            plan.veth((switch, ENDS[0]), (switch, ENDS[1]), VethOptions::default());
        plan.pause();
        plan.up(switch, first);
        plan.up(switch, second);
        // Nothing of it has a name that could stay behind.
        let (stop, tell) = (&AtomicBool::new(false), &mut |_| {});
        let mut recorder = Recorder { journal, stop, tell, lines: Vec::new().into_iter() };
        let mut applied = ns::apply(&plan, &self.directory, &[netns.as_fd()], &mut recorder)?;
        state.next_index += 2;
        let watch = self.with_switch(|switch| {
            let watch = switch.watch(netns.as_fd(), [first, second])?;
            // Before anything can come in by them, every worker knows what they are.
            switch.sync()?;
            Ok::<_, Error>(watch)
        });
        applied.finish(&plan, &self.directory, &mut recorder)?;
        watch.transpose()
    }
}

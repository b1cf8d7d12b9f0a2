//! Whether a lab has a fast path, and why not: asked before anything of the lab is made.

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use ::topology::FastPath;
use ns::user::Privilege;

use crate::config::LabConfig;
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;
use crate::lab::Lab;
use crate::uplink::Near;

/// What became of it.
#[derive(Debug)]
pub(crate) struct Fast {
    asked: FastPath,
    pub(crate) path: Option<Arc<switch::FastPath>>,
    why_not: Option<String>,
    /// The switch sends whole what a packet socket cannot be told of, and so the nodes' stacks may.
    pub(crate) finish: bool,
}

impl Fast {
    /// Gets what was asked for.
    ///
    /// # Errors
    /// [`Error::NoFastPath`] where it has to be had and cannot.
    pub(crate) fn ask(config: &LabConfig, ground: &Ground) -> Result<Self> {
        let asked = config.spec.fast_path;
        let root = ground.privilege() != Privilege::Ordinary;
        let finish = config.is_switched() && may_finish(root, sys::kernel::version());
        let none = Self { asked, path: None, why_not: None, finish };
        if asked == FastPath::Off || !config.is_switched() {
            return Ok(none);
        }
        match load(config, ground) {
            Ok(path) => Ok(Self { path: Some(path), ..none }),
            Err(why) if asked == FastPath::On => Err(Error::NoFastPath(why)),
            Err(why) => Ok(Self { why_not: Some(why), ..none }),
        }
    }

    /// Where the kernel's way to a real uplink begins; None where it repeats nothing.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn across(&self, switch: &OwnedFd) -> Result<Option<Near>> {
        let Some(path) = &self.path else { return Ok(None) };
        let switch = switch.try_clone().doing(|| "holding the switch's namespace".into())?;
        let (needed, held) = (self.asked == FastPath::On, Arc::clone(path.held()));
        Ok(Some(Near { switch: Arc::new(switch), held, needed }))
    }
}

/// Whether the switch may be given what a packet socket cannot be told of: it takes root for the program
/// that finishes it, and where that cannot be had a kernel that knows datagrams which stand for many.
fn may_finish(root: bool, kernel: Option<(u32, u32)>) -> bool {
    root && kernel.is_some_and(|version| version >= sys::kernel::UDP_SEGMENTS)
}

fn load(config: &LabConfig, ground: &Ground) -> std::result::Result<Arc<switch::FastPath>, String> {
    if ground.privilege() == Privilege::Ordinary {
        return Err("BPF programs take root, and this is an ordinary user's lab".into());
    }
    if let Some(workers) = config.workers.filter(|workers| *workers > 1) {
        return Err(format!("--workers {workers} asks for more than the one worker it has"));
    }
    switch::FastPath::load().map_err(|error| error.to_string())
}

/// How a lab forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastPathState {
    /// What was asked for.
    pub asked: FastPath,
    /// Whether the kernel repeats what the switch has decided.
    pub runs: bool,
    /// Why not, where it was asked for.
    pub why_not: Option<String>,
}

impl Lab {
    /// Whether the kernel repeats what the switch has decided, and why not.
    #[must_use]
    pub fn fast_path(&self) -> FastPathState {
        let Fast { asked, path, why_not, .. } = &self.fast;
        FastPathState { asked: *asked, runs: path.is_some(), why_not: why_not.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An older kernel would refuse what is made of segments in tunnels.
    #[test]
    fn what_cannot_be_told_is_taken_where_it_can_be_sent() {
        assert!(may_finish(true, Some((6, 2))) && may_finish(true, Some((6, 18))));
        assert!(!may_finish(true, Some((6, 1))) && !may_finish(true, None));
        assert!(!may_finish(false, Some((6, 18))));
    }
}

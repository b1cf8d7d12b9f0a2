//! Where a node lives: in a namespace that the lab has made, or in somebody else's.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use ns::Namespace;

use crate::error::{Doing, Result};

/// A node's namespace.
#[derive(Debug)]
pub(crate) enum Home {
    /// The lab's own, which goes with the node.
    Own(Namespace),
    /// A container's, which its engine has made: where it is found, once that is known.
    Theirs(Option<PathBuf>),
}

impl Home {
    /// A descriptor of the namespace.
    ///
    /// # Errors
    /// Where it cannot be had, or nobody knows where it is.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd> {
        match self {
            Self::Own(namespace) => Ok(namespace.as_fd().try_clone_to_owned().doing(holding)?),
            Self::Theirs(place) => {
                let place = place.as_ref().ok_or(nix::errno::Errno::ENOENT).doing(holding)?;
                Ok(File::open(place).doing(|| format!("opening {}", place.display()))?.into())
            }
        }
    }

    /// Takes the name of the lab's own away; others are let be.
    ///
    /// # Errors
    /// When it is ours and cannot be removed.
    pub(crate) fn remove(self) -> Result<()> {
        match self {
            Self::Own(namespace) => Ok(namespace.remove()?),
            Self::Theirs(_) => Ok(()),
        }
    }
}

fn holding() -> String {
    "holding a node's namespace".into()
}

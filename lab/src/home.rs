//! Where a node lives: in a namespace that the lab has made, or in somebody else's.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};

use ns::Namespace;

use crate::error::{Doing, Result};

/// A node's namespace.
#[derive(Debug)]
pub(crate) enum Home {
    /// The lab's own, which goes with the node.
    Own(Namespace),
    /// A container's, which its engine has made: where it is found, once that is known.
    Theirs(Option<PathBuf>),
    /// The same, where it is found by no path from here: held open.
    Unseen(Arc<OwnedFd>),
}

impl Home {
    /// A container's, which was passed to us as a descriptor. One that its path leads to is not held: it
    /// is to end with its container, even if nobody tells.
    pub(crate) fn of_container(place: Option<PathBuf>, passed: Option<&Arc<OwnedFd>>) -> Self {
        let identity = |found: rustix::fs::Stat| (found.st_dev, found.st_ino);
        let seen = place.as_ref().and_then(|place| rustix::fs::stat(place).ok()).map(identity);
        match passed {
            Some(passed) if rustix::fs::fstat(passed).ok().map(identity) != seen => {
                Self::Unseen(Arc::clone(passed))
            }
            _ => Self::Theirs(place),
        }
    }

    /// A descriptor of the namespace.
    ///
    /// # Errors
    /// Where it cannot be had, or nobody knows where it is.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd> {
        match self {
            Self::Own(namespace) => Ok(namespace.as_fd().try_clone_to_owned().doing(holding)?),
            Self::Unseen(held) => Ok(held.as_fd().try_clone_to_owned().doing(holding)?),
            Self::Theirs(place) => {
                let place = place.as_ref().ok_or(nix::errno::Errno::ENOENT).doing(holding)?;
                let opened = namespace(place, |_| true);
                Ok(opened.doing(|| format!("opening {}", place.display()))?.into())
            }
        }
    }

    /// The path that leads there, of a container's: of one that is held open, by our descriptor.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Theirs(place) => place.clone(),
            Self::Unseen(held) => {
                let (process, number) = (std::process::id(), held.as_raw_fd());
                Some(PathBuf::from(format!("/proc/{process}/fd/{number}")))
            }
            Self::Own(_) => None,
        }
    }

    /// Takes the name of the lab's own away; others are let be.
    ///
    /// # Errors
    /// When it is ours and cannot be removed.
    pub(crate) fn remove(self) -> Result<()> {
        match self {
            Self::Own(namespace) => Ok(namespace.remove()?),
            Self::Theirs(_) | Self::Unseen(_) => Ok(()),
        }
    }

    /// Whether it is a container's.
    pub(crate) fn is_theirs(&self) -> bool {
        !matches!(self, Self::Own(_))
    }
}

fn holding() -> String {
    "holding a node's namespace".into()
}
/// `NSFS_MAGIC` (linux/magic.h).
const NSFS: rustix::fs::FsWord = 0x6e73_6673;

/// Opens the namespace at a path that somebody else has told, if it is the one that is meant. What is there
/// is looked at without being opened, for a pipe would hold us up, and a device notice.
pub(crate) fn namespace(path: &Path, is_it: impl Fn(&Metadata) -> bool) -> io::Result<File> {
    let place = File::from(openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    // No file of anybody's is in the kernel's own file system of namespaces.
    if rustix::fs::fstatfs(&place)?.f_type != NSFS || !is_it(&place.metadata()?) {
        let why = "something else is there by now";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    File::open(Path::new("/proc/self/fd").join(place.as_raw_fd().to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_no_namespace_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        // To open it waits for somebody who writes.
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let theirs = |path: PathBuf| Home::Theirs(Some(path)).descriptor();
        assert!(theirs(pipe).is_err());
        assert!(theirs(folder.path().to_owned()).is_err());
        assert!(theirs("/proc/self/ns/net".into()).is_ok());
    }
}

//! Where names of namespaces live: `/run/netns`, shared with `ip netns` (root), or a directory of
//! the lab's own inside its mount namespace (without root). Made ready as iproute2 does it: a
//! mount point of shared propagation, so that a name shows in every mount namespace of the host.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::error::{Doing, Result};

/// The directory `ip netns` uses.
pub const SYSTEM: &str = "/run/netns";

/// A directory whose files are namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// `/run/netns`, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or mounted: usually for want of privilege.
    pub fn system() -> Result<Self> {
        let this = Self::at(SYSTEM);
        make(&this.path)?;
        match share(&this.path) {
            // Not a mount point yet.
            Err(Errno::EINVAL) => {
                let path = Some(this.path.as_path());
                mount(path, &this.path, NO_TEXT, MsFlags::MS_BIND | MsFlags::MS_REC, NO_TEXT)
                    .doing(|| format!("making {SYSTEM} a mount point"))?;
                share(&this.path)
            }
            other => other,
        }
        .doing(|| format!("sharing {SYSTEM} between mount namespaces"))?;
        Ok(this)
    }

    /// A fresh tmpfs over `path`, seen in the caller's mount namespace alone.
    ///
    /// # Errors
    /// When it cannot be made or mounted.
    pub fn private(path: impl Into<PathBuf>) -> Result<Self> {
        let this = Self { path: path.into() };
        make(&this.path)?;
        mount(Some("none"), &this.path, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
            .doing(|| format!("mounting a tmpfs on {}", this.path.display()))?;
        Ok(this)
    }

    /// A directory that is ready, or is only to be looked into.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the namespace `name`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

const NO_TEXT: Option<&str> = None;

fn make(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .doing(|| format!("making {}", path.display()))
}

fn share(path: &Path) -> nix::Result<()> {
    mount(NO_TEXT, path, NO_TEXT, MsFlags::MS_SHARED | MsFlags::MS_REC, NO_TEXT)
}

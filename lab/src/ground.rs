//! Where a lab stands: the run directory, and with which privilege it works. Found first of all,
//! before the process enters a user namespace, for that changes who it seems to be.
//!
//! The run directory is $USWITCH_RUN_DIR; else /run/uswitch for root; else
//! $XDG_RUNTIME_DIR/uswitch; else /tmp/uswitch-UID. Another user's directory is refused.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use ns::Directory;
use ns::user::{self, Privilege};

use crate::config::LabName;
use crate::error::{Doing, Error, Result};

/// The directory below a lab's in which a lab without root keeps its names.
const PRIVATE: &str = "netns";

/// The run directory and the privilege.
#[derive(Clone, Debug)]
pub struct Ground {
    base: PathBuf,
    privilege: Privilege,
}

impl Ground {
    /// Looks at the environment and at what the process may do.
    #[must_use]
    pub fn find() -> Self {
        let privilege = user::privilege();
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let base = variable("USWITCH_RUN_DIR").unwrap_or_else(|| match privilege {
            Privilege::Root => PathBuf::from("/run/uswitch"),
            Privilege::Ordinary => variable("XDG_RUNTIME_DIR").map_or_else(
                || PathBuf::from(format!("/tmp/uswitch-{}", geteuid())),
                |runtime| runtime.join("uswitch"),
            ),
        });
        // The lab's process leaves the working directory, and a client may be in another.
        Self { base: std::path::absolute(&base).unwrap_or(base), privilege }
    }

    /// A ground of one's own choice: for tests.
    #[must_use]
    pub fn at(base: impl Into<PathBuf>, privilege: Privilege) -> Self {
        Self { base: base.into(), privilege }
    }

    /// Gets the process ready to build: a user namespace where it needs one (so no thread may run
    /// yet), and as many open files as it may have.
    ///
    /// # Errors
    /// [`ns::Error::NoPrivilege`].
    pub fn enter(&self) -> Result<()> {
        if self.privilege == Privilege::Ordinary {
            user::enter()?;
        }
        user::raise_open_files()?;
        Ok(())
    }

    /// Gives up, for good, every capability that a lab does not need: to be called while there is
    /// but one thread, for each has its own. Namespaces, mounts and BPF take CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn give_up(&self) -> Result<()> {
        use sys::privilege::Kind::{CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN};
        sys::privilege::keep(&[CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW])
            .doing(|| "giving up capabilities".into())
    }

    /// By what right labs are made here.
    #[must_use]
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }

    /// The run directory.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The directory of one lab.
    #[must_use]
    pub fn lab(&self, name: &LabName) -> PathBuf {
        self.base.join(name.as_str())
    }

    /// The control socket of one lab.
    #[must_use]
    pub fn socket(&self, name: &LabName) -> PathBuf {
        self.lab(name).join("control.sock")
    }

    /// The directory of namespaces' names, made ready.
    pub(crate) fn directory(&self, name: &LabName) -> Result<Directory> {
        Ok(match self.privilege {
            Privilege::Root => Directory::system()?,
            Privilege::Ordinary => Directory::private(self.lab(name).join(PRIVATE))?,
        })
    }

    /// Makes the lab's directory. The run directory is made too, and has to be ours.
    pub(crate) fn make(&self, name: &LabName) -> Result<PathBuf> {
        let mode = if self.privilege == Privilege::Root { 0o755 } else { 0o700 };
        let create = |path: &Path, mode| {
            let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(path);
            made.doing(|| format!("making {}", path.display()))
        };
        create(&self.base, mode)?;
        let found = std::fs::symlink_metadata(&self.base)
            .doing(|| format!("looking at {}", self.base.display()))?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() {
            return Err(Error::NotOurs(self.base.clone()));
        }
        let lab = self.lab(name);
        create(&lab, 0o700)?;
        Ok(lab)
    }

    /// Removes what a lab keeps in its directory, the lock apart.
    pub(crate) fn sweep(&self, name: &LabName) -> Result<()> {
        let lab = self.lab(name);
        let private = lab.join(PRIVATE);
        if private.is_dir() {
            // Mounted only as seen from the process that built the lab.
            let _ = nix::mount::umount2(&private, nix::mount::MntFlags::MNT_DETACH);
            std::fs::remove_dir(&private).doing(|| format!("removing {}", private.display()))?;
        }
        for file in ["control.sock", "log", crate::journal::FRESH, crate::journal::FILE] {
            remove(&lab.join(file))?;
        }
        Ok(())
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).doing(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

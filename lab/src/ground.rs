//! Where a lab stands: the run directory, and with which privilege it works. Found first of all,
//! before the process enters a user namespace, for that changes who it seems to be.
//!
//! The run directory is $USWITCH_RUN_DIR; else /run/uswitch for root; else
//! $XDG_RUNTIME_DIR/uswitch; else, also where that variable leads nowhere fit, /tmp/uswitch-UID.
//! Whatever lies there is reached through a [`Folder`], which refuses what is not this user's.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{AccessFlags, access, geteuid};
use ns::Directory;
use ns::user::{self, Privilege};

use crate::config::LabName;
use crate::error::{Doing, Result};
use crate::folder::{self, Folder};

/// The directory below a lab's in which a lab without root keeps its names.
const PRIVATE: &str = "netns";
/// The control socket in a lab's directory.
pub(crate) const SOCKET: &str = "control.sock";
/// In a run directory that the user has named: a lab has made it, and the last one takes it away.
const MADE: &str = ".made";
/// What a lab in the background says.
const LOG: &str = "log";

/// The run directory and the privilege.
#[derive(Clone, Debug)]
pub struct Ground {
    base: PathBuf,
    privilege: Privilege,
    note: Option<String>,
    /// Whether the user has named the run directory, and so may have made it.
    named: bool,
    /// What the run directory lies in, where its path may end before we do.
    _held: Option<Arc<OwnedFd>>,
}

impl Ground {
    /// Looks at the environment and at what the process may do.
    #[must_use]
    pub fn find() -> Self {
        let privilege = user::privilege();
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(base) = variable("USWITCH_RUN_DIR") {
            // The lab's process leaves the working directory, and a client may be in another.
            let base = std::path::absolute(&base).unwrap_or(base);
            return Self { named: true, ..Self::at(base, privilege) };
        }
        if privilege == Privilege::Root {
            return Self::at("/run/uswitch", privilege);
        }
        let shared = PathBuf::from(format!("/tmp/uswitch-{}", geteuid()));
        let Some(runtime) = variable("XDG_RUNTIME_DIR") else {
            return Self::at(shared, privilege);
        };
        match unfit(&runtime) {
            None => Self::at(runtime.join("uswitch"), privilege),
            Some(why) => {
                let (runtime, instead) = (runtime.display(), shared.display());
                let note = format!("XDG_RUNTIME_DIR: {runtime} {why}; using {instead} instead");
                Self { note: Some(note), ..Self::at(shared, privilege) }
            }
        }
    }

    /// A ground of one's own choice: for tests.
    #[must_use]
    pub fn at(base: impl Into<PathBuf>, privilege: Privilege) -> Self {
        Self { base: base.into(), privilege, note: None, named: false, _held: None }
    }

    /// The same ground for root of a user's namespace in which an engine has its networks: there that is
    /// root. What the engine has mounted there goes with its last container, before we do, and the run
    /// directory's path with it: so the folder around it is held.
    ///
    /// # Errors
    /// When that folder cannot be opened.
    pub fn within_an_engine(self) -> Result<Self> {
        let (Some(around), Some(name)) = (self.base.parent(), self.base.file_name()) else {
            return Ok(self);
        };
        let open = || format!("opening {}", around.display());
        let held: OwnedFd = std::fs::File::open(around).doing(open)?.into();
        let base = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())).join(name);
        Ok(Self { _held: Some(Arc::new(held)), ..Self::at(base, Privilege::Root) })
    }

    /// Gets the process ready to build: a user namespace where it needs one (so no thread may run
    /// yet), and as many open files as it may have.
    ///
    /// # Errors
    /// [`ns::Error::NoPrivilege`]; [`crate::Error::NotOurs`].
    pub fn enter(&self) -> Result<()> {
        // Whose it is can be told only before.
        Folder::open(&self.base)?;
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

    /// The same of a lab that serves engines, whose published ports may lie below 1024, or be bound by
    /// a process of the engine's already, which takes CAP_SYS_PTRACE to share (`pidfd_getfd`).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn give_up_for_engines(&self) -> Result<()> {
        use sys::privilege::Kind::{
            CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_SYS_ADMIN, CAP_SYS_PTRACE,
        };
        let kept =
            [CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SYS_PTRACE];
        sys::privilege::keep(&kept).doing(|| "giving up capabilities".into())
    }

    /// By what right labs are made here.
    #[must_use]
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }

    /// What a person is to know about the choice of the run directory.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The run directory.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The directory of one lab, to be named.
    #[must_use]
    pub fn lab(&self, name: &LabName) -> PathBuf {
        self.base.join(name.as_str())
    }

    /// The control socket of one lab: its path.
    #[must_use]
    pub fn socket(&self, name: &LabName) -> PathBuf {
        self.lab(name).join(SOCKET)
    }

    /// The log of one lab, made anew.
    ///
    /// # Errors
    /// [`crate::Error::NotOurs`], or when it cannot be made.
    pub fn log(&self, name: &LabName) -> Result<std::fs::File> {
        let what = || format!("making {}", self.lab(name).join(LOG).display());
        let folder = self.folder(name)?.ok_or(nix::errno::Errno::ENOENT).doing(what)?;
        folder.fresh(LOG).doing(what)
    }

    /// The directory of one lab; None where there is none.
    ///
    /// # Errors
    /// [`crate::Error::NotOurs`].
    pub(crate) fn folder(&self, name: &LabName) -> Result<Option<Folder>> {
        match Folder::open(&self.base)? {
            Some(base) => base.enter(name.as_str()),
            None => Ok(None),
        }
    }

    /// The labs that have a directory, by name.
    ///
    /// # Errors
    /// [`crate::Error::NotOurs`].
    pub(crate) fn labs(&self) -> Result<Vec<LabName>> {
        let base = Folder::open(&self.base)?;
        let Some(base) = base else { return Ok(Vec::new()) };
        // The socket where plugins of engines ask stands beside the labs.
        let is_lab = |name: &&String| !matches!(base.socket(name), Ok(Some(_)));
        let names = base.names()?;
        let names = names.iter().filter(is_lab);
        let mut labs: Vec<LabName> = names.filter_map(|name| name.parse().ok()).collect();
        labs.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Ok(labs)
    }

    /// Removes the run directory where it is empty, and made by a lab.
    pub(crate) fn leave(&self) {
        if self.named {
            let Ok(Some(base)) = Folder::open(&self.base) else { return };
            if !base.names().is_ok_and(|names| names == [MADE]) || base.remove(MADE).is_err() {
                return;
            }
        }
        let _ = std::fs::remove_dir(&self.base);
    }

    /// The directory of namespaces' names, made ready.
    pub(crate) fn directory(&self, name: &LabName) -> Result<Directory> {
        Ok(match self.privilege {
            Privilege::Root => Directory::system()?,
            Privilege::Ordinary => Directory::private(self.lab(name).join(PRIVATE))?,
        })
    }

    /// Makes the run directory and the lab's in it.
    pub(crate) fn make(&self, name: &LabName) -> Result<(Folder, Folder)> {
        let mode = if self.privilege == Privilege::Root { 0o755 } else { 0o700 };
        loop {
            let Some(base) = Folder::open(&self.base)? else {
                let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(&self.base);
                made.doing(|| format!("making {}", self.base.display()))?;
                if self.named
                    && let Some(base) = Folder::open(&self.base)?
                {
                    let made = base.fresh(MADE);
                    made.doing(|| format!("writing {}", self.base.join(MADE).display()))?;
                }
                continue;
            };
            // None where the last of another lab removed the directory just now.
            if let Some(folder) = base.make(name.as_str(), 0o700)? {
                return Ok((base, folder));
            }
        }
    }

    /// Removes what a lab keeps in its directory, the lock apart.
    pub(crate) fn sweep(&self, name: &LabName) -> Result<()> {
        let Some(folder) = self.folder(name)? else { return Ok(()) };
        let what = |file: &str| format!("removing {}", folder.path().join(file).display());
        if folder.enter(PRIVATE)?.is_some() {
            // Mounted only as seen from the process that built the lab.
            use nix::mount::{MntFlags, umount2};
            let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
            let _ = umount2(&folder.path().join(PRIVATE), flags);
            folder.remove_folder(PRIVATE).doing(|| what(PRIVATE))?;
        }
        crate::naming::sweep(&folder, self)?;
        use crate::journal::{FILE, FRESH, LINES, PORTS};
        // The journal goes last: what stands beside it says what it is to be.
        for file in [SOCKET, LOG, FRESH, PORTS, LINES, crate::clean::UNDONE, FILE] {
            folder.remove(file).doing(|| what(file))?;
        }
        Ok(())
    }
}

/// Why a lab cannot be kept in what XDG_RUNTIME_DIR names.
fn unfit(runtime: &Path) -> Option<String> {
    let found = match std::fs::metadata(runtime) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Some("is not there".into()),
        Err(_) => return Some("is not for this user to look at".into()),
    };
    if !runtime.is_absolute() {
        Some("is no absolute path".into())
    } else if !found.is_dir() {
        Some("is no folder".into())
    } else if found.uid() != geteuid().as_raw() {
        Some(format!("belongs to {}", folder::user(found.uid())))
    } else if found.mode() & 0o022 != 0 {
        Some(format!("can be written to by others (mode {:o})", found.mode() & 0o7777))
    } else if access(runtime, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        Some("cannot be written to".into())
    } else {
        None
    }
}

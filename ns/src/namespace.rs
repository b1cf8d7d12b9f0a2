//! Network namespaces: made, named, recognised again, removed.
//!
//! A name is a file that the namespace is bind-mounted on. The file is made without a name first
//! (O_TMPFILE) and linked into place afterwards, which fails if the name is taken: so its inode can
//! be written down *before* the name exists, and after a crash at any point the record tells our
//! names from anybody else's.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::directory::Directory;
use crate::error::{Doing, Error, Result};
use crate::identity::{Above, Identity};

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// What became of a name that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was ours, and is gone.
    Removed,
    /// There was nothing under that name.
    Absent,
    /// It is somebody else's, and was left alone.
    Foreign,
}

/// A namespace held by a descriptor; the name of a named one goes when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    name: Option<Identity>,
}

impl Namespace {
    /// A namespace without a name. Moves the calling thread into it.
    pub(crate) fn anonymous_here() -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(Self { fd: File::open(OWN)?.into(), name: None })
    }

    /// A namespace without a name, made on a thread of its own.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn anonymous() -> Result<Self> {
        sys::netns::apart(Self::anonymous_here).doing(|| "making a network namespace".into())
    }

    /// A namespace with a name. Moves the calling thread into it. `record` is told what is about
    /// to be made before anything of it can be seen; its error stops the making.
    pub(crate) fn named_here(
        directory: &Directory,
        name: &str,
        record: impl FnOnce(&Identity) -> io::Result<()>,
    ) -> Result<Self> {
        let path = directory.file(name);
        let what = || format!("making the namespace {name}");
        let mut this = Self::anonymous_here().doing(what)?;
        let file = File::options()
            .write(true)
            .mode(0o444)
            .custom_flags(nix::libc::O_TMPFILE)
            .open(directory.path())
            .doing(what)?;
        let identity = Identity::here(name, &path, &file, &this.fd).doing(what)?;
        record(&identity).doing(|| format!("writing down the namespace {name}"))?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        match nix::unistd::linkat(
            AT_FDCWD,
            unnamed.as_str(),
            AT_FDCWD,
            &path,
            AtFlags::AT_SYMLINK_FOLLOW,
        ) {
            Err(Errno::EEXIST) => return Err(Error::Foreign(name.into())),
            other => other.doing(what)?,
        }
        // From here on the drop of `this` undoes it.
        this.name = Some(identity);
        mount(Some(OWN), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(what)?;
        Ok(this)
    }

    /// The name and the rest by which it is recognised, for a named one.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.name.as_ref()
    }

    /// Takes the name away now, and says how that went. The namespace itself lives on while
    /// anything holds it.
    ///
    /// # Errors
    /// When the name is ours and cannot be removed.
    pub fn remove(mut self) -> Result<()> {
        let held = Some(self.fd.as_fd());
        self.name.take().map_or(Ok(()), |identity| take_away(&identity, held).map(drop))
    }

    /// A second descriptor of the namespace.
    ///
    /// # Errors
    /// When no more descriptors are to be had.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        self.fd.try_clone().doing(|| "holding a namespace".into())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(identity) = self.name.take()
            && let Err(error) = take_away(&identity, Some(self.fd.as_fd()))
        {
            tracing::warn!("{error}");
        }
    }
}

/// Removes the name `identity` stands for, if it still is what it was. Called by undo, and with
/// what a record says after a crash.
///
/// # Errors
/// When it is ours and cannot be removed.
pub fn remove(identity: &Identity) -> Result<Removal> {
    take_away(identity, None)
}

/// Looks at the file and at what is mounted on it before it touches either. `held` is the namespace,
/// where it is known to live.
fn take_away(identity: &Identity, held: Option<BorrowedFd<'_>>) -> Result<Removal> {
    let what = || format!("removing the namespace {}", identity.name);
    match identity.below().doing(what)? {
        None => return Ok(Removal::Absent),
        Some(false) => return Ok(Removal::Foreign),
        Some(true) => {}
    }
    match identity.above(held).doing(what)? {
        Above::Nothing => {}
        Above::Foreign => return Ok(Removal::Foreign),
        Above::Ours => {
            let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
            umount2(&identity.path, flags).doing(what)?;
            // Somebody may have mounted twice.
            if identity.above(held).doing(what)? != Above::Nothing {
                return Ok(Removal::Foreign);
            }
        }
    }
    match std::fs::remove_file(&identity.path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Removal::Absent),
        other => other.doing(what).map(|()| Removal::Removed),
    }
}

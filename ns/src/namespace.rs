//! Network namespaces: made, named, recognised again, removed.
//!
//! A name is a file that the namespace is bind-mounted on. The file is made without a name first
//! (O_TMPFILE) and linked into place afterwards, which fails if the name is taken: so its inode can
//! be written down *before* the name exists, and after a crash at any point the record tells our
//! names from anybody else's.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::error::{Doing, Error, Result};

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// By what a named namespace is recognised as ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The file under the mount.
    pub path: PathBuf,
    /// Inode of that file.
    pub file: u64,
    /// Inode of the namespace.
    pub netns: u64,
}

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
    name: Name,
}

/// The guard of a name.
#[derive(Debug)]
struct Name(Option<Identity>);

impl Namespace {
    /// A namespace without a name. Moves the calling thread into it.
    pub(crate) fn anonymous_here() -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(Self { fd: File::open(OWN)?.into(), name: Name(None) })
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
        let identity = Identity {
            name: name.into(),
            path: path.clone(),
            file: file.metadata().doing(what)?.ino(),
            netns: File::from(this.fd.try_clone().doing(what)?).metadata().doing(what)?.ino(),
        };
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
        this.name.0 = Some(identity);
        mount(Some(OWN), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(what)?;
        Ok(this)
    }

    /// The name and the rest by which it is recognised, for a named one.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.name.0.as_ref()
    }

    /// Takes the name away now, and says how that went. The namespace itself lives on while
    /// anything holds it.
    ///
    /// # Errors
    /// When the name is ours and cannot be removed.
    pub fn remove(mut self) -> Result<()> {
        self.name.0.take().map_or(Ok(()), |identity| remove(&identity).map(drop))
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

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(identity) = self.0.take()
            && let Err(error) = remove(&identity)
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
    let what = || format!("removing the namespace {}", identity.name);
    match inode(&identity.path).doing(what)? {
        None => return Ok(Removal::Absent),
        Some(found) if found == identity.netns => {
            umount2(&identity.path, MntFlags::MNT_DETACH).doing(what)?;
            // What lies below is ours too, unless somebody mounted twice.
            if inode(&identity.path).doing(what)? != Some(identity.file) {
                return Ok(Removal::Foreign);
            }
        }
        Some(found) if found == identity.file => {}
        Some(_) => return Ok(Removal::Foreign),
    }
    std::fs::remove_file(&identity.path).doing(what)?;
    Ok(Removal::Removed)
}

fn inode(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

//! A namespace that outlives its process: bind-mounted on a file of the caller's own folder. Whoever
//! comes next finds it there with its links and their addresses as they were.
//!
//! The file lies in a folder that nobody else can write to; so what is mounted there is believed.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FsType, fstatfs};

use crate::error::{Doing, Result};
use crate::namespace::Namespace;

/// `NSFS_MAGIC` (linux/magic.h).
const NSFS: FsType = FsType(0x6e73_6673);

/// The namespace pinned at `path`; None where there is none.
///
/// # Errors
/// When the file cannot be opened.
pub fn find(path: &Path) -> Result<Option<OwnedFd>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.doing(|| format!("opening {}", path.display()))?,
    };
    let kind = fstatfs(&file).doing(|| format!("looking at {}", path.display()))?.filesystem_type();
    Ok((kind == NSFS).then(|| file.into()))
}

/// Makes a network namespace and pins it at `path`.
///
/// # Errors
/// When the kernel refuses.
pub fn make(path: &Path) -> Result<OwnedFd> {
    let what = || format!("pinning a namespace at {}", path.display());
    let namespace = Namespace::anonymous()?.descriptor()?;
    File::options().write(true).create(true).truncate(true).open(path).doing(what)?;
    let from = format!("/proc/self/fd/{}", namespace.as_raw_fd());
    let none = None::<&str>;
    mount(Some(from.as_str()), path, none, MsFlags::MS_BIND, none).doing(what)?;
    Ok(namespace)
}

/// Lets go of what is pinned at `path`, which ends once nobody holds it; false where nothing was.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(path: &Path) -> Result<bool> {
    let what = || format!("unpinning {}", path.display());
    let pinned = find(path)?.is_some();
    if pinned {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Let go of already, with what was mounted around it.
            Err(Errno::EINVAL) => {}
            other => other.doing(what)?,
        }
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).doing(what),
        _ => Ok(pinned),
    }
}

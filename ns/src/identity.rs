//! By what a named namespace is recognised as ours, by undo and after a crash.
//!
//! Inode numbers come back: the kernel gives a new namespace the lowest that is free. So a name is
//! ours only if the file below the mount is the one that was made for it (device, inode and time of
//! birth), and what is mounted on it is the namespace that was made (the cookie, which no other
//! namespace ever has, or one that is known to live).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use serde::{Deserialize, Serialize};

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// What is written down of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The file under the mount.
    pub path: PathBuf,
    /// Inode of that file.
    pub file: u64,
    /// Its device; None in records of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
    /// The time of its birth, seconds and nanoseconds, where the file system knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<(i64, u32)>,
    /// The kernel's cookie of the namespace; None before Linux 5.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Inode of the namespace.
    pub netns: u64,
}

/// What is mounted on a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    /// Nothing: the file is what one sees.
    Nothing,
    /// The namespace.
    Ours,
    /// Something else.
    Foreign,
}

impl Identity {
    /// That of the calling thread's namespace, which `netns` is, once `file` has the name.
    pub(crate) fn here(name: &str, path: &Path, file: &File, netns: &OwnedFd) -> io::Result<Self> {
        let below = look(file, "", AtFlags::EMPTY_PATH)?;
        Ok(Self {
            name: name.into(),
            path: path.into(),
            file: below.stx_ino,
            device: Some(device(&below)),
            born: born(&below),
            cookie: sys::netns::cookie().ok(),
            netns: look(netns, "", AtFlags::EMPTY_PATH)?.stx_ino,
        })
    }

    /// Whether the file that has the name, whatever is mounted on it, is the one that was made for
    /// it; None where there is none.
    pub(crate) fn below(&self) -> io::Result<Option<bool>> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(None);
        };
        // Where the kernel lets nobody look below, what lies above has to do.
        let seen = bare(folder).and_then(|folder| {
            folder.map(|folder| look(&folder, name, AtFlags::SYMLINK_NOFOLLOW)).transpose()
        });
        match seen {
            Ok(Some(found)) => Ok(Some(self.is_file(&found))),
            Ok(None) => Ok(Some(true)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What is mounted on the name. `held` is the namespace, where it is known to live.
    pub(crate) fn above(&self, held: Option<BorrowedFd<'_>>) -> io::Result<Above> {
        let seen = match look(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Above::Nothing),
            other => other?,
        };
        if self.is_file(&seen) {
            return Ok(Above::Nothing);
        }
        let own = look(CWD, OWN, AtFlags::empty())?;
        if seen.stx_ino != self.netns || device(&seen) != device(&own) {
            return Ok(Above::Foreign);
        }
        let ours = match (held, self.cookie) {
            // It lives, so no other has its number.
            (Some(held), _) => look(held, "", AtFlags::EMPTY_PATH)?.stx_ino == seen.stx_ino,
            (None, Some(cookie)) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = rustix::fs::open(&self.path, flags, Mode::empty())?;
                sys::netns::inside(opened.as_fd(), sys::netns::cookie)? == cookie
            }
            (None, None) => true,
        };
        Ok(if ours { Above::Ours } else { Above::Foreign })
    }

    fn is_file(&self, found: &Statx) -> bool {
        found.stx_ino == self.file
            && self.device.is_none_or(|was| was == device(found))
            && self.born.is_none_or(|was| born(found) == Some(was))
    }
}

fn look(at: impl AsFd, path: impl rustix::path::Arg, flags: AtFlags) -> io::Result<Statx> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    Ok(rustix::fs::statx(at, path, flags, wanted)?)
}

fn device(found: &Statx) -> (u32, u32) {
    (found.stx_dev_major, found.stx_dev_minor)
}

fn born(found: &Statx) -> Option<(i64, u32)> {
    let known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    known.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
}

/// The last directory that was looked at without its mounts: taking a mount away costs the kernel a
/// grace period, and a lab's names lie in one directory.
static BARE: Mutex<Option<Bare>> = Mutex::new(None);

struct Bare {
    place: (u64, (u32, u32)),
    folder: OwnedFd,
}

/// `folder` without what is mounted in it: a mount of it alone, which nobody sees. None where the
/// kernel does not give it.
fn bare(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let found = look(CWD, folder, AtFlags::empty())?;
    let place = (found.stx_ino, device(&found));
    let mut last = BARE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bare) = last.as_ref().filter(|bare| bare.place == place) {
        return bare.folder.try_clone().map(Some);
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    match rustix::mount::open_tree(CWD, folder, flags) {
        Ok(folder) => {
            let copy = folder.try_clone()?;
            *last = Some(Bare { place, folder });
            Ok(Some(copy))
        }
        Err(Errno::PERM | Errno::NOSYS | Errno::INVAL) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

//! A directory of ours, held by a descriptor: the only way to anything in the run directory.
//!
//! Each thing is looked at before it is opened (`O_PATH`, no link followed), and is ours only if this
//! user owns it and nobody else can write to it. What was looked at is what is opened, whatever
//! becomes of the name meanwhile. Anything else is [`Error::NotOurs`], with the reason.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::error::{Doing, Error, Result};

#[cfg(test)]
mod tests;

/// More than any file of a lab's holds.
const LONGEST: u64 = 64 << 20;

/// A directory of ours.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// A thing of ours that has been looked at and not been opened.
struct Seen(OwnedFd);

impl Folder {
    /// Opens a directory by its path; None where there is none.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let seen = look(CWD, path, path, FileType::Directory)?;
        Ok(seen.map(|Seen(fd)| Self { fd, path: path.into() }))
    }

    /// Opens a directory in this one; None where there is none.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub(crate) fn enter(&self, name: &str) -> Result<Option<Self>> {
        let path = self.path.join(name);
        let seen = look(&self.fd, Path::new(name), &path, FileType::Directory)?;
        Ok(seen.map(|Seen(fd)| Self { fd, path }))
    }

    /// Makes a directory in this one where there is none, and opens it. None where it, or this
    /// one, has been removed meanwhile.
    ///
    /// # Errors
    /// [`Error::NotOurs`], or when it cannot be made.
    pub(crate) fn make(&self, name: &str, mode: u32) -> Result<Option<Self>> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => self.enter(name),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e).doing(|| format!("making {}", self.path.join(name).display())),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in it, for those who can take nothing else; None where it is not
    /// there.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub(crate) fn socket(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.path.join(name);
        Ok(look(&self.fd, Path::new(name), &path, FileType::Socket)?.map(|_| path))
    }

    /// Opens a file to be read; None where there is none.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub(crate) fn file(&self, name: &str) -> Result<Option<File>> {
        self.open_file(name, OFlags::RDONLY)
    }

    /// What a file holds; None where there is none.
    ///
    /// # Errors
    /// [`Error::NotOurs`], or when it cannot be read.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(LONGEST).read_to_end(&mut bytes);
        read.doing(|| format!("reading {}", self.path.join(name).display()))?;
        Ok(Some(bytes))
    }

    /// Opens a file to be read and written, and makes it where there is none. None where this
    /// directory has been removed meanwhile.
    ///
    /// # Errors
    /// [`Error::NotOurs`], or when it cannot be made.
    pub(crate) fn keep(&self, name: &str) -> Result<Option<File>> {
        loop {
            if let Some(file) = self.open_file(name, OFlags::RDWR)? {
                return Ok(Some(file));
            }
            let fresh = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            match rustix::fs::openat(&self.fd, name, fresh, Mode::from_raw_mode(0o600)) {
                Ok(fd) => return Ok(Some(fd.into())),
                Err(Errno::EXIST) => {}
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => {
                    return Err(e).doing(|| format!("making {}", self.path.join(name).display()));
                }
            }
        }
    }

    /// Opens a file to be read and written; None where there is none.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub(crate) fn change(&self, name: &str) -> Result<Option<File>> {
        self.open_file(name, OFlags::RDWR)
    }

    /// Makes a symbolic link with these words, in the place of what has the name.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn link(&self, words: &str, name: &str) -> io::Result<()> {
        self.remove(name)?;
        Ok(rustix::fs::symlinkat(words, &self.fd, name)?)
    }

    /// The words of a symbolic link, which is not followed; None where there is none.
    pub(crate) fn target(&self, name: &str) -> Option<String> {
        rustix::fs::readlinkat(&self.fd, name, Vec::new()).ok()?.into_string().ok()
    }

    /// Makes a file anew, whatever had the name.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn fresh(&self, name: &str) -> io::Result<File> {
        self.remove(name)?;
        let fresh = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, fresh, Mode::from_raw_mode(0o600))?.into())
    }

    /// Puts one file in the place of another.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file that may not be there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a directory in it, which has to be empty and may not be there.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn remove_folder(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// The names in it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let what = || format!("reading {}", self.path.display());
        let entries = rustix::fs::Dir::read_from(self.readable().doing(what)?).doing(what)?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.doing(what)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The directory opened to be read, or locked.
    pub(crate) fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?)
    }

    /// Whether `file` is what has the name.
    pub(crate) fn holds(&self, name: &str, file: impl AsFd) -> bool {
        let named = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let held = rustix::fs::fstat(file);
        matches!((named, held), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }

    /// Makes the directory and what is in it look used: cleaners remove what nobody has used for
    /// days.
    pub(crate) fn touch(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let now = Timestamps { last_access: now, last_modification: now };
        for name in self.names().unwrap_or_default().iter().map(String::as_str).chain(["."]) {
            let _ = rustix::fs::utimensat(&self.fd, name, &now, AtFlags::SYMLINK_NOFOLLOW);
        }
    }

    fn open_file(&self, name: &str, how: OFlags) -> Result<Option<File>> {
        let path = self.path.join(name);
        let seen = look(&self.fd, Path::new(name), &path, FileType::RegularFile)?;
        let Some(Seen(fd)) = seen else { return Ok(None) };
        let same = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let opened = rustix::fs::open(same, how | OFlags::CLOEXEC, Mode::empty());
        Ok(Some(opened.doing(|| format!("opening {}", path.display()))?.into()))
    }
}

/// Looks at something without opening it; None where it is not there.
fn look(at: impl AsFd, name: &Path, path: &Path, wanted: FileType) -> Result<Option<Seen>> {
    let what = || format!("looking at {}", path.display());
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ACCESS) => {
            let whose = std::fs::symlink_metadata(path.parent().unwrap_or(path));
            let whose = whose.map(|found| std::os::unix::fs::MetadataExt::uid(&found));
            let why = whose.map_or_else(
                |_| "is not for this user to look at".into(),
                |uid| format!("lies in a folder of {}", user(uid)),
            );
            return Err(Error::NotOurs { path: path.into(), why });
        }
        other => other.doing(what)?,
    };
    let found = rustix::fs::fstat(&fd).doing(what)?;
    let kind = FileType::from_raw_mode(found.st_mode);
    match wrong(kind, wanted, found.st_uid, found.st_mode) {
        Some(why) => Err(Error::NotOurs { path: path.into(), why }),
        None => Ok(Some(Seen(fd))),
    }
}

/// Why a thing is not to be believed. In a directory that all may write to and that has the sticky
/// bit, as /tmp has, nobody can touch what is another's: each thing in it speaks for itself.
fn wrong(kind: FileType, wanted: FileType, owner: u32, mode: u32) -> Option<String> {
    let sticky = wanted == FileType::Directory && mode & 0o1000 != 0;
    if kind == FileType::Symlink {
        Some("is a symbolic link".into())
    } else if owner != geteuid().as_raw() {
        Some(format!("belongs to {}", user(owner)))
    } else if kind != wanted {
        Some(format!("is no {}", word(wanted)))
    } else if mode & 0o022 != 0 && !sticky {
        Some(format!("can be written to by others (mode {:o})", mode & 0o7777))
    } else {
        None
    }
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "folder",
        FileType::Socket => "socket",
        _ => "plain file",
    }
}

/// A user, for people.
pub(crate) fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("user {}", user.name),
        _ => format!("user {uid}"),
    }
}

/// The last part of a path, at most `most` bytes of its end.
pub(crate) fn ending(path: &Path, most: usize) -> Vec<u8> {
    let name = path.file_name().unwrap_or(OsStr::new("")).as_bytes();
    name[name.len().saturating_sub(most)..].to_vec()
}

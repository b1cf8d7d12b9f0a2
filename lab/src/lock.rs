//! One lab of a name: a lock on DIR/LAB/lock, which the kernel lets go of when its holder dies,
//! however it dies. The holder's process id is in the file.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::config::LabName;
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;

const FILE: &str = "lock";
/// Tries, a millisecond apart, before the lock counts as held.
const PATIENCE: u32 = 5;
/// The same where the holder has been killed: it lets go once the kernel has taken down its
/// threads and its packet rings.
const DYING: u32 = 5_000;

/// The lock, held. Dropping it removes the file, and the directories around it where they are
/// empty.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: Flock<File>,
}

impl Lock {
    /// Takes the lock, making the lab's directory.
    ///
    /// # Errors
    /// [`Error::Held`] says who has it.
    pub fn take(ground: &Ground, name: &LabName) -> Result<Self> {
        let mut tries = 0;
        loop {
            let path = ground.make(name)?.join(FILE);
            let what = || format!("locking {}", path.display());
            let opened =
                File::options().create(true).truncate(false).read(true).write(true).open(&path);
            let file = match opened {
                // Its last holder removed the directory just now.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.doing(what)?,
            };
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                // Whoever looks (`held_by`) has it for a moment too.
                Err((_, Errno::EWOULDBLOCK))
                    if tries < PATIENCE || (tries < DYING && is_dying(&path)) =>
                {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    let pid = holder(&path).unwrap_or_else(|| "unknown".into());
                    return Err(Error::Held { name: name.to_string(), pid });
                }
                Err((_, e)) => return Err(e).doing(what),
            };
            // The last holder may have removed the file between our opening and locking it.
            let ours = file.metadata().doing(what)?.ino();
            if std::fs::metadata(&path).map(|m| m.ino()).ok() != Some(ours) {
                continue;
            }
            let mut lock = Self { path, file };
            lock.sign()?;
            return Ok(lock);
        }
    }

    fn sign(&mut self) -> Result<()> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            writeln!(self.file, "{}", std::process::id())
        };
        write().doing(|| format!("writing {}", self.path.display()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        // What is not empty stays: another lab's, or something that could not be undone.
        if let Some(lab) = self.path.parent()
            && std::fs::remove_dir(lab).is_ok()
            && let Some(base) = lab.parent()
        {
            let _ = std::fs::remove_dir(base);
        }
    }
}

/// Who holds the lock of a lab: its process id, None if nobody does.
#[must_use]
pub fn held_by(ground: &Ground, name: &LabName) -> Option<i32> {
    let path = ground.lab(name).join(FILE);
    let file = File::open(&path).ok()?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((_, Errno::EWOULDBLOCK)) => holder(&path)?.parse().ok(),
        _ => None,
    }
}

fn holder(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|pid| !pid.is_empty())
}

/// Whether the holder has ended and only parts of it are still there.
fn is_dying(lock: &Path) -> bool {
    let Some(pid) = holder(lock) else { return false };
    match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => status.lines().any(|line| line.starts_with("State:") && line.contains('Z')),
        // Gone since we tried.
        Err(_) => true,
    }
}

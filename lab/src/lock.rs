//! One lab of a name: a lock on DIR/LAB/lock, which the kernel lets go of when its holder dies,
//! however it dies, and a [beacon](crate::beacon) beside it, which no cleaner can sweep away. The
//! process id in the file is for people: nobody reads it.
//!
//! The folders are locked too, shared: systemd-tmpfiles spares those.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc::{self, c_short, off_t};
use nix::unistd::geteuid;

use crate::beacon::{self, Beacon, Peer};
use crate::config::LabName;
use crate::error::{Doing, Error, Result};
use crate::folder::{Folder, ending};
use crate::ground::Ground;
use crate::holder::{self, Process};

pub(crate) const FILE: &str = "lock";
/// What the name of a lab's beacon begins with.
const BEACON: &str = "uswitch/lab/";
/// Bytes of the run directory's name in it: a socket's has 107.
const ENDING: usize = 30;
/// Tries, a millisecond apart, before the lock counts as held.
const PATIENCE: u32 = 5;
/// The same where the holder has been killed: it lets go once the kernel has taken down its
/// threads and its packet rings.
const DYING: u32 = 5_000;
/// The same where the holder cannot be told.
const UNSEEN: u32 = 1_000;

/// The lock, held. Dropping it removes the file, and the directories around it where they are
/// empty. A file stays on whose bytes others have locks: the next lab of that name has it then.
#[derive(Debug)]
pub struct Lock {
    // Goes out first: whoever sees it without the file believes the file swept away.
    beacon: Option<Beacon>,
    name: LabName,
    ground: Ground,
    base: Folder,
    folder: Folder,
    file: Flock<File>,
    _spared: Vec<Flock<OwnedFd>>,
}

/// What holds a lab.
#[derive(Debug)]
pub struct Keeper {
    /// The process; None where it is of another process namespace, or hides.
    pub process: Option<Process>,
    /// Whether its files are gone, swept away by a cleaner or a person.
    pub swept: bool,
}

impl Lock {
    /// Takes the lock, making the lab's directory.
    ///
    /// # Errors
    /// [`Error::Held`] says who has it; [`Error::NotOurs`].
    pub fn take(ground: &Ground, name: &LabName) -> Result<Self> {
        let mut tries = 0;
        loop {
            if let Some(lock) = Self::try_take(ground, name)? {
                return Ok(lock);
            }
            let keeper = keeper(ground, name)?;
            let is_dying = |process: &Process| process.is_dying();
            let patience = match &keeper {
                // Its last holder let go just now, or lets go now.
                None => DYING,
                Some(Keeper { process: Some(process), .. }) if is_dying(process) => DYING,
                // Of another process namespace, or so far gone that nothing tells of it any more.
                Some(Keeper { process: None, .. }) => UNSEEN,
                // Whoever looks has it for a moment too.
                Some(_) => PATIENCE,
            };
            if tries >= patience {
                let pid = keeper.as_ref().and_then(|keeper| keeper.process.as_ref());
                let holder =
                    pid.map_or("another process".into(), |p| format!("process {}", p.id()));
                let swept = keeper.is_some_and(|keeper| keeper.swept);
                return Err(Error::Held { name: name.to_string(), holder, swept });
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// None where another has it, or has just removed what it lies in.
    fn try_take(ground: &Ground, name: &LabName) -> Result<Option<Self>> {
        let (base, folder) = ground.make(name)?;
        let what = || format!("locking {}", folder.path().join(FILE).display());
        let Some(file) = folder.keep(FILE)? else { return Ok(None) };
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, e)) => return Err(e).doing(what),
        };
        // The last holder may have removed the file between our opening and locking it.
        if !folder.holds(FILE, &*file) {
            return Ok(None);
        }
        let called = beacon_name(ground, name);
        let beacon = match Beacon::light(&called, ground.folder(name)?) {
            Ok(beacon) => Some(beacon),
            Err(_) if beacon::of_name(&called).is_some_and(Peer::is_ours) => return Ok(None),
            Err(error) => {
                tracing::debug!("no beacon for lab {name}: {error}");
                None
            }
        };
        let shared = |folder: &Folder| {
            Flock::lock(folder.readable().ok()?, FlockArg::LockSharedNonblock).ok()
        };
        let spared = [&base, &folder].into_iter().filter_map(shared).collect();
        let name = name.clone();
        // From here on its drop undoes it.
        let ground = ground.clone();
        let mut this = Self { beacon, name, ground, base, folder, file, _spared: spared };
        this.sign()?;
        Ok(Some(this))
    }

    fn sign(&mut self) -> Result<()> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            writeln!(self.file, "{}", std::process::id())
        };
        write().doing(|| format!("writing {}", self.folder.path().join(FILE).display()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.beacon.take());
        let all = range(0, 0);
        let locked = || {
            let all = fcntl(&*self.file, FcntlArg::F_OFD_SETLK(&all));
            matches!(all, Err(Errno::EAGAIN | Errno::EACCES))
        };
        // Where it was swept away, one of that name is somebody else's.
        if self.folder.holds(FILE, &*self.file) && !locked() {
            let _ = self.folder.remove(FILE);
        }
        // What is not empty stays: another lab's, or something that could not be undone.
        if self.base.remove_folder(self.name.as_str()).is_ok() {
            self.ground.leave();
        }
    }
}

/// Who holds a lab; None if nobody does.
///
/// # Errors
/// [`Error::NotOurs`].
pub fn keeper(ground: &Ground, name: &LabName) -> Result<Option<Keeper>> {
    let called = beacon_name(ground, name);
    let lit = || beacon::of_name(&called).filter(|peer| peer.is_ours());
    for _ in 0..PATIENCE {
        let folder = ground.folder(name)?;
        let file = folder.as_ref().map(|folder| folder.file(FILE)).transpose()?.flatten();
        let locked = file.as_ref().is_some_and(is_locked);
        if !locked && lit().is_none() {
            return Ok(None);
        }
        let door = match &folder {
            Some(folder) if locked => folder.socket(crate::ground::SOCKET)?,
            _ => None,
        };
        let process = Process::by(lit)
            .or_else(|| Process::by(|| beacon::of_path(door.as_deref()?)))
            .or_else(|| Process::by(|| holder::of_lock(file.as_ref()?)));
        if locked {
            return Ok(Some(Keeper { process, swept: false }));
        }
        // One that ends has let go of its file already.
        std::thread::sleep(Duration::from_millis(1));
        if lit().is_some() && !process.as_ref().is_some_and(Process::is_dying) {
            return Ok(Some(Keeper { process, swept: true }));
        }
    }
    Ok(None)
}

/// The file of a lab's lock, for locks on its bytes, which are apart from that one
/// (`fcntl_locking(2)`); made where the lab has a folder and nobody runs it. None without one. Who has
/// locked a byte looks whether the file [is still](is_current) the lab's: one that was about to end may have
/// removed it before.
///
/// # Errors
/// [`Error::NotOurs`].
pub fn bytes(ground: &Ground, name: &LabName) -> Result<Option<File>> {
    match ground.folder(name)? {
        Some(folder) => folder.keep(FILE),
        None => Ok(None),
    }
}

/// Whether that is still the file of a lab's lock.
///
/// # Errors
/// [`Error::NotOurs`].
pub fn is_current(ground: &Ground, name: &LabName, file: &File) -> Result<bool> {
    Ok(ground.folder(name)?.is_some_and(|folder| folder.holds(FILE, file)))
}

/// So many bytes of a file from one on, for a lock that nobody shares; up to its end, wherever that will be,
/// for none.
#[must_use]
pub fn range(from: u64, len: u64) -> libc::flock {
    libc::flock {
        l_type: c_short::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: off_t::try_from(from).unwrap_or_default(),
        l_len: off_t::try_from(len).unwrap_or_default(),
        l_pid: 0,
    }
}

fn is_locked(file: &File) -> bool {
    let Ok(file) = file.try_clone() else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}

/// The abstract name of a lab's beacon: where its run directory lies, that directory's name, its own.
/// So it is the same after both have been removed and made anew, and another in a container with the
/// host's network.
fn beacon_name(ground: &Ground, name: &LabName) -> Vec<u8> {
    let base = ground.base();
    let place = std::fs::metadata(base.parent().unwrap_or(Path::new("/")));
    let place = place.map_or((0, 0), |found| (found.dev(), found.ino()));
    let mut called = format!("{BEACON}{:x}.{:x}/", place.0, place.1).into_bytes();
    called.extend(ending(base, ENDING));
    called.extend(format!("/{name}").into_bytes());
    called
}

/// Another user's lab of that name that runs in this network namespace: the user.
pub(crate) fn owner_elsewhere(name: &LabName) -> Option<u32> {
    let own = geteuid().as_raw();
    let mut named = beacons().into_iter().filter(|(_, lab)| lab == name);
    named.find_map(|(called, _)| {
        beacon::of_name(called.as_bytes()).map(|peer| peer.uid).filter(|uid| *uid != own)
    })
}

/// Other users' labs that run in this network namespace, and these users; by name.
#[must_use]
pub fn elsewhere() -> Vec<(LabName, u32)> {
    let own = geteuid().as_raw();
    let peer =
        |(called, lab): (String, LabName)| Some((lab, beacon::of_name(called.as_bytes())?.uid));
    let mut labs: Vec<_> = beacons().into_iter().filter_map(peer).collect();
    labs.retain(|(_, owner)| *owner != own);
    labs.sort_by(|(a, owner), (b, other)| (a.as_str(), owner).cmp(&(b.as_str(), other)));
    labs.dedup();
    labs
}

/// The labs of a ground that have a beacon.
pub(crate) fn lit(ground: &Ground) -> Vec<LabName> {
    let of_it = |(called, lab): (String, LabName)| {
        let own = beacon_name(ground, &lab);
        (String::from_utf8_lossy(&own) == called).then_some(lab)
    };
    let mut labs: Vec<_> = beacons().into_iter().filter_map(of_it).collect();
    labs.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    labs.dedup();
    labs
}

/// The beacons of labs in this network namespace, by their names, and the labs' names.
fn beacons() -> Vec<(String, LabName)> {
    let table = std::fs::read("/proc/thread-self/net/unix").unwrap_or_default();
    let beacon = |line: &str| {
        let called = line.split_once(" @")?.1;
        let lab = called.strip_prefix(BEACON)?.rsplit('/').next()?.parse::<LabName>().ok()?;
        Some((called.to_owned(), lab))
    };
    String::from_utf8_lossy(&table).lines().filter_map(beacon).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_stays_as_long_as_bytes_of_it_are_locked() {
        let base = tempfile::tempdir().unwrap();
        let ground = Ground::at(base.path().join("run"), ns::user::Privilege::Ordinary);
        let name: LabName = "turns".parse().unwrap();
        let byte = range(4096, 1);
        let first = Lock::take(&ground, &name).unwrap();
        let held = bytes(&ground, &name).unwrap().unwrap();
        fcntl(&held, FcntlArg::F_OFD_SETLK(&byte)).unwrap();
        drop(first);
        assert!(is_current(&ground, &name, &held).unwrap());
        // The next one has the same file, and who comes there sees what is locked.
        let second = Lock::take(&ground, &name).unwrap();
        let other = bytes(&ground, &name).unwrap().unwrap();
        assert!(is_current(&ground, &name, &other).unwrap());
        assert_eq!(fcntl(&other, FcntlArg::F_OFD_SETLK(&byte)), Err(Errno::EAGAIN));
        drop(held);
        fcntl(&other, FcntlArg::F_OFD_SETLK(&byte)).unwrap();
        drop(other);
        let late = bytes(&ground, &name).unwrap().unwrap();
        drop(second);
        assert!(!is_current(&ground, &name, &late).unwrap());
        assert!(bytes(&ground, &name).unwrap().is_none());
    }
}

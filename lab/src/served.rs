//! What a lab that serves engines has beside others: the host's namespace, in which far ends of links
//! wait, and a switch's namespace that outlives the process, pinned in the lab's folder. After a
//! SIGKILL the next one finds all links there.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::config::LabName;
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;
use crate::home::namespace;
use crate::lab::Lab;
use crate::lock::Lock;

/// The file in the lab's folder.
const PIN: &str = "switch.ns";

/// The two namespaces.
pub(crate) struct Grounds {
    /// The switch's.
    pub(crate) switch: OwnedFd,
    /// The host's.
    pub(crate) host: OwnedFd,
    /// The next interface index in the switch's that is free.
    pub(crate) next_index: u32,
}

fn pin(ground: &Ground, name: &LabName) -> PathBuf {
    ground.lab(name).join(PIN)
}

/// Opens both; the switch's is made where there is none.
pub(crate) fn grounds(ground: &Ground, name: &LabName) -> Result<Grounds> {
    let host = File::open("/proc/thread-self/ns/net")
        .doing(|| "holding the host's network namespace".into())?
        .into();
    let path = pin(ground, name);
    let switch = match ns::pin::find(&path)? {
        Some(found) => found,
        None => ns::pin::make(&path)?,
    };
    let links = ns::link::list(switch.as_fd())?;
    let next_index = links.iter().map(|link| link.index + 1).max().unwrap_or_default();
    Ok(Grounds { switch, host, next_index: next_index.max(ns::plan::LOOPBACK + 1) })
}

/// The folder in the lab's in which places of containers are kept: it goes with the boot, as they do.
#[must_use]
pub fn places(ground: &Ground, name: &LabName) -> PathBuf {
    ground.lab(name).join("endpoints")
}

/// Opens the network namespace at a path that somebody else has told.
///
/// # Errors
/// `InvalidInput` where something else is there; what the kernel says.
pub fn network_at(path: &Path) -> io::Result<OwnedFd> {
    let none = || io::Error::new(ErrorKind::InvalidInput, "no network namespace is there");
    let found = namespace(path, |_| true).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => none(),
        _ => error,
    })?;
    if sys::netns::is_one(found.as_fd())? { Ok(found.into()) } else { Err(none()) }
}

impl Lab {
    /// Whether a network namespace is the one that this lab calls the host's.
    #[must_use]
    pub fn is_hosts(&self, netns: BorrowedFd<'_>) -> bool {
        let identity = |netns: BorrowedFd<'_>| {
            let found = rustix::fs::fstat(netns).ok()?;
            Some((found.st_dev, found.st_ino))
        };
        let own = self.host_ns.as_ref().and_then(|own| identity(own.as_fd()));
        own.is_some() && own == identity(netns)
    }
}

/// Lets go of the switch's namespace and all links with it, and forgets the places; false where none
/// was pinned. The lab must not run.
///
/// # Errors
/// When the kernel refuses.
pub fn unpin(ground: &Ground, name: &LabName) -> Result<bool> {
    let pinned = ns::pin::remove(&pin(ground, name))?;
    let places = places(ground, name);
    match std::fs::remove_dir_all(&places) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).doing(|| format!("removing {}", places.display()))
        }
        _ => Ok(pinned),
    }
}

/// The same of a lab that has ended, if no container has a place in it. One that runs again keeps all
/// of it.
///
/// # Errors
/// When the kernel refuses.
pub fn end(ground: &Ground, name: &LabName) -> Result<()> {
    let is_place = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "json");
    match Lock::take(ground, name) {
        Ok(_lock) => {
            let kept = std::fs::read_dir(places(ground, name));
            match kept.into_iter().flatten().flatten().any(is_place) {
                true => Ok(()),
                false => unpin(ground, name).map(drop),
            }
        }
        Err(Error::Held { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

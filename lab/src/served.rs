//! What a lab that serves engines has beside others: the host's namespace, in which far ends of links
//! wait, and a switch's namespace that outlives the process, pinned in the lab's folder. After a
//! SIGKILL the next one finds all links there.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use crate::config::LabName;
use crate::error::{Doing, Result};
use crate::ground::Ground;

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

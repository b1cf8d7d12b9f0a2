//! `down`: stops a lab and removes what is left, also after a crash. What is ours the journal
//! says; what it does not name is never touched. A journal that is not whole is undone as far as it
//! says, once, and kept, unless nothing of the lab can be there any more.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use ns::namespace::{self, Removal};
use rustix::process::Signal;

use crate::called;
use crate::config::LabName;
use crate::error::{Doing, Error, Result};
use crate::folder::Folder;
use crate::ground::Ground;
use crate::journal::{self, Journal, PORTS, Record};
use crate::lock::{self, Keeper, Lock};
use crate::naming;
use crate::others;
use crate::served;
use crate::uplink::crossing;
use crate::uplink::reserve::{self, Reserved};

/// How long a lab may take to undo itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(5);
/// Beside a damaged journal: what it says is undone.
pub(crate) const UNDONE: &str = "undone";

/// How long its process may take to be gone then.
const LAST: Duration = Duration::from_secs(2);

/// What `down` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downed {
    /// Nothing of this name.
    Nothing,
    /// It ran, and was stopped.
    Stopped,
    /// It had crashed; this many names were left.
    Leftovers(usize),
    /// It was of an earlier boot: only its files were left.
    Outlived,
}

/// What a crash had left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Names that were removed.
    pub(crate) names: usize,
    /// The record was of an earlier boot.
    outlived: bool,
    /// The first of the ports that it had of the host.
    ports: Option<u16>,
}

/// Stops the lab, if it runs, and removes what is left of it.
///
/// # Errors
/// What could not be removed, a lab that does not end, or one that is another user's.
pub fn down(ground: &Ground, name: &LabName) -> Result<Downed> {
    let stopped = match lock::keeper(ground, name)? {
        Some(keeper) => stop(ground, name, &keeper)?,
        None => false,
    };
    if ground.folder(name)?.is_none() {
        return match others::owner(ground, name) {
            _ if stopped => Ok(Downed::Stopped),
            Some(other) => Err(other),
            None => Ok(Downed::Nothing),
        };
    }
    let lock = Lock::take(ground, name)?;
    let left = leftovers(ground, name)?;
    // What outlives the process of a lab that serves engines.
    let pinned = served::unpin(ground, name)?;
    if let Some(first) = left.ports {
        let what = || "looking at the host's interfaces".to_owned();
        let host = File::open("/proc/thread-self/ns/net").doing(what)?;
        crossing::vanish(host.as_fd(), first)?;
    }
    drop(lock);
    Ok(match (stopped, left) {
        (true, _) => Downed::Stopped,
        (false, _) if pinned => Downed::Stopped,
        (false, Left { outlived: true, .. }) => Downed::Outlived,
        (false, left) => Downed::Leftovers(left.names),
    })
}

/// Asks the holder to end, and waits until it has let go; then insists.
fn stop(ground: &Ground, name: &LabName, keeper: &Keeper) -> Result<bool> {
    let Some(process) = &keeper.process else { return Err(Error::Unseen(name.to_string())) };
    for signal in [Signal::TERM, Signal::KILL] {
        let sent = process.signal(signal);
        sent.doing(|| format!("stopping lab {name}, process {}", process.id()))?;
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if process.ends_within(PAUSE) {
                return Ok(true);
            }
            // All is undone; what else the process is busy with is not waited for.
            if lock::keeper(ground, name)?.is_none() {
                process.ends_within(LAST);
                return Ok(true);
            }
        }
    }
    let holder = format!("process {}", process.id());
    Err(Error::Held { name: name.to_string(), holder, swept: keeper.swept })
}

/// Removes what the journal names and the lab's files. Called with the lock held.
pub(crate) fn leftovers(ground: &Ground, name: &LabName) -> Result<Left> {
    let Some(folder) = ground.folder(name)? else { return Ok(Left::default()) };
    let mut left = Left::default();
    let Some(record) = journal::read(&folder)? else {
        ground.sweep(name)?;
        return Ok(left);
    };
    left.outlived = !record.is_of_this_boot();
    let first = |reserved: &Reserved| reserved.ports.split(['-', ',']).next()?.parse().ok();
    left.ports = record.reserved.iter().find_map(first);
    let path = folder.path().join(journal::FILE);
    // What was of an earlier boot, or in a user namespace, is gone whatever its record says.
    let rootless = record.header.as_ref().is_some_and(|header| header.rootless);
    let torn = record.torn.clone().filter(|_| !left.outlived && !rootless).map(|why| {
        let mend = match why == journal::GONE {
            true => String::new(),
            false => {
                let path = called::word(&path.to_string_lossy());
                format!(", then remove the record: `rm {path}`")
            }
        };
        Error::Torn { lab: name.to_string(), path, why, mend }
    });
    // What it names may have come again since: undone once is undone.
    if torn.is_some() && folder.file(UNDONE)?.is_some() {
        return torn.map_or(Ok(left), Err);
    }
    if !left.outlived {
        left.names = undo(name, &record)?;
    }
    naming::sweep(&folder, ground)?;
    match torn {
        Some(torn) => {
            seal(&folder).doing(|| format!("writing {}", folder.path().join(UNDONE).display()))?;
            Err(torn)
        }
        None => ground.sweep(name).map(|()| left),
    }
}

fn seal(folder: &Folder) -> std::io::Result<()> {
    folder.fresh(UNDONE)?;
    folder.remove(PORTS)
}

/// Undoes what a record names; says how many names were removed. With something left over the
/// journal has to stay.
fn undo(lab: &LabName, record: &Record) -> Result<usize> {
    let mut removed = 0;
    let mut failed = None;
    // The names of a lab in a user namespace went with it.
    let rootless = record.header.as_ref().is_some_and(|header| header.rootless);
    for identity in record.names.iter().filter(|_| !rootless) {
        match namespace::remove(identity) {
            Ok(Removal::Removed) => removed += 1,
            Ok(Removal::Absent | Removal::Foreign) => {}
            Err(error) => failed = Some(error.into()),
        }
    }
    if let Err(error) = give_back(lab, &record.reserved) {
        failed = Some(error);
    }
    failed.map_or(Ok(removed), Err)
}

fn give_back(lab: &LabName, all: &[Reserved]) -> Result<()> {
    for reserved in all {
        let given = reserve::remove(reserved);
        if !given.doing(|| format!("giving back ports {}", reserved.ports))? {
            tracing::warn!(
                "lab {lab} reserved ports {} in another network namespace: they stay",
                reserved.ports
            );
        }
    }
    Ok(())
}

/// The end of a lab that knows what it has made: `clean` where its nodes are undone. What was
/// removed while it ran is nobody's business any more, whatever the file says.
pub(crate) fn close(
    ground: &Ground,
    name: &LabName,
    journal: Option<Journal>,
    clean: bool,
) -> Result<()> {
    let record = journal.map(Journal::into_record).unwrap_or_default();
    undo(name, &record)?;
    if clean { ground.sweep(name) } else { Ok(()) }
}

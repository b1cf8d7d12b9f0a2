//! A node's namespace, for processes other than the lab's: `exec` and `ping`.
//!
//! What is entered is what the lab's process holds, not whatever has the node's name by now. Without
//! root it can be entered from the lab's user namespace only, which is joined first: so before any
//! thread starts.

pub mod home;
pub(crate) mod room;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sched::{CloneFlags, setns};

use crate::called;
use crate::config::LabName;
use crate::error::{Doing, Error, Result};
use crate::ground::{Ground, SOCKET};
use crate::holder::Process;
use crate::journal::{self, Record};
use crate::lock::{self, Keeper};
use crate::naming;
use crate::others;

/// The way into a node.
#[derive(Debug)]
pub struct Entrance {
    node: String,
    /// The namespace's name.
    name: String,
    pub(crate) user: Option<File>,
    pub(crate) netns: File,
    /// The folder with the lab's files for it.
    files: Option<PathBuf>,
}

impl Entrance {
    /// Moves the calling thread into the node's network namespace. Where the lab has a user
    /// namespace the process must have no other thread.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<()> {
        let what = || format!("entering node {}", self.node);
        if let Some(user) = &self.user {
            setns(user, CloneFlags::CLONE_NEWUSER).doing(what)?;
        }
        setns(&self.netns, CloneFlags::CLONE_NEWNET).doing(what)
    }

    /// The node's network namespace. Where the lab has a user namespace that has to be entered first.
    #[must_use]
    pub fn netns(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    /// Dresses a process that has entered as `ip netns exec` does: its own /sys, /etc/netns/NAME, and
    /// the lab's own files where that has none. Says, for people, what it has to go without.
    #[must_use]
    pub fn dress(&self) -> Vec<String> {
        room::dress(&self.name, self.files.as_deref())
    }
}

/// The record of a lab that runs.
///
/// # Errors
/// [`Error::NoLab`], with those that run; [`Error::Others`], [`Error::Swept`], [`Error::NotOurs`].
pub fn running(ground: &Ground, lab: &LabName) -> Result<Record> {
    inside(ground, lab).map(|(record, _)| record)
}

/// A lab that runs: its record, and its process where that can be seen.
fn inside(ground: &Ground, lab: &LabName) -> Result<(Record, Option<Process>)> {
    let Some(Keeper { process, swept }) = lock::keeper(ground, lab)? else {
        return Err(others::owner(ground, lab).unwrap_or_else(|| no_lab(ground, lab)));
    };
    let Some(folder) = ground.folder(lab)?.filter(|_| !swept) else {
        return Err(swept_away(lab, process.as_ref()));
    };
    match journal::read(&folder)? {
        Some(record) => Ok((record, process)),
        // It is being built, or undone.
        None if folder.socket(SOCKET)?.is_none() => Err(no_lab(ground, lab)),
        None => Err(swept_away(lab, process.as_ref())),
    }
}

/// What can be told of the labs on a ground.
#[derive(Debug, Default)]
pub struct Labs {
    /// Those that run, by name.
    pub running: Vec<LabName>,
    /// What keeps more from being told: [`Error::NotOurs`], where a folder cannot be trusted,
    /// [`Error::Swept`], where a lab runs without its files.
    pub troubles: Vec<Error>,
}

/// The labs on this ground.
#[must_use]
pub fn labs(ground: &Ground) -> Labs {
    let mut labs = Labs::default();
    let mut names = ground.labs().unwrap_or_else(|error| {
        labs.troubles.push(error);
        Vec::new()
    });
    // Those without a folder are told by their beacons alone.
    names.extend(
        lock::lit(ground).into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>(),
    );
    for name in names {
        match lock::keeper(ground, &name) {
            Ok(Some(Keeper { process, swept: true })) => {
                labs.troubles.push(swept_away(&name, process.as_ref()));
            }
            Ok(Some(_)) => labs.running.push(name),
            Ok(None) => {}
            Err(error) => labs.troubles.push(error),
        }
    }
    labs.troubles.dedup_by_key(|error| error.to_string());
    labs
}

fn swept_away(lab: &LabName, process: Option<&Process>) -> Error {
    let holder = process.map_or("another process".into(), |p| format!("process {}", p.id()));
    Error::Swept { name: lab.to_string(), holder }
}

fn no_lab(ground: &Ground, lab: &LabName) -> Error {
    let labs = labs(ground).running;
    let names: Vec<_> = labs.iter().map(LabName::as_str).collect();
    let name = called::option(lab.as_str());
    let start = format!("{} up{name}", called::program());
    let running = match names.as_slice() {
        [] => format!("start it with `{start}`"),
        [one] => {
            format!("{one} is: name it with --name, or start this one with `{start}`")
        }
        many => format!(
            "{} are: name one with --name, or start this one with `{start}`",
            many.join(", ")
        ),
    };
    Error::NoLab { lab: lab.to_string(), running }
}

/// The nodes of a lab, by their names without the prefix.
#[must_use]
pub fn nodes(record: &Record) -> Vec<String> {
    record.names.iter().map(|identity| record.short(&identity.name).to_owned()).collect()
}

/// The lab that is meant where none is named: the one that is called as labs are by default if it
/// runs, else the only one that does.
#[must_use]
pub fn meant(ground: &Ground) -> LabName {
    let mut labs = labs(ground).running;
    match labs.len() {
        1 => labs.remove(0),
        _ => LabName::default(),
    }
}

fn no_node(record: &Record, lab: &LabName, node: &str) -> Error {
    if let Some(why) = &record.torn {
        return Error::Unrecorded { lab: lab.to_string(), node: node.into(), why: why.clone() };
    }
    no_such(lab, node, &nodes(record))
}

/// The lab has no such node; these it has.
#[must_use]
pub fn no_such(lab: &LabName, node: &str, nodes: &[String]) -> Error {
    let nodes = if nodes.is_empty() { "none".into() } else { nodes.join(", ") };
    Error::NoNode { lab: lab.to_string(), node: node.into(), nodes }
}

/// Finds a node of a running lab by its name, with or without the lab's prefix.
///
/// # Errors
/// [`Error::NoLab`], [`Error::NoNode`] with the nodes there are.
pub fn find(ground: &Ground, lab: &LabName, node: &str) -> Result<Entrance> {
    let (record, process) = inside(ground, lab)?;
    let found = record
        .names
        .iter()
        .rfind(|identity| record.is(&identity.name, node))
        .ok_or_else(|| no_node(&record, lab, node))?;
    let rootless = record.header.as_ref().is_some_and(|header| header.rootless);
    let what = || format!("opening the namespace of node {node}");
    let user = match &process {
        Some(process) if rootless => Some(process.open("ns/user").doing(what)?),
        None if rootless => return Err(Error::Unseen(lab.to_string())),
        _ => None,
    };
    let netns = match &process {
        // Whatever has the name by now, the lab holds what it made.
        Some(process) => process.namespace(found.netns).doing(what)?,
        None => Some(File::open(&found.path).doing(what)?)
            .filter(|file| file.metadata().is_ok_and(|seen| seen.ino() == found.netns)),
    };
    let netns = netns.ok_or_else(|| Error::NodeGone(node.into()))?;
    let name = found.name.clone();
    let files = ground.folder(lab)?.and_then(|folder| naming::seen_by(&folder, &name));
    Ok(Entrance { node: node.into(), name, user, netns, files })
}

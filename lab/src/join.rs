//! A node's namespace, for processes other than the lab's: `exec` and `ping`.
//!
//! A root's lab has its names in /run/netns. Without root the names are in the lab's own mount
//! namespace, reached through /proc/PID/root, and can be entered from the lab's user namespace
//! only, which is joined first: so before any thread starts.

mod room;

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use nix::sched::{CloneFlags, setns};

use crate::address;
use crate::called;
use crate::config::{LabName, Topology};
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;
use crate::journal::{self, Record};
use crate::lock;
use crate::names;

/// The way into a node.
#[derive(Debug)]
pub struct Entrance {
    node: String,
    /// The namespace's name.
    name: String,
    pub(crate) user: Option<File>,
    pub(crate) netns: File,
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

    /// Dresses a process that has entered as `ip netns exec` does: its own /sys, and /etc/netns/NAME.
    pub fn dress(&self) {
        room::dress(&self.name);
    }
}

/// The record of a lab that runs.
///
/// # Errors
/// [`Error::NoLab`], with those that run.
pub fn running(ground: &Ground, lab: &LabName) -> Result<Record> {
    let missing = || no_lab(ground, lab);
    lock::held_by(ground, lab).ok_or_else(missing)?;
    journal::read(&ground.lab(lab))?.ok_or_else(missing)
}

/// The labs that run on this ground, by name.
#[must_use]
pub fn labs(ground: &Ground) -> Vec<LabName> {
    let entries = std::fs::read_dir(ground.base()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<LabName>().ok());
    let mut labs: Vec<_> = names.filter(|name| lock::held_by(ground, name).is_some()).collect();
    labs.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    labs
}

fn no_lab(ground: &Ground, lab: &LabName) -> Error {
    let labs = labs(ground);
    let names: Vec<_> = labs.iter().map(LabName::as_str).collect();
    let name = if *lab == LabName::default() { String::new() } else { format!(" --name {lab}") };
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
    record.names.iter().map(|identity| short(record, &identity.name).to_owned()).collect()
}

fn short<'a>(record: &Record, name: &'a str) -> &'a str {
    name.strip_prefix(record.header.prefix.as_str()).unwrap_or(name)
}

/// The lab that is meant where none is named: the one that is called as labs are by default if it
/// runs, else the only one that does.
#[must_use]
pub fn meant(ground: &Ground) -> LabName {
    let mut labs = labs(ground);
    match labs.len() {
        1 => labs.remove(0),
        _ => LabName::default(),
    }
}

/// The address of a node of a running lab, or of the gateway or the simulated internet.
///
/// # Errors
/// [`Error::NoLab`], [`Error::NoNode`].
pub fn address(ground: &Ground, lab: &LabName, node: &str) -> Result<Ipv4Addr> {
    let record = running(ground, lab)?;
    let found = record.known.iter().rfind(|known| is(&record, &known.name, node));
    let found = found.map(|known| known.address).or_else(|| of_no_node(&record, node));
    found.ok_or_else(|| no_node(&record, lab, node))
}

/// The address of what is called by its part in the lab.
fn of_no_node(record: &Record, name: &str) -> Option<Ipv4Addr> {
    let switched = record.header.topology == Topology::Switch;
    let simulated = nodes(record).iter().any(|name| name == names::INET);
    match name {
        names::GATEWAY if switched => Some(address::GATEWAY),
        names::INTERNET if simulated => Some(address::SIM_HOSTS[0]),
        _ if simulated && is(record, &format!("{}{}", record.header.prefix, names::INET), name) => {
            Some(address::SIM_ROUTER)
        }
        _ => None,
    }
}

fn is(record: &Record, name: &str, node: &str) -> bool {
    name == node || short(record, name) == node
}

fn no_node(record: &Record, lab: &LabName, node: &str) -> Error {
    Error::NoNode { lab: lab.to_string(), node: node.into(), nodes: nodes(record).join(", ") }
}

/// Finds a node of a running lab by its name, with or without the lab's prefix.
///
/// # Errors
/// [`Error::NoLab`], [`Error::NoNode`] with the nodes there are.
pub fn find(ground: &Ground, lab: &LabName, node: &str) -> Result<Entrance> {
    let record = running(ground, lab)?;
    let found = record
        .names
        .iter()
        .rfind(|identity| is(&record, &identity.name, node))
        .ok_or_else(|| no_node(&record, lab, node))?;
    let process = PathBuf::from(format!("/proc/{}", record.header.pid));
    let open = |path: PathBuf| {
        File::open(&path).doing(|| format!("opening {} of node {node}", path.display()))
    };
    let (user, netns) = if record.header.rootless {
        let inside = found.path.strip_prefix("/").unwrap_or(&found.path);
        (Some(open(process.join("ns/user"))?), open(process.join("root").join(inside))?)
    } else {
        (None, open(found.path.clone())?)
    };
    Ok(Entrance { node: node.into(), name: found.name.clone(), user, netns })
}

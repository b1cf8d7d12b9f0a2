//! Who ought to reach whom in a running lab, for other processes: the cells of a matrix.
//!
//! Every node to every other; behind the switch also the gateway, and the internet where it is
//! simulated. Pair and mesh have an address for each pair, which their plans know. What lies behind
//! a real uplink the running lab knows, not its record: whoever has asked it adds a column.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sched::{CloneFlags, setns};

use crate::address;
use crate::config::{LabConfig, LabName, Topology};
use crate::error::{Doing, Result};
use crate::ground::Ground;
use crate::join;
use crate::journal::Record;
use crate::names::{self, INET};
use crate::topology;

/// The matrix of a lab.
#[derive(Debug)]
pub struct Reach {
    user: Option<File>,
    /// Its rows.
    pub sources: Vec<Source>,
    /// What its columns are called.
    pub targets: Vec<String>,
    /// What is to be tried.
    pub cells: Vec<Cell>,
}

/// A node that others are pinged from.
#[derive(Debug)]
pub struct Source {
    /// Its name, without the lab's prefix.
    pub name: String,
    netns: File,
}

/// One node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its row.
    pub from: usize,
    /// Its column.
    pub to: usize,
    /// Where to.
    pub address: Ipv4Addr,
}

impl Source {
    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

impl Reach {
    /// Finds the nodes of a running lab.
    ///
    /// # Errors
    /// [`crate::Error::NotRunning`], or where a namespace cannot be opened.
    pub fn find(ground: &Ground, lab: &LabName) -> Result<Self> {
        let record = join::running(ground, lab)?;
        let names: Vec<String> =
            join::nodes(&record).into_iter().filter(|name| name != INET).collect();
        let mut user = None;
        let mut sources = Vec::new();
        for name in &names {
            let entrance = join::find(ground, lab, name)?;
            user = user.or(entrance.user);
            sources.push(Source { name: name.clone(), netns: entrance.netns });
        }
        let (targets, cells) = cells(&record, names);
        Ok(Self { user, sources, targets, cells })
    }

    /// Adds a column: every node to `address`.
    pub fn add(&mut self, target: &str, address: Ipv4Addr) {
        let to = self.targets.len();
        self.targets.push(target.into());
        self.cells.extend((0..self.sources.len()).map(|from| Cell { from, to, address }));
    }

    /// Enters the lab's user namespace, where it has one: before any thread starts.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        setns(user, CloneFlags::CLONE_NEWUSER).doing(|| "entering the lab's user namespace".into())
    }
}

fn cells(record: &Record, names: Vec<String>) -> (Vec<String>, Vec<Cell>) {
    let topology = record.header.as_ref().map_or(Topology::Switch, |header| header.topology);
    if topology != Topology::Switch {
        return planned(topology, names);
    }
    let known = |name: &str| {
        let found = record
            .known
            .iter()
            .rfind(|known| known.name.strip_prefix(record.prefix()) == Some(name));
        found.map(|known| known.address)
    };
    let mut targets: Vec<(String, Option<Ipv4Addr>)> =
        names.iter().map(|name| (name.clone(), known(name))).collect();
    targets.push((names::GATEWAY.into(), Some(address::GATEWAY)));
    if join::nodes(record).iter().any(|name| name == INET) {
        targets.push((names::INTERNET.into(), Some(address::SIM_HOSTS[0])));
    }
    let all = (0..names.len()).flat_map(|from| {
        let others = targets.iter().enumerate().filter(move |(to, _)| *to != from);
        others.filter_map(move |(to, (_, address))| Some(Cell { from, to, address: (*address)? }))
    });
    let cells = all.collect();
    (targets.into_iter().map(|(name, _)| name).collect(), cells)
}

/// The checks of a pair or a mesh are each node to every other.
fn planned(topology: Topology, names: Vec<String>) -> (Vec<String>, Vec<Cell>) {
    let nodes = u32::try_from(names.len()).unwrap_or(u32::MAX);
    let print = topology::blueprint(&LabConfig { topology, nodes, ..LabConfig::default() });
    let cell = |check: &topology::CheckPlan| {
        let to = names.iter().position(|name| *name == check.to_name)?;
        Some(Cell { from: check.from, to, address: check.to })
    };
    let cells = print.checks.iter().filter_map(cell).collect();
    (names, cells)
}

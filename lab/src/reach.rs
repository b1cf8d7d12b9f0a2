//! Who ought to reach whom in a running lab, for other processes: the cells of a matrix.
//!
//! Every node to every other that it shares a network or a link with; to the gateway where it has an address
//! in that node's network, and then also to the internet where it is simulated. What lies behind a real
//! uplink, and which networks the gateway forwards between, the running lab knows, not its record: whoever has
//! asked it adds a column, and the pairs that meet at the gateway alone.

use std::collections::HashSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sched::{CloneFlags, setns};

use crate::address;
use crate::config::LabName;
use crate::error::{Doing, Result};
use crate::ground::Ground;
use crate::join::{self, Entrance};
use crate::journal::{Known, Record};
use crate::names::{self, INET};
use crate::places;

/// The matrix of a lab.
#[derive(Debug)]
pub struct Reach {
    user: Option<File>,
    prefix: String,
    /// The addresses of each row.
    known: Vec<Vec<Known>>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its row.
    pub from: usize,
    /// Its column.
    pub to: usize,
    /// Where to.
    pub address: Ipv4Addr,
    /// The network both are in.
    pub network: Option<String>,
    /// Whether no router is on the way.
    pub near: bool,
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
        Self::find_with(ground, lab, Vec::new())
    }

    /// The same with nodes that the record does not name, each with its addresses.
    ///
    /// # Errors
    /// As above.
    pub fn find_with(
        ground: &Ground,
        lab: &LabName,
        containers: Vec<(String, Entrance, Vec<Known>)>,
    ) -> Result<Self> {
        let mut record = join::running(ground, lab)?;
        let mut names: Vec<String> =
            join::nodes(&record).into_iter().filter(|name| name != INET).collect();
        let mut user = None;
        let mut sources = Vec::new();
        for name in &names {
            let entrance = join::find(ground, lab, name)?;
            user = user.or(entrance.user);
            sources.push(Source { name: name.clone(), netns: entrance.netns });
        }
        for (name, entrance, known) in containers {
            user = user.or(entrance.user);
            sources.push(Source { name: name.clone(), netns: entrance.netns });
            record.known.extend(known);
            names.push(name);
        }
        let known = |name| places::of(&record, name).into_iter().cloned().collect();
        let known = names.iter().map(|name| known(name)).collect();
        let (targets, cells) = cells(&record, names);
        Ok(Self { user, prefix: record.prefix().into(), known, sources, targets, cells })
    }

    /// A node's name, by that or by its namespace's.
    #[must_use]
    pub fn name<'a>(&self, node: &'a str) -> &'a str {
        let is_one = |name: &str| self.sources.iter().any(|source| source.name == name);
        match node.strip_prefix(&self.prefix) {
            Some(short) if !is_one(node) && (is_one(short) || short == INET) => short,
            _ => node,
        }
    }

    /// Adds a column, of what lies beyond the gateway: every node that has one, to `address`.
    pub fn add(&mut self, target: &str, address: Ipv4Addr) {
        let to = self.targets.len();
        let gateway = self.targets.iter().position(|name| name == names::GATEWAY);
        self.targets.push(target.into());
        let doors = self.cells.iter().filter(|cell| Some(cell.to) == gateway);
        let beyond =
            doors.map(|door| Cell { from: door.from, to, address, network: None, near: false });
        let beyond: Vec<_> = beyond.collect();
        self.cells.extend(beyond);
    }

    /// Adds the pairs that meet at the gateway alone: whose networks, each the one that the node's way out
    /// leads by, it forwards between, as `routes` says.
    pub fn add_routed(&mut self, routes: impl Fn(&str, &str) -> bool) {
        let routed = routed(&self.known, &self.cells, routes);
        self.cells.extend(routed);
        self.cells.sort_by_key(|cell| (cell.from, cell.to));
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

/// The columns and the cells. A column that not every lab has gets its number where it is made.
fn cells(record: &Record, names: Vec<String>) -> (Vec<String>, Vec<Cell>) {
    let known: Vec<_> = names.iter().map(|name| places::of(record, name)).collect();
    let gateway = places::of(record, names::GATEWAY);
    let mut targets = names;
    let nodes = targets.len();
    let mut column = |is_there: bool, name: &str| {
        is_there.then(|| {
            targets.push(name.into());
            targets.len() - 1
        })
    };
    let switched = known.iter().flatten().any(|place| place.network.is_some());
    let simulated = join::nodes(record).iter().any(|name| name == INET);
    let to_gateway = column(switched, names::GATEWAY);
    let to_internet = column(simulated, names::INTERNET);
    let mut cells = Vec::new();
    for (from, here) in known.iter().enumerate() {
        let shared = |to: usize, there: &[&Known]| {
            let meets = places::meeting(here, there)?;
            let is_here = |own: &&&Known| own.place() == meets.place() && own.is_near(meets);
            let near = here.iter().any(|own| is_here(&own));
            Some(Cell { from, to, address: meets.address, network: meets.network.clone(), near })
        };
        let others = (0..nodes).filter(|to| *to != from);
        cells.extend(others.filter_map(|to| shared(to, &known[to])));
        let Some(door) = to_gateway.and_then(|to| shared(to, &gateway)) else { continue };
        cells.push(door);
        let address = address::SIM_HOSTS[0];
        let far = |to| Cell { from, to, address, network: None, near: false };
        cells.extend(to_internet.map(far));
    }
    (targets, cells)
}

/// The pairs of nodes that have no cell yet, and meet at the gateway.
fn routed(known: &[Vec<Known>], cells: &[Cell], routes: impl Fn(&str, &str) -> bool) -> Vec<Cell> {
    // A node's way out leads by the first of its networks.
    let home = |node: &[Known]| {
        let first = node.iter().find(|own| own.network.is_some())?;
        Some((first.network.clone()?, first.address))
    };
    let homes: Vec<_> = known.iter().map(|node| home(node)).collect();
    let is_there: HashSet<_> = cells.iter().map(|cell| (cell.from, cell.to)).collect();
    let mut all = Vec::new();
    for (from, here) in homes.iter().enumerate() {
        for (to, there) in homes.iter().enumerate() {
            let (Some((here, _)), Some((network, address))) = (here, there) else { continue };
            if from != to && !is_there.contains(&(from, to)) && routes(here, network) {
                all.push(Cell { from, to, address: *address, network: None, near: false });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;

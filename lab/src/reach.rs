//! Who ought to reach whom in a running lab, for other processes: the cells of a matrix.
//!
//! Every node to every other that it shares a network or a link with; behind the switch also the
//! gateway, and the internet where it is simulated. What lies behind a real uplink the running lab knows, not its record: whoever has asked it adds a column.

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its row.
    pub from: usize,
    /// Its column.
    pub to: usize,
    /// Where to.
    pub address: Ipv4Addr,
    /// The network both are in, where no router is on the way.
    pub network: Option<String>,
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
        let (targets, cells) = cells(&record, names);
        Ok(Self { user, sources, targets, cells })
    }

    /// Adds a column: every node to `address`.
    pub fn add(&mut self, target: &str, address: Ipv4Addr) {
        let to = self.targets.len();
        self.targets.push(target.into());
        self.cells.extend((0..self.sources.len()).map(|from| Cell {
            from,
            to,
            address,
            network: None,
        }));
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
    let known = |name: &str| -> Vec<&Known> {
        let is = |known: &&Known| {
            known.name == name || known.name.strip_prefix(record.prefix()) == Some(name)
        };
        record.known.iter().filter(is).collect()
    };
    let places: Vec<_> = names.iter().map(|name| known(name)).collect();
    let switched = places.iter().flatten().any(|place| place.network.is_some());
    let simulated = join::nodes(record).iter().any(|name| name == INET);
    let gateway = known(names::GATEWAY);
    let mut targets = names;
    let nodes = targets.len();
    let mut cells = Vec::new();
    for from in 0..nodes {
        let own: HashSet<_> = places[from].iter().map(|known| known.place()).collect();
        // The address that the other has in a network that both are in, or on a link between them.
        let shared = |to: usize, all: &[&Known]| {
            let meets = all.iter().find(|theirs| own.contains(&theirs.place()))?;
            let is_here = |known: &&&Known| known.place() == meets.place() && known.is_near(meets);
            let here = places[from].iter().find(is_here);
            let network = here.and_then(|_| meets.network.clone());
            Some(Cell { from, to, address: meets.address, network })
        };
        let others = (0..nodes).filter(|to| *to != from);
        cells.extend(others.filter_map(|to| shared(to, &places[to])));
        // In a network it has an address for each part: the one that is the node's.
        let near: Vec<&Known> = gateway
            .iter()
            .filter(|own| places[from].iter().any(|known| own.is_near(known)))
            .copied()
            .collect();
        cells.extend(shared(nodes, &near));
        if simulated {
            let address = address::SIM_HOSTS[0];
            cells.push(Cell { from, to: nodes + 1, address, network: None });
        }
    }
    if switched {
        targets.push(names::GATEWAY.into());
    }
    if simulated {
        targets.push(names::INTERNET.into());
    }
    (targets, cells)
}

//! Who has which address in a running lab, for other processes, and by which of them one node reaches
//! another: in a network that both are in, or on a link between them.

use std::net::Ipv4Addr;

use crate::address;
use crate::config::LabName;
use crate::error::Result;
use crate::ground::Ground;
use crate::join;
use crate::journal::{Known, Record};
use crate::names::{GATEWAY, INET, INTERNET};

/// The addresses of a lab's nodes and of its gateway.
#[derive(Debug)]
pub struct Places {
    record: Record,
}

impl Places {
    /// Those of a running lab, with those of nodes that its record does not name.
    ///
    /// # Errors
    /// [`crate::Error::NoLab`]; where its record cannot be read.
    pub fn find(ground: &Ground, lab: &LabName, further: Vec<Known>) -> Result<Self> {
        let mut record = join::running(ground, lab)?;
        record.known.extend(further);
        Ok(Self::of(record))
    }

    pub(crate) fn of(record: Record) -> Self {
        Self { record }
    }

    /// By which address `from` reaches what is called `name`; where they share nothing, or nobody is named,
    /// the first that it has. None where it has none of IPv4.
    #[must_use]
    pub fn address(&self, from: Option<&str>, name: &str) -> Option<Ipv4Addr> {
        let there = of(&self.record, name);
        let here = from.map(|from| of(&self.record, from)).unwrap_or_default();
        let known = meeting(&here, &there).or(there.first().copied());
        known.map(|known| known.address).or_else(|| of_no_node(&self.record, name))
    }

    /// Whether the two are in one network, or have a link between them.
    #[must_use]
    pub fn meet(&self, from: &str, name: &str) -> bool {
        meeting(&of(&self.record, from), &of(&self.record, name)).is_some()
    }

    /// Whether something has an address in a network.
    #[must_use]
    pub fn is_in(&self, name: &str, network: &str) -> bool {
        let own = of(&self.record, name);
        own.iter().any(|known| known.network.as_deref() == Some(network))
    }

    /// Whose address it is, without the lab's prefix; the gateway's is nobody's.
    #[must_use]
    pub fn owner(&self, address: Ipv4Addr) -> Option<&str> {
        let mut nodes = self.record.known.iter().filter(|known| known.name != GATEWAY);
        let found = nodes.find(|known| known.address == address)?;
        Some(self.record.short(&found.name))
    }

    /// Whether the record has a node of this name, whatever its addresses.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.record.names.iter().any(|own| self.record.is(&own.name, name))
    }
}

/// The addresses of what is called so, with the lab's prefix or without.
pub(crate) fn of<'r>(record: &'r Record, name: &str) -> Vec<&'r Known> {
    record.known.iter().filter(|known| record.is(&known.name, name)).collect()
}

/// Of the addresses `there` the first that is reached from where those `here` are, without a router on the
/// way. The gateway has an address for each part of a network: the one that is in a subnet of theirs.
pub(crate) fn meeting<'r>(here: &[&Known], there: &[&'r Known]) -> Option<&'r Known> {
    let meets = |theirs: &Known| {
        let mut near = here.iter().filter(|own| own.place() == theirs.place());
        near.any(|own| theirs.name != GATEWAY || theirs.is_near(own))
    };
    there.iter().find(|theirs| meets(theirs)).copied()
}

/// The address of what is called by its part in the lab.
fn of_no_node(record: &Record, name: &str) -> Option<Ipv4Addr> {
    let simulated = record.names.iter().any(|own| record.short(&own.name) == INET);
    match name {
        INTERNET if simulated => Some(address::SIM_HOSTS[0]),
        _ if simulated && record.is(&format!("{}{INET}", record.prefix()), name) => {
            Some(address::SIM_ROUTER)
        }
        _ => None,
    }
}

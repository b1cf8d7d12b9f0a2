//! Flows of frames that leave by several ports: each has a set of ports of its own in the kernel's
//! memory, and what was missed there counts for each port.
//!
//! Bounds: [`SETS`] such flows, of [`MEMBERS`] ports each; others' frames go by the ring.

use std::sync::Arc;

use bpf::layout::{MEMBERS, SETS};
use bpf::{Missed, SetId, Table};

use super::Book;
use crate::core::{Exit, PortId};

/// What a flow has beside, that leaves by several ports.
pub(super) struct Flood {
    set: SetId,
    pub(super) ports: Arc<[PortId]>,
    /// What of it has been counted, by port.
    pub(super) counted: Vec<Missed>,
}

/// All sets there are.
pub(super) fn all() -> Vec<SetId> {
    (0..u16::try_from(SETS).unwrap_or(0)).map(SetId).collect()
}

/// Whether it is these ports that a flow leaves by; none where it leaves by one alone.
pub(super) fn is_it(flood: Option<&Flood>, exits: &[Exit]) -> bool {
    let ports = flood.map_or(&[][..], |flood| &flood.ports);
    ports.iter().eq(exits.iter().map(|exit| &exit.port))
}

impl Flood {
    pub(super) fn set(&self) -> SetId {
        self.set
    }

    /// All but the first.
    pub(super) fn others(&self) -> Vec<PortId> {
        self.ports.get(1..).unwrap_or_default().to_vec()
    }
}

impl Book {
    /// Writes the set of the ports that a flow leaves by, if it is several; None where there is no
    /// room for it, or one of them is not the kernel's to send to.
    pub(super) fn flood(&mut self, table: &Table, exits: &[Exit]) -> Option<Option<Flood>> {
        if exits.is_empty() {
            return Some(None);
        }
        let ours = |exit: &Exit| self.port(exit.port).filter(|port| port.across.is_none());
        let ports: Option<Vec<u32>> = exits.iter().map(|e| Some(ours(e)?.ifindex)).collect();
        let ports = ports.filter(|ports| ports.len() <= MEMBERS)?;
        let set = self.sets.pop()?;
        let counted = vec![Missed::default(); ports.len()];
        table.write_set(set, ports);
        let ports = exits.iter().map(|exit| exit.port).collect();
        Some(Some(Flood { set, ports, counted }))
    }
}

//! Filtering identifiers (IEEE 802.1Q 8.9.3): which part of the table belongs to which network and
//! VLAN, how long its entries live, and how many have been learned there.
//!
//! Owned by [`super::Fdb`], behind its writer's lock: none of it is asked for each frame. A network
//! has an identifier of its own, given out with its number; each VLAN of a network that filters
//! gets one of the 65,279 others when a port becomes a member, and keeps it until it is given back:
//! when no port is a member any more, and no entry is left.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use wire::VlanId;

use super::network::{AGEING_TIME, NetworkId};

/// The first identifier of a VLAN; those before it are the networks'. 0 is nobody's.
const VLANS: u16 = 257;
const _: () = assert!(VLANS as usize == NetworkId::MAX + 1);

/// The part of the table a frame is looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    pub(super) fid: u16,
    /// Seconds.
    pub(super) ageing: u32,
}

impl Scope {
    /// Its filtering identifier.
    #[must_use]
    pub fn number(self) -> u16 {
        self.fid
    }
}

impl Default for Scope {
    /// The first network's.
    fn default() -> Self {
        Self { fid: 1, ageing: seconds(AGEING_TIME) }
    }
}

/// Whose an identifier is.
pub(super) type Owner = (NetworkId, VlanId);

/// What is kept of a network.
#[derive(Clone, Copy)]
struct Row {
    ageing: Duration,
    limit: u32,
    learned: u32,
}

impl Default for Row {
    fn default() -> Self {
        Self { ageing: AGEING_TIME, limit: u32::MAX, learned: 0 }
    }
}

/// All identifiers and their owners.
#[derive(Default)]
pub(super) struct Fids {
    networks: Vec<Row>,
    /// Of VLANs, from [`VLANS`] on; None for one that was given back.
    owners: Vec<Option<Owner>>,
    /// Those given back, the first of them first: the later one is another's, the better.
    free: VecDeque<u16>,
    by_owner: HashMap<Owner, u16>,
}

impl Fids {
    pub(super) fn set(&mut self, network: NetworkId, ageing: Duration, limit: Option<u32>) {
        let row = self.row_mut(network);
        row.ageing = ageing;
        row.limit = limit.unwrap_or(u32::MAX);
    }

    /// The identifier of a network, or of a VLAN in it; None where none is left.
    pub(super) fn scope(&mut self, network: NetworkId, vlan: VlanId) -> Option<Scope> {
        let ageing = seconds(self.row(network).ageing);
        if network.index() >= NetworkId::MAX {
            return None;
        }
        if vlan == VlanId::NONE {
            return Some(Scope { fid: network.0 + 1, ageing });
        }
        let fid = match self.by_owner.get(&(network, vlan)) {
            Some(fid) => *fid,
            None => {
                let fresh = u16::try_from(self.owners.len()).ok();
                let fresh = fresh.and_then(|number| VLANS.checked_add(number));
                if fresh.is_some() {
                    self.owners.push(None);
                }
                let fid = fresh.or_else(|| self.free.pop_front())?;
                self.owners[usize::from(fid - VLANS)] = Some((network, vlan));
                self.by_owner.insert((network, vlan), fid);
                fid
            }
        };
        Some(Scope { fid, ageing })
    }

    /// Whose an identifier is.
    pub(super) fn owner(&self, fid: u16) -> Owner {
        match fid.checked_sub(VLANS) {
            None => (NetworkId(fid.saturating_sub(1)), VlanId::NONE),
            Some(at) => self.owners.get(usize::from(at)).copied().flatten().unwrap_or_default(),
        }
    }

    pub(super) fn has_vlans(&self) -> bool {
        !self.by_owner.is_empty()
    }

    /// Takes back those that are not `used`.
    pub(super) fn release(&mut self, used: impl Fn(u16, Owner) -> bool) {
        for (fid, owner) in (VLANS..=u16::MAX).zip(&mut self.owners) {
            if let Some(gone) = owner.take_if(|owner| !used(fid, *owner)) {
                self.by_owner.remove(&gone);
                self.free.push_back(fid);
            }
        }
    }

    pub(super) fn ageing(&self, fid: u16) -> Duration {
        self.row(self.owner(fid).0).ageing
    }

    /// The shortest of all networks' ageing times.
    pub(super) fn shortest_ageing(&self) -> Duration {
        self.networks.iter().map(|row| row.ageing).min().unwrap_or(AGEING_TIME)
    }

    /// Whether the network of an identifier may learn one more.
    pub(super) fn has_room(&self, fid: u16) -> bool {
        let row = self.row(self.owner(fid).0);
        row.learned < row.limit
    }

    pub(super) fn learned(&self, network: NetworkId) -> u32 {
        self.row(network).learned
    }

    pub(super) fn count(&mut self, fid: u16, more: bool) {
        let network = self.owner(fid).0;
        let row = self.row_mut(network);
        row.learned = if more { row.learned + 1 } else { row.learned.saturating_sub(1) };
    }

    fn row(&self, network: NetworkId) -> Row {
        self.networks.get(network.index()).copied().unwrap_or_default()
    }

    fn row_mut(&mut self, network: NetworkId) -> &mut Row {
        let at = network.index().min(NetworkId::MAX);
        if self.networks.len() <= at {
            self.networks.resize(at + 1, Row::default());
        }
        &mut self.networks[at]
    }
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

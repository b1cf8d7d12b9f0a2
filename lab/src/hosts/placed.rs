//! The addresses of other hosts' nodes in the switch's table: each behind the tunnel, in the VLANs in which
//! its node is.

use std::collections::{BTreeMap, BTreeSet};

use overlay::{FdbOp, Row};
use switch::core::PortVlans;
use switch::{EntryKind, NetworkId, PortId};
use wire::{MacAddr, VlanId};

use super::tags::{Tags, carried, vlans};
use crate::error::{Error, Result};
use crate::lab::Lab;

/// An address in a VLAN.
type Place = (MacAddr, VlanId);

/// Where the switch has the addresses behind a tunnel.
pub(super) struct Placed {
    port: PortId,
    network: NetworkId,
    /// The VLANs of the tunnel's port; None where the network does not tell them apart.
    carried: Option<PortVlans>,
    /// What other hosts have told of their nodes; of the others nobody has.
    tags: BTreeMap<MacAddr, Tags>,
    /// Addresses of nodes here that other hosts have too: nodes here are to find those here.
    here: BTreeSet<MacAddr>,
    set: BTreeSet<Place>,
    /// Something is otherwise than when it was set.
    anew: bool,
}

impl Placed {
    pub(super) fn new(port: PortId, network: NetworkId) -> Self {
        Self {
            port,
            network,
            carried: None,
            tags: BTreeMap::new(),
            here: BTreeSet::new(),
            set: BTreeSet::new(),
            anew: true,
        }
    }

    /// What other hosts tell of their nodes from now on; `rows` are those of the device.
    pub(super) fn heed(&mut self, tags: BTreeMap<MacAddr, Tags>, rows: &BTreeSet<Row>) {
        self.anew |= rows.iter().any(|row| self.tags.get(&row.mac) != tags.get(&row.mac));
        self.tags = tags;
    }

    /// These addresses are not set at the tunnel; those that were among them before are again.
    pub(super) fn leave_here(
        &mut self,
        lab: &Lab,
        macs: BTreeSet<MacAddr>,
        rows: &BTreeSet<Row>,
    ) -> Result<()> {
        if self.here == macs {
            return Ok(());
        }
        self.here = macs;
        self.tell(lab, rows)
    }

    /// How many are not there any more.
    pub(super) fn missing(&mut self, lab: &Lab) -> usize {
        self.look(lab);
        let there = lab.with_switch(|switch| self.in_switch(switch)).unwrap_or_default();
        // What a port has left went with it.
        let still = |place: &&Place| self.vlans_of(place.0).contains(&place.1);
        self.set.difference(&there).filter(still).count()
    }

    /// Has the switch know of these steps to `rows`.
    pub(super) fn take(&mut self, lab: &Lab, rows: &BTreeSet<Row>, steps: &[FdbOp]) -> Result<()> {
        self.look(lab);
        if self.anew {
            return self.tell(lab, rows);
        }
        let (mut there, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        for step in steps.iter().filter(|step| !step.is_flood()) {
            let (FdbOp::Remove(row) | FdbOp::Set(row) | FdbOp::Append(row)) = step;
            there.extend(self.set.range((row.mac, VlanId::NONE)..=(row.mac, LAST)));
            if let FdbOp::Set(row) = step {
                wanted.extend(self.vlans_of(row.mac).into_iter().map(|vlan| (row.mac, vlan)));
            }
        }
        self.make(lab, &there, &wanted)
    }

    /// Has the switch know all of `rows`, whatever it has.
    pub(super) fn tell(&mut self, lab: &Lab, rows: &BTreeSet<Row>) -> Result<()> {
        self.look(lab);
        self.anew = false;
        self.set = lab.with_switch(|switch| self.in_switch(switch)).unwrap_or_default();
        let macs = rows.iter().filter(|row| !row.is_flood()).map(|row| row.mac);
        let places = |mac| self.vlans_of(mac).into_iter().map(move |vlan| (mac, vlan));
        let wanted = macs.flat_map(places).collect();
        let there = self.set.clone();
        self.make(lab, &there, &wanted)
    }

    /// Looks at which VLANs the tunnel's port carries.
    fn look(&mut self, lab: &Lab) {
        let is = lab.with_switch(|switch| carried(switch, self.port, self.network)).flatten();
        if is != self.carried {
            (self.carried, self.anew) = (is, true);
        }
    }

    fn vlans_of(&self, mac: MacAddr) -> Vec<VlanId> {
        match self.here.contains(&mac) {
            true => Vec::new(),
            false => vlans(self.tags.get(&mac), self.carried.as_ref()),
        }
    }

    /// What the switch has behind the tunnel.
    fn in_switch(&self, switch: &switch::Switch) -> BTreeSet<Place> {
        let here = |row: &switch::FdbEntry| row.port == self.port && row.kind == EntryKind::Sticky;
        switch.fdb().into_iter().filter(here).map(|row| (row.mac, row.vlan)).collect()
    }

    fn make(&mut self, lab: &Lab, there: &BTreeSet<Place>, wanted: &BTreeSet<Place>) -> Result<()> {
        if there == wanted {
            return Ok(());
        }
        // Whose an address is the registry says, and no frame.
        let (kind, now) = (EntryKind::Sticky, super::enter::now());
        let full = lab.with_switch(|switch| {
            let (table, mut scopes, mut full) = (switch.table(), BTreeMap::new(), None);
            let mut scope_of = |vlan: VlanId| {
                *scopes.entry(vlan).or_insert_with(|| table.scope(self.network, vlan))
            };
            for (mac, vlan) in there.difference(wanted) {
                self.set.remove(&(*mac, *vlan));
                let Some(scope) = scope_of(*vlan) else { continue };
                let is_ours = table.entry(*mac, scope, now).is_some_and(|e| e.port == self.port);
                if is_ours {
                    table.remove(*mac, scope);
                }
            }
            for (mac, vlan) in wanted.difference(there) {
                let set = scope_of(*vlan).is_some_and(|s| table.set(*mac, s, self.port, kind, now));
                match set {
                    true => drop(self.set.insert((*mac, *vlan))),
                    false => drop(full.get_or_insert(*mac)),
                }
            }
            full
        });
        match full.flatten() {
            None => Ok(()),
            Some(mac) => Err(Error::Usage(format!("the switch's table has no room for {mac}"))),
        }
    }
}

/// The last VLAN of an address.
const LAST: VlanId = VlanId::from_tci(0xfff);

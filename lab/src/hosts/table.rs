//! The rows of a tunnel: in the kernel's device, which sends by them, and in the switch's table, which
//! finds the tunnel by them. What there is to be is compared with what there is.

use std::collections::BTreeSet;
use std::time::Duration;

use ns::vxlan;
use overlay::{FdbOp, Row, difference};
use switch::{EntryKind, NetworkId, PortId};
use wire::{MacAddr, Timestamp, VlanId};

use crate::error::{Error, Result};
use crate::lab::Lab;

/// How often the kernel is asked at least, though nothing has changed.
pub(super) const RECONCILE: Duration = Duration::from_secs(30);
/// How often at most, while there are changes.
const SOON: Duration = Duration::from_secs(1);
/// And how many times as long as a look takes there is none: a large table is no work for each change.
const REST: u32 = 20;

/// A tunnel's rows as they were set.
pub(super) struct Table {
    index: u32,
    port: PortId,
    network: NetworkId,
    set: BTreeSet<Row>,
    /// Addresses of nodes here that other hosts have too: nodes here are to find those here.
    here: BTreeSet<MacAddr>,
    looked: Option<Timestamp>,
    /// How long the last look took.
    took: Duration,
    /// What was set last may not be all.
    again: bool,
}

impl Table {
    pub(super) fn new(index: u32, port: PortId, network: NetworkId) -> Self {
        Self {
            index,
            port,
            network,
            set: BTreeSet::new(),
            here: BTreeSet::new(),
            looked: None,
            took: Duration::ZERO,
            again: false,
        }
    }

    /// When the kernel is to be asked next.
    pub(super) fn next(&self) -> Timestamp {
        let span = if self.again { SOON } else { RECONCILE };
        self.looked.map_or(Timestamp::ZERO, |looked| looked + span)
    }

    /// Makes the rows what they are to be, which `steps` lead to; how many were not as they had been
    /// set.
    pub(super) fn settle(
        &mut self,
        lab: &Lab,
        (desired, steps): (&BTreeSet<Row>, &[FdbOp]),
        now: Timestamp,
    ) -> Result<usize> {
        let pause = SOON.max(self.took * REST);
        let soon = self.looked.is_none_or(|looked| looked + pause <= now);
        if self.next() <= now || soon && !steps.is_empty() {
            let repairs = self.compare(lab, desired, now);
            self.took = super::enter::now().since(now);
            return repairs;
        }
        self.take(lab, steps)?;
        self.tell_switch_of(lab, steps)?;
        Ok(0)
    }

    /// Asks the kernel what there is, and makes it what it is to be.
    fn compare(&mut self, lab: &Lab, desired: &BTreeSet<Row>, now: Timestamp) -> Result<usize> {
        let Some(switch_ns) = &lab.switch_ns else { return Ok(0) };
        let netns = std::os::fd::AsFd::as_fd(switch_ns);
        let rows = vxlan::rows(netns, self.index)?;
        let there: BTreeSet<_> =
            rows.iter().map(|row| Row { mac: MacAddr(row.mac), vtep: row.remote }).collect();
        let repairs = match self.looked.is_some() && !self.again {
            true => difference(&there, &self.set).len() + self.not_in_switch(lab),
            false => 0,
        };
        self.set = there;
        self.looked = Some(now);
        self.again = false;
        let steps = difference(&self.set, desired);
        self.take(lab, &steps)?;
        self.tell_switch(lab)?;
        Ok(repairs)
    }

    /// Takes these steps in the device's table.
    fn take(&mut self, lab: &Lab, steps: &[FdbOp]) -> Result<()> {
        let Some(switch_ns) = lab.switch_ns.as_ref().filter(|_| !steps.is_empty()) else {
            return Ok(());
        };
        let netns = std::os::fd::AsFd::as_fd(switch_ns);
        let row = |row: Row| vxlan::Row { mac: row.mac.0, remote: row.vtep };
        let asked: Vec<_> = steps
            .iter()
            .map(|step| match *step {
                FdbOp::Remove(gone) => vxlan::Change::Remove(row(gone)),
                FdbOp::Set(set) => vxlan::Change::Set(row(set)),
                FdbOp::Append(one) => vxlan::Change::Append(row(one)),
            })
            .collect();
        // What is half done is seen at the next look.
        vxlan::change(netns, self.index, &asked).inspect_err(|_| self.again = true)?;
        overlay::desired::take(&mut self.set, steps);
        Ok(())
    }

    /// These addresses are not set at the tunnel in the switch's table; those that were among them before
    /// are again.
    pub(super) fn leave_here(&mut self, lab: &Lab, macs: BTreeSet<MacAddr>) -> Result<()> {
        if self.here == macs {
            return Ok(());
        }
        self.here = macs;
        self.tell_switch(lab)
    }

    /// The addresses that the switch is to have behind the tunnel.
    fn macs(&self) -> BTreeSet<MacAddr> {
        let rows = self.set.iter().filter(|row| !row.is_flood()).map(|row| row.mac);
        rows.filter(|mac| !self.here.contains(mac)).collect()
    }

    /// The VLAN that the tunnel's frames are in.
    fn vlan(&self, switch: &switch::Switch) -> VlanId {
        let tells = switch.network(self.network).is_some_and(|network| network.vlans.is_some());
        let own = switch.port(self.port);
        let pvid = own.and_then(|(spec, _)| spec.vlans.to_vlans().pvid);
        pvid.filter(|_| tells).unwrap_or(VlanId::NONE)
    }

    /// The addresses that the switch has behind the tunnel.
    fn in_switch(&self, switch: &switch::Switch) -> BTreeSet<MacAddr> {
        let here = |row: &switch::FdbEntry| row.port == self.port && row.kind == EntryKind::Sticky;
        switch.fdb().into_iter().filter(here).map(|row| row.mac).collect()
    }

    /// How many of the switch's entries are not there any more.
    fn not_in_switch(&self, lab: &Lab) -> usize {
        let there = lab.with_switch(|switch| self.in_switch(switch)).unwrap_or_default();
        self.macs().difference(&there).count()
    }

    /// Has the switch know all of it.
    fn tell_switch(&self, lab: &Lab) -> Result<()> {
        let macs = self.macs();
        let there = lab.with_switch(|switch| self.in_switch(switch)).unwrap_or_default();
        let gone = there.difference(&macs).map(|mac| (*mac, false));
        let new = macs.difference(&there).map(|mac| (*mac, true));
        self.set_in_switch(lab, gone.chain(new))
    }

    /// Has the switch know of these steps.
    fn tell_switch_of(&self, lab: &Lab, steps: &[FdbOp]) -> Result<()> {
        let of_step = |step: &FdbOp| match *step {
            FdbOp::Remove(row) => (!row.is_flood()).then_some((row.mac, false)),
            FdbOp::Set(row) => (!self.here.contains(&row.mac)).then_some((row.mac, true)),
            FdbOp::Append(_) => None,
        };
        self.set_in_switch(lab, steps.iter().filter_map(of_step))
    }

    fn set_in_switch(&self, lab: &Lab, macs: impl Iterator<Item = (MacAddr, bool)>) -> Result<()> {
        let mut macs = macs.peekable();
        if macs.peek().is_none() {
            return Ok(());
        }
        let full = lab.with_switch(|switch| {
            let scope = switch.table().scope(self.network, self.vlan(switch))?;
            // Whose an address is the registry says, and no frame.
            let (kind, now) = (EntryKind::Sticky, super::enter::now());
            let mut full = None;
            for (mac, is_there) in macs {
                if !is_there {
                    switch.table().remove(mac, scope);
                } else if !switch.table().set(mac, scope, self.port, kind, now) {
                    full.get_or_insert(mac);
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

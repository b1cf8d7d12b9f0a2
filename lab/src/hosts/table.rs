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

/// A tunnel's rows as they were set.
pub(super) struct Table {
    index: u32,
    port: PortId,
    network: NetworkId,
    set: BTreeSet<Row>,
    looked: Option<Timestamp>,
    /// What was set last may not be all.
    again: bool,
}

impl Table {
    pub(super) fn new(index: u32, port: PortId, network: NetworkId) -> Self {
        Self { index, port, network, set: BTreeSet::new(), looked: None, again: false }
    }

    pub(super) fn port(&self) -> PortId {
        self.port
    }

    /// When the kernel is to be asked next.
    pub(super) fn next(&self) -> Timestamp {
        let span = if self.again { SOON } else { RECONCILE };
        self.looked.map_or(Timestamp::ZERO, |looked| looked + span)
    }

    /// Makes the rows what they are to be; how many were not as they had been set.
    pub(super) fn settle(
        &mut self,
        lab: &Lab,
        desired: BTreeSet<Row>,
        now: Timestamp,
    ) -> Result<usize> {
        let Some(switch_ns) = &lab.switch_ns else { return Ok(0) };
        let netns = std::os::fd::AsFd::as_fd(switch_ns);
        let mut repairs = 0;
        let first = self.looked.is_none();
        let soon = self.looked.is_none_or(|looked| looked + SOON <= now);
        if self.next() <= now || soon && desired != self.set {
            let rows = vxlan::rows(netns, self.index)?;
            let there: BTreeSet<_> =
                rows.iter().map(|row| Row { mac: MacAddr(row.mac), vtep: row.remote }).collect();
            if !first && !self.again {
                repairs = difference(&there, &self.set).len() + self.not_in_switch(lab);
            }
            self.set = there;
            self.looked = Some(now);
            self.again = false;
        } else if desired == self.set {
            return Ok(0);
        }
        let row = |row: Row| vxlan::Row { mac: row.mac.0, remote: row.vtep };
        let steps = difference(&self.set, &desired).into_iter().map(|step| match step {
            FdbOp::Remove(gone) => vxlan::Change::Remove(row(gone)),
            FdbOp::Set(set) => vxlan::Change::Set(row(set)),
            FdbOp::Append(one) => vxlan::Change::Append(row(one)),
        });
        let steps: Vec<_> = steps.collect();
        if !steps.is_empty() {
            // What is half done is seen at the next look.
            vxlan::change(netns, self.index, &steps).inspect_err(|_| self.again = true)?;
        }
        self.set = desired;
        self.tell_switch(lab)?;
        Ok(repairs)
    }

    fn macs(&self) -> BTreeSet<MacAddr> {
        self.set.iter().filter(|row| !row.is_flood()).map(|row| row.mac).collect()
    }

    /// The VLAN that the tunnel's frames are in, and the addresses that the switch has behind it.
    fn in_switch(&self, switch: &switch::Switch) -> (VlanId, BTreeSet<MacAddr>) {
        let tells = switch.network(self.network).is_some_and(|network| network.vlans.is_some());
        let own = switch.ports().into_iter().find(|info| info.id == self.port);
        let pvid = own.and_then(|info| info.spec.vlans.to_vlans().pvid);
        let vlan = pvid.filter(|_| tells).unwrap_or(VlanId::NONE);
        let here = |row: &switch::FdbEntry| row.port == self.port && row.kind == EntryKind::Sticky;
        (vlan, switch.fdb().into_iter().filter(here).map(|row| row.mac).collect())
    }

    /// How many of the switch's entries are not there any more.
    fn not_in_switch(&self, lab: &Lab) -> usize {
        let there = lab.with_switch(|switch| self.in_switch(switch).1).unwrap_or_default();
        self.macs().difference(&there).count()
    }

    fn tell_switch(&self, lab: &Lab) -> Result<()> {
        let macs = self.macs();
        let full = lab.with_switch(|switch| {
            let (vlan, there) = self.in_switch(switch);
            let scope = switch.table().scope(self.network, vlan)?;
            for gone in there.difference(&macs) {
                switch.table().remove(*gone, scope);
            }
            // Whose an address is the registry says, and no frame.
            let (kind, now) = (EntryKind::Sticky, super::enter::now());
            let mut new = macs.difference(&there);
            new.find(|mac| !switch.table().set(**mac, scope, self.port, kind, now)).copied()
        });
        match full.flatten() {
            None => Ok(()),
            Some(mac) => Err(Error::Usage(format!("the switch's table has no room for {mac}"))),
        }
    }
}

//! The rows of a tunnel: in the kernel's device, which sends by them, and in the switch's table, which
//! finds the tunnel by them. What there is to be is compared with what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ns::vxlan;
use overlay::{FdbOp, Row, difference};
use switch::{NetworkId, PortId};
use wire::{MacAddr, Timestamp};

use super::placed::Placed;
use super::tags::Tags;
use crate::error::Result;
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
    set: BTreeSet<Row>,
    placed: Placed,
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
            set: BTreeSet::new(),
            placed: Placed::new(port, network),
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

    /// Whether the kernel was asked at `now`, and all was set.
    pub(super) fn looked_at(&self, now: Timestamp) -> bool {
        self.looked == Some(now) && !self.again
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
        self.placed.take(lab, &self.set, steps)?;
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
            true => difference(&there, &self.set).len() + self.placed.missing(lab),
            false => 0,
        };
        self.set = there;
        self.looked = Some(now);
        self.again = false;
        let steps = difference(&self.set, desired);
        self.take(lab, &steps)?;
        self.placed.tell(lab, &self.set)?;
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

    /// What other hosts tell of the VLANs of their nodes from now on.
    pub(super) fn heed(&mut self, tags: BTreeMap<MacAddr, Tags>) {
        self.placed.heed(tags, &self.set);
    }

    /// These addresses are not set at the tunnel in the switch's table; those that were among them before
    /// are again.
    pub(super) fn leave_here(&mut self, lab: &Lab, macs: BTreeSet<MacAddr>) -> Result<()> {
        self.placed.leave_here(lab, macs, &self.set)
    }
}

//! The rows of a tunnel's table: what they are to be, and the steps there from what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::MacAddr;

use crate::end::{is_end, is_station};
use crate::registry::{Registry, Touched};

/// The first address and the last, those of IPv4 before those of IPv6.
const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LAST: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));

/// A row of the device's table: frames to `mac` go to `vtep`. The address of zeros stands for what is
/// flooded, and has a row for each host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// The hardware address of a node of another host.
    pub mac: MacAddr,
    /// That host's end of the tunnel.
    pub vtep: IpAddr,
}

impl Row {
    /// A host that is sent what is flooded.
    #[must_use]
    pub fn flood(vtep: IpAddr) -> Self {
        Self { mac: MacAddr::ZERO, vtep }
    }

    /// Whether it stands for what is flooded.
    #[must_use]
    pub fn is_flood(&self) -> bool {
        self.mac == MacAddr::ZERO
    }
}

/// What a host's tunnel is to know of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The ends of all other hosts.
    pub hosts: BTreeSet<IpAddr>,
    /// Behind which of them each node's address is.
    pub macs: BTreeMap<MacAddr, IpAddr>,
}

impl Desired {
    /// As rows.
    #[must_use]
    pub fn rows(&self) -> BTreeSet<Row> {
        let macs = self.macs.iter().map(|(mac, vtep)| Row { mac: *mac, vtep: *vtep });
        self.hosts.iter().copied().map(Row::flood).chain(macs).collect()
    }
}

/// A tunnel's rows as they were last set, kept to what a registry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(BTreeSet<Row>);

impl Rows {
    /// These.
    #[must_use]
    pub fn new(rows: BTreeSet<Row>) -> Self {
        Self(rows)
    }

    /// Those of these that an earlier process of the host whose end is `me` may have set: each leads to another
    /// host, and one at most to each address.
    #[must_use]
    pub fn left(all: impl IntoIterator<Item = Row>, me: IpAddr) -> Self {
        let leads = |row: &Row| {
            let to_host = is_end(row.vtep) && row.vtep != me && row.vtep.is_ipv6() == me.is_ipv6();
            to_host && (row.is_flood() || is_station(row.mac))
        };
        let (floods, macs): (BTreeSet<_>, BTreeSet<_>) =
            all.into_iter().filter(leads).partition(Row::is_flood);
        let macs: BTreeMap<_, _> = macs.into_iter().map(|row| (row.mac, row.vtep)).collect();
        let hosts = floods.into_iter().map(|row| row.vtep).collect();
        Self(Desired { hosts, macs }.rows())
    }

    /// The end behind which an address is.
    #[must_use]
    pub fn end_of(&self, mac: MacAddr) -> Option<IpAddr> {
        of(&self.0, mac).map(|row| row.vtep).next()
    }

    /// The rows.
    #[must_use]
    pub fn all(&self) -> &BTreeSet<Row> {
        &self.0
    }

    /// The other hosts, by their ends.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> + '_ {
        of(&self.0, MacAddr::ZERO).map(|row| row.vtep)
    }

    /// Makes them what host `me` is to have; the steps there. What it takes grows with what has changed
    /// since the last call and not with what there is.
    pub fn follow(&mut self, registry: &mut Registry, me: &str) -> Vec<FdbOp> {
        let (macs, hosts) = match registry.take_touched() {
            Touched::All => {
                let desired = registry.desired(me).rows();
                let steps = difference(&self.0, &desired);
                self.0 = desired;
                return steps;
            }
            Touched::Some { macs, hosts } => (macs, hosts),
        };
        let others = || registry.hosts().filter(|(name, _)| *name != me);
        let hosts = hosts.then(|| others().map(|(_, host)| host.vtep).collect());
        self.step(macs, |mac| registry.whereabouts(me, mac), hosts)
    }

    /// Makes them what is so now of these addresses, and of who is sent what is flooded, where that is
    /// another now; the steps there.
    pub fn step(
        &mut self,
        macs: BTreeSet<MacAddr>,
        whereabouts: impl Fn(MacAddr) -> Option<IpAddr>,
        hosts: Option<BTreeSet<IpAddr>>,
    ) -> Vec<FdbOp> {
        let (mut there, mut desired) = (BTreeSet::new(), BTreeSet::new());
        // The rows of what is flooded are the hosts' and no node's.
        for mac in macs.into_iter().filter(|mac| *mac != MacAddr::ZERO) {
            there.extend(of(&self.0, mac));
            desired.extend(whereabouts(mac).map(|vtep| Row { mac, vtep }));
        }
        if let Some(hosts) = hosts {
            there.extend(of(&self.0, MacAddr::ZERO));
            desired.extend(hosts.into_iter().map(Row::flood));
        }
        let steps = difference(&there, &desired);
        take(&mut self.0, &steps);
        steps
    }
}

/// One step. Steps are taken in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FdbOp {
    /// A row goes.
    Remove(Row),
    /// The row of an address comes, or is another from now on.
    Set(Row),
    /// One more host is sent what is flooded.
    Append(Row),
}

impl FdbOp {
    /// Whether it is about who is sent what is flooded.
    #[must_use]
    pub fn is_flood(&self) -> bool {
        let (Self::Remove(row) | Self::Set(row) | Self::Append(row)) = self;
        row.is_flood()
    }
}

/// What rows are after these steps.
pub fn take(rows: &mut BTreeSet<Row>, steps: &[FdbOp]) {
    for step in steps {
        match *step {
            FdbOp::Remove(row) => drop(rows.remove(&row)),
            FdbOp::Append(row) => drop(rows.insert(row)),
            FdbOp::Set(row) => {
                for old in of(rows, row.mac).collect::<Vec<_>>() {
                    rows.remove(&old);
                }
                rows.insert(row);
            }
        }
    }
}

/// The rows of an address.
fn of(rows: &BTreeSet<Row>, mac: MacAddr) -> impl Iterator<Item = Row> + '_ {
    let row = |vtep| Row { mac, vtep };
    rows.range(row(FIRST)..=row(LAST)).copied()
}

/// The steps from the rows there are to those there are to be. An address that moves is set once, so
/// that there is no moment without a row for it.
#[must_use]
pub fn difference(there: &BTreeSet<Row>, desired: &BTreeSet<Row>) -> Vec<FdbOp> {
    let known: BTreeSet<MacAddr> = desired.iter().map(|row| row.mac).collect();
    let gone = there.difference(desired);
    let gone = gone.filter(|row| row.is_flood() || !known.contains(&row.mac));
    let gone: Vec<_> = gone.copied().map(FdbOp::Remove).collect();
    let come = desired.difference(there).map(|row| match row.is_flood() {
        true => FdbOp::Append(*row),
        false => FdbOp::Set(*row),
    });
    gone.into_iter().chain(come).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn row(mac: u64, host: u8) -> Row {
        Row { mac: MacAddr::from_u64(mac), vtep: [10, 9, 0, host].into() }
    }

    #[test]
    fn of_what_a_process_has_left_only_what_leads_to_another_host_is_taken() {
        let me = [10, 9, 0, 1].into();
        let group = MacAddr([1, 0, 0x5e, 0, 0, 1]);
        let good = [row(0, 2), row(0, 3), row(7, 2)];
        let strange = [row(0, 1), row(8, 1), row(7, 3)];
        let six = Row { mac: MacAddr::from_u64(9), vtep: "fd09::2".parse().unwrap() };
        let nobody = Row { mac: MacAddr::from_u64(9), vtep: [0, 0, 0, 0].into() };
        let all = [Row { mac: group, ..row(0, 2) }, six, nobody];
        let left = Rows::left(good.into_iter().chain(all), me);
        assert_eq!(*left.all(), good.into());
        assert_eq!(left.end_of(MacAddr::from_u64(7)), Some([10, 9, 0, 2].into()));
        assert_eq!(left.end_of(MacAddr::from_u64(8)), None);
        // An address is behind one host.
        let left = Rows::left(good.into_iter().chain(strange), me);
        assert_eq!(left.all().len(), 3);
    }

    #[test]
    fn a_move_is_one_step_and_a_flood_row_is_appended() {
        let there = [row(0, 2), row(0, 3), row(7, 2), row(8, 2)].into();
        let desired = [row(0, 3), row(0, 4), row(7, 3), row(9, 3)].into();
        let steps = difference(&there, &desired);
        assert_eq!(
            steps,
            [
                FdbOp::Remove(row(0, 2)),
                FdbOp::Remove(row(8, 2)),
                FdbOp::Append(row(0, 4)),
                FdbOp::Set(row(7, 3)),
                FdbOp::Set(row(9, 3)),
            ]
        );
        assert_eq!(difference(&desired, &desired), []);
    }
}

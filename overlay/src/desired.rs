//! The rows of a tunnel's table: what they are to be, and the steps there from what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use wire::MacAddr;

/// A row of the device's table: frames to `mac` go to `vtep`. The address of zeros stands for what is
/// flooded, and has a row for each host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// The hardware address of a node of another host.
    pub mac: MacAddr,
    /// That host's end of the tunnel.
    pub vtep: Ipv4Addr,
}

impl Row {
    /// A host that is sent what is flooded.
    #[must_use]
    pub fn flood(vtep: Ipv4Addr) -> Self {
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
    pub hosts: BTreeSet<Ipv4Addr>,
    /// Behind which of them each node's address is.
    pub macs: BTreeMap<MacAddr, Ipv4Addr>,
}

impl Desired {
    /// As rows.
    #[must_use]
    pub fn rows(&self) -> BTreeSet<Row> {
        let macs = self.macs.iter().map(|(mac, vtep)| Row { mac: *mac, vtep: *vtep });
        self.hosts.iter().copied().map(Row::flood).chain(macs).collect()
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

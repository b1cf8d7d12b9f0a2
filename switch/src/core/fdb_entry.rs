//! What the forwarding table shows of its rows, and what it says of learning one.

use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::fdb_row::{EntryKind, Value};
use super::fids::Owner;
use super::network::NetworkId;
use super::port::PortId;

/// One row of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// The address.
    pub mac: MacAddr,
    /// Its network.
    pub network: NetworkId,
    /// Its VLAN; [`VlanId::NONE`] in a network that does not tell them apart.
    pub vlan: VlanId,
    /// Where it lives.
    pub port: PortId,
    /// How it got there.
    pub kind: EntryKind,
    /// Time since it was last seen as a source, or set, to the second.
    pub idle: Duration,
}

impl FdbEntry {
    pub(super) fn of(mac: MacAddr, (network, vlan): Owner, value: Value, now: Timestamp) -> Self {
        let idle = Duration::from_secs(now.as_secs().saturating_sub(value.seen()));
        Self { mac, network, vlan, port: value.port(), kind: value.kind(), idle }
    }
}

/// What learning did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Known here already, or set as nobody's.
    Known,
    /// Entered.
    New,
    /// Was at that port before.
    Moved(PortId),
    /// The port or the network is at its limit, or the table is full of entries that may not go.
    Full,
    /// Entered, locked: its port is, and asks that newcomers be noted.
    Locked,
    /// Sticky elsewhere, where it stays.
    Sticky,
    /// The port does not learn.
    Off,
}

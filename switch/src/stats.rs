//! Counters: written by one worker each without a lock, read and added up by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use sys::packet::Refusal;

use crate::core::DropReason;
use crate::vlan_cells::{LegCells, VlanCells};

/// A counter with one writer.
#[derive(Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// One writer, so load and store suffice: no locked instruction for a frame.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn take_back(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// For whoever knows that nobody writes.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts for one port.
#[derive(Default)]
pub(crate) struct PortCells {
    pub(crate) rx_packets: Cell,
    pub(crate) rx_bytes: Cell,
    pub(crate) rx_multicast: Cell,
    pub(crate) tx_packets: Cell,
    pub(crate) tx_bytes: Cell,
    pub(crate) tx_errors: Cell,
    pub(crate) moved: Cell,
    pub(crate) loops: Cell,
    pub(crate) drops: [Cell; DropReason::COUNT],
    pub(crate) vlans: VlanCells,
}

/// What one worker counts for all its ports.
#[derive(Default)]
pub(crate) struct WorkerCells {
    pub(crate) received: Cell,
    pub(crate) forwarded: Cell,
    pub(crate) flooded: Cell,
    pub(crate) members: Cell,
    pub(crate) local: Cell,
    pub(crate) uplink: Cell,
    pub(crate) drops: [Cell; DropReason::COUNT],
    pub(crate) refused: [Cell; Refusal::COUNT],
    pub(crate) station_to_bridge: Cell,
    pub(crate) station_to_uplink: Cell,
    pub(crate) station_lost: Cell,
    pub(crate) events_lost: Cell,
    pub(crate) ring_packets: Cell,
    pub(crate) ring_drops: Cell,
    pub(crate) rings_renewed: Cell,
    pub(crate) legs: LegCells,
}

/// One port's counters. Frames, and bytes of frames without the vnet header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames that came in by it.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Those of them to a group address.
    pub rx_multicast: u64,
    /// Frames the kernel took for it.
    pub tx_packets: u64,
    /// Bytes queued for it.
    pub tx_bytes: u64,
    /// Frames the kernel refused to take for it.
    pub tx_errors: u64,
    /// Addresses that were at another port before.
    pub moved: u64,
    /// Loops seen here.
    pub loops: u64,
    /// Frames that came in by it and went nowhere, by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
}

impl PortStats {
    pub(crate) fn add(&mut self, cells: &PortCells) {
        self.rx_packets += cells.rx_packets.get();
        self.rx_bytes += cells.rx_bytes.get();
        self.rx_multicast += cells.rx_multicast.get();
        self.tx_packets += cells.tx_packets.get();
        self.tx_bytes += cells.tx_bytes.get();
        self.tx_errors += cells.tx_errors.get();
        self.moved += cells.moved.get();
        self.loops += cells.loops.get();
        add_all(&mut self.drops, &cells.drops);
    }

    /// Frames dropped for any reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }
}

/// The whole switch's counters. Each received frame is in exactly one of forwarded, flooded, members,
/// local, uplink and drops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames taken out of the rings, and those the kernel forwarded by flows.
    pub received: u64,
    /// To one port.
    pub forwarded: u64,
    /// To several.
    pub flooded: u64,
    /// To the members of a group.
    pub members: u64,
    /// To the station.
    pub local: u64,
    /// Came in by the uplink, for the station.
    pub uplink: u64,
    /// Nowhere, by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
    /// Frames the kernel refused to take, by [`Refusal::index`].
    pub refused: [u64; Refusal::COUNT],
    /// Frames the station sent to the bridge.
    pub station_to_bridge: u64,
    /// Frames the station sent to the uplink.
    pub station_to_uplink: u64,
    /// Frames of the station that had nowhere to go.
    pub station_lost: u64,
    /// Events nobody fetched in time.
    pub events_lost: u64,
    /// Frames that reached the rings, by the kernel's count, dropped ones included, and those that
    /// it forwarded by flows.
    pub ring_packets: u64,
    /// Frames the kernel dropped because a ring was full, or had stopped.
    pub ring_drops: u64,
    /// Rings that had stopped and were opened anew.
    pub rings_renewed: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, cells: &WorkerCells) {
        self.received += cells.received.get();
        self.forwarded += cells.forwarded.get();
        self.flooded += cells.flooded.get();
        self.members += cells.members.get();
        self.local += cells.local.get();
        self.uplink += cells.uplink.get();
        add_all(&mut self.drops, &cells.drops);
        add_all(&mut self.refused, &cells.refused);
        self.station_to_bridge += cells.station_to_bridge.get();
        self.station_to_uplink += cells.station_to_uplink.get();
        self.station_lost += cells.station_lost.get();
        self.events_lost += cells.events_lost.get();
        self.ring_packets += cells.ring_packets.get();
        self.ring_drops += cells.ring_drops.get();
        self.rings_renewed += cells.rings_renewed.get();
    }

    /// Frames dropped for any reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Frames the kernel refused to take.
    #[must_use]
    pub fn send_errors(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Frames that ended in a counted verdict: equal to `received` whenever a worker is between
    /// two frames.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        let sent = self.forwarded + self.flooded + self.members;
        sent + self.local + self.uplink + self.dropped()
    }
}

fn add_all(sums: &mut [u64], cells: &[Cell]) {
    for (sum, cell) in sums.iter_mut().zip(cells) {
        *sum += cell.get();
    }
}

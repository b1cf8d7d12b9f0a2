//! What a worker counts by VLAN, for one port or for one of the station's legs: written by one thread
//! without a lock, read by anyone.
//!
//! As the kernel's bridge counts with `vlan_stats_enabled` and `vlan_stats_per_port`
//! (net/bridge/br_vlan.c, `br_vlan_stats`): frames that were let into a VLAN where they came in, and
//! frames that were let out of it, each by the bytes behind its Ethernet header and outermost tag.
//!
//! Room is made in blocks of 64 VLANs, by the handle, when a port becomes a member where VLANs are told
//! apart: no frame allocates, and a port of a network without VLANs has none. It stays until the port
//! is unplugged. A leg's is that of the kernel's bridge itself (`bridge vlan show dev br0`): it counts
//! what the station says as received and what it is given as sent, until its number is another
//! network's.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use wire::VlanId;

use crate::core::Leg;
use crate::stats::Cell;

/// VLANs of a block.
const BLOCK: usize = 64;
/// An Ethernet header: it does not count.
const HEADER: u64 = 14;

/// The counters of one VLAN at a port.
#[derive(Default)]
pub(crate) struct VlanCell {
    rx_bytes: Cell,
    rx_packets: Cell,
    tx_bytes: Cell,
    tx_packets: Cell,
}

/// Room for the VLANs of a block, once one of them is needed.
type Room = OnceLock<Box<[VlanCell; BLOCK]>>;

/// All VLANs of a port.
#[derive(Default)]
pub(crate) struct VlanCells(OnceLock<Box<[Room; 4096 / BLOCK]>>);

/// All legs of the station, each with the VLANs it is in or has been in.
pub(crate) struct LegCells(Box<[VlanCells; Leg::MAX]>);

/// Frames of a VLAN at a port, in the names of `bridge -s -j vlan show`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanStats {
    /// Bytes of frames that came in, without their Ethernet headers.
    pub rx_bytes: u64,
    /// Frames that were let in.
    pub rx_packets: u64,
    /// Bytes of frames that went out, without their Ethernet headers.
    pub tx_bytes: u64,
    /// Frames that were let out.
    pub tx_packets: u64,
}

impl VlanCells {
    /// Makes room for a VLAN.
    pub(crate) fn admit(&self, vlan: VlanId) {
        let blocks = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        let new = || Box::new(std::array::from_fn(|_| VlanCell::default()));
        let _ = blocks[usize::from(vlan.get()) / BLOCK].get_or_init(new);
    }

    /// Begins anew; for whoever knows that nobody counts there.
    fn forget(&self) {
        let blocks = self.0.get().into_iter().flat_map(|blocks| blocks.iter());
        for cell in blocks.filter_map(OnceLock::get).flat_map(|cells| cells.iter()) {
            let VlanCell { rx_bytes, rx_packets, tx_bytes, tx_packets } = cell;
            [rx_bytes, rx_packets, tx_bytes, tx_packets].into_iter().for_each(Cell::clear);
        }
    }

    fn of(&self, vlan: VlanId) -> Option<&VlanCell> {
        let at = usize::from(vlan.get());
        Some(&self.0.get()?[at / BLOCK].get()?[at % BLOCK])
    }

    /// So many frames came in, of so many bytes in all, their Ethernet headers included.
    pub(crate) fn came(&self, vlan: VlanId, frames: u64, bytes: u64) {
        if let Some(cell) = self.of(vlan) {
            cell.rx_packets.add(frames);
            cell.rx_bytes.add(bytes.saturating_sub(HEADER * frames));
        }
    }

    /// So many went out.
    pub(crate) fn went(&self, vlan: VlanId, frames: u64, bytes: u64) {
        if let Some(cell) = self.of(vlan) {
            cell.tx_packets.add(frames);
            cell.tx_bytes.add(bytes.saturating_sub(HEADER * frames));
        }
    }

    /// Adds what was counted; VLANs without a frame are left out.
    pub(crate) fn add_to(&self, sums: &mut BTreeMap<VlanId, VlanStats>) {
        let Some(blocks) = self.0.get() else { return };
        for (block, cells) in blocks.iter().enumerate() {
            let Some(cells) = cells.get() else { continue };
            for (at, cell) in cells.iter().enumerate() {
                if cell.rx_packets.get() == 0 && cell.tx_packets.get() == 0 {
                    continue;
                }
                let number = u16::try_from(block * BLOCK + at).unwrap_or_default();
                let sum = sums.entry(VlanId::from_tci(number)).or_default();
                sum.rx_bytes += cell.rx_bytes.get();
                sum.rx_packets += cell.rx_packets.get();
                sum.tx_bytes += cell.tx_bytes.get();
                sum.tx_packets += cell.tx_packets.get();
            }
        }
    }
}

impl Default for LegCells {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| VlanCells::default())))
    }
}

impl LegCells {
    /// Makes room for a leg in a VLAN.
    pub(crate) fn admit(&self, leg: Leg, vlan: VlanId) {
        if let Some(cells) = self.of(leg) {
            cells.admit(vlan);
        }
    }

    /// A leg is another network's from now on.
    pub(crate) fn forget(&self, leg: Leg) {
        if let Some(cells) = self.of(leg) {
            cells.forget();
        }
    }

    /// The station has said a frame, of so many bytes.
    pub(crate) fn said(&self, (leg, vlan): (Leg, VlanId), frames: u64, bytes: u64) {
        if let Some(cells) = self.of(leg) {
            cells.came(vlan, frames, bytes);
        }
    }

    /// The station was given one.
    pub(crate) fn given(&self, (leg, vlan): (Leg, VlanId), frames: u64, bytes: u64) {
        if let Some(cells) = self.of(leg) {
            cells.went(vlan, frames, bytes);
        }
    }

    /// Adds what was counted of a leg.
    pub(crate) fn add_to(&self, leg: Leg, sums: &mut BTreeMap<VlanId, VlanStats>) {
        if let Some(cells) = self.of(leg) {
            cells.add_to(sums);
        }
    }

    fn of(&self, leg: Leg) -> Option<&VlanCells> {
        self.0.get(usize::from(leg.0))
    }
}

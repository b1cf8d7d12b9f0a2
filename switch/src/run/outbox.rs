//! What leaves: slots and copies queued for ports, counted when queued, corrected where refused.

use sys::packet::{PacketIo, SendFailure};
use wire::{Ethernet, Timestamp, VlanTag, VnetHeader};

use super::meta;
use super::ports::PortMap;
use crate::core::{Bridge, PortId, Verdict};
use crate::station::Outlet;
use crate::stats::WorkerCells;

/// Queues a slot for a port.
pub(super) fn slot(
    io: &mut PacketIo,
    ports: &PortMap,
    ahead: usize,
    len: usize,
    vlan: Option<VlanTag>,
    to: PortId,
) {
    let Some(port) = ports.get(to) else { return };
    if io.queue_slot(ahead, port.ifindex, raw(vlan)) {
        port.cells.tx_packets.add(1);
        port.cells.tx_bytes.add(len as u64);
    }
}

/// Sends what is queued; what the kernel refuses is moved from sent to errors.
pub(super) fn flush(io: &mut PacketIo, ports: &PortMap, cells: &WorkerCells) {
    io.flush(&mut |SendFailure { ifindex, count, .. }| {
        cells.send_errors.add(count);
        if let Some(port) = ports.by_ifindex(ifindex).and_then(|id| ports.get(id)) {
            port.cells.tx_packets.take_back(count);
            port.cells.tx_errors.add(count);
        }
    });
}

/// Frames a station made while it held a slot: kept aside, sent when the slot is free again.
/// Holds [`STAGE`] bytes; what comes beyond is counted and lost.
pub(super) struct Stage {
    bytes: Vec<u8>,
    frames: Vec<(bool, VnetHeader, usize)>,
    lost: u64,
}

/// Bytes of frames a station can make in answer to one frame.
const STAGE: usize = 256 * 1024;
/// Frames a station can make in answer to one frame.
const STAGED: usize = 1024;

impl Stage {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(STAGE), frames: Vec::with_capacity(STAGED), lost: 0 }
    }

    fn keep(&mut self, up: bool, vnet: VnetHeader, frame: &[u8]) {
        if self.bytes.len() + frame.len() > STAGE || self.frames.len() == STAGED {
            self.lost += 1;
            return;
        }
        self.bytes.extend_from_slice(frame);
        self.frames.push((up, vnet, frame.len()));
    }

    /// Queues what was kept.
    pub(super) fn send(&mut self, out: &mut Out<'_>, now: Timestamp) {
        out.cells.station_lost.add(std::mem::take(&mut self.lost));
        let mut rest = self.bytes.as_slice();
        for (up, vnet, len) in self.frames.drain(..) {
            let (frame, tail) = rest.split_at(len);
            rest = tail;
            if up {
                out.copy_up(vnet, frame);
            } else {
                out.copy_to_bridge(vnet, frame, now);
            }
        }
        self.bytes.clear();
    }
}

impl Outlet for Stage {
    fn to_bridge(&mut self, vnet: VnetHeader, frame: &[u8]) {
        self.keep(false, vnet, frame);
    }

    fn to_uplink(&mut self, vnet: VnetHeader, frame: &[u8]) {
        self.keep(true, vnet, frame);
    }
}

/// Where the station's frames go out.
pub(super) struct Out<'a> {
    pub(super) io: &'a mut PacketIo,
    pub(super) bridge: &'a Bridge,
    pub(super) ports: &'a PortMap,
    pub(super) cells: &'a WorkerCells,
}

impl Out<'_> {
    fn copy(&mut self, vnet: VnetHeader, frame: &[u8], to: PortId) {
        let Some(port) = self.ports.get(to) else { return };
        if self.io.queue_copy(vnet.to_bytes(), frame, port.ifindex, None) {
            port.cells.tx_packets.add(1);
            port.cells.tx_bytes.add(frame.len() as u64);
        }
    }

    fn copy_to_bridge(&mut self, vnet: VnetHeader, frame: &[u8], now: Timestamp) {
        let Some(header) = meta::read(vnet, frame, None) else {
            return self.cells.station_lost.add(1);
        };
        match self.bridge.route(&header, PortId::LOCAL, now) {
            Verdict::Forward(to) => self.copy(vnet, frame, to),
            Verdict::Flood => {
                let bridge = self.bridge;
                for to in bridge.flood_set(&header, PortId::LOCAL) {
                    self.copy(vnet, frame, to);
                }
            }
            Verdict::Local | Verdict::Drop(_) => return self.cells.station_lost.add(1),
        }
        self.cells.station_to_bridge.add(1);
    }

    fn copy_up(&mut self, vnet: VnetHeader, frame: &[u8]) {
        match self.ports.uplink() {
            Some(to) if Ethernet::parse(frame).is_some() => {
                self.cells.station_to_uplink.add(1);
                self.copy(vnet, frame, to);
            }
            _ => self.cells.station_lost.add(1),
        }
    }
}

fn raw(vlan: Option<VlanTag>) -> Option<(u16, u16)> {
    vlan.map(|tag| (tag.tpid, tag.tci))
}

//! What leaves: frames queued for ports where they lie or as copies, counted when queued, corrected
//! where the kernel refuses them.

use std::sync::Arc;

use sys::packet::{PacketIo, Part, Received, SendFailure, Tags};
use wire::{FrameMut, Piece, VlanId, VlanTag, VnetHeader};

use super::bundles::Bundles;
use super::finisher::Way;
use super::link::Link;
use super::ports::PortMap;
use super::unusual::is_stacked;
use crate::core::{Cut, Exit, Path, PortId};
use crate::stats::{PortCells, WorkerCells};

/// The rings and senders of a worker: the switch's own namespace, and that of a real uplink.
pub(super) struct Links<L: Link = PacketIo> {
    pub(super) main: L,
    pub(super) uplink: Option<L>,
    /// Of the switch's own namespace.
    pub(super) bundles: Bundles,
    /// The same: for what a packet socket cannot be told of.
    pub(super) finish: Option<Arc<Way>>,
    /// Where such a frame is made another; it does not grow beyond what is there at first.
    pub(super) made: Vec<u8>,
    /// All that was sent: bytes, and [`FRAME`] for each frame.
    pub(super) sent: u64,
}

/// Bytes of the longest frame that is made of another, with the vnet header.
pub(super) const LONGEST: usize = VNET + 18 + 0xffff;

/// What a frame costs beside its bytes, in bytes.
const FRAME: u64 = 1024;

/// Where a frame lies: in which ring, and how many slots from the oldest.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Main(usize),
    Uplink(usize),
}

impl<L: Link> Links<L> {
    /// The slot, if it holds a frame.
    pub(super) fn slot(&mut self, place: Place) -> Option<(Received, &mut [u8])> {
        match place {
            Place::Main(ahead) => self.main.slot(ahead),
            Place::Uplink(ahead) => self.uplink.as_mut()?.slot(ahead),
        }
    }

    /// Queues the frame in a slot, which came with the tag `own`, for all ports of its path.
    pub(super) fn send_all(
        &mut self,
        ports: &PortMap,
        place: Place,
        own: Option<VlanTag>,
        path: &Path,
    ) {
        let alone = path.exits().len() == 1;
        for Exit { port, tagging } in path.exits() {
            self.send_to(ports, place, tagging.tags(own), *port, alone);
        }
        if let Some(vlan) = path.vlan() {
            let len = self.slot(place).map_or(0, |(_, data)| data.len().saturating_sub(VNET));
            went(ports, path, vlan, len);
        }
    }

    /// Queues the frame in a slot, without a tag, for one port alone.
    pub(super) fn send(&mut self, ports: &PortMap, place: Place, to: PortId) {
        self.send_to(ports, place, [None; 2], to, true);
    }

    /// Queues the frame in a slot for a port: as it lies there, or as a copy where the port is
    /// reached from another namespace than the slot's.
    fn send_to(
        &mut self,
        ports: &PortMap,
        place: Place,
        tags: [Option<VlanTag>; 2],
        to: PortId,
        alone: bool,
    ) {
        let Some(port) = ports.get(to) else { return };
        let tag = tags.map(|tag| tag.map(|tag| (tag.tpid, tag.tci)));
        let unusual = self.unusual(port, place, tag);
        let Self { main, uplink, bundles, .. } = self;
        let (queued, len) = match (place, port.foreign, uplink) {
            _ if let Some(done) = unusual => done,
            (Place::Main(ahead), false, _)
                if let Some(cut) =
                    port.longest.and_then(|longest| cut(main, ahead, (longest, tag))) =>
            {
                bundles.close(port.ifindex);
                (in_pieces(main, ahead, cut, port.ifindex, tag), length(main, ahead))
            }
            (Place::Main(ahead), false, _) if alone && tag == [None; 2] => {
                (bundles.queue(main, ahead, port.ifindex), length(main, ahead))
            }
            (Place::Main(ahead), false, _) => {
                bundles.close(port.ifindex);
                queue(main, ahead, port.ifindex, tag)
            }
            (Place::Uplink(ahead), true, Some(uplink)) => queue(uplink, ahead, port.ifindex, tag),
            (Place::Main(ahead), true, Some(uplink)) => {
                carry(main, uplink, ahead, port.ifindex, tag)
            }
            (Place::Uplink(ahead), false, Some(uplink)) => {
                bundles.close(port.ifindex);
                carry(uplink, main, ahead, port.ifindex, tag)
            }
            (_, _, None) => (false, 0),
        };
        self.sent += FRAME + len as u64;
        count(&port.cells, queued, len);
    }

    /// Queues a copy of a frame that lies in no slot.
    pub(super) fn copy(
        &mut self,
        ports: &PortMap,
        vnet: VnetHeader,
        frame: &[u8],
        tags: [Option<VlanTag>; 2],
        to: PortId,
    ) {
        let tags = tags.map(|tag| tag.map(|tag| (tag.tpid, tag.tci)));
        let Some(port) = ports.get(to) else { return };
        self.bundles.close(port.ifindex);
        let unusual = self.unusual_copy(port, (vnet, frame), tags);
        let queued = unusual.unwrap_or_else(|| {
            let io = if port.foreign { self.uplink.as_mut() } else { Some(&mut self.main) };
            io.is_some_and(|io| io.queue_copy([&vnet.to_bytes(), frame], port.ifindex, tags))
        });
        self.sent += FRAME + frame.len() as u64;
        count(&port.cells, queued, frame.len());
    }

    /// Sends what is queued; what the kernel refuses is moved from sent to errors.
    pub(super) fn flush(&mut self, ports: &PortMap, cells: &WorkerCells) {
        self.bundles.clear();
        self.main.flush(&mut |failure: SendFailure| {
            let port = ports.by_ifindex(failure.ifindex).and_then(|id| ports.get(id));
            refused(port.map(|port| &*port.cells), cells, failure);
        });
        if let Some(uplink) = &mut self.uplink {
            let port = ports.uplink().and_then(|id| ports.get(id));
            uplink.flush(&mut |failure| {
                refused(port.map(|port| &*port.cells), cells, failure);
            });
        }
    }
}

/// Counts a frame that has left along its path as its VLAN's.
pub(super) fn went(ports: &PortMap, path: &Path, vlan: VlanId, len: usize) {
    for port in path.ports().filter_map(|id| ports.get(id)) {
        port.cells.vlans.went(vlan, 1, len as u64);
    }
}

fn queue(io: &mut impl Link, ahead: usize, ifindex: u32, tag: Tags) -> (bool, usize) {
    (io.queue_slot(ahead, ifindex, tag).is_some(), length(io, ahead))
}

/// How the frame in a slot is cut for a port that takes none of more bytes.
fn cut(io: &mut impl Link, ahead: usize, (longest, tags): (u32, Tags)) -> Option<Cut> {
    let view = FrameMut::new(io.slot(ahead)?.1, None)?;
    if is_stacked(tags, view.bytes) {
        return Cut::singly(view.vnet(), view.bytes);
    }
    Cut::of(view.vnet(), view.bytes, usize::try_from(longest).unwrap_or(usize::MAX))
}

/// Queues the pieces, counted as the one frame they are: false where none could be.
fn in_pieces(io: &mut impl Link, ahead: usize, cut: Cut, ifindex: u32, tag: Tags) -> bool {
    let queue = |piece: Piece| {
        let part = Part { head: piece.head(), body: piece.body() };
        io.queue_part(ahead, &part, ifindex, tag)
    };
    cut.map(queue).fold(false, |any, queued| any | queued)
}

fn length(io: &mut impl Link, ahead: usize) -> usize {
    io.slot(ahead).map_or(0, |(_, data)| data.len().saturating_sub(VNET))
}

fn carry(
    from: &mut impl Link,
    to: &mut impl Link,
    ahead: usize,
    ifindex: u32,
    tag: Tags,
) -> (bool, usize) {
    let data = from.slot(ahead).and_then(|(_, data)| data.split_first_chunk::<VNET>());
    data.map_or((false, 0), |(vnet, frame)| {
        (to.queue_copy([vnet, frame], ifindex, tag), frame.len())
    })
}

const VNET: usize = sys::packet::VNET_LEN;

fn count(cells: &PortCells, queued: bool, len: usize) {
    if queued {
        cells.tx_packets.add(1);
        cells.tx_bytes.add(len as u64);
    } else {
        cells.tx_errors.add(1);
    }
}

fn refused(port: Option<&PortCells>, cells: &WorkerCells, failure: SendFailure) {
    cells.refused[failure.why().index()].add(failure.count);
    if let Some(port) = port {
        port.tx_packets.take_back(failure.count);
        port.tx_bytes.take_back(failure.bytes);
        port.tx_errors.add(failure.count);
    }
}

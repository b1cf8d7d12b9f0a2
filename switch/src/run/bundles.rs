//! The bundles that are open: one at most for a port, and few ports at a time.
//!
//! Asked by `outbox` for each frame that leaves where it lies. A frame that does not fit its port's
//! bundle closes it, so that what leaves by a port leaves in the order in which it came. A bundle
//! ends with the batch; what finds no room leaves as it is.

use sys::kernel::UDP_SEGMENTS;
use sys::packet::{Message, PacketIo};
use wire::FrameMut;

use crate::core::{Bundle, Datagram, settle};

/// Ports that can have one at a time.
const OPEN: usize = 4;

/// See above.
pub(super) struct Bundles {
    /// Whether the kernel has a word for them.
    told: bool,
    watched: bool,
    open: [Option<Open>; OPEN],
    used: usize,
}

#[derive(Clone, Copy)]
struct Open {
    ifindex: u32,
    /// The slot of its first frame.
    head: usize,
    message: Message,
    bundle: Bundle,
}

impl Bundles {
    pub(super) fn new() -> Self {
        let told = sys::kernel::version().is_some_and(|version| version >= UDP_SEGMENTS);
        Self { told, watched: false, open: [None; OPEN], used: 0 }
    }

    /// Not while a tap looks on: it is shown frames as they lie in their slots.
    pub(super) fn watch(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Queues the frame of a slot, which leaves by this interface alone and without a tag.
    pub(super) fn queue(&mut self, io: &mut PacketIo, ahead: usize, ifindex: u32) -> bool {
        let bundles = self.told && !self.watched;
        let frame = if bundles { frame(io, ahead) } else { None };
        let Some(datagram) = frame.and_then(|frame| Datagram::read(&frame)) else {
            self.close(ifindex);
            return io.queue_slot(ahead, ifindex, [None; 2]).is_some();
        };
        if self.join(io, ahead, ifindex, &datagram) {
            return true;
        }
        self.close(ifindex);
        let Some(message) = io.queue_slot(ahead, ifindex, [None; 2]) else { return false };
        if let Some(free) = self.open.iter_mut().find(|open| open.is_none()) {
            *free = Some(Open { ifindex, head: ahead, message, bundle: Bundle::new(datagram) });
            self.used += 1;
        }
        true
    }

    fn join(&mut self, io: &mut PacketIo, ahead: usize, ifindex: u32, next: &Datagram) -> bool {
        let mut all = self.open.iter_mut().flatten();
        let Some(open) = all.find(|open| open.ifindex == ifindex) else { return false };
        if !open.bundle.takes(next) {
            return false;
        }
        if let Some(mut frame) = frame(io, ahead) {
            settle(&mut frame);
        }
        if !io.extend(open.message, ahead, next.headers()) {
            return false;
        }
        if let Some(mut head) = frame(io, open.head) {
            open.bundle.add(next, &mut head);
        }
        true
    }

    /// Another frame leaves by this interface.
    #[inline]
    pub(super) fn close(&mut self, ifindex: u32) {
        if self.used == 0 {
            return;
        }
        for open in &mut self.open {
            if open.is_some_and(|open| open.ifindex == ifindex) {
                *open = None;
                self.used -= 1;
            }
        }
    }

    /// The batch leaves.
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.used > 0 {
            (self.open, self.used) = ([None; OPEN], 0);
        }
    }
}

fn frame(io: &mut PacketIo, ahead: usize) -> Option<FrameMut<'_>> {
    FrameMut::new(io.slot(ahead)?.1, None)
}

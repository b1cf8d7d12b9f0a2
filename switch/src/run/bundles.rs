//! The bundles that are open: one at most for a flow and a port, and few at a time.
//!
//! Asked by `outbox` for each frame that leaves where it lies. A datagram that its flow's bundle does
//! not take closes that one, any other frame those of its port, so that the frames of a flow leave
//! in the order in which they came. A bundle ends with the batch; where too many are open the one
//! opened first takes no more.

use sys::kernel::UDP_SEGMENTS;
use sys::packet::Message;
use wire::FrameMut;

use super::link::Link;
use crate::core::{Bundle, Datagram, settle};

/// So many at a time.
const OPEN: usize = 8;

/// See above.
pub(super) struct Bundles {
    /// Whether the kernel has a word for them.
    told: bool,
    watched: bool,
    open: [Option<Open>; OPEN],
    /// Opened since the last batch: where the next comes, counted round.
    next: usize,
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
        Self { told, watched: false, open: [None; OPEN], next: 0 }
    }

    /// Not while a tap looks on: it is shown frames as they lie in their slots.
    pub(super) fn watch(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Queues the frame of a slot, which leaves by this interface alone and without a tag.
    pub(super) fn queue(&mut self, io: &mut impl Link, ahead: usize, ifindex: u32) -> bool {
        let bundles = self.told && !self.watched;
        let frame = if bundles { frame(io, ahead) } else { None };
        let Some(datagram) = frame.and_then(|frame| Datagram::read(&frame)) else {
            self.close(ifindex);
            return io.queue_slot(ahead, ifindex, [None; 2]).is_some();
        };
        let is_same =
            |open: &Option<Open>| open.as_ref().is_some_and(|open| open.is_for(ifindex, &datagram));
        let same = self.open.iter().position(is_same);
        if let Some(open) = same.and_then(|at| self.open[at].as_mut())
            && open.join(io, ahead, &datagram)
        {
            return true;
        }
        let Some(message) = io.queue_slot(ahead, ifindex, [None; 2]) else { return false };
        let new = Open { ifindex, head: ahead, message, bundle: Bundle::new(datagram) };
        self.open[same.unwrap_or(self.next % OPEN)] = Some(new);
        self.next += 1;
        true
    }

    /// Another frame leaves by this interface.
    #[inline]
    pub(super) fn close(&mut self, ifindex: u32) {
        if self.next > 0 {
            for open in &mut self.open {
                if open.as_ref().is_some_and(|open| open.ifindex == ifindex) {
                    *open = None;
                }
            }
        }
    }

    /// The batch leaves.
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.next > 0 {
            (self.open, self.next) = ([None; OPEN], 0);
        }
    }
}

impl Open {
    fn is_for(&self, ifindex: u32, next: &Datagram) -> bool {
        self.ifindex == ifindex && self.bundle.is_of_flow(next)
    }

    /// Takes the datagram in a slot; false where it has to leave by itself.
    fn join(&mut self, io: &mut impl Link, ahead: usize, next: &Datagram) -> bool {
        if !self.bundle.takes(next) {
            return false;
        }
        if let Some(mut frame) = frame(io, ahead) {
            settle(&mut frame);
        }
        if !io.extend(self.message, ahead, next.headers()) {
            return false;
        }
        if let Some(mut head) = frame(io, self.head) {
            self.bundle.add(next, &mut head);
        }
        true
    }
}

fn frame(io: &mut impl Link, ahead: usize) -> Option<FrameMut<'_>> {
    FrameMut::new(io.slot(ahead)?.1, None)
}

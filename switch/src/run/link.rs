//! Where a worker's frames come from and go to, as the worker sees it.
//!
//! A packet ring of the kernel is one ([`sys::packet::PacketIo`]); memory is another, by which a
//! worker is tested without a namespace, a privilege or a clock. Slots are counted from the oldest
//! that was not released.

#[cfg(test)]
pub(super) mod memory;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use sys::packet::{Detour, Message, PacketIo, Part, Received, RingStats, SendFailure, Spare, Tags};

/// See above. What each does, and what it asks of who calls it, stands at [`PacketIo`].
pub(super) trait Link: Sized {
    /// Another of its kind, to be put in its place.
    type Spare;

    fn ready(&self, ahead: usize) -> bool;
    fn is_empty(&self) -> bool;
    fn admit(&mut self, ahead: usize) -> bool;
    fn slot(&mut self, ahead: usize) -> Option<(Received, &mut [u8])>;
    fn queue_slot(&mut self, ahead: usize, ifindex: u32, tags: Tags) -> Option<Message>;
    fn extend(&mut self, message: Message, ahead: usize, skip: usize) -> bool;
    fn queue_part(&mut self, ahead: usize, part: &Part<'_>, ifindex: u32, tags: Tags) -> bool;
    fn queue_copy(&mut self, parts: [&[u8]; 2], ifindex: u32, tags: Tags) -> bool;
    fn queue_detour(&mut self, ahead: usize, detour: Detour, tags: Tags) -> bool;
    fn flush(&mut self, failed: &mut dyn FnMut(SendFailure));
    fn release(&mut self, count: usize);
    fn missed(&mut self);
    fn settle(&mut self);
    fn stats(&self) -> io::Result<RingStats>;
    fn replace(&mut self, spare: Self::Spare) -> io::Result<RingStats>;
    fn wait(
        &self,
        also: Option<&Self>,
        wake: BorrowedFd<'_>,
        limit: Option<Duration>,
    ) -> io::Result<()>;
    /// Itself, where it is a ring among which frames can be steered.
    fn ring(&mut self) -> Option<&mut PacketIo>;
}

impl Link for PacketIo {
    type Spare = Spare;

    #[inline]
    fn ready(&self, ahead: usize) -> bool {
        self.ready(ahead)
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    #[inline]
    fn admit(&mut self, ahead: usize) -> bool {
        self.admit(ahead)
    }

    #[inline]
    fn slot(&mut self, ahead: usize) -> Option<(Received, &mut [u8])> {
        self.slot(ahead)
    }

    #[inline]
    fn queue_slot(&mut self, ahead: usize, ifindex: u32, tags: Tags) -> Option<Message> {
        self.queue_slot(ahead, ifindex, tags)
    }

    #[inline]
    fn extend(&mut self, message: Message, ahead: usize, skip: usize) -> bool {
        self.extend(message, ahead, skip)
    }

    #[inline]
    fn queue_part(&mut self, ahead: usize, part: &Part<'_>, ifindex: u32, tags: Tags) -> bool {
        self.queue_part(ahead, part, ifindex, tags)
    }

    #[inline]
    fn queue_copy(&mut self, parts: [&[u8]; 2], ifindex: u32, tags: Tags) -> bool {
        self.queue_copy(parts, ifindex, tags)
    }

    fn queue_detour(&mut self, ahead: usize, detour: Detour, tags: Tags) -> bool {
        self.queue_detour(ahead, detour, tags)
    }

    #[inline]
    fn flush(&mut self, failed: &mut dyn FnMut(SendFailure)) {
        self.flush(failed);
    }

    #[inline]
    fn release(&mut self, count: usize) {
        self.release(count);
    }

    fn missed(&mut self) {
        self.missed();
    }

    #[inline]
    fn settle(&mut self) {
        self.settle();
    }

    fn stats(&self) -> io::Result<RingStats> {
        self.stats()
    }

    fn replace(&mut self, spare: Spare) -> io::Result<RingStats> {
        self.replace(spare)
    }

    fn wait(
        &self,
        also: Option<&Self>,
        wake: BorrowedFd<'_>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        self.wait(also, wake, limit)
    }

    #[inline]
    fn ring(&mut self) -> Option<&mut PacketIo> {
        Some(self)
    }
}

//! A link of memory: what is put in is received, what is sent lies there to be looked at.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use sys::packet::{
    Detour, Message, PacketIo, Part, Received, RingStats, SendFailure, Tags, VNET_LEN,
};

use super::Link;

/// A frame that was sent, with the vnet header before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Sent {
    pub(in crate::run) ifindex: u32,
    pub(in crate::run) tags: Tags,
    pub(in crate::run) data: Vec<u8>,
}

/// See above.
#[derive(Debug, Default)]
pub(in crate::run) struct Memory {
    slots: VecDeque<(Received, Vec<u8>)>,
    /// A slot sent where it lies is read when it leaves, as a ring's is.
    queued: Vec<(u32, Tags, Result<Vec<u8>, usize>)>,
    /// What has left.
    pub(in crate::run) sent: Vec<Sent>,
    /// The detours by which some of it has.
    pub(in crate::run) detours: Vec<Detour>,
    /// Interfaces that are down.
    pub(in crate::run) down: BTreeSet<u32>,
    /// What came and was dropped since the last look.
    stats: std::cell::Cell<RingStats>,
    /// Most frames that wait.
    room: usize,
}

impl Memory {
    pub(in crate::run) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// A frame comes in; lost where there is no room.
    pub(in crate::run) fn put(&mut self, ifindex: u32, vlan: Option<(u16, u16)>, frame: &[u8]) {
        self.put_with([0; VNET_LEN], ifindex, vlan, frame);
    }

    /// The same with its vnet header.
    pub(in crate::run) fn put_with(
        &mut self,
        vnet: [u8; VNET_LEN],
        ifindex: u32,
        vlan: Option<(u16, u16)>,
        frame: &[u8],
    ) {
        let mut stats = self.stats.get();
        stats.packets += 1;
        if self.slots.len() == self.room {
            stats.drops += 1;
        } else {
            let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            let received = Received { ifindex, vlan, wire_len, clipped: false, taken: 0 };
            self.slots.push_back((received, [&vnet, frame].concat()));
        }
        self.stats.set(stats);
    }
}

impl Link for Memory {
    type Spare = ();

    fn ready(&self, ahead: usize) -> bool {
        ahead < self.slots.len()
    }

    fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn admit(&mut self, ahead: usize) -> bool {
        self.ready(ahead)
    }

    fn slot(&mut self, ahead: usize) -> Option<(Received, &mut [u8])> {
        self.slots.get_mut(ahead).map(|(received, data)| (*received, data.as_mut_slice()))
    }

    fn queue_slot(&mut self, ahead: usize, ifindex: u32, tags: Tags) -> Option<Message> {
        self.slots.get(ahead)?;
        self.queued.push((ifindex, tags, Err(ahead)));
        Some(Message::default())
    }

    fn extend(&mut self, _: Message, _: usize, _: usize) -> bool {
        false
    }

    fn queue_part(&mut self, ahead: usize, part: &Part<'_>, ifindex: u32, tags: Tags) -> bool {
        let Some((_, data)) = self.slots.get(ahead) else { return false };
        let body = &data[VNET_LEN..][part.body.clone()];
        self.queued.push((ifindex, tags, Ok([part.head, body].concat())));
        true
    }

    fn queue_copy(&mut self, parts: [&[u8]; 2], ifindex: u32, tags: Tags) -> bool {
        self.queued.push((ifindex, tags, Ok(parts.concat())));
        true
    }

    fn queue_detour(&mut self, ahead: usize, detour: Detour, tags: Tags) -> bool {
        self.detours.push(detour);
        self.queue_slot(ahead, detour.to, tags).is_some()
    }

    fn flush(&mut self, failed: &mut dyn FnMut(SendFailure)) {
        for (ifindex, tags, what) in std::mem::take(&mut self.queued) {
            let data = match what {
                Ok(copy) => copy,
                Err(ahead) => self.slots[ahead].1.clone(),
            };
            if self.down.contains(&ifindex) {
                let (errno, bytes) = (nix::libc::ENETDOWN, (data.len() - VNET_LEN) as u64);
                failed(SendFailure { ifindex, errno, count: 1, bytes });
            } else {
                self.sent.push(Sent { ifindex, tags, data });
            }
        }
    }

    fn release(&mut self, count: usize) {
        assert!(self.queued.is_empty(), "a slot is given back before it is sent");
        self.slots.drain(..count);
    }

    fn missed(&mut self) {}

    fn settle(&mut self) {}

    fn stats(&self) -> io::Result<RingStats> {
        Ok(self.stats.take())
    }

    fn replace(&mut self, (): ()) -> io::Result<RingStats> {
        Ok(self.stats.take())
    }

    fn wait(&self, _: Option<&Self>, _: BorrowedFd<'_>, _: Option<Duration>) -> io::Result<()> {
        unreachable!("a worker that is stepped does not sleep")
    }

    fn ring(&mut self) -> Option<&mut PacketIo> {
        None
    }
}

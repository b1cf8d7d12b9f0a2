//! A ring and a sender for one network namespace, tied together so that a slot can be sent where
//! it lies.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{getsockopt, sockopt::SocketError};
use nix::sys::time::TimeSpec;

use super::VNET_LEN;
use super::filter::Pass;
use super::ring::{Received, Ring, RingConfig, RingStats};
use super::sender::{BATCH, Message, SendFailure, Sender, Tags};
use super::socket;
use super::steer::Steering;
use crate::bpf::Program;

/// Bytes for frames that lie in no slot (answers of a station); a fuller arena is flushed first.
const ARENA: usize = 512 * 1024;
/// Different failures remembered between two flushes; what comes beyond is counted together.
const FAILURES: usize = 1024;

/// Receives from, and sends to, every interface of one network namespace.
///
/// Slots are counted from the oldest unreleased one. Queue, [`flush`](Self::flush), then
/// [`release`](Self::release); a release flushes first by itself where something still waits.
pub struct PacketIo {
    pub(super) ring: Ring,
    sender: Sender,
    /// For what leaves by a detour. Of the two senders one at most has messages that wait, so that frames
    /// leave in the order in which they were queued.
    marking: Option<Sender>,
    /// Copies of frames that lie in no slot; never grows past its capacity, so never moves.
    arena: Vec<u8>,
    failures: Vec<SendFailure>,
    pub(super) crew: Option<Member>,
}

/// A part of a frame that lies in a slot.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// `[vnet header | headers]` of its own.
    pub head: &'a [u8],
    /// The frame's bytes that follow.
    pub body: Range<usize>,
}

/// A way to an interface by another one, where a program makes of a frame what no header before it can
/// say, and sends it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detour {
    /// The interface to send by.
    pub via: u32,
    /// What the program is told (`SO_MARK`).
    pub mark: u32,
    /// The interface it is for.
    pub to: u32,
}

/// Of a crew of rings among which frames are steered.
pub(super) struct Member {
    pub(super) steering: Arc<Steering>,
    pub(super) number: usize,
    /// Whether it is known how far the ring is, to the frame.
    pub(super) settled: bool,
}

impl PacketIo {
    /// Opens ring and sender in the calling thread's namespace (see [`crate::netns::inside`]).
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW there; ENOMEM where the kernel has no memory for the ring.
    pub fn open(config: RingConfig) -> io::Result<Self> {
        Self::filtered(config, &Pass::All)
    }

    /// The same with a filter before the ring.
    ///
    /// # Errors
    /// The same; EINVAL for a filter that makes no sense.
    pub fn filtered(config: RingConfig, pass: &Pass) -> io::Result<Self> {
        Ok(Self {
            ring: Ring::open(config, pass)?,
            sender: Sender::open(config.queued)?,
            marking: config.marking.then(Sender::marking).transpose()?,
            arena: Vec::with_capacity(ARENA),
            failures: Vec::with_capacity(FAILURES),
            crew: None,
        })
    }

    /// The same with a program before the ring, from its first frame on.
    ///
    /// # Errors
    /// The same.
    pub fn tapped(config: RingConfig, tap: &Program) -> io::Result<Self> {
        let io = Self::open(RingConfig { bound: false, fanout: None, ..config })?;
        tap.filter(io.ring.as_fd())?;
        socket::bind(io.ring.as_fd(), config.ifindex)?;
        Ok(io)
    }

    /// The next ring of a crew among which frames are steered; the first gets all until
    /// [`Self::arm`].
    ///
    /// # Errors
    /// The same.
    pub fn steered(config: RingConfig, steering: Arc<Steering>, number: usize) -> io::Result<Self> {
        let mut io = Self::open(RingConfig { bound: number == 0, ..config })?;
        if number > 0 {
            steering.join(io.ring.as_fd())?;
        }
        io.crew = Some(Member { steering, number, settled: true });
        Ok(io)
    }

    /// Number of slots of the ring.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.ring.slots()
    }

    /// Bytes of ring memory.
    #[must_use]
    pub fn ring_memory(&self) -> usize {
        self.ring.memory()
    }

    /// True where the `ahead`-th slot holds a frame.
    #[must_use]
    pub fn ready(&self, ahead: usize) -> bool {
        self.ring.ready(ahead)
    }

    /// True where no slot holds a frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// True where the `ahead`-th slot holds a frame that is at hand. Ask once for each slot, in
    /// order, before looking into it: a frame longer than its slot is fetched here. False too where
    /// the buffer for those is in use: release first.
    pub fn admit(&mut self, ahead: usize) -> bool {
        self.ring.admit(ahead)
    }

    /// The `ahead`-th slot: what came, and `[vnet header | frame]` in place, open to change.
    pub fn slot(&mut self, ahead: usize) -> Option<(Received, &mut [u8])> {
        self.ring.slot(ahead)
    }

    /// Queues the frame of a slot, as it lies there, for an interface.
    /// None where the slot holds nothing that can be sent.
    pub fn queue_slot(&mut self, ahead: usize, ifindex: u32, tags: Tags) -> Option<Message> {
        self.make_room(false);
        let (_, data) = self.ring.slot(ahead)?;
        self.sender.push((data, &[]), 1, ifindex, tags)
    }

    /// Queues the frame of a slot for an interface that it reaches by a detour.
    /// False where the slot holds nothing that can be sent, or no such way was asked for.
    pub fn queue_detour(&mut self, ahead: usize, detour: Detour, tags: Tags) -> bool {
        if self.sender.len() > 0 {
            self.send_now();
        }
        let Some((_, data)) = self.ring.slot(ahead) else { return false };
        let Some(sender) = &mut self.marking else { return false };
        if sender.len() == BATCH {
            let failures = &mut self.failures;
            sender.flush(&mut |failure| remember(failures, failure));
        }
        let pushed = sender.push((data, &[]), 1, detour.via, tags).is_some();
        if pushed {
            sender.mark(detour.mark, detour.to);
        }
        pushed
    }

    /// Makes a waiting message longer by the frame of a slot without its first `skip` bytes. The
    /// message is then a frame that stands for both, and whoever asks writes its headers.
    /// False where it has left, has tags, or has no room: nothing is changed then.
    pub fn extend(&mut self, message: Message, ahead: usize, skip: usize) -> bool {
        let Some((_, data)) = self.ring.slot(ahead) else { return false };
        self.sender.extend(message, data, skip)
    }

    /// Queues a part of the frame of a slot for an interface; its head is copied. Of a frame's parts the
    /// one that begins where the headers end is counted where the kernel refuses it.
    /// False where the slot does not hold so much.
    pub fn queue_part(&mut self, ahead: usize, part: &Part<'_>, ifindex: u32, tags: Tags) -> bool {
        let Part { head, body } = part;
        self.make_room(self.arena.len() + head.len() > ARENA);
        let start = self.arena.len();
        let frames = u64::from(VNET_LEN + body.start == head.len());
        let Some((_, data)) = self.ring.slot(ahead) else { return false };
        let Some(body) = data.get(VNET_LEN..).and_then(|frame| frame.get(body.clone())) else {
            return false;
        };
        self.arena.extend_from_slice(head);
        self.sender.push((&self.arena[start..], body), frames, ifindex, tags).is_some()
    }

    /// Queues a copy of `[vnet header | frame]`, which lies in two pieces, for an interface.
    /// False where it is longer than the arena or shorter than its headers.
    pub fn queue_copy(&mut self, [head, body]: [&[u8]; 2], ifindex: u32, tags: Tags) -> bool {
        let len = head.len() + body.len();
        if len > ARENA {
            return false;
        }
        self.make_room(self.arena.len() + len > ARENA);
        let start = self.arena.len();
        self.arena.extend_from_slice(head);
        self.arena.extend_from_slice(body);
        self.sender.push((&self.arena[start..], &[]), 1, ifindex, tags).is_some()
    }

    /// Sends what is queued; each refused message is told to `failed`.
    pub fn flush(&mut self, failed: &mut dyn FnMut(SendFailure)) {
        self.failures.drain(..).for_each(&mut *failed);
        self.sender.flush(failed);
        if let Some(marking) = &mut self.marking {
            marking.flush(failed);
        }
        self.arena.clear();
    }

    /// Gives the oldest `count` slots back to the kernel.
    pub fn release(&mut self, count: usize) {
        if self.sender.len() + self.marking.as_ref().map_or(0, Sender::len) > 0 {
            self.send_now();
        }
        self.ring.release(count);
        if let Some(Member { steering, number, .. }) = &self.crew {
            steering.passed(*number, count);
        }
    }

    /// Of a crew's ring: frames were lost on the way to it.
    pub fn missed(&mut self) {
        if let Some(member) = &mut self.crew {
            member.settled = false;
        }
    }

    /// Of a crew's ring that is empty: what was lost on the way is not waited for any more, so that
    /// its flows may go elsewhere. Takes some microseconds where something was.
    pub fn settle(&mut self) {
        if let Some(Member { steering, number, settled }) = &mut self.crew
            && !*settled
        {
            *settled = steering.settle(*number, || !self.ring.ready(0));
        }
    }

    /// Of a crew's first ring: makes the others ready to get frames too. False where they have not
    /// all left since the last time.
    ///
    /// # Errors
    /// What the kernel says to binding and filtering sockets; the first still gets all then.
    pub fn arm(&mut self) -> io::Result<bool> {
        let Some(Member { steering, settled, .. }) = &mut self.crew else { return Ok(false) };
        *settled = true;
        steering.arm(self.ring.as_fd())
    }

    /// Of a crew's first ring, a millisecond after [`Steering::spread`]: lets flows out of it.
    pub fn open_up(&mut self) {
        if let Some(Member { steering, settled, .. }) = &mut self.crew {
            *settled &= !steering.open(|| self.ring.pending() as u64);
        }
    }

    /// Of a crew's first ring: it gets all again, without a filter, and the others are to leave.
    /// Some time after spreading has ended, when the others are empty.
    pub fn disarm(&self) {
        if let Some(Member { steering, .. }) = &self.crew {
            steering.disarm(self.ring.as_fd());
        }
    }

    /// Of another ring of a crew: leaves, where that is asked.
    ///
    /// # Errors
    /// What the kernel says to unbinding the socket.
    pub fn leave(&self) -> io::Result<()> {
        let Some(Member { steering, number, .. }) = &self.crew else { return Ok(()) };
        steering.leave(*number, self.ring.as_fd())
    }

    /// Sleeps until a frame comes (here, or at `also`), `wake` is readable, or the time (None for
    /// ever) is up. A readable ring whose next slot is still the kernel's is
    /// no error: look again.
    ///
    /// # Errors
    /// What poll says, EINTR apart.
    pub fn wait(
        &self,
        also: Option<&Self>,
        wake: BorrowedFd<'_>,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        let wake = PollFd::new(wake, PollFlags::POLLIN);
        let mut fds = [self.poll_fd(), wake, also.unwrap_or(self).poll_fd()];
        let used = if also.is_some() { 3 } else { 2 };
        match ppoll(&mut fds[..used], limit.map(TimeSpec::from), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // A ring bound to one interface is told once of its going down; until that is read, poll
        // would return at once for ever.
        for (fd, io) in [(&fds[0], Some(self)), (&fds[2], also)] {
            if let Some(io) = io
                && fd.revents().is_some_and(|told| told.contains(PollFlags::POLLERR))
            {
                let _told = getsockopt(&io.ring, SocketError)?;
            }
        }
        Ok(())
    }

    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)
    }

    /// What the kernel counted since the last call.
    ///
    /// # Errors
    /// What getsockopt says.
    pub fn stats(&self) -> io::Result<RingStats> {
        self.ring.stats()
    }

    /// Sends what waits where nothing more fits, or where it has to leave before what comes.
    #[inline]
    fn make_room(&mut self, full: bool) {
        let before = self.marking.as_ref().is_some_and(|marking| marking.len() > 0);
        if full || before || self.sender.len() == BATCH {
            self.send_now();
        }
    }

    /// Sends in the middle of a batch, keeping what failed for the next flush.
    fn send_now(&mut self) {
        let failures = &mut self.failures;
        self.sender.flush(&mut |failure| remember(failures, failure));
        if let Some(marking) = &mut self.marking {
            marking.flush(&mut |failure| remember(failures, failure));
        }
        self.arena.clear();
    }
}

/// Adds to an entry of the same kind, else makes one, else to the entry for all the rest of its errno.
fn remember(failures: &mut Vec<SendFailure>, new: SendFailure) {
    let same = |f: &&mut SendFailure| f.ifindex == new.ifindex && f.errno == new.errno;
    if let Some(old) = failures.iter_mut().find(same) {
        old.count += new.count;
        old.bytes += new.bytes;
    } else if failures.len() + 1 < FAILURES {
        failures.push(new);
    } else if let Some(rest) = failures.iter_mut().find(|f| f.ifindex == 0 && f.errno == new.errno)
    {
        rest.count += new.count;
        rest.bytes += new.bytes;
    } else {
        failures.push(SendFailure { ifindex: 0, ..new });
    }
}

//! A TPACKET_V2 receive ring: memory shared with the kernel, one slot a frame, in order.
//!
//! Owned by [`super::PacketIo`]. When full the kernel drops and counts ([`Ring::stats`]). A frame
//! longer than its slot waits in the socket's queue (PACKET_COPY_THRESH) and is fetched when its
//! slot comes up. Where that queue is full, or the frame longer than any buffer, it arrives clipped
//! and says so; whoever forwards must not forward that.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::filter::{self, Pass};
use super::long::{self, Long};
use super::{VNET_LEN, socket};
use crate::netns::operation;

/// Bytes of a slot: an ordinary frame with what stands before it. A longer one is kept whole in
/// the socket's queue, and its first bytes stand in the slot.
const SLOT: usize = 2048;
/// Slots of a block, which is a whole number of pages.
const SLOTS_A_BLOCK: usize = 16;
/// Bytes of long frames the socket may hold (the kernel doubles it for its own bookkeeping).
const QUEUE: libc::c_int = 4 << 20;

/// How a ring is made.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Least number of slots; rounded up to whole blocks of sixteen (2 KiB a slot).
    pub slots: usize,
    /// Joins this fanout group (PACKET_FANOUT_HASH: a flow stays with one ring) when set.
    pub fanout: Option<u16>,
    /// Whether it receives from the start.
    pub bound: bool,
    /// The one interface to receive from; 0 for every interface of the namespace.
    pub ifindex: u32,
    /// Sends through the interfaces' queueing disciplines, for those that others use too; past
    /// them is faster.
    pub queued: bool,
    /// Frames can leave by a [`super::Detour`] too.
    pub marking: bool,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self { slots: 4096, fanout: None, bound: true, ifindex: 0, queued: false, marking: false }
    }
}

/// What the kernel counted on a ring since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStats {
    /// Frames that reached the socket, dropped ones included (`tp_packets`).
    pub packets: u64,
    /// Frames dropped because the ring was full (`tp_drops`).
    pub drops: u64,
}

/// What stands beside a frame in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The interface it came in by.
    pub ifindex: u32,
    /// (TPID, TCI) of the tag the kernel took out.
    pub vlan: Option<(u16, u16)>,
    /// Length on the wire, without that tag.
    pub wire_len: u32,
    /// True where less is at hand than the wire held.
    pub clipped: bool,
    /// When the kernel took it, in nanoseconds of the wall clock (what a capture file wants).
    pub taken: u64,
}

/// The ring and its socket.
pub(super) struct Ring {
    fd: OwnedFd,
    base: NonNull<u8>,
    bytes: usize,
    slots: usize,
    head: usize,
    long: Long,
    /// How far ahead the slot is whose frame lies in `long`.
    beside: Option<usize>,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Opens a ring in the calling thread's namespace, behind a filter.
    pub(super) fn open(config: RingConfig, pass: &Pass) -> io::Result<Self> {
        let fd = socket::open()?;
        let blocks = config.slots.div_ceil(SLOTS_A_BLOCK).max(1);
        let slots = blocks * SLOTS_A_BLOCK;
        let version = libc::c_int::try_from(libc::tpacket_versions::TPACKET_V2 as u32).unwrap_or(1);
        option(&fd, libc::PACKET_VERSION, version, "choosing the ring's format")?;
        option(&fd, libc::PACKET_VNET_HDR, 1, "asking for virtio-net headers")?;
        option(&fd, socket::PACKET_IGNORE_OUTGOING, 1, "ignoring own transmissions")?;
        option(&fd, libc::PACKET_COPY_THRESH, 1, "asking for long frames whole")?;
        let queue = |name| {
            socket::set(fd.as_fd(), libc::SOL_SOCKET, name, QUEUE, "sizing the receive queue")
        };
        // The forced size needs CAP_NET_ADMIN of the first user namespace.
        queue(libc::SO_RCVBUFFORCE).or_else(|_| queue(libc::SO_RCVBUF))?;
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let request = libc::tpacket_req {
            tp_block_size: small(SLOT * SLOTS_A_BLOCK),
            tp_block_nr: small(blocks),
            tp_frame_size: small(SLOT),
            tp_frame_nr: small(slots),
        };
        option(&fd, libc::PACKET_RX_RING, request, "allocating the packet ring")?;
        let bytes = slots * SLOT;
        let base = map(&fd, bytes)?;
        // From here on `ring` unmaps on failure.
        let ring = Self { fd, base, bytes, slots, head: 0, long: Long::new(), beside: None };
        filter::put(ring.fd.as_fd(), pass)?;
        if config.bound {
            socket::bind(ring.fd.as_fd(), config.ifindex)?;
        }
        if let Some(group) = config.fanout {
            ring.join(group)?;
        }
        Ok(ring)
    }

    /// Becomes one of a fanout group; the socket is bound.
    pub(super) fn join(&self, group: u16) -> io::Result<()> {
        let value =
            u32::from(group) | (libc::PACKET_FANOUT_HASH | socket::FANOUT_IGNORE_OUTGOING) << 16;
        option(&self.fd, libc::PACKET_FANOUT, value, "joining the fanout group")
    }

    /// Number of slots.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Bytes shared with the kernel.
    pub(super) fn memory(&self) -> usize {
        self.bytes + long::BUFFER
    }

    /// True where the `ahead`-th slot from the oldest unreleased one holds a frame.
    pub(super) fn ready(&self, ahead: usize) -> bool {
        ahead < self.slots && self.status(ahead).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// True where no slot holds a frame, the next or a later one.
    pub(super) fn is_empty(&self) -> bool {
        !(0..self.slots).any(|ahead| self.ready(ahead))
    }

    /// How many frames wait.
    pub(super) fn pending(&self) -> usize {
        (0..self.slots).take_while(|ahead| self.ready(*ahead)).count()
    }

    /// True where the `ahead`-th slot holds a frame that is at hand. Call it once for each slot, in
    /// order. A frame longer than its slot is fetched; false too while another such frame has not
    /// been released.
    pub(super) fn admit(&mut self, ahead: usize) -> bool {
        if !self.ready(ahead) {
            return false;
        }
        if !self.is_queued(ahead) {
            return true;
        }
        if self.beside.is_some() {
            return false;
        }
        // SAFETY: the slot is the user's and begins with this header.
        let header = unsafe { self.slot_start(ahead).cast::<libc::tpacket2_hdr>().as_ptr().read() };
        self.long.fetch(self.fd.as_fd(), usize_of(header.tp_len));
        self.beside = Some(ahead);
        true
    }

    /// What came, and `[vnet header | frame]` in place. None where the slot is not ready or holds
    /// lengths that do not fit it.
    pub(super) fn slot(&mut self, ahead: usize) -> Option<(Received, &mut [u8])> {
        if !self.ready(ahead) {
            return None;
        }
        let start = self.slot_start(ahead);
        // SAFETY: the slot is the user's (checked above), is aligned and at least as large
        // as the header and the address that follows it.
        let (header, from) = unsafe {
            let header = start.cast::<libc::tpacket2_hdr>().as_ptr().read();
            let aligned = (size_of::<libc::tpacket2_hdr>() + 15) & !15;
            let from = start.add(aligned).cast::<libc::sockaddr_ll>().as_ptr().read();
            (header, from)
        };
        let (mac, snap) = (usize::from(header.tp_mac), usize_of(header.tp_snaplen));
        if mac < VNET_LEN || mac + snap > SLOT {
            return None;
        }
        let tagged = header.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
        let tpid = if header.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
            header.tp_vlan_tpid
        } else {
            0x8100
        };
        let mut received = Received {
            ifindex: u32::try_from(from.sll_ifindex).unwrap_or(0),
            vlan: tagged.then_some((tpid, header.tp_vlan_tci)),
            wire_len: header.tp_len,
            clipped: header.tp_snaplen < header.tp_len,
            taken: u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec),
        };
        if self.beside == Some(ahead)
            && let Some(bytes) = self.long.get()
        {
            received.clipped = false;
            return Some((received, bytes));
        }
        // SAFETY: offset and length were checked against the slot; the kernel does not touch a
        // slot that is the user's, and `&mut self` keeps it the only reference.
        let bytes = unsafe {
            let data = start.add(mac - VNET_LEN).as_ptr();
            std::slice::from_raw_parts_mut(data, VNET_LEN + snap)
        };
        Some((received, bytes))
    }

    /// Gives the oldest `count` slots back to the kernel.
    pub(super) fn release(&mut self, count: usize) {
        let fetched = self.beside.take();
        for ahead in 0..count.min(self.slots) {
            if self.is_queued(ahead) && fetched != Some(ahead) {
                // Nobody looked at it: off the queue with it, so that slots and queue keep step.
                self.long.fetch(self.fd.as_fd(), 0);
            }
            self.status(ahead).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
        self.head = (self.head + count) % self.slots;
    }

    /// What the kernel counted since the last call: reading clears it.
    pub(super) fn stats(&self) -> io::Result<RingStats> {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()).unwrap_or(0);
        // SAFETY: `stats` is writable and `len` is its size.
        let rc = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut len,
            )
        };
        if rc != 0 {
            return Err(operation("reading the ring's counters", io::Error::last_os_error()));
        }
        Ok(RingStats { packets: stats.tp_packets.into(), drops: stats.tp_drops.into() })
    }

    /// True where the frame of a slot waits in the queue.
    fn is_queued(&self, ahead: usize) -> bool {
        self.status(ahead).load(Ordering::Relaxed) & libc::TP_STATUS_COPY != 0
    }

    fn slot_start(&self, ahead: usize) -> NonNull<u8> {
        // `ahead` is below the number of slots; a division would cost more than all else here.
        let index = self.head + ahead;
        let index = if index < self.slots { index } else { index - self.slots };
        // SAFETY: index is below the number of slots, so the offset lies in the mapping (blocks
        // hold whole slots without a gap).
        unsafe { self.base.add(index * SLOT) }
    }

    fn status(&self, ahead: usize) -> &AtomicU32 {
        // SAFETY: a slot begins with its status word, aligned, shared with the kernel.
        unsafe { AtomicU32::from_ptr(self.slot_start(ahead).cast::<u32>().as_ptr()) }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: base and bytes are what mmap returned, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

fn map(fd: &OwnedFd, bytes: usize) -> io::Result<NonNull<u8>> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh shared mapping of the ring; the result is checked.
    let base = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, prot, libc::MAP_SHARED, fd.as_raw_fd(), 0)
    };
    if base == libc::MAP_FAILED {
        return Err(operation("mapping the packet ring", io::Error::last_os_error()));
    }
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("the ring was mapped at zero"))
}

fn option<T: Copy>(fd: &OwnedFd, name: libc::c_int, value: T, what: &str) -> io::Result<()> {
    socket::set(fd.as_fd(), libc::SOL_PACKET, name, value, what)
}

fn usize_of(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

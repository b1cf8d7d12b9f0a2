//! Batched sends: messages gathered as pointers, sent with as few `sendmmsg` calls as it takes.
//!
//! Owned by [`super::PacketIo`], which guarantees that what a message points to stays in place
//! until [`Sender::flush`]. A message the kernel refuses is reported and skipped; the next goes on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{Refusal, VNET_LEN, socket};

/// Messages of one batch; a fuller outbox is flushed first.
pub(super) const BATCH: usize = 512;
/// Most pieces of a message: vnet header, addresses, tags, rest, body.
const PIECES: usize = 5;
/// The flags of a send: musl's headers have another sign for them than the kernel and glibc.
#[cfg(target_env = "musl")]
type Flags = libc::c_uint;
#[cfg(not(target_env = "musl"))]
type Flags = libc::c_int;
const NO_WAIT: Flags = libc::MSG_DONTWAIT as Flags;
/// Most pieces of a message that was made longer.
const LINKS: usize = 64;
/// Messages of a batch that can be made longer.
const CHAINS: usize = 32;
/// The send buffer asked for, so that a burst of GSO frames is not refused.
const SEND_BUFFER: libc::c_int = 8 << 20;
/// Bytes of the two addresses, which a tag follows.
const ADDRESSES: usize = 12;
/// Bytes of a tag.
const TAG: usize = 4;

/// A control message that gives one message a mark (`SO_MARK`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    mark: u32,
    /// Up to the alignment of the next one.
    _rest: u32,
}

/// The tags (TPID, TCI) to put into a frame on its way out, the outermost first.
pub type Tags = [Option<(u16, u16)>; 2];

/// A message that waits; it means nothing any more once that has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message(u64);

/// Messages that the kernel would not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// The interface they were meant for; 0 stands for the rest where more interfaces than
    /// the record holds failed at once.
    pub ifindex: u32,
    /// The errno: ENOBUFS, ENETDOWN, ENXIO, EMSGSIZE and the like.
    pub errno: i32,
    /// How many frames they held.
    pub count: u64,
    /// The frames' bytes, without vnet headers and without the tags put in.
    pub bytes: u64,
}

impl SendFailure {
    /// What the errno says.
    #[must_use]
    pub fn why(&self) -> Refusal {
        Refusal::of(self.errno)
    }
}

/// The sending socket and the batch under way.
pub(super) struct Sender {
    fd: OwnedFd,
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<[libc::iovec; PIECES]>,
    addresses: Vec<libc::sockaddr_ll>,
    /// Rebuilt vnet header and tags of each tagged message.
    prefixes: Vec<[u8; VNET_LEN + 2 * TAG]>,
    /// Control messages; of the sender of marked frames alone.
    controls: Vec<Control>,
    /// Whose port each is for.
    meant: Vec<u32>,
    /// Frames of each message, and their bytes.
    holds: Vec<(u64, u64)>,
    /// The pieces of messages that were made longer.
    chains: Vec<[libc::iovec; LINKS]>,
    chained: usize,
    /// The number of the first message that waits.
    first: u64,
    count: usize,
}

// SAFETY: the pointers inside refer to vectors of this value or to memory that the owning
// PacketIo holds; none is tied to a thread.
unsafe impl Send for Sender {}

impl Sender {
    /// A sender to every interface of the calling thread's namespace.
    pub(super) fn open(queued: bool) -> io::Result<Self> {
        let fd = socket::open()?;
        let packet = |name, what| socket::set(fd.as_fd(), libc::SOL_PACKET, name, 1i32, what);
        packet(libc::PACKET_VNET_HDR, "asking for virtio-net headers on the sender")?;
        if !queued {
            packet(libc::PACKET_QDISC_BYPASS, "bypassing the queueing discipline")?;
        }
        let buffer = |name| {
            socket::set(fd.as_fd(), libc::SOL_SOCKET, name, SEND_BUFFER, "sizing the send buffer")
        };
        // The forced size needs CAP_NET_ADMIN of the first user namespace.
        buffer(libc::SO_SNDBUFFORCE).or_else(|_| buffer(libc::SO_SNDBUF))?;
        let piece = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: an all-zero mmsghdr is a valid, empty one.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Ok(Self {
            fd,
            headers: vec![header; BATCH],
            pieces: vec![[piece; PIECES]; BATCH],
            addresses: vec![socket::link_address(0); BATCH],
            prefixes: vec![[0; VNET_LEN + 2 * TAG]; BATCH],
            controls: Vec::new(),
            meant: vec![0; BATCH],
            holds: vec![(0, 0); BATCH],
            chains: vec![[piece; LINKS]; CHAINS],
            chained: 0,
            first: 0,
            count: 0,
        })
    }

    /// A sender whose messages can be marked, which pass the queueing discipline.
    pub(super) fn marking() -> io::Result<Self> {
        // SAFETY: an all-zero control message is a valid one, of nothing.
        let empty: Control = unsafe { std::mem::zeroed() };
        Ok(Self { controls: vec![empty; BATCH], chains: Vec::new(), ..Self::open(true)? })
    }

    /// Gives the message pushed last a mark; where the kernel refuses it, it is told as one for the
    /// interface `meant`.
    pub(super) fn mark(&mut self, mark: u32, meant: u32) {
        let Some(i) = self.count.checked_sub(1) else { return };
        let Some(control) = self.controls.get_mut(i) else { return };
        let length = size_of::<libc::cmsghdr>() + size_of::<u32>();
        #[allow(clippy::useless_conversion, reason = "an int in musl's headers")]
        let length = length.try_into().unwrap_or(0);
        control.header.cmsg_len = length;
        control.header.cmsg_level = libc::SOL_SOCKET;
        control.header.cmsg_type = libc::SO_MARK;
        control.mark = mark;
        let header = &mut self.headers[i].msg_hdr;
        header.msg_control = (&raw mut *control).cast();
        #[allow(clippy::useless_conversion, reason = "an int in musl's headers")]
        let room = size_of::<Control>().try_into().unwrap_or(0);
        header.msg_controllen = room;
        self.meant[i] = meant;
    }

    /// Messages waiting.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds `[vnet header | frame]` for `ifindex`, with the tags put in; the frame may end in a
    /// `body` that lies elsewhere. It is counted as `frames`, none where it is a part of one.
    /// None, and nothing added, where it is shorter than the headers or the batch is full.
    ///
    /// `data` and `body` must stay in place, unfreed, until the next [`flush`](Self::flush).
    pub(super) fn push(
        &mut self,
        (data, body): (&[u8], &[u8]),
        frames: u64,
        ifindex: u32,
        tags: Tags,
    ) -> Option<Message> {
        let i = self.count;
        let (vnet, frame) = data.split_first_chunk::<VNET_LEN>()?;
        if i == BATCH || frame.len() < ADDRESSES {
            return None;
        }
        let mut used = if tags == [None; 2] {
            self.pieces[i][0] = piece(data);
            1
        } else {
            let prefix = &mut self.prefixes[i];
            let mut end = VNET_LEN;
            for (tpid, tci) in tags.into_iter().flatten() {
                prefix[end..end + 2].copy_from_slice(&tpid.to_be_bytes());
                prefix[end + 2..end + TAG].copy_from_slice(&tci.to_be_bytes());
                end += TAG;
            }
            prefix[..VNET_LEN].copy_from_slice(&tagged_vnet(*vnet, end - VNET_LEN));
            let (addresses, rest) = frame.split_at(ADDRESSES);
            let (vnet, tags) = self.prefixes[i][..end].split_at(VNET_LEN);
            self.pieces[i] = [piece(vnet), piece(addresses), piece(tags), piece(rest), piece(&[])];
            4
        };
        if !body.is_empty() {
            self.pieces[i][used] = piece(body);
            used += 1;
        }
        self.addresses[i].sll_ifindex = i32::try_from(ifindex).unwrap_or(-1);
        self.meant[i] = ifindex;
        let header = &mut self.headers[i].msg_hdr;
        header.msg_name = (&raw mut self.addresses[i]).cast();
        header.msg_namelen = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
        header.msg_iov = self.pieces[i].as_mut_ptr();
        #[allow(clippy::useless_conversion, reason = "an int in musl's headers")]
        let used = used.try_into().unwrap_or(0);
        header.msg_iovlen = used;
        self.holds[i] = (frames, (frame.len() + body.len()) as u64);
        self.count += 1;
        Some(Message(self.first + i as u64))
    }

    /// Makes a message without tags longer by what follows the first `skip` bytes of another frame,
    /// which is counted with it. False, and nothing changed, where it has left or has tags, or where
    /// there is no room.
    ///
    /// `data` must stay in place like that of [`push`](Self::push).
    pub(super) fn extend(&mut self, message: Message, data: &[u8], skip: usize) -> bool {
        let i = message.0.checked_sub(self.first).and_then(|i| usize::try_from(i).ok());
        let Some(i) = i.filter(|i| *i < self.count) else { return false };
        let Some(more) = data.get(VNET_LEN + skip..).filter(|more| !more.is_empty()) else {
            return false;
        };
        let header = &mut self.headers[i].msg_hdr;
        let chain = if header.msg_iov == self.pieces[i].as_mut_ptr() {
            if header.msg_iovlen > 1 || self.chained == CHAINS {
                return false;
            }
            self.chained += 1;
            let chain = &mut self.chains[self.chained - 1];
            chain[0] = self.pieces[i][0];
            header.msg_iov = chain.as_mut_ptr();
            chain
        } else {
            let at =
                |chain: &&mut [libc::iovec; LINKS]| chain.as_ptr() == header.msg_iov.cast_const();
            let Some(chain) = self.chains.iter_mut().rev().find(at) else { return false };
            chain
        };
        #[allow(clippy::useless_conversion, reason = "an int in musl's headers")]
        let used = usize::try_from(header.msg_iovlen).unwrap_or(LINKS);
        let Some(next) = chain.get_mut(used) else { return false };
        *next = piece(more);
        header.msg_iovlen += 1;
        self.holds[i].0 += 1;
        self.holds[i].1 += (data.len() - VNET_LEN) as u64;
        true
    }

    /// Sends what waits; each refused message is told to `failed`.
    pub(super) fn flush(&mut self, failed: &mut dyn FnMut(SendFailure)) {
        let total = std::mem::take(&mut self.count);
        self.first += total as u64;
        self.chained = 0;
        let mut done = 0;
        while done < total {
            let left = libc::c_uint::try_from(total - done).unwrap_or(0);
            // The kernel's own call: musl's library makes one of another name for each message, which
            // a confined thread may not.
            // SAFETY: headers[done..total] were filled by push; they and what they point to are
            // in place until now (this type's and PacketIo's contract). Where musl's header has ints
            // for the kernel's longs, the halves between are those of new headers, zero.
            let sent = unsafe {
                libc::syscall(
                    libc::SYS_sendmmsg,
                    self.fd.as_raw_fd(),
                    self.headers[done..].as_mut_ptr(),
                    left,
                    NO_WAIT,
                )
            };
            if let Ok(sent @ 1..) = usize::try_from(sent) {
                done += sent;
                continue;
            }
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
            if errno == libc::EINTR {
                continue;
            }
            // An error always belongs to the first message of the call.
            let ifindex = self.meant[done];
            let (count, bytes) = self.holds[done];
            failed(SendFailure { ifindex, errno, count, bytes });
            done += 1;
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn piece(data: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() }
}

/// The vnet header of a frame that has grown by so many bytes of tags: the checksum starts later,
/// the headers are longer (where they are told at all).
fn tagged_vnet(mut vnet: [u8; VNET_LEN], bytes: usize) -> [u8; VNET_LEN] {
    let bytes = u16::try_from(bytes).unwrap_or(0);
    let mut grow = |at: usize| {
        let old = u16::from_ne_bytes([vnet[at], vnet[at + 1]]);
        if old != 0 {
            vnet[at..at + 2].copy_from_slice(&old.saturating_add(bytes).to_ne_bytes());
        }
    };
    grow(2);
    grow(6);
    vnet
}

//! A frame that outgrew its slot, fetched whole from the socket's queue into one buffer that is
//! used over and over, so that it stays in the core's cache.
//!
//! Owned by the ring. The kernel queues such frames in the order of their slots and
//! copies nothing until they are fetched: the copy is made by the switch's core, not by the
//! sender's. One buffer did better than four or sixteen: the frame leaves while it is still in the
//! cache.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::VNET_LEN;

/// Bytes of the buffer: a GSO frame of BIG TCP as links of a lab allow it (192 KiB), with room to
/// spare. A longer one is not fetched whole.
pub(super) const BUFFER: usize = 256 * 1024;
/// Errors of the socket itself (a link going down) met in a row before a frame is given up.
const PATIENCE: usize = 4;

/// The buffer, and the length of the frame in it; 0 where none could be fetched.
pub(super) struct Long {
    bytes: Box<[u8]>,
    length: usize,
}

impl Long {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BUFFER].into(), length: 0 }
    }

    /// Fetches the next frame of the queue, which is `wire_len` bytes long.
    pub(super) fn fetch(&mut self, fd: BorrowedFd<'_>, wire_len: usize) {
        let got = receive(fd, &mut self.bytes);
        // A frame longer than the buffer, or not the one expected, is not forwarded in part.
        let whole = got == VNET_LEN + wire_len && got <= BUFFER;
        self.length = if whole { got } else { 0 };
    }

    /// `[vnet header | frame]`, if it was fetched whole.
    pub(super) fn get(&mut self) -> Option<&mut [u8]> {
        (self.length > 0).then(|| &mut self.bytes[..self.length])
    }
}

/// Takes one frame off the queue; its true length, 0 on failure.
fn receive(fd: BorrowedFd<'_>, into: &mut [u8]) -> usize {
    for _ in 0..PATIENCE {
        // SAFETY: the pointer and the length are those of a writable slice that outlives the call.
        let got = unsafe {
            libc::recv(
                fd.as_raw_fd(),
                into.as_mut_ptr().cast(),
                into.len(),
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
            )
        };
        if let Ok(got) = usize::try_from(got) {
            return got;
        }
        // These are told before a frame is taken off the queue; after any other it is gone.
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR | libc::ENETDOWN) => {}
            _ => break,
        }
    }
    0
}

//! Memory that a program shares with this process: the one value of an array map, mapped
//! (`BPF_F_MMAPABLE`, since Linux 5.5).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use super::kernel;
use crate::netns::operation;

/// Words of 64 bits, zero at first, which the program and this process both read and write.
#[derive(Debug)]
pub struct Area {
    map: OwnedFd,
    base: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to this value, is not tied to a thread, and is reached as atomics.
unsafe impl Send for Area {}
// SAFETY: the same.
unsafe impl Sync for Area {}

impl Area {
    /// An area of so many words.
    ///
    /// # Errors
    /// EPERM without CAP_BPF; ENOMEM.
    pub fn new(name: &str, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<u64>();
        Self::of(kernel::mapped_array(name, u32::try_from(bytes).unwrap_or(u32::MAX))?, words)
    }

    /// So many words from the first value of an array on that may be mapped. Its values lie one
    /// behind the other where their size is a multiple of eight bytes.
    ///
    /// # Errors
    /// EINVAL for a map of another kind, or a shorter one; EPERM; ENOMEM.
    pub fn of(map: OwnedFd, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<u64>();
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh shared mapping of the map; the result is checked.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, prot, libc::MAP_SHARED, map.as_raw_fd(), 0)
        };
        if base == libc::MAP_FAILED {
            return Err(operation("mapping a BPF map", io::Error::last_os_error()));
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Self { map, base, words })
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, that long, and lives as long as `self`; the kernel
        // and the program reach it by whole words.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }

    pub(super) fn number(&self) -> i32 {
        self.map.as_raw_fd()
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: base and length are what mmap returned, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}

//! Memory that was asked for, used and given up, given back to the system.
//!
//! glibc keeps what is freed at the end of a thread's heap, up to a threshold of its own, and
//! `malloc_trim` leaves that alone but in the first thread's. The threshold rises with the largest block
//! that was ever freed (`mallopt(3)`): one table of megabytes, and megabytes stay with each thread.

/// How much a thread's heap keeps at its end, in bytes: glibc's default before it has risen.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 128 << 10;

/// Has the allocator keep little, whatever it sees freed. Before the first thread starts.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a setting of the allocator's.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Has a thread's heap shrink. The first time in a process glibc looks up how (its `malloc-sysdep.h` opens
/// /proc/sys/vm/overcommit_memory), whichever thread it is: so not one, later, that may open nothing.
pub fn shrink_once() {
    let fill = || {
        let blocks: Vec<Vec<u8>> = (0..16).map(|_| Vec::with_capacity(96 << 10)).collect();
        drop(std::hint::black_box(blocks));
    };
    // Nothing hangs on it.
    let _ = std::thread::Builder::new().spawn(fill).map(std::thread::JoinHandle::join);
}

/// Gives back what the allocator keeps. It takes milliseconds, and whoever allocates meanwhile
/// waits: for the end of something large.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator's own function; no memory that is in use is touched.
    unsafe {
        libc::malloc_trim(0);
    }
}

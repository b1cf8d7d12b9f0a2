//! Memory that was asked for, used and given up, given back to the system.

/// Gives back what the allocator keeps. It takes milliseconds, and whoever allocates meanwhile
/// waits: for the end of something large.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator's own function; no memory that is in use is touched.
    unsafe {
        libc::malloc_trim(0);
    }
}

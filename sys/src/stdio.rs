//! Which of the standard streams were closed when the program was started.
//!
//! Rust's runtime puts /dev/null where one is closed before `main` begins, and whoever writes there
//! believes that it was read. So the look is taken earlier, among the constructors.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bit for each of the descriptors 0, 1 and 2 that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

extern "C" fn look() {
    for fd in 0..3 {
        // SAFETY: F_GETFD takes no pointer, and a number that is no descriptor is an answer.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

// SAFETY: the C library calls the functions listed in this section before `main`, with arguments
// that this one does not look at; it touches nothing but an atomic.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Whether standard input (0), output (1) or error (2) was closed from the start.
#[must_use]
pub fn was_closed(fd: u8) -> bool {
    fd < 3 && CLOSED.load(Ordering::Relaxed) & 1 << fd != 0
}

//! eBPF programs that judge what comes in by an interface, or what a socket takes (`bpf(2)`,
//! `linux/bpf.h`).
//!
//! A program is a list of [`Op`]s put together by its caller, loaded by [`Program::load`] and
//! attached by [`Program::attach_ingress`], or to packet rings. Nothing is pinned: program, map and attachment live as
//! long as their descriptors, so they end with the process, however it ends.
//!
//! | module | what |
//! |---|---|
//! | [`op`] | one instruction |
//! | `draft` | a program under way, with jumps to places |
//! | `kernel` | maps, loading, attaching |
//! | `area` | memory that a program shares with this process |

mod area;
mod draft;
mod kernel;
pub mod op;
#[cfg(test)]
pub(crate) mod tests;

pub use area::Area;
pub use draft::Draft;
pub use kernel::{Attached, KeySet, Kind, LruMap, Map, Program};
pub use op::Op;

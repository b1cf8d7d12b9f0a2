//! eBPF programs that judge what comes in by an interface (`bpf(2)`, `linux/bpf.h`).
//!
//! A program is a list of [`Op`]s put together by its caller, loaded by [`Program::load`] and
//! attached by [`Program::attach_ingress`]. Nothing is pinned: program, map and attachment live as
//! long as their descriptors, so they end with the process, however it ends.
//!
//! | module | what |
//! |---|---|
//! | [`op`] | one instruction |
//! | `kernel` | maps, loading, attaching |

mod kernel;
pub mod op;
#[cfg(test)]
mod tests;

pub use kernel::{Attached, LruMap, Program};
pub use op::Op;

//! What a process may do, cut down to what it needs (`capabilities(7)`).
//!
//! Capabilities belong to a thread and pass to those it starts: to be called while there is but one.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};

/// Gives up every capability but `kept`, for good: from the permitted, effective, inheritable,
/// ambient and bounding sets; and what programs that are started might gain (`no_new_privs`).
///
/// # Errors
/// What the kernel says.
pub fn keep(kept: &[Capability]) -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let kept: CapsHashSet = kept.iter().copied().collect();
    // Before Linux 4.3 there is no ambient set.
    let _ = caps::clear(None, CapSet::Ambient);
    // Without CAP_SETPCAP whoever took that has cut the set, too.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(failed)? {
        for capability in caps::runtime::thread_all_supported() {
            if !kept.contains(&capability) {
                caps::drop(None, CapSet::Bounding, capability).map_err(failed)?;
            }
        }
    }
    let permitted = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let left = permitted.intersection(&kept).copied().collect();
    caps::set(None, CapSet::Effective, &left).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &left).map_err(failed)
}

fn failed(error: caps::errors::CapsError) -> io::Error {
    io::Error::other(error)
}

pub use caps::Capability as Kind;

//! Which kernel runs: what cannot be found out by trying follows from its number.
//!
//! Asked while links and workers are made, never by a worker that runs, whose system call filter
//! does not let it. A kernel that names itself otherwise is taken for an old one.

/// Frames of UDP segments can be told in a virtio-net header since this version
/// (`VIRTIO_NET_HDR_GSO_UDP_L4`).
pub const UDP_SEGMENTS: (u32, u32) = (6, 2);

/// The running kernel's version; None where it does not say.
#[must_use]
pub fn version() -> Option<(u32, u32)> {
    nix::sys::utsname::uname().ok().and_then(|name| parse(name.release().to_str()?))
}

/// The first two numbers of a kernel's release.
#[must_use]
pub fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

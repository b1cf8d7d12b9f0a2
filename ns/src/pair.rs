//! A veth pair whose far end is left in somebody else's namespace: to be fetched from there by an
//! engine, or to be furnished as an interface of the host. Called by `lab` while it runs.
//!
//! Where a step fails the pair is removed again. The kernel numbers the far end, for interfaces of
//! that namespace are not ours to count.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::net::if_::if_nametoindex;
use sys::netns::inside;

use crate::error::{Doing, Result};
use crate::message;
use crate::netlink::{Netlink, errno};
use crate::offloads;
use crate::plan::{End, NsId};

/// The kernel chooses.
const ANY: u32 = 0;

/// A pair to make.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Our end: its namespace, its name, its index there.
    pub near: (BorrowedFd<'a>, &'a str, u32),
    /// The other end: the namespace it is left in, and its name there.
    pub far: (BorrowedFd<'a>, &'a str),
    /// The hardware address of the other end.
    pub mac: [u8; 6],
    /// The largest packet of both, in bytes.
    pub mtu: u32,
    /// The other end's stack may hand on frames of more than 64 KiB (BIG TCP): where none of them
    /// leaves by a device that takes no longer ones, for which each would be cut into packets.
    pub large: bool,
    /// Stacks may hand on segments in tunnels whole ([`crate::Plan::tunnels`]).
    pub tunnels: bool,
}

/// Makes the pair, both ends down.
///
/// # Errors
/// When a name is taken, or the kernel refuses.
pub fn make(pair: &Pair<'_>) -> Result<()> {
    let Pair { near: (near, name, index), far: (far, far_name), mac, mtu, large, tunnels } = *pair;
    let end = |name: &str, index, mac| End { ns: NsId(0), name: name.into(), index, mac };
    let what = || format!("making the veth pair {name} and {far_name}");
    inside(near, || {
        let (a, b) = (end(name, index, None), end(far_name, ANY, Some(mac)));
        run(&[message::veth(&a, &b, far.as_raw_fd(), mtu)])?;
        offloads::restrict(name, tunnels)
    })
    .and_then(|()| {
        inside(far, || {
            if !large {
                run(&[message::set_gso(far_name, false)])?;
            }
            offloads::restrict(far_name, tunnels)
        })
    })
    .inspect_err(|error| {
        // What has the name already is not ours.
        if errno(error) != Some(libc::EEXIST) {
            let _ = inside(near, || run(&[message::delete_link(index)]));
        }
    })
    .doing(what)
}

/// Furnishes an interface, as one of the host's: its addresses, and up.
///
/// # Errors
/// When there is no such interface or the kernel refuses.
pub fn furnish(netns: BorrowedFd<'_>, name: &str, addresses: &[(IpAddr, u8)]) -> Result<()> {
    inside(netns, || {
        let index = if_nametoindex(name)?;
        // Nothing of IPv6 is said on a network that has none; of others the addresses are told.
        let silent = addresses.iter().all(|(address, _)| address.is_ipv4());
        let off = if silent { "1" } else { "0" };
        for (key, value) in [("disable_ipv6", off), ("accept_ra", "0"), ("accept_dad", "0")] {
            set(name, key, value)?;
        }
        for (address, prefix) in addresses {
            let request = message::address(index, *address, *prefix);
            match run(&[request]) {
                Err(error) if errno(&error) == Some(libc::EEXIST) => {}
                other => other?,
            }
        }
        run(&[message::set_up(index, true)])
    })
    .doing(|| format!("furnishing the interface {name}"))
}

/// A setting of an interface, below net/ipv6/conf. A kernel without IPv6 has none.
pub(crate) fn set(name: &str, key: &str, value: &str) -> io::Result<()> {
    set_in("ipv6", name, key, value)
}

/// The same below net/ipv4/conf or net/ipv6/conf.
pub(crate) fn set_in(family: &str, name: &str, key: &str, value: &str) -> io::Result<()> {
    match std::fs::write(format!("/proc/sys/net/{family}/conf/{name}/{key}"), value) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EROFS)) => Ok(()),
        other => other,
    }
}

fn run(requests: &[message::Request]) -> io::Result<()> {
    Netlink::open()?.run(requests).map_err(|refused| refused.error)
}

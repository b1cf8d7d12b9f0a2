//! VXLAN devices (RFC 7348): ends of tunnels that lie in one namespace and send and receive in another.
//!
//! The device is made from the outer namespace and put into the inner one at once, so its datagrams go
//! by the routes of the outer. It goes with the inner namespace.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;

use crate::error::{Doing, Result};
use crate::message;
use crate::netlink::{Netlink, errno};

/// What VXLAN puts before a frame, with the outer IP header: bytes of an outer packet that are not of
/// the inner one (Ethernet 14, VXLAN 8, UDP 8, IPv4 20 or IPv6 40).
#[must_use]
pub fn overhead(local: IpAddr) -> u32 {
    if local.is_ipv4() { 50 } else { 70 }
}

/// A device to be.
#[derive(Clone, Copy, Debug)]
pub struct Vxlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its index in the inner namespace.
    pub index: u32,
    /// The network's number, 24 bits.
    pub vni: u32,
    /// The outer address it sends from.
    pub local: IpAddr,
    /// The UDP port of all ends.
    pub port: u16,
    /// The largest inner packet, in bytes.
    pub mtu: u32,
    /// Whether the kernel learns behind which end an address is; without that its rows are set.
    pub learning: bool,
}

/// A row of a device's table: frames to `mac` go to `remote`. The address of zeros stands for what is
/// flooded, and has a row for each end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The address.
    pub mac: [u8; 6],
    /// The end behind which it is.
    pub remote: IpAddr,
}

/// A change of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It comes, in place of another for its address.
    Set(Row),
    /// It comes beside the others for its address.
    Append(Row),
    /// It goes.
    Remove(Row),
}

/// The rows of the device of this index in `inner`.
///
/// # Errors
/// When the kernel refuses.
pub fn rows(inner: BorrowedFd<'_>, index: u32) -> Result<Vec<Row>> {
    sys::netns::inside(inner, move || {
        let mut found = Vec::new();
        Netlink::open()?.dump(&message::get_fdb(), |item| {
            if let RouteNetlinkMessage::NewNeighbour(row) = item
                && row.header.ifindex == index
            {
                found.extend(message::fdb_row(&row));
            }
        })?;
        Ok(found)
    })
    .doing(|| format!("listing the addresses of VXLAN device {index}"))
}

/// Changes rows of the device of this index in `inner`, in this order. A row to be removed that is not
/// there is no error.
///
/// # Errors
/// What the kernel refuses first; what came before it is done.
pub fn change(inner: BorrowedFd<'_>, index: u32, changes: &[Change]) -> Result<()> {
    let requests: Vec<_> = changes.iter().map(|change| message::fdb(index, change)).collect();
    let told = sys::netns::inside(inner, move || {
        let mut netlink = Netlink::open()?;
        let mut rest = requests.as_slice();
        loop {
            match netlink.run(rest) {
                Ok(()) => return Ok(()),
                // The rows of its batch that came after it are done too.
                Err(refused) if errno(&refused.error) == Some(libc::ENOENT) => {
                    rest = rest.get(refused.place + 1..).unwrap_or_default();
                }
                Err(refused) => return Err(refused.error),
            }
        }
    });
    told.doing(|| format!("setting addresses of VXLAN device {index}"))
}

/// Makes a device in `inner`, which sends by `outer`; frames to addresses that nobody is known for go to
/// all of `remotes`. It is down yet.
///
/// # Errors
/// EEXIST where another device there has the number and the port, EOPNOTSUPP without the kernel's module;
/// nothing is left then.
pub fn create(
    outer: BorrowedFd<'_>,
    inner: BorrowedFd<'_>,
    device: &Vxlan<'_>,
    remotes: &[IpAddr],
) -> Result<()> {
    let request = message::vxlan(device, inner.as_raw_fd());
    let made = sys::netns::inside(outer, move || {
        Netlink::open()?.run(&[request]).map_err(|refused| refused.error)
    });
    made.doing(|| format!("making VXLAN device {} (VNI {})", device.name, device.vni))?;
    let requests: Vec<_> =
        remotes.iter().map(|remote| message::vxlan_remote(device.index, *remote)).collect();
    let told = sys::netns::inside(inner, move || {
        Netlink::open()?.run(&requests).map_err(|refused| refused.error)
    });
    told.doing(|| format!("telling {} of its remote ends", device.name)).inspect_err(|_| {
        // What is half made is of no use to anybody.
        let _ = crate::link::delete(inner, device.index);
    })
}

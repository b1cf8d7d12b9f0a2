//! Neighbours that a namespace's kernel has learned: forgetting one. The kernel's table is common
//! to all namespaces and holds 1,024 of them by default (`net.ipv4.neigh.default.gc_thresh3`).

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute};
use sys::netns::inside;

use crate::error::{Doing, Result};
use crate::message;
use crate::netlink::Netlink;

/// Has the kernel of `netns` forget what it knows of `address`, on every interface; nothing known
/// is no error.
///
/// # Errors
/// When the namespace cannot be entered or the kernel refuses.
pub fn forget(netns: BorrowedFd<'_>, address: Ipv4Addr) -> Result<()> {
    inside(netns, || {
        let mut netlink = Netlink::open()?;
        let sought = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
        let mut found = Vec::new();
        netlink.dump(&message::get_neighbours(), |item| {
            if let RouteNetlinkMessage::NewNeighbour(neighbour) = item
                && neighbour.attributes.contains(&sought)
            {
                found.push(message::delete_neighbour(neighbour.header.ifindex, address));
            }
        })?;
        netlink.run(&found).map_err(|refused| refused.error)
    })
    .doing(|| format!("forgetting the neighbour {address}"))
}

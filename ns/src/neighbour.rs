//! Neighbours that a namespace's kernel has learned: forgetting one, listing those of IPv6, which no
//! file tells of. The kernel's table is common to all namespaces and holds 1,024
//! of them by default (`net.ipv4.neigh.default.gc_thresh3`).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
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

/// A neighbour of IPv6 whose hardware address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the interface it is behind.
    pub index: u32,
    /// Its address.
    pub address: Ipv6Addr,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// The neighbours of IPv6 that the kernel of `netns` would send to without asking.
///
/// # Errors
/// When the namespace cannot be entered or the kernel refuses.
pub fn known_v6(netns: BorrowedFd<'_>) -> Result<Vec<Neighbour>> {
    inside(netns, || {
        let mut found = Vec::new();
        Netlink::open()?.dump(&message::get_neighbours_v6(), |item| {
            let RouteNetlinkMessage::NewNeighbour(row) = item else { return };
            use NeighbourState::{Failed, Incomplete, Noarp};
            // Groups have a hardware address that nobody asks for.
            if matches!(row.header.state, Incomplete | Failed | Noarp | NeighbourState::None) {
                return;
            }
            let address = row.attributes.iter().find_map(|attribute| match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(own)) => Some(*own),
                _ => None,
            });
            let mac = row.attributes.iter().find_map(|attribute| match attribute {
                NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok(),
                _ => None,
            });
            if let (Some(address), Some(mac)) = (address, mac) {
                found.push(Neighbour { index: row.header.ifindex, address, mac });
            }
        })?;
        Ok(found)
    })
    .doing(|| "listing the neighbours of IPv6".into())
}

//! What a namespace knows of its own place in the world: links, IPv4 addresses, default routes and those to
//! link-local addresses, and a socket that says when any of it has changed. Read by `lab` for a real
//! uplink; nothing is changed here.
//!
//! Other routes are skipped while reading: a router's full table passes by and is not kept.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use sys::netns::inside;

use crate::error::{Doing, Result};
use crate::link::Link;
use crate::message;
use crate::netlink::{Heard, NEXT_HOPS, Netlink, heard, listen};
use crate::tunnel::Tunnel;

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub index: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its prefix.
    pub prefix_len: u8,
    /// Another address of the same prefix was there before; the kernel does not choose this one.
    pub secondary: bool,
}

/// Where a default route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// To a router.
    Router(Ipv4Addr),
    /// Nowhere special: every host is asked for on the link.
    Link,
    /// To a router known by another kind of address.
    Other,
}

/// A default route; one for each interface where it has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The interface.
    pub index: u32,
    /// Where it leads.
    pub hop: Hop,
    /// The source address it prefers.
    pub source: Option<Ipv4Addr>,
    /// The lowest wins.
    pub metric: u32,
}

/// A route to link-local addresses, all of 169.254/16 (RFC 3927) or some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLocalRoute {
    /// The first of them.
    pub prefix: Ipv4Addr,
    /// The length of their prefix.
    pub prefix_len: u8,
    /// By which interface, and where it leads there; None for a route that refuses them, or does not say it.
    pub way: Option<(u32, Hop)>,
    /// The lowest wins, of those of one length.
    pub metric: u32,
}

/// A namespace as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its links.
    pub links: Vec<Link>,
    /// Its IPv4 addresses.
    pub addresses: Vec<Address>,
    /// Its tunnels over IPv4 by protocols without ports.
    pub tunnels: Vec<Tunnel>,
    /// The default routes of its main table, in the kernel's order.
    pub defaults: Vec<DefaultRoute>,
    /// The routes to link-local addresses there.
    pub link_local: Vec<LinkLocalRoute>,
    /// The numbers of the next hops that these routes have, where those are objects by themselves.
    pub next_hops: BTreeSet<u32>,
}

/// Looks at a namespace.
///
/// # Errors
/// When it cannot be entered or the kernel refuses.
pub fn look(netns: BorrowedFd<'_>) -> Result<View> {
    inside(netns, || {
        let mut view = View::default();
        let mut netlink = Netlink::open()?;
        netlink.dump(&message::get_links(), |item| {
            if let RouteNetlinkMessage::NewLink(link) = item {
                view.links.push(Link::from_message(&link));
                view.tunnels.extend(Tunnel::from_message(&link));
            }
        })?;
        netlink.dump(&message::get_addresses(), |item| {
            if let RouteNetlinkMessage::NewAddress(address) = item {
                view.addresses.extend(one_address(&address));
            }
        })?;
        netlink.dump(&message::get_routes(), |item| {
            if let RouteNetlinkMessage::NewRoute(route) = item {
                if is_default(&route) {
                    view.defaults.extend(default_routes(&route));
                }
                view.link_local.extend(link_local_routes(&route));
                if matters(&route) {
                    view.next_hops.extend(next_hop(&route));
                }
            }
        })?;
        Ok(view)
    })
    .doing(|| "looking at the addresses and routes of a namespace".into())
}

pub(crate) fn one_address(message: &AddressMessage) -> Option<Address> {
    let (mut local, mut peer) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(std::net::IpAddr::V4(address)) => local = Some(*address),
            AddressAttribute::Address(std::net::IpAddr::V4(address)) => peer = Some(*address),
            _ => {}
        }
    }
    Some(Address {
        index: message.header.index,
        address: local.or(peer)?,
        prefix_len: message.header.prefix_len,
        secondary: message.header.flags.contains(AddressHeaderFlags::Secondary),
    })
}

/// Whether a route is one that [`View`] has.
fn matters(route: &RouteMessage) -> bool {
    is_default(route) || link_local(route).is_some()
}

/// The number of a route's next hop that is an object by itself.
pub(crate) fn next_hop(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::NhId(number) => Some(*number),
        _ => None,
    })
}

pub(crate) fn is_default(route: &RouteMessage) -> bool {
    let header = &route.header;
    is_main(route) && header.destination_prefix_length == 0 && header.kind == RouteType::Unicast
}

/// Whether a route is of IPv4 and of the main table.
fn is_main(route: &RouteMessage) -> bool {
    let table = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    route.header.address_family == AddressFamily::Inet
        && table.unwrap_or(route.header.table.into()) == u32::from(RouteHeader::RT_TABLE_MAIN)
}

/// The link-local prefix that a route of the main table leads to, if it leads to one.
fn link_local(route: &RouteMessage) -> Option<(Ipv4Addr, u8)> {
    let prefix = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(prefix)) => Some(*prefix),
        _ => None,
    });
    let prefix_len = route.header.destination_prefix_length;
    let prefix = prefix.filter(|prefix| prefix.is_link_local() && prefix_len >= 16)?;
    is_main(route).then_some((prefix, prefix_len))
}

pub(crate) fn link_local_routes(route: &RouteMessage) -> Vec<LinkLocalRoute> {
    let Some((prefix, prefix_len)) = link_local(route) else { return Vec::new() };
    let metric = metric(route);
    let ways = match route.header.kind {
        RouteType::Unicast => match ways(route) {
            // Of a next hop that is an object the kernel may say its number alone (`nexthop_compat_mode`): it
            // leads elsewhere for all that is known.
            unsaid if unsaid.is_empty() => vec![None],
            said => said.into_iter().map(Some).collect(),
        },
        _ => vec![None],
    };
    ways.into_iter().map(|way| LinkLocalRoute { prefix, prefix_len, way, metric }).collect()
}

pub(crate) fn default_routes(route: &RouteMessage) -> Vec<DefaultRoute> {
    let source = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::PrefSource(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    });
    let metric = metric(route);
    let one = |(index, hop)| DefaultRoute { index, hop, source, metric };
    ways(route).into_iter().map(one).collect()
}

fn metric(route: &RouteMessage) -> u32 {
    let metric = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    metric.unwrap_or(0)
}

/// The interfaces that a route leads out of, and where it leads there.
fn ways(route: &RouteMessage) -> Vec<(u32, Hop)> {
    let hop = |attributes: &[RouteAttribute]| {
        let hop = attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(router)) => Some(Hop::Router(*router)),
            RouteAttribute::Via(_) | RouteAttribute::Gateway(_) => Some(Hop::Other),
            _ => None,
        });
        hop.unwrap_or(Hop::Link)
    };
    let mut ways = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => ways.push((*index, hop(&route.attributes))),
            RouteAttribute::MultiPath(all) => {
                ways.extend(all.iter().map(|way| (way.interface_index, hop(&way.attributes))));
            }
            _ => {}
        }
    }
    ways
}

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE: groups as bits of the address. Of routes that go with a
/// link, an address or a next hop of their own nothing else is announced.
const GROUPS: u32 = 0x1 | 0x10 | 0x40;

/// A socket on which changes of what [`look`] sees are announced.
pub struct Changes {
    socket: Socket,
}

impl Changes {
    /// Watches the namespace from now on.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket not be had.
    pub fn new(netns: BorrowedFd<'_>) -> Result<Self> {
        let socket = listen(netns, GROUPS)
            .doing(|| "watching the addresses and routes of a namespace".into())?;
        // Kernels before 5.3 have no such next hops.
        let _ = socket.add_membership(NEXT_HOPS);
        Ok(Self { socket })
    }

    /// Whether anything has changed since the last call, for somebody who saw routes by these next hops;
    /// events that the kernel could not keep count as a change.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn any(&mut self, next_hops: &BTreeSet<u32>) -> Result<bool> {
        let mut any = false;
        loop {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => {
                    any |= heard(&datagram).any(|one| match one {
                        // Routes to one place or another, and their next hops, come and go by the thousand
                        // on a router.
                        Heard::Message(
                            RouteNetlinkMessage::NewRoute(route)
                            | RouteNetlinkMessage::DelRoute(route),
                        ) => matters(&route),
                        Heard::NextHop(number) => next_hops.contains(&number),
                        Heard::Message(_) | Heard::Unread => true,
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => any = true,
                Err(e) => return Err(e).doing(|| "reading changes of addresses".into()),
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! By which interfaces hosts are reached: those of every route that leads to them, in whichever table and
//! however many better ones there are; and how interfaces lie upon each other. Read by `lab`, which lets a
//! host's packets in by the same interfaces alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use sys::netns::inside;

use crate::error::{Doing, Result};
use crate::message;
use crate::netlink::{Heard, NEXT_HOPS, Netlink, heard, listen};
use crate::route::next_hop;

/// An interface, and what it lies upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub index: u32,
    /// The bridge, bond, VRF or other one that it is a port of.
    pub master: Option<u32>,
    /// The one of this namespace whose frames it takes out: of a VLAN's, a macvlan, an ipvlan.
    pub lower: Option<u32>,
    /// Whether it takes its ports' frames out before their own stack has them, as bridges and bonds do: those
    /// come by again at it. Ports of a VRF, or of a mesh, are the stack's themselves.
    pub takes: bool,
}

/// By which interfaces hosts are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// The interfaces that a route to a host leads out of.
    pub by: BTreeMap<IpAddr, BTreeSet<u32>>,
    /// Hosts to which a route leads that does not say by which: of a next hop that is an object by itself.
    pub unsaid: BTreeSet<IpAddr>,
    /// The numbers of such next hops, also of those routes that say by which.
    pub next_hops: BTreeSet<u32>,
}

/// The interfaces of a namespace.
///
/// # Errors
/// When it cannot be entered or the kernel refuses.
pub fn places(netns: BorrowedFd<'_>) -> Result<Vec<Place>> {
    inside(netns, || {
        let mut all = Vec::new();
        Netlink::open()?.dump(&message::get_links(), |item| {
            if let RouteNetlinkMessage::NewLink(link) = item {
                all.push(place(&link));
            }
        })?;
        Ok(all)
    })
    .doing(|| "listing the links of a namespace".into())
}

/// By which interfaces each of these hosts, all of one family, is reached.
///
/// # Errors
/// Those of [`places`].
pub fn ways(netns: BorrowedFd<'_>, ends: &BTreeSet<IpAddr>) -> Result<Ways> {
    let Some(first) = ends.first() else { return Ok(Ways::default()) };
    let family = if first.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    inside(netns, || {
        let mut ways = Ways::default();
        Netlink::open()?.dump(&message::get_routes_of(family), |item| {
            if let RouteNetlinkMessage::NewRoute(route) = item {
                ways.add(&route, ends);
            }
        })?;
        Ok(ways)
    })
    .doing(|| "listing the routes of a namespace".into())
}

impl Ways {
    /// Whether a host may be reached by an interface.
    fn lead_by(&self, index: u32) -> bool {
        !self.unsaid.is_empty() || self.by.values().any(|out| out.contains(&index))
    }

    fn add(&mut self, route: &RouteMessage, ends: &BTreeSet<IpAddr>) {
        if route.header.kind != RouteType::Unicast {
            return;
        }
        let out = || {
            route.attributes.iter().flat_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => vec![*index],
                RouteAttribute::MultiPath(ways) => {
                    ways.iter().map(|way| way.interface_index).collect()
                }
                _ => Vec::new(),
            })
        };
        for end in covered(route, ends) {
            if out().next().is_none() {
                self.unsaid.insert(*end);
            }
            self.by.entry(*end).or_default().extend(out());
            self.next_hops.extend(next_hop(route));
        }
    }
}

/// Those of the hosts to which a route leads.
fn covered<'e>(
    route: &RouteMessage,
    ends: &'e BTreeSet<IpAddr>,
) -> impl Iterator<Item = &'e IpAddr> + use<'e> {
    let to = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(own)) => Some(IpAddr::V4(*own)),
        RouteAttribute::Destination(RouteAddress::Inet6(own)) => Some(IpAddr::V6(*own)),
        _ => None,
    });
    let any: IpAddr = match route.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    let (low, high) = range(to.unwrap_or(any), route.header.destination_prefix_length);
    ends.range(low..=high)
}

/// The first and the last address of a prefix.
fn range(address: IpAddr, len: u8) -> (IpAddr, IpAddr) {
    match address {
        IpAddr::V4(own) => {
            let host = u32::MAX.checked_shr(len.into()).unwrap_or(0);
            let low = u32::from(own) & !host;
            (Ipv4Addr::from(low).into(), Ipv4Addr::from(low | host).into())
        }
        IpAddr::V6(own) => {
            let host = u128::MAX.checked_shr(len.into()).unwrap_or(0);
            let low = u128::from(own) & !host;
            (Ipv6Addr::from(low).into(), Ipv6Addr::from(low | host).into())
        }
    }
}

fn place(link: &LinkMessage) -> Place {
    let mut place = Place { index: link.header.index, ..Place::default() };
    let (mut under, mut elsewhere, mut of_lower) = (None, false, false);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Controller(index) if *index > 0 => place.master = Some(*index),
            LinkAttribute::Link(index) => under = Some(*index),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(info) => {
                for one in info {
                    let LinkInfo::Kind(kind) = one else { continue };
                    place.takes = takes(kind);
                    of_lower = matches!(
                        kind,
                        InfoKind::Vlan
                            | InfoKind::MacVlan
                            | InfoKind::MacVtap
                            | InfoKind::IpVlan
                            | InfoKind::IpVtap
                    );
                }
            }
            _ => {}
        }
    }
    place.lower = under.filter(|_| of_lower && !elsewhere);
    place
}

/// Whether a master of that kind has an `rx_handler` at its ports that takes all frames.
fn takes(kind: &InfoKind) -> bool {
    match kind {
        InfoKind::Bridge | InfoKind::Bond | InfoKind::Team => true,
        InfoKind::Other(name) => name == "openvswitch",
        _ => false,
    }
}

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR and RTMGRP_IPV6_ROUTE
/// (linux/rtnetlink.h): groups as bits of the address.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// What has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Interfaces, or one of them.
    pub links: bool,
    /// A route to one of the hosts, or what it may have gone with without a word: its interface, an address
    /// of that, a next hop that is an object by itself (`fib_disable_ip`, `nexthop_flush_dev`).
    pub routes: bool,
}

impl Changed {
    fn hear(&mut self, told: &RouteNetlinkMessage, ends: &BTreeSet<IpAddr>, ways: &Ways) {
        match told {
            // Routes to one place or another come and go by the thousand on a router.
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                self.routes |= covered(route, ends).next().is_some();
            }
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                self.links = true;
                self.routes |= ways.lead_by(link.header.index);
            }
            // Routes with that source go as well, of IPv4 (`fib_sync_down_addr`).
            RouteNetlinkMessage::DelAddress(gone) => {
                let v4 = gone.header.family == AddressFamily::Inet;
                self.routes |= v4 || ways.lead_by(gone.header.index);
            }
            _ => {}
        }
    }
}

/// A socket on which changes of [`places`] and [`ways`] are announced.
pub struct Changes {
    socket: Socket,
}

impl Changes {
    /// Watches the namespace from now on.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket not be had.
    pub fn new(netns: BorrowedFd<'_>) -> Result<Self> {
        let socket = listen(netns, GROUPS).doing(|| "watching the routes of a namespace".into())?;
        // Kernels before 5.3 have no such next hops.
        let _ = socket.add_membership(NEXT_HOPS);
        Ok(Self { socket })
    }

    /// What has changed since the last call, as far as it matters to these hosts, which were reached by
    /// `ways`. Events that the kernel could not keep count as a change of all.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn take(&mut self, ends: &BTreeSet<IpAddr>, ways: &Ways) -> Result<Changed> {
        let mut changed = Changed::default();
        loop {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => {
                    for one in heard(&datagram) {
                        match one {
                            Heard::Message(told) => changed.hear(&told, ends, ways),
                            Heard::NextHop(number) => {
                                changed.routes |= ways.next_hops.contains(&number);
                            }
                            Heard::Unread => changed.routes = true,
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(changed),
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {
                    changed = Changed { links: true, routes: true };
                }
                Err(e) => return Err(e).doing(|| "reading changes of routes".into()),
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteNextHop;

    use super::*;

    fn route(to: &str, len: u8, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut route = RouteMessage::default();
        let to: IpAddr = to.parse().unwrap();
        route.header.address_family =
            if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        route.header.destination_prefix_length = len;
        route.header.kind = RouteType::Unicast;
        if len > 0 {
            route.attributes.push(RouteAttribute::Destination(to.into()));
        }
        route.attributes.extend(attributes);
        route
    }

    #[test]
    fn every_route_that_leads_to_a_host_counts_and_no_other() {
        let ends: BTreeSet<IpAddr> =
            ["10.9.0.2", "10.9.0.130", "192.0.2.1"].map(|end| end.parse().unwrap()).into();
        let [near, far, other] = [0, 1, 2].map(|at| *ends.iter().nth(at).unwrap());
        let mut hop = RouteNextHop::default();
        hop.interface_index = 7;
        let mut ways = Ways::default();
        let mut blackhole = route("10.9.0.2", 32, vec![RouteAttribute::Oif(9)]);
        blackhole.header.kind = RouteType::BlackHole;
        for route in [
            route("10.9.0.0", 25, vec![RouteAttribute::Oif(2)]),
            route("0.0.0.0", 0, vec![RouteAttribute::Oif(3)]),
            route("10.9.0.130", 32, vec![RouteAttribute::MultiPath(vec![hop])]),
            route("172.17.0.0", 16, vec![RouteAttribute::Oif(5)]),
            route("192.0.2.0", 24, vec![RouteAttribute::NhId(4)]),
            blackhole,
        ] {
            ways.add(&route, &ends);
        }
        assert_eq!(ways.by[&near], [2, 3].into());
        assert_eq!(ways.by[&far], [3, 7].into());
        assert_eq!(ways.by[&other], [3].into());
        assert_eq!(ways.unsaid, [other].into());
        assert_eq!(ways.next_hops, [4].into());
    }

    #[test]
    fn a_prefix_is_from_its_first_to_its_last_address() {
        for (address, len, low, high) in [
            ("10.9.0.2", 32, "10.9.0.2", "10.9.0.2"),
            ("10.9.0.2", 24, "10.9.0.0", "10.9.0.255"),
            ("10.9.0.2", 0, "0.0.0.0", "255.255.255.255"),
            ("fd00::1", 128, "fd00::1", "fd00::1"),
            ("fd00::1", 64, "fd00::", "fd00::ffff:ffff:ffff:ffff"),
        ] {
            let [address, low, high] = [address, low, high].map(|word| word.parse().unwrap());
            assert_eq!(range(address, len), (low, high), "{address}/{len}");
        }
    }
}

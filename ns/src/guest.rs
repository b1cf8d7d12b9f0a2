//! An interface in a namespace of somebody else's, a container's as a rule: its addresses and routes,
//! and what has become of them. Called by `lab` where an engine leaves all of it to us.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use sys::netns::inside;

use crate::error::{Doing, Error, Result};
use crate::link::Link;
use crate::message;
use crate::netlink::{Netlink, errno};
use crate::pair::{set, set_in};

/// From one look at a link that does not run yet to the next, and how many looks: ten seconds.
const NAP: Duration = Duration::from_millis(1);
const NAPS: u32 = 10_000;
/// Networks of a container that lead to the same places.
const TRIES: u32 = 64;

/// A route out of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads, and the length of that prefix.
    pub to: (IpAddr, u8),
    /// By which router; None where all that is on the link.
    pub via: Option<IpAddr>,
    /// The lowest wins; the kernel chooses one for None.
    pub metric: Option<u32>,
    /// The table; the main one for None.
    pub table: Option<u32>,
    /// `RT_SCOPE_`… (linux/rtnetlink.h).
    pub scope: Option<u8>,
    /// The largest packet that goes there, in bytes.
    pub mtu: Option<u32>,
    /// The largest segment of TCP that is asked for, in bytes.
    pub advmss: Option<u32>,
}

/// An interface as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Its owner has set it up.
    pub up: bool,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Routes of its namespace, of all tables.
    pub routes: Vec<SeenRoute>,
}

/// A route to one place, as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRoute {
    /// Where it leads, and the length of that prefix.
    pub to: (IpAddr, u8),
    /// By which router; None where all that is on the link.
    pub via: Option<IpAddr>,
    /// It leads out of the interface that was looked at.
    pub here: bool,
}

/// Furnishes an interface: its addresses, up, its routes.
///
/// # Errors
/// When there is no such interface, or the kernel refuses one of them, which the message names.
pub fn furnish(
    netns: BorrowedFd<'_>,
    name: &str,
    addresses: &[(IpAddr, u8)],
    routes: &[Route],
) -> Result<()> {
    let index = inside(netns, || {
        let index = if_nametoindex(name)?;
        if addresses.iter().any(|(address, _)| address.is_ipv6()) {
            for (key, value) in [("disable_ipv6", "0"), ("accept_ra", "0"), ("accept_dad", "0")] {
                set(name, key, value)?;
            }
        }
        Ok(index)
    });
    let index = index.doing(|| format!("looking for the interface {name} of a container"))?;
    let one = |request, what: String| {
        let run = || Netlink::open()?.run(&[request]).map_err(|refused| refused.error);
        inside(netns, run).doing(|| format!("{what} in a container"))
    };
    for (address, prefix) in addresses {
        let request = message::address(index, *address, *prefix);
        one(request, format!("giving {name} the address {address}/{prefix}"))?;
    }
    one(message::set_up(index, true), format!("setting {name} up"))?;
    for route in routes {
        let (to, prefix) = route.to;
        let mut route = route.clone();
        let mut tries = 0..TRIES;
        loop {
            let request = message::route_of(index, &route);
            match one(request, format!("making the route of {name} to {to}/{prefix}")) {
                // Another network's, by another interface: the first one wins, and where they are in
                // an order this one comes after it.
                Err(Error::Io { source, .. }) if errno(&source) == Some(libc::EEXIST) => {
                    let later = route.metric.and_then(|metric| metric.checked_add(1));
                    let Some(later) = later.filter(|_| tries.next().is_some()) else { break };
                    route.metric = Some(later);
                }
                other => break other?,
            }
        }
    }
    Ok(())
}

/// Waits until an interface carries what is sent: the kernel throws away what comes before.
///
/// # Errors
/// When there is no such interface, or it does not come up within ten seconds.
pub fn wait(netns: BorrowedFd<'_>, name: &str) -> Result<()> {
    let look = || -> io::Result<()> {
        for _ in 0..NAPS {
            let mut running = None;
            Netlink::open()?.dump(&message::get_links(), |item| {
                if let RouteNetlinkMessage::NewLink(link) = item {
                    let link = Link::from_message(&link);
                    if link.name == name {
                        running = Some(link.running);
                    }
                }
            })?;
            if running.ok_or(Errno::ENODEV)? {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
        Err(Errno::ETIMEDOUT.into())
    };
    inside(netns, look).doing(|| format!("waiting for the interface {name} of a container"))
}

/// Has an interface that carries what is sent tell others of its addresses (RFC 5227 section 2.3 for
/// IPv4, RFC 9131 for IPv6): whoever had one of them last may have had another hardware address, which the
/// others know for as long as half a minute.
///
/// # Errors
/// When there is no such interface or the kernel refuses.
pub fn announce(netns: BorrowedFd<'_>, name: &str, mac: [u8; 6]) -> Result<()> {
    let tell = || {
        set_in("ipv4", name, "arp_notify", "1")?;
        set_in("ipv6", name, "ndisc_notify", "1")?;
        // The kernel tells when the hardware address is set, be it the same.
        Netlink::open()?.run(&[message::set_mac(name, mac)]).map_err(|refused| refused.error)
    };
    inside(netns, tell)
        .doing(|| format!("telling others of the addresses of {name} of a container"))
}

/// Looks at an interface; None where there is none of this name.
///
/// # Errors
/// When the namespace cannot be entered or the kernel refuses.
pub fn look(netns: BorrowedFd<'_>, name: &str) -> Result<Option<Seen>> {
    inside(netns, || {
        let mut netlink = Netlink::open()?;
        let mut found = None;
        netlink.dump(&message::get_links(), |item| {
            if let RouteNetlinkMessage::NewLink(link) = item {
                let link = Link::from_message(&link);
                if link.name == name {
                    found = Some(link);
                }
            }
        })?;
        let Some(link) = found else { return Ok(None) };
        let mut seen = Seen { mac: link.mac, up: link.up, addresses: vec![], routes: vec![] };
        netlink.dump(&message::get_all_addresses(), |item| {
            let RouteNetlinkMessage::NewAddress(own) = item else { return };
            if own.header.index != link.index {
                return;
            }
            let (mut local, mut peer) = (None, None);
            for attribute in own.attributes {
                match attribute {
                    AddressAttribute::Local(address) => local = Some(address),
                    AddressAttribute::Address(address) => peer = Some(address),
                    _ => {}
                }
            }
            seen.addresses.extend(local.or(peer).map(|ip| (ip, own.header.prefix_len)));
        })?;
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            netlink.dump(&message::get_routes_of(family), |item| {
                if let RouteNetlinkMessage::NewRoute(route) = item {
                    seen.routes.extend(read(link.index, &route));
                }
            })?;
        }
        Ok(Some(seen))
    })
    .doing(|| format!("looking at the interface {name} of a container"))
}

/// A route to one place, as somebody asks for one; the interface of this number was looked at.
fn read(index: u32, route: &RouteMessage) -> Option<SeenRoute> {
    if route.header.kind != RouteType::Unicast {
        return None;
    }
    let any: IpAddr = match route.header.address_family {
        AddressFamily::Inet => std::net::Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let address = |address: &RouteAddress| match address {
        RouteAddress::Inet(own) => Some(IpAddr::from(*own)),
        RouteAddress::Inet6(own) => Some(IpAddr::from(*own)),
        _ => None,
    };
    let (mut to, mut via, mut out) = (any, None, None);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(own) => to = address(own)?,
            RouteAttribute::Gateway(own) => via = address(own),
            RouteAttribute::Oif(own) => out = Some(*own),
            _ => {}
        }
    }
    let to = (to, route.header.destination_prefix_length);
    Some(SeenRoute { to, via, here: out == Some(index) })
}

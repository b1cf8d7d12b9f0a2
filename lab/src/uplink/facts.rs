//! Which interface, which address, which router: chosen from what the kernel says of itself, as
//! the kernel itself would choose. Pure.

use std::net::Ipv4Addr;

use gateway::{LinkLocalHop, LinkLocalRoute, UplinkAddress};
use ns::Link;
use ns::route::{self, DefaultRoute, Hop, View};
use wire::MacAddr;

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// What the gateway needs to know of its uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: MacAddr,
    pub(crate) mtu: u16,
    pub(crate) address: UplinkAddress,
    /// Which link-local addresses are reached by it.
    pub(crate) link_local: Vec<LinkLocalRoute>,
    /// Set up by its owner.
    pub(crate) up: bool,
    /// And so is the other end.
    pub(crate) carrier: bool,
}

/// The uplink that was asked for: an interface by name, or None for the one the default route
/// leads out of; then `last` is the one it was so far, which is kept while there is no route.
///
/// `inside` is what the lab has for its own: addresses with the lengths of their prefixes.
pub(crate) fn choose(
    view: &View,
    asked: Option<&str>,
    last: Option<&str>,
    inside: &[(Ipv4Addr, u8)],
) -> Result<Facts> {
    let best = || view.defaults.iter().min_by_key(|route| route.metric);
    let refuse = |why: String| Error::Uplink { name: asked.unwrap_or("auto").into(), why };
    let link = match asked {
        Some(name) => named(view, name).ok_or_else(|| refuse(unknown(view, name)))?,
        None => {
            let led = best().and_then(|best| view.links.iter().find(|l| l.index == best.index));
            led.or_else(|| named(view, last?)).ok_or_else(|| {
                refuse("there is no default route: name an interface, --uplink IFACE".into())
            })?
        }
    };
    of(view, link, inside).map_err(refuse)
}

fn named<'a>(view: &'a View, name: &str) -> Option<&'a Link> {
    view.links.iter().find(|link| link.name == name)
}

fn unknown(view: &View, name: &str) -> String {
    let few = view.links.iter().filter(|l| l.ethernet).take(8).map(|l| l.name.as_str());
    let names: Vec<_> = few.collect();
    if names.is_empty() {
        format!("there is no interface {name}, and no Ethernet interface at all")
    } else {
        format!("there is no interface {name}; there are {}", names.join(", "))
    }
}

fn of(view: &View, link: &Link, inside: &[(Ipv4Addr, u8)]) -> std::result::Result<Facts, String> {
    let name = &link.name;
    let Some(mac) = link.mac.filter(|_| link.ethernet) else {
        return Err(format!("{name} is no Ethernet interface, and only those can be shared"));
    };
    if let Some(master) = link.master.and_then(|m| view.links.iter().find(|l| l.index == m)) {
        return Err(format!("{name} is a port of {0}: use --uplink {0}", master.name));
    }
    let routes = view.defaults.iter().filter(|route| route.index == link.index);
    let route = routes.min_by_key(|route| route.metric);
    let router = match route.map(|route| route.hop) {
        Some(Hop::Router(router)) => Some(router),
        Some(Hop::Other) => {
            return Err(format!("the default route out of {name} leads to no IPv4 router"));
        }
        Some(Hop::Link) | None => None,
    };
    let Some((own, prefix_len)) = source(view, link, route, router) else {
        return Err(format!("{name} has no IPv4 address: give it one, or use --uplink sim"));
    };
    // A default route without a router: every host is on the link.
    let prefix_len = if matches!(route, Some(r) if r.hop == Hop::Link) { 0 } else { prefix_len };
    let meets = |lan: &&(Ipv4Addr, u8)| {
        prefix_len > 0 && overlap((own, prefix_len), **lan)
            || router.is_some_and(|router| overlap((router, 32), **lan))
    };
    if let Some(lan) = inside.iter().find(meets) {
        return Err(format!(
            "the network of {name}, {own}/{prefix_len}, overlaps the lab's own, {}/{}",
            lan.0, lan.1
        ));
    }
    Ok(Facts {
        index: link.index,
        name: name.clone(),
        mac: MacAddr(mac),
        mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
        address: UplinkAddress { address: own, prefix_len, next_hop: router },
        link_local: link_local(view, link),
        up: link.up,
        carrier: link.up && link.carrier,
    })
}

/// Link-local addresses are where the host's routes to them lead. All others are on a link whose other
/// end is a program, for nobody else can be there (pasta is the host by such an address); of another link
/// nothing is known (RFC 3927, section 2.7).
fn link_local(view: &View, link: &Link) -> Vec<LinkLocalRoute> {
    let mut known: Vec<&route::LinkLocalRoute> = view.link_local.iter().collect();
    known.sort_by_key(|route| route.metric);
    let told = known.into_iter().map(|route| LinkLocalRoute {
        prefix: route.prefix,
        prefix_len: route.prefix_len,
        hop: match route.way {
            Some((index, Hop::Link)) if index == link.index => LinkLocalHop::Link,
            Some((index, Hop::Router(router))) if index == link.index => {
                LinkLocalHop::Router(router)
            }
            _ => LinkLocalHop::Nowhere,
        },
    });
    let prefix = Ipv4Addr::new(169, 254, 0, 0);
    let all = LinkLocalRoute { prefix, prefix_len: 16, hop: LinkLocalHop::Link };
    told.chain(link.tun.then_some(all)).collect()
}

/// The address the kernel would send from: the one the route names, else one in the router's
/// network, else the first.
fn source(
    view: &View,
    link: &Link,
    route: Option<&DefaultRoute>,
    router: Option<Ipv4Addr>,
) -> Option<(Ipv4Addr, u8)> {
    let all = || view.addresses.iter().filter(|a| a.index == link.index);
    let wanted = route.and_then(|route| route.source);
    let named = all().find(|a| Some(a.address) == wanted);
    let near = || {
        all().find(|a| {
            !a.secondary && router.is_some_and(|r| overlap((r, 32), (a.address, a.prefix_len)))
        })
    };
    let first = || all().find(|a| !a.secondary);
    named.or_else(near).or_else(first).map(|a| (a.address, a.prefix_len))
}

fn overlap(a: (Ipv4Addr, u8), b: (Ipv4Addr, u8)) -> bool {
    let shift = 32 - u32::from(a.1.min(b.1).min(32));
    let common = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
    common(a.0) == common(b.0)
}

//! Link-local destinations by the uplink (RFC 3927: 169.254/16). No router passes such packets on (section
//! 2.7), for their addresses mean something on one link alone. But behind the uplink's address we are a
//! host of its link, and whoever knows that link may say which of them are reached there: the host's own
//! routes do, and a link whose other end is a program has nobody else on it.
//!
//! Pure; asked by [`crate::route`]. Without a word about it all of them are refused.

use std::net::Ipv4Addr;

use crate::gateway::Gateway;

/// Routes at most; further ones are passed over.
const MOST: usize = 64;

/// A way to link-local addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLocalRoute {
    /// The first of them.
    pub prefix: Ipv4Addr,
    /// The length of their prefix.
    pub prefix_len: u8,
    /// Where they are found.
    pub hop: LinkLocalHop,
}

/// Where link-local addresses are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLocalHop {
    /// On the uplink's link, each by itself.
    Link,
    /// By this router there.
    Router(Ipv4Addr),
    /// Elsewhere, and not by the uplink.
    Nowhere,
}

/// All of them; of those that hold an address the longest prefix counts, of equal ones the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkLocal(Vec<LinkLocalRoute>);

impl Gateway {
    /// These are the ways to link-local addresses by the uplink; others are refused.
    pub fn set_link_local(&mut self, routes: Vec<LinkLocalRoute>) {
        let new = LinkLocal::new(routes);
        if self.links.routes.link_local != new {
            self.links.routes.link_local = new;
            self.stir();
        }
    }
}

impl LinkLocal {
    fn new(mut routes: Vec<LinkLocalRoute>) -> Self {
        routes
            .retain(|route| route.prefix.is_link_local() && (16..=32).contains(&route.prefix_len));
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix_len));
        routes.truncate(MOST);
        Self(routes)
    }

    /// Who is asked for on the uplink's link for a link-local address.
    pub(crate) fn hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        match self.0.iter().find(|route| route.holds(to))?.hop {
            LinkLocalHop::Link => Some(to),
            LinkLocalHop::Router(router) => Some(router),
            LinkLocalHop::Nowhere => None,
        }
    }

    /// Whether ARP may teach of this host on the uplink's link.
    pub(crate) fn is_neighbour(&self, address: Ipv4Addr) -> bool {
        let is_router = |route: &LinkLocalRoute| route.hop == LinkLocalHop::Router(address);
        (address.is_link_local() && self.hop(address) == Some(address))
            || self.0.iter().any(is_router)
    }

    /// The routes that lead somewhere: prefix, its length, and the router.
    pub(crate) fn views(&self) -> impl Iterator<Item = (Ipv4Addr, u8, Option<Ipv4Addr>)> {
        self.0.iter().filter_map(|route| match route.hop {
            LinkLocalHop::Link => Some((route.prefix, route.prefix_len, None)),
            LinkLocalHop::Router(router) => Some((route.prefix, route.prefix_len, Some(router))),
            LinkLocalHop::Nowhere => None,
        })
    }
}

impl LinkLocalRoute {
    fn holds(&self, address: Ipv4Addr) -> bool {
        let differs = u32::from(self.prefix) ^ u32::from(address);
        differs.checked_shr(32 - u32::from(self.prefix_len)).unwrap_or(0) == 0
    }
}

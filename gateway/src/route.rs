//! Where a packet goes: the gateway itself, a host of the LAN, the uplink, or nowhere.
//!
//! Three routes at most: the LAN's prefix, the uplink's prefix, and everything else through the
//! uplink's next hop. Pure; asked by both paths and by `explain`.

use std::net::Ipv4Addr;

use crate::config::{Lan, UplinkAddress};
use crate::verdict::Side;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the gateway's own address of that side.
    Own(Side),
    /// To this host on that side, the destination or a router.
    Via(Side, Ipv4Addr),
    /// A multicast or broadcast address: not routed.
    Multicast,
    /// Nowhere.
    None,
}

/// One row of `show routes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteView {
    /// The destination's prefix.
    pub prefix: Ipv4Addr,
    /// Its length.
    pub prefix_len: u8,
    /// The router, or None where hosts are reached directly.
    pub via: Option<Ipv4Addr>,
    /// The side it leads to.
    pub side: Side,
}

/// The routes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routes {
    lan: Ipv4Addr,
    lan_len: u8,
    pub(crate) uplink: Option<UplinkAddress>,
}

impl Routes {
    pub(crate) fn new(lan: &Lan, uplink: Option<UplinkAddress>) -> Self {
        Self { lan: lan.address, lan_len: lan.prefix_len, uplink }
    }

    /// Where a packet for `dst` goes.
    #[inline]
    pub(crate) fn to(&self, dst: Ipv4Addr) -> Route {
        if dst == self.lan {
            return Route::Own(Side::Lan);
        }
        if self.in_lan(dst) {
            let broadcast = is_broadcast(dst, self.lan_len);
            return if broadcast { Route::Multicast } else { Route::Via(Side::Lan, dst) };
        }
        if dst.is_multicast() || dst.is_broadcast() {
            return Route::Multicast;
        }
        if !is_unicast(dst) {
            return Route::None;
        }
        let Some(uplink) = self.uplink else { return Route::None };
        if dst == uplink.address {
            return Route::Own(Side::Uplink);
        }
        if same_prefix(dst, uplink.address, uplink.prefix_len) {
            let broadcast = is_broadcast(dst, uplink.prefix_len);
            return if broadcast { Route::Multicast } else { Route::Via(Side::Uplink, dst) };
        }
        if dst.is_link_local() {
            // RFC 3927 section 2.7: no router passes these on.
            return Route::None;
        }
        uplink.next_hop.map_or(Route::None, |hop| Route::Via(Side::Uplink, hop))
    }

    pub(crate) fn in_lan(&self, address: Ipv4Addr) -> bool {
        same_prefix(address, self.lan, self.lan_len)
    }

    /// True where a host on `side` can have this address: what ARP may teach.
    pub(crate) fn is_neighbour(&self, side: Side, address: Ipv4Addr) -> bool {
        let (own, len, hop) = match (side, self.uplink) {
            (Side::Lan, _) => (self.lan, self.lan_len, None),
            (Side::Uplink, Some(u)) => (u.address, u.prefix_len, u.next_hop),
            (Side::Uplink, None) => return false,
        };
        let direct = same_prefix(address, own, len) && !is_broadcast(address, len);
        is_unicast(address) && address != own && (direct || Some(address) == hop)
    }

    /// True where a packet from the LAN can have this source.
    #[inline]
    pub(crate) fn is_lan_source(&self, src: Ipv4Addr) -> bool {
        self.in_lan(src) && src != self.lan && !is_broadcast(src, self.lan_len)
    }

    /// True where a packet from the uplink can have this source.
    #[inline]
    pub(crate) fn is_uplink_source(&self, src: Ipv4Addr) -> bool {
        let uplink = self.uplink.is_none_or(|u| {
            let direct = same_prefix(src, u.address, u.prefix_len);
            src != u.address
                && !(direct && is_broadcast(src, u.prefix_len))
                && (direct || !src.is_link_local())
        });
        uplink && is_unicast(src) && !self.in_lan(src)
    }

    /// The table, as `show routes` prints it.
    pub(crate) fn views(&self) -> Vec<RouteView> {
        let prefix = |a: Ipv4Addr, len| Ipv4Addr::from(u32::from(a) & mask(len));
        let mut views = vec![RouteView {
            prefix: prefix(self.lan, self.lan_len),
            prefix_len: self.lan_len,
            via: None,
            side: Side::Lan,
        }];
        if let Some(u) = self.uplink {
            let (side, via) = (Side::Uplink, u.next_hop);
            let direct = prefix(u.address, u.prefix_len);
            views.push(RouteView { prefix: direct, prefix_len: u.prefix_len, via: None, side });
            if via.is_some() {
                let any = Ipv4Addr::UNSPECIFIED;
                views.push(RouteView { prefix: any, prefix_len: 0, via, side });
            }
        }
        views
    }
}

/// An address one host can have: not 0/8, 127/8, 224/3 (RFC 1122 3.2.1.3, RFC 1812 5.3.7).
#[inline]
pub(crate) fn is_unicast(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}

fn mask(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0)
}

#[inline]
fn same_prefix(a: Ipv4Addr, b: Ipv4Addr, len: u8) -> bool {
    (u32::from(a) ^ u32::from(b)) & mask(len) == 0
}

/// All zeros or all ones in the host part; a /31 (RFC 3021) or /32 has no such addresses.
fn is_broadcast(address: Ipv4Addr, len: u8) -> bool {
    let host = u32::from(address) & !mask(len);
    len < 31 && (host == 0 || host == !mask(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let config = crate::Config::simulated(wire::MacAddr::ZERO, wire::MacAddr::ZERO);
        Routes::new(&config.lan, config.uplink.and_then(|u| u.address))
    }

    #[test]
    fn destinations() {
        let to = |a: [u8; 4]| routes().to(a.into());
        let hop = Ipv4Addr::new(203, 0, 113, 1);
        assert_eq!(to([10, 100, 0, 1]), Route::Own(Side::Lan));
        assert_eq!(to([203, 0, 113, 2]), Route::Own(Side::Uplink));
        assert_eq!(to([10, 100, 3, 4]), Route::Via(Side::Lan, [10, 100, 3, 4].into()));
        assert_eq!(to([203, 0, 113, 9]), Route::Via(Side::Uplink, [203, 0, 113, 9].into()));
        assert_eq!(to([8, 8, 8, 8]), Route::Via(Side::Uplink, hop));
        for a in
            [[10, 100, 255, 255], [10, 100, 0, 0], [224, 0, 0, 1], [255; 4], [203, 0, 113, 255]]
        {
            assert_eq!(to(a), Route::Multicast, "{a:?}");
        }
        for a in [[127, 0, 0, 1], [0, 0, 0, 0], [240, 0, 0, 1], [169, 254, 169, 254]] {
            assert_eq!(to(a), Route::None, "{a:?}");
        }
        let alone = Routes { uplink: None, ..routes() };
        assert_eq!(alone.to([8, 8, 8, 8].into()), Route::None);
    }

    #[test]
    fn sources() {
        let r = routes();
        for (a, lan, uplink) in [
            ([10, 100, 0, 10], true, false),
            ([10, 100, 0, 1], false, false),
            ([10, 100, 255, 255], false, false),
            ([8, 8, 8, 8], false, true),
            ([203, 0, 113, 2], false, false),
            ([203, 0, 113, 255], false, false),
            ([203, 0, 113, 7], false, true),
            ([127, 0, 0, 1], false, false),
            ([0, 0, 0, 0], false, false),
            ([224, 0, 0, 1], false, false),
            ([255, 255, 255, 255], false, false),
            ([169, 254, 1, 1], false, false),
        ] {
            assert_eq!(r.is_lan_source(a.into()), lan, "{a:?}");
            assert_eq!(r.is_uplink_source(a.into()), uplink, "{a:?}");
        }
    }
}

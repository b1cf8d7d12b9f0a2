//! Where a packet goes: the gateway itself, a host of a leg, the uplink, or nowhere.
//!
//! The subnets of the legs first, then the uplink's, then everything else through the uplink's next
//! hop, but for what is link-local ([`crate::link_local`]). Subnets do not overlap, so an address belongs
//! to one leg at most. Pure; asked by both paths and by `explain`. [`Routes::check`] refuses what would
//! overlap; nothing else here can fail.

use std::net::Ipv4Addr;

use crate::config::UplinkAddress;
use crate::leg::{LegAddress, LegConfig, LegError, LegId};
use crate::link_local::LinkLocal;
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
    /// A loopback address, which no link has (RFC 1122 3.2.1.3).
    Loopback,
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
    /// The gateway's own address in a leg's subnet, or on the uplink while it has one.
    pub own: Option<Ipv4Addr>,
}

/// A subnet of a leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subnet {
    pub(crate) leg: LegId,
    pub(crate) own: Ipv4Addr,
    prefix_len: u8,
}

impl Subnet {
    fn first(&self) -> u32 {
        u32::from(self.own) & mask(self.prefix_len)
    }

    #[inline]
    fn contains(&self, address: Ipv4Addr) -> bool {
        same_prefix(address, self.own, self.prefix_len)
    }

    #[inline]
    fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        is_broadcast(address, self.prefix_len)
    }
}

/// The routes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// By first address.
    subnets: Vec<Subnet>,
    /// The first addresses alone: a search meets few cache lines.
    firsts: Vec<u32>,
    /// Which first octets a subnet has: most of the world is told apart by them.
    octets: [u64; 4],
    pub(crate) uplink: Option<UplinkAddress>,
    pub(crate) link_local: LinkLocal,
}

impl Routes {
    pub(crate) fn new(uplink: Option<UplinkAddress>) -> Self {
        Self { uplink, ..Self::default() }
    }

    /// Refuses subnets that a gateway cannot have beside those of other legs.
    pub(crate) fn check(&self, id: LegId, config: &LegConfig) -> Result<(), LegError> {
        for (n, one) in config.addresses.iter().enumerate() {
            let LegAddress { address, prefix_len } = *one;
            let last = u32::from(address) | !mask(prefix_len);
            let sound = (1..=32).contains(&prefix_len)
                && is_unicast(address)
                && is_unicast(Ipv4Addr::from(u32::from(address) & mask(prefix_len)))
                && is_unicast(Ipv4Addr::from(last))
                && !is_broadcast(address, prefix_len);
            if !sound {
                return Err(LegError::Address(*one));
            }
            let others = self.subnets.iter().filter(|subnet| subnet.leg != id);
            let others =
                others.map(|s| (LegAddress { address: s.own, prefix_len: s.prefix_len }, s.leg));
            let own = config.addresses[..n].iter().map(|before| (*before, id));
            if let Some((other, leg)) = others.chain(own).find(|(other, _)| overlap(*one, *other)) {
                return Err(LegError::Overlap(*one, other, leg));
            }
            let Some(uplink) = self.uplink else { continue };
            let direct = LegAddress { address: uplink.address, prefix_len: uplink.prefix_len };
            let router = uplink.next_hop.map(|address| LegAddress { address, prefix_len: 32 });
            // A length of 0 stands for a link that all of the world is on.
            let direct = Some(direct).filter(|direct| direct.prefix_len > 0);
            let address = LegAddress { address: uplink.address, prefix_len: 32 };
            let outside = [direct, router, Some(address)];
            if let Some(other) = outside.into_iter().flatten().find(|other| overlap(*one, *other)) {
                return Err(LegError::Uplink(*one, other));
            }
        }
        Ok(())
    }

    /// A leg has these subnets from now on, and no others.
    pub(crate) fn set(&mut self, id: LegId, addresses: &[LegAddress]) {
        self.subnets.retain(|subnet| subnet.leg != id);
        let new = |a: &LegAddress| Subnet { leg: id, own: a.address, prefix_len: a.prefix_len };
        self.subnets.extend(addresses.iter().map(new));
        self.subnets.sort_unstable_by_key(Subnet::first);
        self.firsts = self.subnets.iter().map(Subnet::first).collect();
        self.octets = [0; 4];
        for subnet in &self.subnets {
            let first = subnet.first() >> 24;
            let last = (subnet.first() | !mask(subnet.prefix_len)) >> 24;
            for octet in first..=last {
                self.octets[octet as usize / 64] |= 1 << (octet % 64);
            }
        }
    }

    /// The subnet an address is in.
    #[inline]
    pub(crate) fn subnet(&self, address: Ipv4Addr) -> Option<&Subnet> {
        let octet = usize::from(address.octets()[0]);
        if self.octets[octet / 64] & 1 << (octet % 64) == 0 {
            return None;
        }
        let after = self.firsts.partition_point(|first| *first <= u32::from(address));
        self.subnets.get(after.wrapping_sub(1)).filter(|subnet| subnet.contains(address))
    }

    /// The leg a host can be on.
    #[inline]
    pub(crate) fn leg(&self, address: Ipv4Addr) -> Option<LegId> {
        self.subnet(address).map(|subnet| subnet.leg)
    }

    /// Where a packet for `dst` goes.
    #[inline]
    pub(crate) fn to(&self, dst: Ipv4Addr) -> Route {
        if let Some(subnet) = self.subnet(dst) {
            let side = Side::Leg(subnet.leg);
            return match dst {
                _ if dst == subnet.own => Route::Own(side),
                _ if subnet.is_broadcast(dst) => Route::Multicast,
                _ => Route::Via(side, dst),
            };
        }
        // 0.0.0.0 is what broadcasts were sent to once (RFC 1812 5.3.5.1).
        if dst.is_multicast() || dst.is_broadcast() || dst.is_unspecified() {
            return Route::Multicast;
        }
        if dst.is_loopback() {
            return Route::Loopback;
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
        let hop = match dst.is_link_local() {
            true => self.link_local.hop(dst),
            false => uplink.next_hop,
        };
        hop.map_or(Route::None, |hop| Route::Via(Side::Uplink, hop))
    }

    /// True for the gateway's own address on any leg.
    pub(crate) fn is_own(&self, address: Ipv4Addr) -> bool {
        self.subnet(address).is_some_and(|subnet| subnet.own == address)
    }

    /// True where a host on `side` can have this address: what ARP may teach.
    pub(crate) fn is_neighbour(&self, side: Side, address: Ipv4Addr) -> bool {
        match (side, self.uplink) {
            (Side::Leg(leg), _) => self.is_source(leg, address),
            (Side::Uplink, Some(u)) => {
                let direct = same_prefix(address, u.address, u.prefix_len)
                    && !is_broadcast(address, u.prefix_len);
                let other = is_unicast(address) && address != u.address;
                let known = direct || Some(address) == u.next_hop;
                other && (known || self.link_local.is_neighbour(address))
            }
            (Side::Uplink, None) => false,
        }
    }

    /// True where a packet from a leg can have this source.
    #[inline]
    pub(crate) fn is_source(&self, leg: LegId, src: Ipv4Addr) -> bool {
        self.subnet(src).is_some_and(|subnet| {
            subnet.leg == leg && src != subnet.own && !subnet.is_broadcast(src)
        })
    }

    /// True where a packet from the uplink can have this source.
    #[inline]
    pub(crate) fn is_uplink_source(&self, src: Ipv4Addr) -> bool {
        let uplink = self.uplink.is_none_or(|u| {
            let direct = same_prefix(src, u.address, u.prefix_len);
            src != u.address
                && !(direct && is_broadcast(src, u.prefix_len))
                && (direct || !src.is_link_local() || self.link_local.hop(src).is_some())
        });
        uplink && is_unicast(src) && self.subnet(src).is_none()
    }

    /// True where two hosts of a leg are in one subnet and need no router between them.
    pub(crate) fn is_detour(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        self.subnet(src).is_some_and(|subnet| subnet.contains(dst))
    }

    /// The table, as `show routes` prints it.
    pub(crate) fn views(&self) -> Vec<RouteView> {
        let mut subnets = self.subnets.clone();
        // A leg's in their order.
        subnets.sort_by_key(|subnet| subnet.leg);
        let view = |subnet: &Subnet| RouteView {
            prefix: subnet.first().into(),
            prefix_len: subnet.prefix_len,
            via: None,
            side: Side::Leg(subnet.leg),
            own: Some(subnet.own),
        };
        let mut views: Vec<_> = subnets.iter().map(view).collect();
        if let Some(u) = self.uplink {
            let (side, via, own) = (Side::Uplink, u.next_hop, Some(u.address));
            let prefix = Ipv4Addr::from(u32::from(u.address) & mask(u.prefix_len));
            views.push(RouteView { prefix, prefix_len: u.prefix_len, via: None, side, own });
            let view = |(prefix, prefix_len, via)| RouteView { prefix, prefix_len, via, side, own };
            views.extend(self.link_local.views().map(view));
            if via.is_some() {
                let prefix = Ipv4Addr::UNSPECIFIED;
                views.push(RouteView { prefix, prefix_len: 0, via, side, own });
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

fn overlap(a: LegAddress, b: LegAddress) -> bool {
    same_prefix(a.address, b.address, a.prefix_len.min(b.prefix_len))
}

/// All zeros or all ones in the host part; a /31 (RFC 3021) or /32 has no such addresses.
fn is_broadcast(address: Ipv4Addr, len: u8) -> bool {
    let host = u32::from(address) & !mask(len);
    len < 31 && (host == 0 || host == !mask(len))
}

#[cfg(test)]
mod tests;

//! The same of IPv6: a node's routes, its own addresses, whom it knows.
//!
//! Routes and addresses are read from /proc as seen from inside the node's namespace; the kernel tells
//! of neighbours by netlink alone. Pure but for that; a line that is not understood is passed over.

use std::net::Ipv6Addr;

use wire::MacAddr;

/// `RTF_UP`, `RTF_GATEWAY`, `RTF_REJECT` (linux/route.h), `RTF_ANYCAST`, `RTF_LOCAL`
/// (linux/ipv6_route.h).
const UP: u32 = 1;
const VIA: u32 = 2;
const REJECT: u32 = 0x200;
const NOT_OUT: u32 = 0x0010_0000 | 0x8000_0000;

/// A node's tables of IPv6.
#[derive(Debug, Default)]
pub(super) struct Kernel6 {
    /// /proc/net/ipv6_route.
    pub(super) routes: String,
    /// /proc/net/if_inet6.
    pub(super) addresses: String,
    /// Neighbours, with the index of the interface they are behind.
    pub(super) known: Vec<(u32, Ipv6Addr, MacAddr)>,
}

/// An address of the node's own.
struct Own<'a> {
    address: Ipv6Addr,
    index: u32,
    interface: &'a str,
}

impl Kernel6 {
    /// The next hop to an address, itself where it is on a link of the node's own, and the interface it
    /// is reached by: the one that is named, where one is.
    pub(super) fn hop(&self, to: Ipv6Addr, named: Option<&str>) -> Option<(Ipv6Addr, &str)> {
        self.way(to, named).flatten()
    }

    /// Whether the route to an address is one that refuses.
    pub(super) fn refuses(&self, to: Ipv6Addr, named: Option<&str>) -> bool {
        self.way(to, named) == Some(None)
    }

    /// What the route to an address says: the next hop, or None, that it is refused.
    fn way(&self, to: Ipv6Addr, named: Option<&str>) -> Option<Option<(Ipv6Addr, &str)>> {
        let routes = self.routes.lines().filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [dst, length, _, _, via, metric, _, _, flags, interface] = words[..] else {
                return None;
            };
            let (dst, via) = (address(dst)?, address(via)?);
            let hex = |text| u32::from_str_radix(text, 16).ok();
            let (length, metric, flags) = (hex(length)?, hex(metric)?, hex(flags)?);
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
            let within = (to.to_bits() ^ dst.to_bits()) & mask == 0;
            // One that refuses is not up, as the kernel says it.
            let usable = within && flags & (UP | REJECT) != 0 && flags & NOT_OUT == 0;
            let meant = named.is_none_or(|named| named == interface);
            let hop = if flags & VIA != 0 { via } else { to };
            let way = (flags & REJECT == 0).then_some((hop, interface));
            (usable && meant).then_some((length, std::cmp::Reverse(metric), way))
        });
        // Of equal ones the kernel takes that which came first.
        let best = routes.reduce(
            |best, other| {
                if (other.0, other.1) > (best.0, best.1) { other } else { best }
            },
        );
        best.map(|(.., hop)| hop)
    }

    /// Whether it is the node's own.
    pub(super) fn has(&self, to: Ipv6Addr) -> bool {
        self.own().any(|own| own.address == to)
    }

    /// The address that it would send from by an interface: of a scope that reaches so far, and most
    /// like the other (RFC 6724, section 5, rules 2 and 8).
    pub(super) fn source(&self, to: Ipv6Addr, by: &str) -> Option<Ipv6Addr> {
        let wanted = scope(to);
        let rank = |own: &Own<'_>| {
            let scope = scope(own.address);
            let reaches = scope >= wanted;
            let common = (own.address.to_bits() ^ to.to_bits()).leading_zeros();
            (reaches, if reaches { -scope } else { scope }, common)
        };
        let here = self.own().filter(|own| own.interface == by);
        here.max_by_key(rank).map(|own| own.address)
    }

    /// The hardware address it knows of a neighbour behind an interface.
    pub(super) fn neighbour(&self, address: Ipv6Addr, by: &str) -> Option<MacAddr> {
        let index = self.own().find(|own| own.interface == by)?.index;
        let is = |row: &&(u32, Ipv6Addr, MacAddr)| (row.0, row.1) == (index, address);
        self.known.iter().find(is).map(|(.., mac)| *mac)
    }

    fn own(&self) -> impl Iterator<Item = Own<'_>> {
        self.addresses.lines().filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [text, index, _, _, _, interface] = words[..] else { return None };
            let index = u32::from_str_radix(index, 16).ok()?;
            Some(Own { address: address(text)?, index, interface })
        })
    }
}

/// 32 digits without colons.
fn address(text: &str) -> Option<Ipv6Addr> {
    (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Into::into)
}

/// How far an address reaches (RFC 4291, section 2.7): 2 on its link, 14 everywhere.
fn scope(address: Ipv6Addr) -> i8 {
    match address.octets() {
        [0xff, flags, ..] => i8::try_from(flags & 0xf).unwrap_or_default(),
        _ if address.is_unicast_link_local() || address.is_loopback() => 2,
        _ => 14,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    // As Linux 6.18 prints them.
    const ROUTES: &str = "\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 vethpeer1
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 vethpeer1
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003 vethpeer1
fd00000000000000000000000000000a 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001 vethpeer1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
    const ADDRESSES: &str = "\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000000005fffe640001 02 40 20 80 vethpeer1
fd00000000000000000000000000000a 02 40 00 80 vethpeer1
fe800000000000000000000000000007 03 40 20 80     eth1
";

    fn at(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    #[test]
    fn routes_sources_and_neighbours_are_the_kernels() {
        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        let known = vec![(3, at("fe80::9"), mac)];
        let kernel = Kernel6 { routes: ROUTES.into(), addresses: ADDRESSES.into(), known };
        for (to, named, hop) in [
            ("fd00::14", None, Some(("fd00::14", "vethpeer1"))),
            ("2001:db8::1", None, Some(("fd00::1", "vethpeer1"))),
            ("fe80::9", None, Some(("fe80::9", "vethpeer1"))),
            ("fe80::9", Some("eth1"), Some(("fe80::9", "eth1"))),
            ("fd00::14", Some("eth1"), None),
        ] {
            let wanted = hop.map(|(hop, by)| (at(hop), by));
            assert_eq!(kernel.hop(at(to), named), wanted, "{to} {named:?}");
        }
        assert!(kernel.has(at("fd00::a")) && !kernel.has(at("fd00::b")));
        for (to, from) in [
            ("fd00::14", "fd00::a"),
            ("fe80::14", "fe80::5ff:fe64:1"),
            ("ff02::1", "fe80::5ff:fe64:1"),
            ("ff05::1", "fd00::a"),
        ] {
            assert_eq!(kernel.source(at(to), "vethpeer1"), Some(at(from)), "{to}");
        }
        assert_eq!(kernel.neighbour(at("fe80::9"), "eth1"), Some(mac));
        assert_eq!(kernel.neighbour(at("fe80::9"), "vethpeer1"), None);
        assert_eq!(Kernel6::default().hop(at("fd00::14"), None), None);
    }
}

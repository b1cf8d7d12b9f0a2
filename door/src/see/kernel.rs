//! What a node's own kernel would do first: which route it has, whose hardware address it knows.
//!
//! Read from /proc as seen from inside the node's namespace; nothing is changed there. The parsing
//! is pure; a line that is not understood is passed over. IPv6 is `kernel6`'s.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use wire::MacAddr;

use super::kernel6::Kernel6;

/// `RTF_UP`, `RTF_GATEWAY`, `RTF_REJECT` (linux/route.h).
const UP: u32 = 1;
const VIA: u32 = 2;
const REJECT: u32 = 0x200;
/// `ATF_COM`: the address is known (linux/if_arp.h).
const COMPLETE: u32 = 2;

/// A node's tables.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    routes: String,
    neighbours: String,
    /// /proc/net/fib_trie, which has the addresses among the routes.
    tries: String,
    /// Those of IPv6; who is known there is told by whoever can ask.
    pub(super) v6: Kernel6,
}

impl Kernel {
    /// Of the namespace `netns`.
    pub(super) fn of(netns: BorrowedFd<'_>) -> io::Result<Self> {
        sys::netns::inside(netns, || {
            let read =
                |what: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{what}"));
            // A kernel without IPv6 has neither of these.
            let [routes, addresses] =
                ["ipv6_route", "if_inet6"].map(|what| read(what).unwrap_or_default());
            let v6 = Kernel6 { routes, addresses, known: Vec::new() };
            let tries = read("fib_trie").unwrap_or_default();
            Ok(Self { routes: read("route")?, neighbours: read("arp")?, tries, v6 })
        })
    }

    /// Whether it is one of the node's own addresses.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.has_v4(address),
            IpAddr::V6(address) => self.v6.has(address),
        }
    }

    fn has_v4(&self, address: Ipv4Addr) -> bool {
        // An address has a route of its own, to this host.
        self.leads(address, "/32 host LOCAL")
    }

    /// Whether an address means every host of a network of the node's own, or of any.
    pub(super) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || self.leads(address, "/32 link BROADCAST")
    }

    /// Whether there is such a route to an address alone.
    fn leads(&self, address: Ipv4Addr, route: &str) -> bool {
        let named = format!("|-- {address}");
        let mut here = false;
        self.tries.lines().map(str::trim).any(|line| {
            if line.starts_with("/") {
                return here && line == route;
            }
            here = line == named;
            false
        })
    }

    /// Whether the route to an address is one that refuses: `unreachable`, `prohibit`, `blackhole`.
    pub(super) fn refuses(&self, to: IpAddr, named: Option<&str>) -> bool {
        match to {
            IpAddr::V4(to) => self.way_v4(to) == Some(None),
            IpAddr::V6(to) => self.v6.refuses(to, named),
        }
    }

    /// The next hop to an address, itself where it is on a network of the node's own; and the
    /// interface it is reached by: the one that is named, where one is.
    pub(super) fn hop(&self, to: IpAddr, named: Option<&str>) -> Option<(IpAddr, &str)> {
        match to {
            IpAddr::V4(to) => self.hop_v4(to).map(|(hop, by)| (hop.into(), by)),
            IpAddr::V6(to) => self.v6.hop(to, named).map(|(hop, by)| (hop.into(), by)),
        }
    }

    fn hop_v4(&self, to: Ipv4Addr) -> Option<(Ipv4Addr, &str)> {
        self.way_v4(to).flatten()
    }

    /// What the longest route to an address says: the next hop, or None, that it is refused.
    fn way_v4(&self, to: Ipv4Addr) -> Option<Option<(Ipv4Addr, &str)>> {
        let routes = self.routes.lines().skip(1).filter_map(|line| {
            let mut words = line.split_whitespace();
            let interface = words.next()?;
            let mut hex = || u32::from_str_radix(words.next()?, 16).ok();
            let (dst, via, flags) = (hex()?, hex()?, hex()?);
            let mut rest = line.split_whitespace().skip(6);
            let metric: u32 = rest.next()?.parse().ok()?;
            let mask = u32::from_str_radix(rest.next()?, 16).ok()?;
            // The kernel prints addresses as it holds them, in network order.
            let within = u32::from_ne_bytes(to.octets()) & mask == dst;
            let hop = if flags & VIA != 0 { Ipv4Addr::from(via.to_ne_bytes()) } else { to };
            // One that leads nowhere has no interface.
            let leads = flags & REJECT == 0 && interface != "*";
            let way = leads.then_some((hop, interface));
            let usable = within && flags & UP != 0;
            usable.then_some((mask.count_ones(), std::cmp::Reverse(metric), way))
        });
        routes.max_by_key(|(length, metric, _)| (*length, *metric)).map(|(.., hop)| hop)
    }

    /// The hardware address it knows of a neighbour behind an interface.
    pub(super) fn neighbour(&self, address: IpAddr, by: &str) -> Option<MacAddr> {
        match address {
            IpAddr::V4(address) => self.neighbour_v4(address),
            IpAddr::V6(address) => self.v6.neighbour(address, by),
        }
    }

    fn neighbour_v4(&self, address: Ipv4Addr) -> Option<MacAddr> {
        let mut lines = self.neighbours.lines().skip(1);
        lines.find_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [ip, _, flags, mac, ..] = words.as_slice() else { return None };
            let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
            let is_it = ip.parse::<Ipv4Addr>().ok()? == address && flags & COMPLETE != 0;
            is_it.then(|| parse(mac)).flatten()
        })
    }
}

fn parse(text: &str) -> Option<MacAddr> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddr(mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
vethpeer1\t00000000\t0100640A\t0003\t0\t0\t0\t00000000\t0\t0\t0
vethpeer1\t0000640A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
*\t08080808\t00000000\t0201\t0\t0\t0\tFFFFFFFF\t0\t0\t0
*\t09090909\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
";
    const ARP: &str =
        "IP address       HW type     Flags       HW address            Mask     Device
10.100.0.1       0x1         0x2         06:00:0a:64:00:01     *        vethpeer1
10.100.0.99      0x1         0x0         00:00:00:00:00:00     *        vethpeer1
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_longest_route_and_a_neighbour_that_is_known() {
        let kernel = Kernel { routes: ROUTES.into(), neighbours: ARP.into(), ..Kernel::default() };
        let gateway = Ipv4Addr::new(10, 100, 0, 1);
        assert_eq!(
            kernel.hop_v4(Ipv4Addr::new(10, 100, 3, 4)),
            Some((Ipv4Addr::new(10, 100, 3, 4), "vethpeer1"))
        );
        assert_eq!(kernel.hop_v4(Ipv4Addr::new(1, 1, 1, 1)), Some((gateway, "vethpeer1")));
        let known = MacAddr([6, 0, 0x0a, 0x64, 0, 1]);
        assert_eq!(kernel.neighbour_v4(gateway), Some(known));
        assert_eq!(kernel.neighbour_v4(Ipv4Addr::new(10, 100, 0, 99)), None);
        assert_eq!(Kernel::default().hop_v4(gateway), None);
        for refused in [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(9, 9, 9, 9)] {
            assert_eq!(kernel.hop_v4(refused), None);
            assert!(kernel.refuses(refused.into(), None) && !kernel.refuses(gateway.into(), None));
        }
    }

    #[test]
    fn an_address_is_a_route_to_the_host_itself() {
        let tries = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 10.100.0.20
        /32 link UNICAST
Local:
  +-- 0.0.0.0/0 2 0 2
     |-- 10.100.0.10
        /32 host LOCAL
     |-- 10.100.0.0
        /16 link UNICAST
        /32 link BROADCAST
     |-- 10.100.255.255
        /32 link BROADCAST
";
        let kernel = Kernel { tries: tries.into(), ..Kernel::default() };
        assert!(kernel.has_v4(Ipv4Addr::new(10, 100, 0, 10)));
        for other in [[10, 100, 0, 1], [10, 100, 0, 20], [10, 100, 255, 255], [0, 0, 0, 0]] {
            assert!(!kernel.has_v4(other.into()), "{other:?}");
        }
        for all in [[255, 255, 255, 255], [10, 100, 255, 255], [10, 100, 0, 0]] {
            assert!(kernel.is_broadcast(all.into()), "{all:?}");
        }
        for one in [[10, 100, 0, 10], [10, 100, 0, 20], [10, 100, 0, 255], [0, 0, 0, 0]] {
            assert!(!kernel.is_broadcast(one.into()), "{one:?}");
        }
    }
}

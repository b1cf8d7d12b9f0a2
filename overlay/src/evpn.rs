//! A network that hosts tell each other of by BGP: EVPN (RFC 7432) over VXLAN (RFC 8365). What routes
//! say, and which of them are of this network.
//!
//! No host is asked whether an address is free, as a registry is. Each says what it has, with a number for
//! each hardware address that grows as the address moves ([`Table`]).

mod table;

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr};

use wire::MacAddr;

pub use table::{MOST, STALE, Table};

/// What BGP tells one route of a network from another by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it says.
    pub of: Of,
    /// Whose it is: the route distinguisher, a network at one host (RFC 4364, section 4.2).
    pub rd: [u8; 8],
}

/// What a route says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// Where a hardware address is, and perhaps an address of its node: type 2.
    Mac(MacAddr, Option<IpAddr>),
    /// That a host is to be sent what is flooded: type 3, with its originator.
    Floods(IpAddr),
}

/// How a hardware address has moved (RFC 7432, section 7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mobility {
    /// It does not move: no other host may have it.
    pub sticky: bool,
    /// The higher number has it; a route without one counts as 0.
    pub sequence: u32,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The end of the tunnel there.
    pub vtep: Ipv4Addr,
    /// For a hardware address, how it has moved.
    pub mobility: Mobility,
}

impl Route {
    /// The higher of two has the address: what does not move, then the higher number, and at a tie the
    /// lower end.
    pub(crate) fn rank(&self) -> (bool, u32, Reverse<Ipv4Addr>) {
        (self.mobility.sticky, self.mobility.sequence, Reverse(self.vtep))
    }
}

/// A route target (RFC 4360): which networks are to take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The AS whose number it is.
    pub asn: u32,
    /// The number.
    pub number: u32,
}

/// A route that came, or has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which.
    pub key: Key,
    /// What it says; None where it has gone.
    pub says: Option<Says>,
}

/// What a route says, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// The VNI that is in it; None where there is none.
    pub vni: Option<u32>,
    /// The networks that are to take it.
    pub targets: Vec<Target>,
    /// Where it leads.
    pub route: Route,
}

/// A network at this host, as its routes say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The network's number.
    pub vni: u32,
    /// This host's end of the tunnel.
    pub vtep: Ipv4Addr,
    /// What routes of ours are marked with.
    pub target: Target,
    /// Whether only what is marked so is taken; else whatever is marked with the VNI, by whichever AS, as
    /// FRR does.
    pub exact: bool,
}

impl Site {
    /// The network at a speaker of this AS: its routes are marked with the AS and the VNI
    /// (RFC 8365, section 5.1.2.1, as FRR and others do it).
    #[must_use]
    pub fn usual(vni: u32, vtep: Ipv4Addr, asn: u32) -> Self {
        Self { vni, vtep, target: Target { asn: asn & 0xffff, number: vni }, exact: false }
    }

    /// The distinguisher of our routes: our end, and as much of the VNI as there is room for (type 1).
    #[must_use]
    pub fn rd(&self) -> [u8; 8] {
        let [a, b, c, d] = self.vtep.octets();
        let [_, _, high, low] = self.vni.to_be_bytes();
        [0, 1, a, b, c, d, high, low]
    }

    /// The key of a route of ours.
    #[must_use]
    pub fn key(&self, of: Of) -> Key {
        Key { of, rd: self.rd() }
    }

    /// Whether a route is of this network.
    #[must_use]
    pub fn takes(&self, says: &Says) -> bool {
        let is_marked = says.targets.iter().any(|target| match self.exact {
            true => *target == self.target,
            false => target.number == self.vni,
        });
        is_marked && says.vni.is_none_or(|vni| vni == self.vni)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_takes_what_is_marked_for_it() {
        let vtep = Ipv4Addr::new(10, 9, 0, 1);
        let site = Site::usual(100, vtep, 4_200_000_001);
        assert_eq!(site.target, Target { asn: 4_200_000_001 & 0xffff, number: 100 });
        assert_eq!(site.rd(), [0, 1, 10, 9, 0, 1, 0, 100]);
        let route = Route { vtep, mobility: Mobility::default() };
        let says = |vni, asn, number| Says { vni, targets: vec![Target { asn, number }], route };
        assert!(site.takes(&says(Some(100), 65000, 100)) && site.takes(&says(None, 7, 100)));
        assert!(!site.takes(&says(Some(101), 65000, 100)));
        assert!(!site.takes(&says(Some(100), 65000, 101)));
        assert!(!site.takes(&Says { targets: Vec::new(), ..says(None, 0, 0) }));
        let exact = Site { target: Target { asn: 65000, number: 7 }, exact: true, ..site };
        assert!(exact.takes(&says(Some(100), 65000, 7)));
        assert!(!exact.takes(&says(Some(100), 65001, 7)));
        assert!(!exact.takes(&says(Some(100), 65000, 100)));
    }
}

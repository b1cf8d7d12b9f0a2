//! A network's gateway as a container meets it: whose hardware address it cannot have, and which way it leads out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use topology::{Address, Subnet};
use wire::MacAddr;

use crate::{Network, Refusal, Route};

impl Network {
    /// Refuses a hardware address that is the gateway's here: what comes for the container would be its.
    ///
    /// # Errors
    /// [`Refusal`] of that one.
    pub fn takes(&self, mac: MacAddr) -> Result<(), Refusal> {
        let mut own = self.pools.iter().filter_map(|pool| match pool.gateway?.ip {
            IpAddr::V4(own) => Some(topology::shape::address::mac(own)),
            IpAddr::V6(_) => None,
        });
        match own.next() == Some(mac) {
            true => Err(Refusal(format!("hardware address {mac} is the gateway's"))),
            false => Ok(()),
        }
    }

    /// The gateway's address for a container with this one, in whose subnet it is.
    #[must_use]
    pub fn gateway_of(&self, ip: IpAddr) -> Option<IpAddr> {
        let mut pools = self.pools.iter().filter(|pool| pool.subnet.contains(ip));
        pools.find_map(|pool| pool.gateway).map(|gateway| gateway.ip)
    }

    /// The default routes of a container with these addresses: one a family, by the gateway that is in a subnet
    /// with it; none where there is no way out.
    #[must_use]
    pub fn ways_out(&self, addresses: &[Address]) -> Vec<Route> {
        let mut ways: Vec<Route> = Vec::new();
        for own in addresses.iter().filter(|_| !self.internal) {
            let any = match own.ip {
                IpAddr::V4(_) => Subnet::of(Ipv4Addr::UNSPECIFIED.into(), 0),
                IpAddr::V6(_) => Subnet::of(Ipv6Addr::UNSPECIFIED.into(), 0),
            };
            let Some((any, via)) = any.zip(self.gateway_of(own.ip)) else { continue };
            if !ways.iter().any(|way| way.to == any) {
                ways.push(Route::new(any, Some(via)));
            }
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Options, Pool};

    #[test]
    fn a_container_is_led_out_by_the_gateway_in_its_own_subnet() {
        let pool = |subnet: &str, gateway: &str| Pool {
            subnet: subnet.parse().unwrap(),
            gateway: gateway.parse().ok(),
        };
        let mut network = Network {
            id: "n".into(),
            pools: vec![
                pool("10.77.0.0/24", "10.77.0.1/24"),
                pool("10.79.0.0/24", "10.79.0.1/24"),
                pool("fd00:77::/64", "fd00:77::1/64"),
                pool("fd00:79::/64", "fd00:79::1/64"),
            ],
            internal: false,
            names: false,
            passing: false,
            options: Options::default(),
        };
        let ways = |network: &Network, own: &[&str]| {
            let own: Vec<Address> = own.iter().map(|text| text.parse().unwrap()).collect();
            let ways = network.ways_out(&own).into_iter();
            ways.map(|way| way.via.unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ways(&network, &["10.77.0.2/24"]), ["10.77.0.1"]);
        let both = ["10.79.0.2/24", "fd00:79::2/64", "fd00:77::2/64"];
        assert_eq!(ways(&network, &both), ["10.79.0.1", "fd00:79::1"]);
        assert!(ways(&network, &["10.80.0.2/24"]).is_empty());
        // Nor may it have that one's hardware address.
        let Refusal(why) = network.takes(MacAddr([2, 0, 10, 77, 0, 1])).unwrap_err();
        assert!(why.contains("the gateway's"), "{why}");
        assert_eq!(network.takes(MacAddr([2, 0, 10, 77, 0, 2])), Ok(()));
        network.internal = true;
        assert!(ways(&network, &both).is_empty());
    }
}

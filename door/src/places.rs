//! Where the gateway is in a network that tells VLANs apart, as a file says it: a leg that was moved to
//! another VLAN takes the network's subnets along, and one that was taken out has no address.

use lab::domain::Domain;
use lab::station;
use topology::{Gateway, GatewayVlan, Network};
use wire::VlanId;

use crate::network::Of;

/// Has a network of a spec say where the gateway's legs are now.
pub(crate) fn said(network: &mut Network, of: &Of) {
    if of.config.vlans.is_none() {
        return;
    }
    for (vlan, leg) in &of.domain.legs {
        let leg = station::leg(*leg);
        let now = of.config.legs.iter().find(|(_, other)| *other == leg).map(|(vlan, _)| *vlan);
        if let Some(own) = network.vlans.get_mut(&vlan.get()) {
            if now.is_none() {
                own.gateway = Gateway::None;
            }
            continue;
        }
        match now {
            None => network.gateway = Gateway::None,
            Some(vlan) if network.default_pvid() == Some(vlan.get()) => {}
            Some(vlan) => moved(network, vlan),
        }
    }
}

/// The subnets of a network are a VLAN's.
fn moved(network: &mut Network, vlan: VlanId) {
    let subnets = std::mem::take(&mut network.subnets);
    let gateway = std::mem::take(&mut network.gateway);
    network.vlans.insert(vlan.get(), GatewayVlan { subnets, gateway });
    network.vlans.sort_unstable_keys();
}

/// The gateway's legs by VLAN where a network begins to tell them apart: where its file, with all that was
/// set since, has them.
pub(crate) fn begun(network: &Network, domain: &Domain) -> Vec<(VlanId, switch::Leg)> {
    let of_vlan = |vlan: &VlanId| network.vlans.contains_key(&vlan.get());
    let place = |(vlan, leg): &(VlanId, gateway::LegId)| {
        let vlan = match of_vlan(vlan) {
            true => *vlan,
            false => VlanId::from_tci(network.default_pvid()?),
        };
        Some((vlan, station::leg(*leg)))
    };
    let mut legs: Vec<_> = domain.legs.iter().filter_map(place).collect();
    legs.sort_unstable();
    legs
}

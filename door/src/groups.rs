//! Snooping and known neighbours at the door: what a network is set to; for whom questions are
//! answered.

use std::net::IpAddr;

use control::DoorError;
use control::api::{Known, Network};
use lab::port;
use switch::NetworkId;
use switch::core::McastConfig;
use wire::MacAddr;

use crate::open::{Answer, LabDoor, refusal};
use crate::settings;

fn invalid(line: String) -> DoorError {
    DoorError::Invalid(line)
}

/// A network with what its snooping is set to, and how full it is.
pub(crate) fn shown(
    door: &LabDoor,
    id: NetworkId,
    config: &McastConfig,
    network: Network,
) -> Answer<Network> {
    let counts = door.switch(|switch| switch.groups(id))?;
    let counts = counts.map(|groups| groups.counts()).unwrap_or_default();
    Ok(Network {
        mcast_snooping: config.snooping,
        mcast_querier: config.querier,
        mcast_router: port::router_shown(config.router),
        mcast_igmp_version: config.igmp_version,
        mcast_mld_version: config.mld_version,
        mcast_last_member_count: config.last_member_count,
        mcast_last_member_interval: config.last_member_interval.into(),
        mcast_startup_query_count: config.startup_query_count,
        mcast_startup_query_interval: config.startup_query_interval.into(),
        mcast_query_interval: config.query_interval.into(),
        mcast_query_response_interval: config.query_response_interval.into(),
        mcast_querier_interval: config.querier_interval.into(),
        mcast_membership_interval: config.membership_interval.into(),
        mcast_hash_max: config.hash_max,
        mcast_n_groups: counts.groups,
        mcast_n_refused: counts.refused,
        ..network
    })
}

/// Tells the switch of everybody who is known.
pub(crate) fn tell_known(door: &LabDoor) -> Answer<()> {
    door.lab()?.tell_known().map_err(|error| refusal(&error))
}

pub(crate) fn known(door: &LabDoor) -> Answer<Vec<Known>> {
    let row = |ip: IpAddr, mac: MacAddr, own| Known {
        address: ip.to_string(),
        mac: Some(mac.to_string()),
        own,
    };
    let lab = door.lab()?;
    let set = lab.named_neighbours();
    let mut all: Vec<_> = set.iter().map(|(ip, mac)| row(*ip, *mac, false)).collect();
    let mut known = lab.neighbours();
    for (name, _) in lab.networks() {
        let own = known.remove(&name).unwrap_or_default().into_iter();
        let own = own.filter(|(ip, _)| !set.contains_key(ip));
        all.extend(own.map(|(ip, mac)| row(ip, mac, true)));
    }
    Ok(all)
}

pub(crate) fn set_known(door: &LabDoor, ask: &Known) -> Answer<()> {
    door.switch(|_| ())?;
    let address: IpAddr = ask
        .address
        .parse()
        .map_err(|_| invalid(format!("{:?} is no address of IPv4 or IPv6", ask.address)))?;
    let lab = door.lab()?;
    match &ask.mac {
        Some(mac) => {
            lab.with_spec(|spec| spec.names_neighbour(address)).map_err(invalid)?;
            let mac = settings::mac(mac)?;
            lab.name_neighbour(address, mac).map_err(|error| refusal(&error))
        }
        None => match lab.forget_neighbour(address).map_err(|error| refusal(&error))? {
            true => Ok(()),
            false => Err(DoorError::NotFound(format!("{address} was not set by hand"))),
        },
    }
}

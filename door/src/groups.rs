//! Snooping and known neighbours at the door: what a network is set to; for whom questions are
//! answered.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use control::DoorError;
use control::api::{Known, Network};
use lab::{Lab, port, station};
use switch::core::McastConfig;
use switch::{NetworkId, Switch};
use wire::MacAddr;

use crate::open::{Answer, LabDoor};
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

/// What the lab knows by itself, by network: its nodes, with the link-local addresses that theirs make,
/// and the gateway.
fn own(lab: &Lab) -> HashMap<String, BTreeMap<IpAddr, MacAddr>> {
    let mut all: HashMap<String, BTreeMap<IpAddr, MacAddr>> = HashMap::new();
    for interface in lab.nodes().iter().flat_map(|node| &node.interfaces) {
        let Some(network) = &interface.network else { continue };
        let known = all.entry(network.clone()).or_default();
        known.insert(link_local(interface.mac).into(), interface.mac);
        known.extend(interface.addresses.iter().map(|address| (address.ip, interface.mac)));
    }
    lab.with_spec(|spec| {
        for name in spec.networks.keys() {
            let gateway = station::gateway_in(spec, name).zip(station::mac_in(spec, name));
            let known = all.entry(name.clone()).or_default();
            known.extend(gateway.map(|((address, _), mac)| (IpAddr::V4(address), mac)));
        }
    });
    all
}

/// RFC 4291, appendix A.
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

/// Tells the switch of everybody who is known: after a node has come or gone, or was named. Networks
/// in which nothing has changed are not told.
pub(crate) fn tell_known(door: &LabDoor) -> Answer<()> {
    let lab = door.lab()?;
    let mut all = own(&lab);
    for (name, of) in lab.networks() {
        let mut known = all.remove(&name).unwrap_or_default();
        known.extend(door.known().iter().map(|(ip, mac)| (*ip, *mac)));
        let told = door.switch(|switch: &Switch| match *switch.neighbours(of.id) == known {
            true => Ok(()),
            false => switch.set_neighbours(of.id, &Arc::new(known)),
        })?;
        told.map_err(|error| DoorError::Failed(error.to_string()))?;
    }
    Ok(())
}

pub(crate) fn known(door: &LabDoor) -> Answer<Vec<Known>> {
    let row = |ip: IpAddr, mac: MacAddr, own| Known {
        address: ip.to_string(),
        mac: Some(mac.to_string()),
        own,
    };
    let set = door.known().clone();
    let mut all: Vec<_> = set.iter().map(|(ip, mac)| row(*ip, *mac, false)).collect();
    let lab = door.lab()?;
    let mut known = own(&lab);
    for (name, _) in lab.networks() {
        let own = known.remove(&name).unwrap_or_default().into_iter();
        let own = own.filter(|(ip, _)| !set.contains_key(ip));
        all.extend(own.map(|(ip, mac)| row(ip, mac, true)));
    }
    Ok(all)
}

/// Neighbours that may be named by hand.
const KNOWN: usize = 4096;

pub(crate) fn set_known(door: &LabDoor, ask: &Known) -> Answer<()> {
    door.switch(|_| ())?;
    let address: IpAddr = ask
        .address
        .parse()
        .map_err(|_| invalid(format!("{:?} is no address of IPv4 or IPv6", ask.address)))?;
    if address.is_multicast() || address.is_unspecified() || address.is_loopback() {
        return Err(invalid(format!("{address} is no address of one host")));
    }
    match &ask.mac {
        Some(mac) => {
            let mac = settings::mac(mac)?;
            let mut known = door.known();
            if known.len() >= KNOWN && !known.contains_key(&address) {
                return Err(DoorError::Failed(format!("{KNOWN} neighbours are known already")));
            }
            known.insert(address, mac);
        }
        None => {
            let gone = door.known().remove(&address);
            gone.ok_or_else(|| DoorError::NotFound(format!("{address} was not set by hand")))?;
        }
    }
    tell_known(door)
}

//! A network of the spec as the switch and the gateway hold it: its number, the gateway's legs in it,
//! and the adapters from one to the others. The adapters are pure.
//!
//! The switch and the gateway count legs alike, so a leg has one number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ::topology::{Address, Network, Seconds, SetNetwork, Spec, VlanProtocol};
use gateway::{LegAddress, LegConfig, LegId, Policy};
use switch::core::{McastConfig, Memberships, PortVlans, VlanFilter};
use switch::{NetworkConfig, NetworkId, PortId, PortSettings};
use wire::{MacAddr, VlanId};

use crate::error::{Error, Result};
use crate::host_port::Kept;
use crate::port;
use crate::station;

/// A network as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its number in the switch.
    pub id: NetworkId,
    /// The gateway's legs in it, by VLAN; [`VlanId::NONE`] where VLANs are not told apart.
    pub legs: Vec<(VlanId, LegId)>,
    /// The host's place in it, where it has the gateway's addresses too.
    pub host: Option<Hosted>,
    /// What is kept of that place.
    pub kept: Kept,
    /// The most its MTU may become, in bytes, where what it has was made to fit a tunnel and nobody asked for it.
    pub fitted: Option<u32>,
    /// What its MTU was, in bytes, until it became another that nobody has been told of.
    pub(crate) resized: Option<u32>,
}

/// The host's place in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// Its port.
    pub port: PortId,
    /// Who asks for names at the gateway's addresses asks the lab's resolver, and not the host's.
    pub names: bool,
}

/// The networks of a lab, by name.
pub(crate) type Domains = BTreeMap<String, Domain>;

/// The first address of IPv4 of these, with its prefix length.
fn first_v4(addresses: &[Address]) -> Option<(Ipv4Addr, u8)> {
    addresses.iter().find_map(|address| match address.ip {
        IpAddr::V4(own) => Some((own, address.prefix.unwrap_or(32))),
        IpAddr::V6(_) => None,
    })
}

/// The gateway's places in a network, by VLAN: those that have an address of IPv4.
fn places(network: &Network) -> Vec<(VlanId, Vec<Address>)> {
    let untagged = match network.filters_vlans() {
        true => network.default_pvid().map(VlanId::from_tci),
        false => Some(VlanId::NONE),
    };
    let mut all: Vec<_> = untagged.map(|vlan| (vlan, network.gateways())).into_iter().collect();
    if network.filters_vlans() {
        for vlan in network.vlans.keys() {
            let own = network.gateways_of(Some(*vlan));
            let vlan = VlanId::from_tci(*vlan);
            all.retain(|(other, _)| *other != vlan);
            all.push((vlan, own));
        }
    }
    all.retain(|(_, own)| first_v4(own).is_some());
    all
}

/// The numbers of a lab's networks and legs, in the order of the spec.
pub(crate) fn all(spec: &Spec) -> Result<Domains> {
    let mut domains = Domains::new();
    for (number, (name, network)) in (0..).zip(&spec.networks) {
        let legs = legs(&domains, network)?;
        domains.insert(
            name.clone(),
            Domain {
                id: NetworkId(number),
                legs,
                host: None,
                kept: Kept::default(),
                fitted: None,
                resized: None,
            },
        );
    }
    Ok(domains)
}

/// Numbers for the legs of one more network: the lowest that are free.
pub(crate) fn legs(domains: &Domains, network: &Network) -> Result<Vec<(VlanId, LegId)>> {
    let taken = domains.values().flat_map(|domain| &domain.legs).map(|(_, leg)| *leg);
    let taken: BTreeSet<LegId> = taken.collect();
    let most = u16::try_from(LegId::MAX).unwrap_or(u16::MAX);
    let mut free = (0..most).map(LegId).filter(|leg| !taken.contains(leg));
    let number = |(vlan, _)| {
        let leg = free.next().ok_or_else(|| {
            Error::Usage(format!("the gateway has all the {} legs it can have", LegId::MAX))
        })?;
        Ok((vlan, leg))
    };
    places(network).into_iter().map(number).collect()
}

/// The legs of a network as the gateway is told of them.
pub(crate) fn of_gateway(spec: &Spec, domains: &Domains, name: &str) -> Vec<(LegId, LegConfig)> {
    let (Some(network), Some(domain)) = (spec.network(name), domains.get(name)) else {
        return Vec::new();
    };
    let others =
        domains.iter().filter(|(other, _)| *other != name && spec.routes_between(name, other));
    let routed: Vec<LegId> =
        others.flat_map(|(_, domain)| &domain.legs).map(|(_, leg)| *leg).collect();
    let mtu = u16::try_from(spec.mtu_of(name)).unwrap_or(u16::MAX);
    let mac = station::mac_in(spec, name).unwrap_or(MacAddr::ZERO);
    let leg = |(vlan, own): (VlanId, Vec<Address>)| {
        let (_, id) = domain.legs.iter().find(|(of, _)| *of == vlan)?;
        let addresses = own.iter().filter_map(|address| {
            let (address, prefix_len) = first_v4(&[*address])?;
            Some(LegAddress { address, prefix_len })
        });
        let (internal, isolated) = (network.internal, network.isolated);
        let policy = Policy { internal, isolated, routed: routed.clone() };
        Some((*id, LegConfig { mac, addresses: addresses.collect(), mtu, policy }))
    };
    places(network).into_iter().filter_map(leg).collect()
}

/// A network as the switch is told of it.
pub(crate) fn of_switch(spec: &Spec, domains: &Domains, name: &str) -> NetworkConfig {
    let Some(network) = spec.network(name) else { return NetworkConfig::default() };
    let legs = domains.get(name).map(|domain| domain.legs.as_slice()).unwrap_or_default();
    let default = NetworkConfig::default();
    NetworkConfig {
        local: station::mac_in(spec, name).filter(|_| !legs.is_empty()),
        legs: legs.iter().map(|(vlan, leg)| (*vlan, station::leg(*leg))).collect(),
        group_fwd_mask: network.group_fwd_mask.unwrap_or(default.group_fwd_mask),
        ageing_time: network.ageing_time.map_or(default.ageing_time, Duration::from_secs),
        fdb_max_learned: network.fdb_max_learned.filter(|most| *most > 0),
        gateway_guard: network.gateway_guard.unwrap_or(default.gateway_guard),
        host: domains.get(name).and_then(|domain| domain.host).map(|host| host.port),
        mcast: groups_set(&McastConfig::default(), &network.settings()),
        vlans: network.filters_vlans().then(|| VlanFilter {
            protocol: network.vlan_protocol.unwrap_or(VlanProtocol::Dot1Q).tpid(),
        }),
    }
}

/// What settings of a network's multicast make of what it `is` set to.
#[must_use]
pub fn groups_set(is: &McastConfig, network: &SetNetwork) -> McastConfig {
    let router = network.mcast_router.and_then(|mode| port::router(mode).ok());
    let span = |asked: Option<Seconds>, is: Duration| asked.map_or(is, Seconds::span);
    McastConfig {
        snooping: network.mcast_snooping.unwrap_or(is.snooping),
        querier: network.mcast_querier.unwrap_or(is.querier),
        router: router.unwrap_or(is.router),
        igmp_version: network.mcast_igmp_version.unwrap_or(is.igmp_version),
        mld_version: network.mcast_mld_version.unwrap_or(is.mld_version),
        last_member_count: network.mcast_last_member_count.unwrap_or(is.last_member_count),
        last_member_interval: span(network.mcast_last_member_interval, is.last_member_interval),
        startup_query_count: network.mcast_startup_query_count.unwrap_or(is.startup_query_count),
        startup_query_interval: span(
            network.mcast_startup_query_interval,
            is.startup_query_interval,
        ),
        query_interval: span(network.mcast_query_interval, is.query_interval),
        query_response_interval: span(
            network.mcast_query_response_interval,
            is.query_response_interval,
        ),
        querier_interval: span(network.mcast_querier_interval, is.querier_interval),
        membership_interval: span(network.mcast_membership_interval, is.membership_interval),
        hash_max: network.mcast_hash_max.unwrap_or(is.hash_max),
    }
}

/// What the spec says of a node's port in a network.
///
/// # Errors
/// [`Error::Usage`] for settings that contradict themselves.
pub(crate) fn of_port(
    spec: &Spec,
    node: &str,
    network: &str,
    settings: PortSettings,
) -> Result<(PortSettings, Memberships)> {
    let refuse = |line: String| Error::Usage(format!("port {node}:{network}: {line}"));
    let asked = spec.port(node, network);
    let settings = port::changed(&settings, &asked).map_err(refuse)?;
    let default = spec.network(network).map_or(Some(1), Network::default_pvid);
    let vlans = match (&asked.vlans, default) {
        (Some(asked), _) => port::memberships(asked).map_err(refuse)?.into(),
        (None, Some(1)) => Memberships::default(),
        (None, Some(vlan)) => PortVlans::access(VlanId::from_tci(vlan)).into(),
        (None, None) => PortVlans::none().into(),
    };
    Ok((settings, vlans))
}

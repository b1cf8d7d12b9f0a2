//! The running lab as its file would say it: what was asked for, with all that was changed since.
//! What is as it would be without a word is not said, nor what no file can say (`docs/file.md`): it is
//! always a file that `run` takes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use lab::{Lab, entries, port};
use switch::core::{McastConfig, Memberships};
use switch::{NetworkConfig, NetworkId, PortInfo, PortSettings};
use topology::{
    AddVlan, Attachment, FdbEntry, FdbKind, MdbEntry, Network, Publish, Seconds, SetPort, Spec,
    VlanProtocol, mac_of,
};
use wire::VlanId;

use crate::network::Of;
use crate::open::{Answer, LabDoor, now};
use crate::{bridge, places, router};

pub(crate) fn spec(door: &LabDoor) -> Answer<Spec> {
    let lab = door.lab()?;
    let mut spec = lab.with_spec(Spec::clone);
    spec.name = Some(lab.config().name.clone());
    let names: Vec<String> = spec.networks.keys().cloned().collect();
    for name in names {
        let of = Of::named(door, Some(&name))?;
        if let Some(network) = spec.networks.get_mut(&name) {
            settings(network, &of.config);
            places::said(network, &of);
        }
    }
    let ports = lab.with_switch(|switch| switch.ports()).unwrap_or_default();
    said_of_ports(&lab, &mut spec, &ports);
    for (name, domain) in lab.networks() {
        if let Some(network) = spec.networks.get_mut(&name) {
            // What a tunnel leaves room for nobody has asked for, and it follows the tunnel.
            network.mtu = network.mtu.filter(|_| domain.fitted.is_none());
            tables(door, domain.id, network)?;
        }
    }
    spec.neigh = lab.named_neighbours().into_iter().collect();
    if lab.with_gateway(|_| ()).is_some() {
        // Of a host that serves engines the ports are the engines' to say.
        let mapped = if lab.config().served { Vec::new() } else { router::mapped(door)? };
        let published = mapped.into_iter().filter_map(|one| {
            let IpAddr::V4(inside) = one.inside.ip() else { return None };
            let node = lab.nodes().into_iter().find(|node| node.interface(inside).is_some())?;
            let address = match one.address {
                Some(IpAddr::V4(own)) => Some(own),
                _ => None,
            };
            let (protocol, port) = (one.protocol, one.port);
            Some(Publish { protocol, address, port, node: node.name, node_port: one.inside.port() })
        });
        spec.publish = published.collect();
    }
    Ok(spec.without_contradictions())
}

/// What a network's bridge is set to, where that is not the default.
fn settings(network: &mut Network, config: &NetworkConfig) {
    let default = NetworkConfig::default();
    network.ageing_time =
        (config.ageing_time != default.ageing_time).then_some(config.ageing_time.as_secs());
    network.group_fwd_mask =
        Some(config.group_fwd_mask).filter(|mask| *mask != default.group_fwd_mask);
    network.fdb_max_learned = config.fdb_max_learned;
    network.gateway_guard =
        Some(config.gateway_guard).filter(|guard| *guard != default.gateway_guard);
    groups(network, &config.mcast, &default.mcast);
    network.vlan_filtering = config.vlans.map(|_| true);
    network.vlan_protocol = config.vlans.and_then(|filter| {
        let other = filter.protocol != VlanProtocol::default().tpid();
        other.then_some(VlanProtocol::Dot1Ad)
    });
}

/// What multicast is set to, where that is not the default.
fn groups(network: &mut Network, is: &McastConfig, default: &McastConfig) {
    fn differs<T: PartialEq>(is: T, default: T) -> Option<T> {
        (is != default).then_some(is)
    }
    let router = differs(is.router, default.router);
    let seconds = |is: Duration, default: Duration| differs(is, default).map(Seconds::from);
    network.mcast_snooping = differs(is.snooping, default.snooping);
    network.mcast_querier = differs(is.querier, default.querier);
    network.mcast_router = router.map(port::router_shown);
    network.mcast_igmp_version = differs(is.igmp_version, default.igmp_version);
    network.mcast_mld_version = differs(is.mld_version, default.mld_version);
    network.mcast_last_member_count = differs(is.last_member_count, default.last_member_count);
    network.mcast_last_member_interval =
        seconds(is.last_member_interval, default.last_member_interval);
    network.mcast_startup_query_count =
        differs(is.startup_query_count, default.startup_query_count);
    network.mcast_startup_query_interval =
        seconds(is.startup_query_interval, default.startup_query_interval);
    network.mcast_query_interval = seconds(is.query_interval, default.query_interval);
    network.mcast_query_response_interval =
        seconds(is.query_response_interval, default.query_response_interval);
    network.mcast_querier_interval = seconds(is.querier_interval, default.querier_interval);
    network.mcast_membership_interval =
        seconds(is.membership_interval, default.membership_interval);
    network.mcast_hash_max = differs(is.hash_max, default.hash_max);
}

/// What a network's tables hold that nobody has learned.
fn tables(door: &LabDoor, id: NetworkId, network: &mut Network) -> Answer<()> {
    let (lab, now) = (door.lab()?, now());
    let nodes = bridge::nodes(&lab);
    let (tunnels, far) = (lab.tunnels_by_hand(), lab.far());
    let of = |vlan: VlanId| Some(vlan.get()).filter(|vlan| *vlan > 0);
    let (rows, groups) = door.switch(|switch| (switch.fdb(), switch.groups(id)))?;
    let entry = |row: switch::FdbEntry| {
        let (kind, node) = (entries::kind_shown(row.kind)?, nodes.get(&row.port).cloned());
        // What is behind a tunnel is another host's to say, but for what was set by hand.
        let behind = tunnels.iter().find(|tunnel| tunnel.port.id == row.port);
        let dst = behind.and_then(|_| far.get(&row.port)?.macs.get(&row.mac).copied());
        let node = node.or_else(|| dst.and(behind).map(|tunnel| tunnel.port.name.clone()));
        let ours = node.is_some() || kind == FdbKind::Blackhole;
        ours.then_some(FdbEntry { mac: row.mac, node, kind, vlan: of(row.vlan), dst })
    };
    network.fdb = rows.into_iter().filter(|row| row.network == id).filter_map(entry).collect();
    network.fdb.sort_by_key(|entry| (entry.mac, entry.vlan));
    let rows = groups.map(|groups| groups.entries(now)).unwrap_or_default();
    let member = |row: switch::core::MdbEntry| {
        let node = nodes.get(&row.port).filter(|_| row.permanent)?.clone();
        Some(MdbEntry { group: entries::group_shown(row.group), node, vlan: of(row.vlan) })
    };
    network.mdb = rows.into_iter().filter_map(member).collect();
    Ok(())
}

/// The nodes' interfaces as they are, and what their ports and those of links are set to.
fn said_of_ports(lab: &Lab, spec: &mut Spec, ports: &[PortInfo]) {
    let plain = port::plugged(spec.storm);
    let mut said = Vec::new();
    for node in lab.nodes() {
        let several = node.ports().count() > 1;
        for interface in &node.interfaces {
            let Some(network) = &interface.network else { continue };
            let place = spec
                .nodes
                .get_mut(&node.name)
                .and_then(|own| own.networks.iter_mut().find(|place| place.network == *network));
            if let Some(place) = place {
                attached(place, interface);
            }
            let own = interface.port.as_ref().map(|plug| plug.id);
            let Some(info) = ports.iter().find(|info| Some(info.id) == own) else { continue };
            let mut set = changed(&info.spec.settings, &plain);
            set.vlans = spec.network(network).and_then(|own| vlans(own, &info.spec.vlans));
            if set != SetPort::default() {
                let key =
                    if several { format!("{}:{network}", node.name) } else { node.name.clone() };
                said.push((key, set));
            }
        }
    }
    for joint in lab.joints() {
        for (port, network) in joint.ports.iter().zip(&joint.networks) {
            let Some(info) = ports.iter().find(|info| info.id == port.id) else { continue };
            let mut set = changed(&info.spec.settings, &plain);
            set.vlans = spec.network(network).and_then(|own| vlans(own, &info.spec.vlans));
            if set != SetPort::default() {
                said.push((format!("{}:{network}", joint.name), set));
            }
        }
    }
    spec.ports = said.into_iter().collect();
    misplaced(spec);
}

/// An interface as it is.
fn attached(place: &mut Attachment, interface: &lab::Interface) {
    place.addresses = Some(interface.addresses.clone());
    place.mac = Some(interface.mac);
    place.interface = Some(interface.name.clone());
}

/// Leaves out the addresses that no file can say: after a move, those of a subnet that the network or the
/// port's VLAN does not have. Then the hardware addresses that follow from those that stay.
fn misplaced(spec: &mut Spec) {
    let settled = spec.clone();
    for (name, node) in &mut spec.nodes {
        for place in &mut node.networks {
            let Some(network) = settled.network(&place.network) else { continue };
            let subnets = network.subnets_of(settled.pvid(name, &place.network));
            if let Some(own) = &mut place.addresses {
                own.retain(|address| address.among(subnets).is_ok());
            }
            let stay = place.addresses.iter().flatten().map(|own| own.ip);
            let follows = stay.filter(IpAddr::is_ipv4).find_map(mac_of);
            place.mac = place.mac.filter(|mac| follows != Some(*mac));
        }
    }
}

/// What was set of a port.
fn changed(own: &PortSettings, plain: &PortSettings) -> SetPort {
    let (is, was) = (port::shown(own), port::shown(plain));
    let differs = |is: bool, was: bool| (is != was).then_some(is);
    SetPort {
        hairpin: differs(is.hairpin, was.hairpin),
        learning: differs(is.learning, was.learning),
        flood: differs(is.flood, was.flood),
        mcast_flood: differs(is.mcast_flood, was.mcast_flood),
        bcast_flood: differs(is.bcast_flood, was.bcast_flood),
        isolated: differs(is.isolated, was.isolated),
        isolation: is.isolation,
        locked: differs(is.locked, was.locked),
        mab: differs(is.mab, was.mab),
        group_fwd_mask: (is.group_fwd_mask != was.group_fwd_mask).then_some(is.group_fwd_mask),
        neigh_suppress: differs(is.neigh_suppress, was.neigh_suppress),
        fastleave: differs(is.fastleave, was.fastleave),
        mcast_router: (is.mcast_router != was.mcast_router).then_some(is.mcast_router),
        mcast_max_groups: (is.mcast_max_groups != was.mcast_max_groups)
            .then_some(is.mcast_max_groups),
        loop_protect: differs(is.loop_protect, was.loop_protect),
        learn_limit: (is.learn_limit != was.learn_limit).then_some(is.learn_limit),
        storm: (own.storm != plain.storm).then(|| port::storm(own)),
        vlans: None,
    }
}

/// The VLANs a port is a member of, where they are told apart and are not those it begins with.
fn vlans(network: &Network, own: &Memberships) -> Option<Vec<AddVlan>> {
    let begins = match network.default_pvid() {
        Some(vlan) => switch::core::PortVlans::access(VlanId::from_tci(vlan)),
        None => switch::core::PortVlans::none(),
    };
    if !network.filters_vlans() || own.to_vlans() == begins {
        return None;
    }
    let rows = port::vlans_shown(own, &BTreeMap::new()).into_iter().map(|row| {
        let has = |flag: &str| row.flags.iter().any(|own| own == flag);
        AddVlan {
            vlan: row.vlan,
            vlan_end: row.vlan_end,
            pvid: has("PVID"),
            untagged: has("Egress Untagged"),
        }
    });
    Some(rows.collect())
}

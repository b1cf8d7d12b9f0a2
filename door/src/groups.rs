//! Groups and known neighbours at the door: memberships shown, set and ended; what a network's
//! snooping is set to; for whom questions are answered.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use control::DoorError;
use control::api::{Known, Mdb, MdbEntry, MdbQuerier, MdbRouter, MdbSource, Network, SetMdb};
use lab::{Lab, entries, port, station};
use switch::core::{Filter, Group, McastConfig, MdbEntry as Entry, RouterMode};
use switch::{NetworkId, PortId, PortInfo, Switch};
use wire::{MacAddr, VlanId};

use crate::network::Of;
use crate::open::{Answer, LabDoor, now};
use crate::{bridge, settings};

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

/// Seconds as `bridge` prints them.
fn timer(span: Duration) -> String {
    format!("{:>7.2}", span.as_secs_f64())
}

fn vid(vlan: VlanId) -> Option<u16> {
    Some(vlan.get()).filter(|vlan| *vlan > 0)
}

pub(crate) fn mdb(door: &LabDoor) -> Answer<Mdb> {
    let lab = door.lab()?;
    let dev = lab.config().name.to_string();
    let now = now();
    let networks = lab.networks();
    let (all, ports) = door.switch(|switch| {
        let groups = networks.iter().filter_map(|(name, of)| Some((name, switch.groups(of.id)?)));
        (groups.collect::<Vec<_>>(), switch.ports())
    })?;
    let names: HashMap<PortId, String> =
        ports.iter().map(|info| (info.id, info.spec.name.clone())).collect();
    let name = |id: PortId| names.get(&id).cloned().unwrap_or_else(|| format!("port-{}", id.0));
    let nodes = bridge::nodes(&lab);
    let mut shown = Mdb::default();
    for (network, groups) in all {
        // A lab's first network is its bridge; the others are by their own names.
        let dev =
            if Some(network) == networks.first().map(|(name, _)| name) { &dev } else { network };
        let routers = groups.router_entries(now).into_iter().map(|row| {
            let (port, vid) = (name(row.port), vid(row.vlan));
            MdbRouter { port, vid, timer: timer(row.left), kind: "temp".into() }
        });
        let id = networks.iter().find(|(name, _)| name == network).map(|(_, of)| of.id);
        let is_set = |info: &&PortInfo| {
            info.spec.settings.mcast_router == RouterMode::Always
                && info.spec.role == switch::PortRole::Bridged
                && Some(info.spec.network) == id
        };
        let set = ports.iter().filter(is_set).map(|info| {
            let (port, timer) = (info.spec.name.clone(), timer(Duration::ZERO));
            MdbRouter { port, vid: None, timer, kind: "permanent".into() }
        });
        let routers: Vec<_> = set.chain(routers).collect();
        if !routers.is_empty() {
            shown.router.insert(dev.clone(), routers);
        }
        for entry in groups.entries(now) {
            shown.mdb.extend(rows(dev, &entry, &name(entry.port), nodes.get(&entry.port)));
        }
        shown.querier.extend(groups.queriers(now).into_iter().map(|row| MdbQuerier {
            address: row.address.to_string(),
            port: name(row.port),
            vid: vid(row.vlan),
            timer: timer(row.left),
        }));
    }
    Ok(shown)
}

/// A membership, and behind it a row for each source it names, as `bridge` has it.
fn rows(dev: &str, entry: &Entry, port: &str, node: Option<&String>) -> Vec<MdbEntry> {
    let sources = entry.sources.iter();
    let whole = MdbEntry {
        dev: dev.into(),
        port: port.into(),
        grp: match entry.group {
            Group::Ip(address) => address.to_string(),
            Group::Mac(mac) => mac.to_string(),
        },
        src: None,
        state: if entry.permanent { "permanent" } else { "temp" }.into(),
        filter_mode: match entry.filter {
            Filter::Include => "include",
            Filter::Exclude => "exclude",
        }
        .into(),
        source_list: sources
            .map(|(ip, left)| MdbSource { address: ip.to_string(), timer: timer(*left) })
            .collect(),
        protocol: if entry.permanent { "static" } else { "kernel" }.into(),
        flags: Vec::new(),
        vid: vid(entry.vlan),
        timer: timer(entry.left),
        node: node.cloned(),
    };
    let of_source = |(ip, left): &(IpAddr, Duration)| MdbEntry {
        src: Some(ip.to_string()),
        filter_mode: "include".into(),
        source_list: Vec::new(),
        flags: if left.is_zero() { vec!["blocked".into()] } else { Vec::new() },
        timer: timer(*left),
        ..whole.clone()
    };
    let of_sources: Vec<_> = entry.sources.iter().map(of_source).collect();
    std::iter::once(whole.clone()).chain(of_sources).collect()
}

fn group(text: &str) -> Answer<Group> {
    let group: topology::Group =
        text.parse().map_err(|why: topology::Invalid| invalid(why.to_string()))?;
    Ok(entries::group(group))
}

pub(crate) fn set_mdb(door: &LabDoor, ask: &SetMdb, is_there: bool) -> Answer<()> {
    let lab = door.lab()?;
    let info = settings::find(door, &lab, &ask.port)?;
    let group = group(&ask.group)?;
    let of = Of::port(door, &info)?;
    let groups = door.switch(|switch| switch.groups(of.domain.id))?;
    let groups = groups.ok_or_else(|| {
        let name = &of.name;
        DoorError::Conflict(format!(
            "network {name} sends groups to everybody: say `network set {name} --mcast-snooping on` \
             first"
        ))
    })?;
    let own = info.spec.vlans.to_vlans().pvid;
    let vlan = match (of.config.vlans, of.vlan(ask.vlan)?) {
        (None, _) => VlanId::NONE,
        (Some(_), asked) => asked.or(own).ok_or_else(|| {
            invalid(format!("{}: it has no VLAN for frames without a tag: say one", ask.port))
        })?,
    };
    if is_there {
        let at = (info.id, &info.spec.settings);
        let full = || DoorError::Failed(format!("{}: there is no room for it", ask.group));
        return groups.set(vlan, group, at, now()).then_some(()).ok_or_else(full);
    }
    let none = || DoorError::NotFound(format!("{} is no member of {}", info.spec.name, ask.group));
    groups.end(vlan, group, info.id).then_some(()).ok_or_else(none)
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

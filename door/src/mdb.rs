//! Members of groups at the door: shown in the shape of `bridge -d -s -j mdb show`, set and ended.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use control::DoorError;
use control::api::{Mdb, MdbEntry, MdbQuerier, MdbRouter, MdbSource, SetMdb};
use lab::entries;
use switch::core::{Filter, Group, McastConfig, MdbEntry as Entry, RouterMode};
use switch::{PortId, PortInfo};
use wire::VlanId;

use crate::bridge;
use crate::network::Of;
use crate::open::{Answer, LabDoor, now};
use crate::settings::{self, invalid};

/// Seconds as `bridge` prints them of groups and routers.
fn timer(span: Duration) -> String {
    format!("{:>7}", plain(span))
}

/// And of sources. Cut off, not rounded.
fn plain(span: Duration) -> String {
    format!("{}.{:02}", span.as_secs(), span.subsec_millis() / 10)
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
        let config = |id| switch.network(id).map(|network| network.mcast).unwrap_or_default();
        let groups = networks
            .iter()
            .filter_map(|(name, of)| Some((name, switch.groups(of.id)?, config(of.id))));
        (groups.collect::<Vec<_>>(), switch.ports())
    })?;
    let names: HashMap<PortId, String> =
        ports.iter().map(|info| (info.id, info.spec.name.clone())).collect();
    let name = |id: PortId| names.get(&id).cloned().unwrap_or_else(|| format!("port-{}", id.0));
    let nodes = bridge::nodes(&lab);
    let mut shown = Mdb::default();
    for (network, groups, config) in all {
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
        let index = id.map_or(0, |id| u32::from(id.0) + 1);
        let entries = groups.entries(now);
        // Those of a group follow one another.
        for group in entries.chunk_by(|a, b| (a.vlan, a.group) == (b.vlan, b.group)) {
            let named = group.iter().flat_map(|entry| &entry.sources).map(|(ip, _)| *ip);
            let named: BTreeSet<IpAddr> = named.collect();
            for entry in group {
                let whole = MdbEntry {
                    index,
                    dev: dev.clone(),
                    port: name(entry.port),
                    node: nodes.get(&entry.port).cloned(),
                    ..whole(entry, &config)
                };
                shown.mdb.push(whole.clone());
                shown.mdb.extend(of_sources(&whole, entry, &named));
            }
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

/// A membership, without who it is of. Of sources it tells where they count, as the bridge has it.
fn whole(entry: &Entry, config: &McastConfig) -> MdbEntry {
    let (grp, counts) = match entry.group {
        Group::Ip(address @ IpAddr::V4(_)) => (address.to_string(), config.igmp_version >= 3),
        Group::Ip(address @ IpAddr::V6(_)) => (address.to_string(), config.mld_version >= 2),
        Group::Mac(mac) => (mac.to_string(), false),
    };
    let filter = match entry.filter {
        Filter::Include => "include",
        Filter::Exclude => "exclude",
    };
    let source = |(ip, left): &(IpAddr, Duration)| MdbSource {
        address: ip.to_string(),
        timer: plain(*left),
    };
    MdbEntry {
        grp,
        state: if entry.permanent { "permanent" } else { "temp" }.into(),
        filter_mode: Some(filter.to_owned()).filter(|_| counts),
        source_list: entry.sources.iter().filter(|_| counts).map(source).collect(),
        protocol: if entry.permanent { "static" } else { "kernel" }.into(),
        vid: vid(entry.vlan),
        timer: timer(entry.left),
        ..MdbEntry::default()
    }
}

/// A row for each source: those that the membership names and, where it wants all others, those of
/// them that another one `named`. Their timers stand in the list of the whole.
fn of_sources(whole: &MdbEntry, entry: &Entry, named: &BTreeSet<IpAddr>) -> Vec<MdbEntry> {
    let row = |ip: &IpAddr, flag: Option<&str>| MdbEntry {
        src: Some(ip.to_string()),
        filter_mode: whole.filter_mode.as_ref().map(|_| "include".into()),
        source_list: Vec::new(),
        flags: flag.map(str::to_owned).into_iter().collect(),
        timer: timer(Duration::ZERO),
        // What follows from a membership is not set by hand.
        state: "temp".into(),
        protocol: "kernel".into(),
        ..whole.clone()
    };
    let blocked = |left: &Duration| left.is_zero().then_some("blocked");
    let own = entry.sources.iter().map(|(ip, left)| row(ip, blocked(left)));
    let is_other = |ip: &&IpAddr| !entry.sources.iter().any(|(own, _)| own == *ip);
    let others = named.iter().filter(|_| entry.filter == Filter::Exclude).filter(is_other);
    own.chain(others.map(|ip| row(ip, Some("added_by_star_ex")))).collect()
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
    let vlans = of.vlans_for(&info, ask.vlan)?;
    if is_there {
        let at = (info.id, &info.spec.settings);
        let full = vlans.iter().position(|vlan| !groups.set(*vlan, group, at, now()));
        let Some(full) = full else { return Ok(()) };
        vlans[..full].iter().for_each(|vlan| _ = groups.end(*vlan, group, info.id));
        return Err(DoorError::Failed(format!("{}: there is no room for it", ask.group)));
    }
    let none = || DoorError::NotFound(format!("{} is no member of {}", info.spec.name, ask.group));
    let ended = vlans.iter().filter(|vlan| groups.end(**vlan, group, info.id)).count();
    (ended > 0).then_some(()).ok_or_else(none)
}

//! Ports and addresses of the switch, for the door: copied from what the workers publish.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use control::DoorError;
use control::api::{
    FdbEntry, Page, PageQuery, Port, PortRole, PortVlan, RxStats, Stats64, TxStats,
};
use switch::{DropReason, EntryKind, NetworkId, PortId, PortInfo, PortStats, Switch};
use wire::MacAddr;

use lab::{Lab, port, station};

use crate::open::{Answer, LabDoor};

/// Reasons that are the frame's own fault.
const MALFORMED: [DropReason; 4] =
    [DropReason::Runt, DropReason::Clipped, DropReason::GroupSource, DropReason::ZeroSource];

pub(crate) fn ports(door: &LabDoor, page: &PageQuery) -> Answer<Page<Port>> {
    let mut ports = door.switch(Switch::tally)?.ports;
    ports.sort_by_key(place);
    let page = Page::cut(ports, page, place);
    Ok(Page { items: told(door, page.items)?, next: page.next })
}

/// Ports as they are told, in the order given.
pub(crate) fn told(door: &LabDoor, ports: Vec<PortInfo>) -> Answer<Vec<Port>> {
    let lab = door.lab()?;
    let nodes = nodes(&lab);
    let master = lab.config().name.to_string();
    let domains = networks(&lab);
    let filters = filters(door, &domains)?;
    let rates = door.rates();
    let (held, shut) = door.switch(|switch| {
        let held = |info: &PortInfo| switch.table().port_len(info.id);
        (ports.iter().map(held).collect::<Vec<_>>(), switch.shut_ports())
    })?;
    let items = ports.into_iter().zip(held).map(|(info, fdb_entries)| {
        let mut port = shown(&info, fdb_entries, &master);
        port.network = named(&domains, &info);
        port.master = port.master.filter(|_| port.network.is_some());
        port.node = nodes.get(&info.id).cloned();
        port.rates = rates.of(&info);
        port.loop_shut = shut.get(&info.id).map(Duration::as_secs);
        port.mcast_n_groups = groups(door, &info);
        if filters.contains(&info.spec.network) {
            port.vlans = vlans(door, &info);
        }
        port
    });
    Ok(items.collect())
}

/// How many groups a port is a member of.
fn groups(door: &LabDoor, info: &PortInfo) -> u32 {
    let groups = door.switch(|switch| switch.groups(info.spec.network));
    groups.ok().flatten().map_or(0, |groups| groups.of_port(info.id))
}

/// The nodes behind ports, and the links between networks.
pub(crate) fn nodes(lab: &Lab) -> HashMap<PortId, String> {
    let nodes = lab.nodes().into_iter();
    let ports = |node: lab::Node| {
        let ids: Vec<PortId> = node.ports().map(|port| port.id).collect();
        ids.into_iter().map(move |id| (id, node.name.clone()))
    };
    let joints = lab.joints().into_iter().flat_map(|joint| {
        let name = joint.name;
        joint.ports.map(|port| (port.id, name.clone()))
    });
    nodes.flat_map(ports).chain(joints).collect()
}

/// One port.
pub(crate) fn port(door: &LabDoor, id: PortId) -> Answer<Port> {
    let ports = door.switch(Switch::tally)?.ports;
    let found = ports.into_iter().filter(|info| info.id == id).collect();
    told(door, found)?.pop().ok_or_else(|| DoorError::NotFound("the port is gone".into()))
}

/// A bridged port's VLANs, with what was counted of each.
fn vlans(door: &LabDoor, info: &PortInfo) -> Vec<PortVlan> {
    if info.spec.role != switch::PortRole::Bridged {
        return Vec::new();
    }
    let counted = door.switch(|switch| switch.vlan_stats(info.id)).unwrap_or_default();
    port::vlans_shown(&info.spec.vlans, &counted)
}

/// The names of networks.
pub(crate) fn networks(lab: &Lab) -> HashMap<NetworkId, String> {
    lab.networks().into_iter().map(|(name, domain)| (domain.id, name)).collect()
}

/// The network of a port; None for the uplink.
pub(crate) fn named(networks: &HashMap<NetworkId, String>, info: &PortInfo) -> Option<String> {
    let bridged = info.spec.role == switch::PortRole::Bridged;
    networks.get(&info.spec.network).filter(|_| bridged).cloned()
}

/// The networks in which VLANs are told apart.
fn filters(door: &LabDoor, all: &HashMap<NetworkId, String>) -> Answer<HashSet<NetworkId>> {
    door.switch(|switch| {
        let filters = |id: &&NetworkId| switch.network(**id).is_some_and(|one| one.vlans.is_some());
        all.keys().filter(filters).copied().collect()
    })
}

/// By interface index; an uplink in another namespace, where the index is another's, comes last.
pub(crate) fn place(info: &PortInfo) -> u64 {
    u64::from(info.spec.netns.is_some()) << 32 | u64::from(info.spec.ifindex)
}

fn shown(info: &PortInfo, fdb_entries: u32, master: &str) -> Port {
    let bridged = info.spec.role == switch::PortRole::Bridged;
    let mut flags = vec!["BROADCAST".to_owned(), "MULTICAST".to_owned()];
    if info.up {
        flags.extend(["UP".to_owned(), "LOWER_UP".to_owned()]);
    }
    Port {
        ifindex: info.spec.ifindex,
        ifname: info.spec.name.clone(),
        flags,
        mtu: info.spec.mtu,
        address: info.spec.mac.map(|mac| mac.to_string()),
        master: bridged.then(|| master.to_owned()),
        operstate: if info.up { "UP" } else { "DOWN" }.into(),
        stats64: stats(&info.stats),
        node: None,
        network: None,
        role: if bridged { PortRole::Bridged } else { PortRole::Routed },
        fdb_entries,
        fdb_n_moved: info.stats.moved,
        loops: info.stats.loops,
        loop_shut: None,
        mcast_n_groups: 0,
        settings: bridged.then(|| port::shown(&info.spec.settings)),
        vlans: Vec::new(),
        storm: port::storm(&info.spec.settings),
        drops: by_reason(&info.stats.drops),
        rates: None,
    }
}

pub(crate) fn stats(stats: &PortStats) -> Stats64 {
    let errors = MALFORMED.iter().map(|reason| stats.drops[reason.index()]).sum();
    Stats64 {
        rx: RxStats {
            bytes: stats.rx_bytes,
            packets: stats.rx_packets,
            errors,
            dropped: stats.dropped() - errors,
            over_errors: 0,
            multicast: stats.rx_multicast,
        },
        tx: TxStats {
            bytes: stats.tx_bytes,
            packets: stats.tx_packets,
            errors: stats.tx_errors,
            ..TxStats::default()
        },
    }
}

/// The reasons that have occurred, with their numbers.
pub(crate) fn by_reason(drops: &[u64; DropReason::COUNT]) -> BTreeMap<String, u64> {
    let named = DropReason::ALL.iter().zip(drops).filter(|(_, count)| **count > 0);
    named.map(|(reason, count)| (reason.name().to_owned(), *count)).collect()
}

pub(crate) fn fdb(door: &LabDoor, page: &PageQuery) -> Answer<Page<FdbEntry>> {
    let lab = door.lab()?;
    let master = lab.config().name.to_string();
    let from = page.cursor.unwrap_or(0);
    let mut items = Vec::new();
    let mut page = page.clone();
    // The gateway's own addresses come first, a network each.
    let gateways = lab.with_spec(|spec| {
        let own = |name: &String| Some((name.clone(), station::mac_in(spec, name)?));
        spec.networks.keys().filter_map(own).collect::<Vec<_>>()
    });
    let rest = (0..FIRST).zip(gateways).skip_while(|(place, _)| *place < from);
    for (place, (network, mac)) in rest {
        if items.len() == page.limit() {
            return Ok(Page { items, next: Some(place) });
        }
        items.push(own(&master, network, mac));
    }
    if items.len() == page.limit() {
        return Ok(Page { items, next: Some(FIRST) });
    }
    page.limit = Some(page.limit() - items.len());
    let (entries, names) = door.switch(|switch| {
        let names: HashMap<PortId, String> =
            switch.ports().into_iter().map(|info| (info.id, info.spec.name)).collect();
        let mut fids = HashMap::new();
        let keyed = |entry: switch::FdbEntry| {
            let fid = *fids.entry((entry.network, entry.vlan)).or_insert_with(|| {
                let scope = switch.table().scope(entry.network, entry.vlan);
                scope.map_or(0, |scope| scope.number())
            });
            (key(fid, &entry), entry)
        };
        (switch.fdb().into_iter().map(keyed).collect::<Vec<_>>(), names)
    })?;
    let mut entries: Vec<_> = entries.into_iter().filter(|(key, _)| *key >= from).collect();
    // No more is sorted than is shown.
    if entries.len() > page.limit() {
        entries.select_nth_unstable_by_key(page.limit(), |(key, _)| *key);
        entries.truncate(page.limit() + 1);
    }
    entries.sort_unstable_by_key(|(key, _)| *key);
    let page = Page::cut(entries, &page, |(key, _)| *key);
    let (nodes, domains, far) = (nodes(&lab), networks(&lab), lab.far());
    let row = |entry: &switch::FdbEntry| FdbEntry {
        mac: entry.mac.to_string(),
        node: nodes.get(&entry.port).cloned(),
        dst: far.get(&entry.port).and_then(|far| far.macs.get(&entry.mac)).copied(),
        ifname: match names.get(&entry.port) {
            Some(name) => name.clone(),
            // A blackhole is behind no port.
            None if entry.port == PortId::LOCAL => master.clone(),
            None => format!("port-{}", entry.port.0),
        },
        network: domains.get(&entry.network).cloned(),
        vlan: Some(entry.vlan.get()).filter(|vlan| *vlan > 0),
        updated: entry.idle.as_secs(),
        flags: match entry.kind {
            EntryKind::Sticky => vec!["sticky".into()],
            EntryKind::Blackhole => vec!["blackhole".into()],
            EntryKind::Locked => vec!["locked".into()],
            EntryKind::Extern => vec!["extern_learn".into()],
            EntryKind::Learned | EntryKind::Static | EntryKind::Local => Vec::new(),
        },
        master: Some(master.clone()),
        state: match entry.kind {
            EntryKind::Learned | EntryKind::Locked | EntryKind::Extern => "",
            EntryKind::Local => "permanent",
            EntryKind::Static | EntryKind::Sticky | EntryKind::Blackhole => "static",
        }
        .into(),
    };
    items.extend(page.items.iter().map(|(_, entry)| row(entry)));
    Ok(Page { items, next: page.next })
}

/// The first key there is: before it stand the gateway's own addresses.
const FIRST: u64 = NetworkId::MAX as u64;

/// Unique, and stays with its entry.
fn key(fid: u16, entry: &switch::FdbEntry) -> u64 {
    (u64::from(fid) << 48 | entry.mac.to_u64()).saturating_add(FIRST)
}

/// The gateway's address, which is not learned.
fn own(master: &str, network: String, mac: MacAddr) -> FdbEntry {
    FdbEntry {
        mac: mac.to_string(),
        ifname: "gateway".into(),
        node: None,
        dst: None,
        network: Some(network),
        vlan: None,
        updated: 0,
        flags: Vec::new(),
        master: Some(master.to_owned()),
        state: "permanent".into(),
    }
}

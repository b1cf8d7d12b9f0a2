//! Ports and addresses of the switch, for the door: copied from what the workers publish.

use std::collections::{BTreeMap, HashMap};

use control::DoorError;
use control::api::{FdbEntry, Page, PageQuery, Port, PortRole, RxStats, Stats64, TxStats};
use switch::{DropReason, EntryKind, NetworkId, PortId, PortInfo, PortStats};

use lab::{Lab, address, port};

use crate::open::{Answer, LabDoor};

/// Reasons that are the frame's own fault.
const MALFORMED: [DropReason; 4] =
    [DropReason::Runt, DropReason::Clipped, DropReason::GroupSource, DropReason::ZeroSource];

pub(crate) fn ports(door: &LabDoor, page: &PageQuery) -> Answer<Page<Port>> {
    let lab = door.lab()?;
    let nodes = nodes(&lab);
    let master = lab.config().name.to_string();
    let mut ports = door.switch(|switch| {
        let held = |info: PortInfo| (switch.table().port_len(info.id), info);
        switch.ports().into_iter().map(held).collect::<Vec<_>>()
    })?;
    ports.sort_by_key(|(_, info)| place(info));
    let page = Page::cut(ports, page, |(_, info)| place(info));
    let rates = door.rates();
    let filters = filters(door)?;
    let items = page.items.into_iter().map(|(fdb_entries, info)| {
        let mut port = shown(&info, fdb_entries, &master, filters);
        port.node = nodes.get(&info.id).cloned();
        port.rates = rates.of(info.id);
        port
    });
    Ok(Page { items: items.collect(), next: page.next })
}

/// The nodes behind ports.
fn nodes(lab: &Lab) -> HashMap<PortId, String> {
    lab.nodes().into_iter().filter_map(|node| Some((node.port?.0, node.name))).collect()
}

/// One port.
pub(crate) fn port(door: &LabDoor, id: PortId) -> Answer<Port> {
    let lab = door.lab()?;
    let filters = filters(door)?;
    let found = door.switch(|switch| {
        let info = switch.ports().into_iter().find(|info| info.id == id)?;
        Some((switch.table().port_len(id), info))
    })?;
    let (held, info) = found.ok_or_else(|| DoorError::NotFound("the port is gone".into()))?;
    let mut port = shown(&info, held, lab.config().name.as_str(), filters);
    port.node = nodes(&lab).remove(&id);
    port.rates = door.rates().of(id);
    Ok(port)
}

/// Whether VLANs are told apart.
fn filters(door: &LabDoor) -> Answer<bool> {
    let network = door.switch(|switch| switch.network(NetworkId::FIRST))?;
    Ok(network.is_some_and(|network| network.vlans.is_some()))
}

/// By interface index; an uplink in another namespace, where the index is another's, comes last.
fn place(info: &PortInfo) -> u64 {
    u64::from(info.spec.netns.is_some()) << 32 | u64::from(info.spec.ifindex)
}

fn shown(info: &PortInfo, fdb_entries: u32, master: &str, filters: bool) -> Port {
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
        master: bridged.then(|| master.to_owned()),
        operstate: if info.up { "UP" } else { "DOWN" }.into(),
        stats64: stats(&info.stats),
        node: None,
        role: if bridged { PortRole::Bridged } else { PortRole::Routed },
        fdb_entries,
        settings: bridged.then(|| port::shown(&info.spec.settings)),
        vlans: match bridged && filters {
            true => port::vlans_shown(&info.spec.vlans),
            false => Vec::new(),
        },
        storm: port::storm(&info.spec.settings),
        drops: by_reason(&info.stats.drops),
        rates: None,
    }
}

fn stats(stats: &PortStats) -> Stats64 {
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
    if from == 0 && lab.with_gateway(|_| ()).is_some() {
        items.push(own(&master));
        if page.limit() == 1 {
            return Ok(Page { items, next: Some(FIRST) });
        }
        page.limit = Some(page.limit() - 1);
    }
    let (mut entries, names) = door.switch(|switch| {
        let names: HashMap<PortId, String> =
            switch.ports().into_iter().map(|info| (info.id, info.spec.name)).collect();
        (switch.fdb(), names)
    })?;
    entries.retain(|entry| key(entry) >= from);
    // No more is sorted than is shown.
    if entries.len() > page.limit() {
        entries.select_nth_unstable_by_key(page.limit(), key);
        entries.truncate(page.limit() + 1);
    }
    entries.sort_unstable_by_key(key);
    let page = Page::cut(entries, &page, key);
    let nodes = nodes(&lab);
    let row = |entry: &switch::FdbEntry| FdbEntry {
        mac: entry.mac.to_string(),
        node: nodes.get(&entry.port).cloned(),
        ifname: match names.get(&entry.port) {
            Some(name) => name.clone(),
            // A blackhole is behind no port.
            None if entry.port == PortId::LOCAL => master.clone(),
            None => format!("port-{}", entry.port.0),
        },
        vlan: Some(entry.vlan.get()).filter(|vlan| *vlan > 0),
        updated: entry.idle.as_secs(),
        flags: match entry.kind {
            EntryKind::Sticky => vec!["sticky".into()],
            EntryKind::Blackhole => vec!["blackhole".into()],
            EntryKind::Learned | EntryKind::Static => Vec::new(),
        },
        master: Some(master.clone()),
        state: if entry.kind == EntryKind::Learned { "" } else { "static" }.into(),
    };
    items.extend(page.items.iter().map(row));
    Ok(Page { items, next: page.next })
}

/// The first key there is: before it stands the gateway's own address, at 0.
const FIRST: u64 = 1;

/// Unique, and stays with its entry.
fn key(entry: &switch::FdbEntry) -> u64 {
    FIRST + (u64::from(entry.vlan.get()) << 48 | entry.mac.to_u64())
}

/// The gateway's address, which is not learned.
fn own(master: &str) -> FdbEntry {
    FdbEntry {
        mac: address::mac(address::GATEWAY).to_string(),
        ifname: "gateway".into(),
        node: None,
        vlan: None,
        updated: 0,
        flags: Vec::new(),
        master: Some(master.to_owned()),
        state: "permanent".into(),
    }
}

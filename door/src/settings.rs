//! Settings changed at the door: of ports, of their VLANs, and addresses set by hand. Each is checked
//! before anything changes.

use control::DoorError;
use control::api::{AddVlan, DelFdb, EventKind, FdbKind, Flushed, MovePort, Port, SetFdb, SetPort};
use lab::{Lab, port};
use switch::core::Memberships;
use switch::{EntryKind, NetworkConfig, PortId, PortInfo, PortSettings, Switch};
use wire::{MacAddr, VlanId};

use crate::network::Of;
use crate::open::{Answer, LabDoor, now, refusal};
use crate::{bridge, change, groups};

/// The gateway, where a port is asked for.
const GATEWAY: &str = "gateway";

pub(crate) fn invalid(line: String) -> DoorError {
    DoorError::Invalid(line)
}

pub(crate) fn failed(error: &switch::Error) -> DoorError {
    DoorError::Failed(error.to_string())
}

/// A bridged port by its own name or its node's.
pub(crate) fn find(door: &LabDoor, lab: &Lab, name: &str) -> Answer<PortInfo> {
    let id = change::port(door, lab, name)?;
    let ports = door.switch(Switch::ports)?;
    let info = ports.into_iter().find(|info| info.id == id);
    let info = info.ok_or_else(|| DoorError::NotFound(format!("port {name} is gone")))?;
    if info.spec.role == switch::PortRole::Routed {
        return Err(invalid(format!(
            "port {name} is the gateway's uplink: it is routed, not bridged, and has none of \
             these settings"
        )));
    }
    Ok(info)
}

pub(crate) fn set_port(door: &LabDoor, name: &str, ask: &SetPort) -> Answer<Port> {
    let lab = door.lab()?;
    let info = find(door, &lab, name)?;
    let settings = port::changed(&info.spec.settings, ask)
        .map_err(|line| invalid(format!("port {name}: {line}")))?;
    if let Some(asked) = &ask.vlans {
        Of::port(door, &info)?.filtered()?;
        let vlans = port::memberships(asked);
        let vlans = vlans.map_err(|line| invalid(format!("port {name}: {line}")))?;
        set_vlans(door, info.id, vlans.into())?;
    }
    if ask.loop_protect.is_some() {
        door.switch(|switch| switch.reopen(info.id))?;
    }
    if settings.neigh_suppress {
        groups::tell_known(door)?;
    }
    // The lab itself may have changed others meanwhile.
    let change = |own: &mut PortSettings| {
        if let Ok(changed) = port::changed(own, ask) {
            *own = changed;
        }
    };
    door.switch(|switch| switch.change_settings(info.id, change))?.map_err(|e| failed(&e))?;
    bridge::port(door, info.id)
}

pub(crate) fn move_port(door: &LabDoor, name: &str, ask: &MovePort) -> Answer<Port> {
    let lab = door.lab()?;
    let info = find(door, &lab, name)?;
    let invalid = |line: String| invalid(format!("port {name}: {line}"));
    // What is refused of its settings leaves it where it is.
    port::changed(&info.spec.settings, &ask.settings).map_err(invalid)?;
    if let Some(asked) = &ask.settings.vlans {
        Of::named(door, ask.network.as_deref())?.filtered()?;
        port::memberships(asked).map_err(invalid)?;
    }
    let to = ask.network.as_deref();
    let is_news = lab.network_name(info.spec.network).as_deref() != to;
    let moved = lab.move_port(info.id, to);
    change::tell_withdrawn(door, &lab);
    moved.map_err(|error| refusal(&error))?;
    if is_news {
        let (ifname, network) = (info.spec.name.clone(), ask.network.clone());
        door.tell(EventKind::PortMoved { ifname, network });
        groups::tell_known(door)?;
    }
    match ask.settings == SetPort::default() {
        true => bridge::port(door, info.id),
        false => set_port(door, &info.spec.name, &ask.settings),
    }
}

/// The network of the gateway's leg that is meant: `gateway`, or `gateway:NETWORK`; None for a port.
fn of_gateway(door: &LabDoor, name: &str) -> Answer<Option<Of>> {
    let network = match name.strip_prefix(GATEWAY) {
        Some("") => None,
        Some(rest) => match rest.strip_prefix(':') {
            Some(network) => Some(network),
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    let of = Of::named(door, network)?;
    match of.leg() {
        Some(_) => Ok(Some(of)),
        None => Err(DoorError::NotFound(format!("the gateway has no leg in network {}", of.name))),
    }
}

pub(crate) fn add_vlan(door: &LabDoor, name: &str, ask: &AddVlan) -> Answer<()> {
    let lab = door.lab()?;
    let last = ask.vlan_end.unwrap_or(ask.vlan);
    let vlans = port::vlans(ask.vlan, last).map_err(invalid)?;
    if ask.pvid && last != ask.vlan {
        return Err(invalid(format!(
            "VLANs {}-{last}: only one VLAN can be that of frames without a tag",
            ask.vlan
        )));
    }
    if let Some(of) = of_gateway(door, name)? {
        of.filtered()?;
        if last != ask.vlan {
            return Err(invalid(format!("VLANs {}-{last}: the gateway is in one VLAN", ask.vlan)));
        }
        let legs = of.legs_with(door, VlanId::from_tci(ask.vlan))?;
        return of.set(door, NetworkConfig { legs, ..of.config.clone() });
    }
    let info = find(door, &lab, name)?;
    Of::port(door, &info)?.filtered()?;
    let mut own = info.spec.vlans.to_vlans();
    for vlan in vlans {
        own.add(vlan, ask.untagged);
        if ask.pvid {
            own.pvid = Some(vlan);
        }
    }
    set_vlans(door, info.id, own.into())
}

pub(crate) fn set_vlans(door: &LabDoor, id: PortId, vlans: Memberships) -> Answer<()> {
    door.switch(|switch| switch.set_vlans(id, vlans))?.map_err(|e| failed(&e))?;
    door.lab()?.tell_vlans();
    Ok(())
}

pub(crate) fn del_vlan(door: &LabDoor, name: &str, first: u16, last: u16) -> Answer<()> {
    let lab = door.lab()?;
    let vlans = port::vlans(first, last).map_err(invalid)?;
    let none = || DoorError::NotFound(format!("{name} is no member of VLAN {first}"));
    if let Some(of) = of_gateway(door, name)? {
        of.filtered()?;
        let mut network = of.config.clone();
        let gone = |vlan: &VlanId| (first..=last).contains(&vlan.get());
        let before = network.legs.len();
        network.legs.retain(|(vlan, _)| !gone(vlan));
        return if network.legs.len() == before { Err(none()) } else { of.set(door, network) };
    }
    let info = find(door, &lab, name)?;
    Of::port(door, &info)?.filtered()?;
    let mut own = info.spec.vlans.to_vlans();
    if vlans.filter(|vlan| own.remove(*vlan)).count() == 0 {
        return Err(none());
    }
    set_vlans(door, info.id, own.into())
}

pub(crate) fn mac(text: &str) -> Answer<MacAddr> {
    let mac = text.parse::<MacAddr>().map_err(|_| {
        invalid(format!("{text:?} is no hardware address: six bytes as 02:00:00:00:00:01"))
    })?;
    if mac.is_group() || mac == MacAddr::ZERO {
        return Err(invalid(format!("{mac} is no address of one host")));
    }
    Ok(mac)
}

/// A VLAN that may be asked about, of a network where one is named.
pub(crate) fn known_vlan(door: &LabDoor, asked: u16, network: Option<&str>) -> Answer<VlanId> {
    let lab = door.lab()?;
    if network.is_some() {
        let of = Of::named(door, network)?;
        return Ok(of.vlan(Some(asked))?.unwrap_or(VlanId::NONE));
    }
    let mut all = lab.networks().into_iter().map(|(name, _)| Of::named(door, Some(&name)));
    // One that tells them apart; the first, which does not, says what to do about it.
    let filters = |of: &Answer<Of>| of.as_ref().is_ok_and(|of| of.config.vlans.is_some());
    let of = all.find(filters).unwrap_or_else(|| Of::named(door, None))?;
    Ok(of.vlan(Some(asked))?.unwrap_or(VlanId::NONE))
}

pub(crate) fn set_fdb(door: &LabDoor, ask: &SetFdb) -> Answer<()> {
    let lab = door.lab()?;
    let address = mac(&ask.mac)?;
    let named = ask.port.as_ref().map(|name| find(door, &lab, name)).transpose()?;
    let of = match &named {
        Some(info) => Of::port(door, info)?,
        None => Of::only(door, ask.network.as_deref(), &address)?,
    };
    if let (Some(info), Some(network)) = (&named, &ask.network)
        && *network != of.name
    {
        let port = &info.spec.name;
        return Err(invalid(format!("port {port} is in network {}, not in {network}", of.name)));
    }
    if of.config.local == Some(address) {
        return Err(DoorError::Conflict(format!("{address} is the gateway's own address")));
    }
    let (port, kind, vlans) = match (ask.kind, named) {
        (FdbKind::Blackhole, None) => {
            (PortId::LOCAL, EntryKind::Blackhole, of.vlans_without(door, ask.vlan)?)
        }
        (FdbKind::Blackhole, Some(_)) => {
            return Err(invalid(format!(
                "{address}: a blackhole leads nowhere, so it has no port"
            )));
        }
        (_, None) => {
            return Err(invalid(format!("{address}: say the port or the node it is behind")));
        }
        (kind, Some(info)) => {
            let kind = match kind {
                FdbKind::Sticky => EntryKind::Sticky,
                FdbKind::Local => EntryKind::Local,
                FdbKind::Extern => EntryKind::Extern,
                _ => EntryKind::Static,
            };
            (info.id, kind, of.vlans_for(&info, ask.vlan)?)
        }
    };
    let Some(end) = ask.dst else { return set_in(door, &of, address, (port, kind), &vlans) };
    if matches!(kind, EntryKind::Blackhole | EntryKind::Local) {
        return Err(invalid(format!("{address}: what leads nowhere is at no remote end")));
    }
    lab.set_row(port, address, end).map_err(|error| refusal(&error))?;
    // What the switch refuses is no row of the tunnel's either.
    set_in(door, &of, address, (port, kind), &vlans).inspect_err(|_| {
        if let Err(error) = lab.remove_row(port, address) {
            tracing::warn!("{error}");
        }
    })
}

/// Sets an address in all of these VLANs, or in none. What was learned of it gives way; what was set
/// by hand at another port does not.
fn set_in(
    door: &LabDoor,
    of: &Of,
    address: MacAddr,
    (port, kind): (PortId, EntryKind),
    vlans: &[VlanId],
) -> Answer<()> {
    let meant = |row: &switch::FdbEntry| {
        let by_hand = !row.kind.is_learned() && row.kind != EntryKind::Extern;
        let here = row.network == of.domain.id && vlans.contains(&row.vlan);
        row.mac == address && here && by_hand && row.port != port
    };
    let (before, ports) =
        door.switch(|switch| (switch.fdb().into_iter().find(meant), switch.ports()))?;
    if let Some(row) = before {
        let at = ports.into_iter().find(|info| info.id == row.port);
        let (at, mend) = match at.map(|info| info.spec.name) {
            Some(name) => (format!("is set at port {name} already"), format!("{address} {name}")),
            None => ("is a blackhole already".into(), address.to_string()),
        };
        return Err(DoorError::Conflict(format!("{address} {at}: say `fdb del {mend}` first")));
    }
    let is_full = door.switch(|switch| {
        let (table, now) = (switch.table(), now());
        let set = |vlan: &VlanId| {
            let scope = table.scope(of.domain.id, *vlan);
            scope.is_some_and(|scope| table.set(address, scope, port, kind, now))
        };
        let Some(full) = vlans.iter().position(|vlan| !set(vlan)) else { return false };
        let scopes = vlans[..full].iter().filter_map(|vlan| table.scope(of.domain.id, *vlan));
        scopes.for_each(|scope| _ = table.remove(address, scope));
        true
    })?;
    match is_full {
        true => Err(DoorError::Failed(format!("{address}: the table has no room for it"))),
        false => Ok(()),
    }
}

pub(crate) fn del_fdb(door: &LabDoor, ask: &DelFdb) -> Answer<Flushed> {
    let lab = door.lab()?;
    let address = mac(&ask.mac)?;
    let port = ask.port.as_ref().map(|name| find(door, &lab, name)).transpose()?;
    let asked = match (&port, ask.vlan) {
        (_, None) => None,
        (Some(info), asked) => Of::port(door, info)?.vlan(asked)?,
        (None, Some(asked)) => Some(known_vlan(door, asked, ask.network.as_deref())?),
    };
    let network = Of::id(door, ask.network.as_deref())?;
    let (gone, by_hand) = door.switch(|switch| {
        let meant = |row: &switch::FdbEntry| {
            row.mac == address
                && asked.is_none_or(|vlan| row.vlan == vlan)
                && network.is_none_or(|network| row.network == network)
                && port.as_ref().is_none_or(|info| row.port == info.id)
        };
        let rows: Vec<_> = switch.fdb().into_iter().filter(meant).collect();
        let set = rows.iter().filter(|row| !row.kind.is_learned()).map(|row| row.port);
        let by_hand: Vec<PortId> = set.collect();
        let scope = |row: &switch::FdbEntry| switch.table().scope(row.network, row.vlan);
        let scopes = rows.iter().filter_map(scope);
        (scopes.filter(|scope| switch.table().remove(address, *scope)).count(), by_hand)
    })?;
    if gone == 0 {
        return Err(DoorError::NotFound(format!("{address} is not in the table there")));
    }
    // Behind a tunnel the kernel knows of it too, for all VLANs together.
    let kept = door.switch(|switch| {
        let rows = switch.fdb().into_iter();
        let set = rows.filter(|row| row.mac == address && !row.kind.is_learned());
        set.map(|row| row.port).collect::<Vec<PortId>>()
    })?;
    let mut rows = by_hand.into_iter().filter(|port| !kept.contains(port));
    rows.try_for_each(|port| lab.remove_row(port, address)).map_err(|error| refusal(&error))?;
    Ok(Flushed { flushed: gone as u64 })
}

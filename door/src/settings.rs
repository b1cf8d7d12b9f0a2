//! Settings changed at the door: of ports, of their VLANs, of the network, and addresses set by
//! hand. Each is checked before anything changes.

use control::DoorError;
use control::api::{AddVlan, DelFdb, FdbKind, Flushed, Network, Port, SetFdb, SetNetwork, SetPort};
use lab::station::LAN;
use lab::{Lab, address, port};
use switch::core::{Memberships, VlanFilter};
use switch::{EntryKind, Leg, NetworkConfig, NetworkId, PortId, PortInfo, Switch};
use wire::{MacAddr, VlanId};

use crate::open::{Answer, LabDoor};
use crate::{bridge, change};

/// The one network of the shapes.
const NAME: &str = "lan";
/// The gateway, where a port is asked for.
const GATEWAY: &str = "gateway";
/// The VLAN the gateway is in when they begin to be told apart, as all ports are.
const FIRST_VLAN: VlanId = VlanId::from_tci(1);

fn invalid(line: String) -> DoorError {
    DoorError::Invalid(line)
}

fn failed(error: &switch::Error) -> DoorError {
    DoorError::Failed(error.to_string())
}

/// A bridged port by its own name or its node's.
fn find(door: &LabDoor, lab: &Lab, name: &str) -> Answer<PortInfo> {
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
        let vlans = port::memberships(asked);
        let vlans = vlans.map_err(|line| invalid(format!("port {name}: {line}")))?;
        filtered(&config(door)?)?;
        set_vlans(door, info.id, vlans.into())?;
    }
    door.switch(|switch| switch.set_settings(info.id, settings))?.map_err(|e| failed(&e))?;
    bridge::port(door, info.id)
}

/// The network as it is.
fn config(door: &LabDoor) -> Answer<NetworkConfig> {
    let found = door.switch(|switch| switch.network(NetworkId::FIRST))?;
    found.ok_or_else(|| DoorError::Failed("the switch has no network".into()))
}

fn set_config(door: &LabDoor, config: NetworkConfig) -> Answer<()> {
    door.switch(|switch| switch.set_network(NetworkId::FIRST, config))?.map_err(|e| failed(&e))
}

fn filtered(config: &NetworkConfig) -> Answer<()> {
    match config.vlans {
        Some(_) => Ok(()),
        None => Err(DoorError::Conflict(format!(
            "network {NAME} does not tell VLANs apart: say `network set {NAME} --vlan-filtering \
             on` first"
        ))),
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
    let network = config(door)?;
    filtered(&network)?;
    if name == GATEWAY {
        if last != ask.vlan {
            return Err(invalid(format!("VLANs {}-{last}: the gateway is in one VLAN", ask.vlan)));
        }
        let legs = vec![(VlanId::from_tci(ask.vlan), LAN)];
        return set_config(door, NetworkConfig { legs, ..network });
    }
    let info = find(door, &lab, name)?;
    let mut own = info.spec.vlans.to_vlans();
    for vlan in vlans {
        own.add(vlan, ask.untagged);
        if ask.pvid {
            own.pvid = Some(vlan);
        }
    }
    set_vlans(door, info.id, own.into())
}

fn set_vlans(door: &LabDoor, id: PortId, vlans: Memberships) -> Answer<()> {
    door.switch(|switch| switch.set_vlans(id, vlans))?.map_err(|e| failed(&e))
}

pub(crate) fn del_vlan(door: &LabDoor, name: &str, first: u16, last: u16) -> Answer<()> {
    let lab = door.lab()?;
    let vlans = port::vlans(first, last).map_err(invalid)?;
    let mut network = config(door)?;
    filtered(&network)?;
    let none = || DoorError::NotFound(format!("{name} is no member of VLAN {first}"));
    if name == GATEWAY {
        let gone = |vlan: &VlanId| (first..=last).contains(&vlan.get());
        let before = network.legs.len();
        network.legs.retain(|(vlan, _)| !gone(vlan));
        return if network.legs.len() == before { Err(none()) } else { set_config(door, network) };
    }
    let info = find(door, &lab, name)?;
    let mut own = info.spec.vlans.to_vlans();
    if vlans.filter(|vlan| own.remove(*vlan)).count() == 0 {
        return Err(none());
    }
    set_vlans(door, info.id, own.into())
}

pub(crate) fn networks(door: &LabDoor) -> Answer<Vec<Network>> {
    let network = config(door)?;
    let (learned, ports) = door.switch(|switch| {
        let bridged = |info: &PortInfo| info.spec.role == switch::PortRole::Bridged;
        let ports = switch.ports().iter().filter(|info| bridged(info)).count();
        (switch.table().network_len(NetworkId::FIRST), ports)
    })?;
    let vlan = network.legs.iter().find(|(_, leg)| *leg == Leg::default()).map(|(vlan, _)| *vlan);
    let protocol = network.vlans.unwrap_or_default().protocol;
    Ok(vec![Network {
        name: NAME.into(),
        subnets: vec![format!("{}/{}", address::NETWORK, address::PREFIX)],
        gateway: network.local.map(|_| address::GATEWAY.to_string()),
        ports: u32::try_from(ports).unwrap_or(u32::MAX),
        ageing_time: network.ageing_time.as_secs(),
        group_fwd_mask: network.group_fwd_mask,
        fdb_n_learned: learned,
        fdb_max_learned: network.fdb_max_learned.unwrap_or(0),
        vlan_filtering: network.vlans.is_some(),
        vlan_protocol: if protocol == AD { "802.1ad" } else { "802.1Q" }.into(),
        gateway_vlan: vlan.map(VlanId::get).filter(|vlan| network.vlans.is_some() && *vlan > 0),
    }])
}

/// The protocol of a provider's tags.
const AD: u16 = 0x88a8;
/// Groups that a bridge keeps to itself whatever it is told: PAUSE frames, and the link's own
/// (net/bridge/br_private.h, `BR_GROUPFWD_RESTRICTED`).
const RESTRICTED: u16 = 0x0007;
/// As long as the kernel's timers reach: about 248 days.
const LONGEST_AGEING: u64 = 21_474_836;

pub(crate) fn set_network(door: &LabDoor, name: &str, ask: &SetNetwork) -> Answer<Network> {
    let mut network = config(door)?;
    if name != NAME {
        return Err(DoorError::NotFound(format!("there is no network {name}; the lab has {NAME}")));
    }
    if let Some(seconds) = ask.ageing_time {
        if seconds > LONGEST_AGEING {
            return Err(invalid(format!("ageing time {seconds} s: at most {LONGEST_AGEING} s")));
        }
        network.ageing_time = std::time::Duration::from_secs(seconds);
    }
    if let Some(mask) = ask.group_fwd_mask {
        if mask & RESTRICTED != 0 {
            return Err(invalid(format!(
                "group mask {mask:#06x}: the groups 01:80:c2:00:00:00 to :02 cannot be let \
                 through by it (bits 0 to 2)"
            )));
        }
        network.group_fwd_mask = mask;
    }
    if let Some(most) = ask.fdb_max_learned {
        network.fdb_max_learned = Some(most).filter(|most| *most > 0);
    }
    let protocol = match ask.vlan_protocol.as_deref() {
        None => None,
        Some("802.1Q" | "802.1q") => Some(VlanFilter::default()),
        Some("802.1ad" | "802.1AD") => Some(VlanFilter { protocol: AD }),
        Some(other) => {
            return Err(invalid(format!("{other:?} is no VLAN protocol: 802.1Q or 802.1ad")));
        }
    };
    match ask.vlan_filtering.unwrap_or(network.vlans.is_some()) {
        true => {
            if network.vlans.is_none() {
                network.legs = vec![(FIRST_VLAN, LAN)];
            }
            network.vlans = Some(protocol.or(network.vlans).unwrap_or_default());
        }
        false if protocol.is_some() => filtered(&NetworkConfig { vlans: None, ..network.clone() })?,
        false => {
            network.legs = vec![(VlanId::NONE, LAN)];
            network.vlans = None;
        }
    }
    set_config(door, network)?;
    networks(door)?.pop().ok_or_else(|| DoorError::Failed("the network is gone".into()))
}

fn mac(text: &str) -> Answer<MacAddr> {
    let mac = text.parse::<MacAddr>().map_err(|_| {
        invalid(format!("{text:?} is no hardware address: six bytes as 02:00:00:00:00:01"))
    })?;
    if mac.is_group() || mac == MacAddr::ZERO {
        return Err(invalid(format!("{mac} is no address of one host")));
    }
    Ok(mac)
}

/// The VLAN of a request, checked against what the network tells apart.
fn vlan(network: &NetworkConfig, asked: Option<u16>) -> Answer<Option<VlanId>> {
    let Some(asked) = asked else { return Ok(None) };
    filtered(network)?;
    let _ = port::vlans(asked, asked).map_err(invalid)?;
    Ok(Some(VlanId::from_tci(asked)))
}

/// A VLAN that may be asked about.
pub(crate) fn known_vlan(door: &LabDoor, asked: u16) -> Answer<VlanId> {
    Ok(vlan(&config(door)?, Some(asked))?.unwrap_or(VlanId::NONE))
}

pub(crate) fn set_fdb(door: &LabDoor, ask: &SetFdb) -> Answer<()> {
    let lab = door.lab()?;
    let address = mac(&ask.mac)?;
    let network = config(door)?;
    if network.local == Some(address) {
        return Err(DoorError::Conflict(format!("{address} is the gateway's own address")));
    }
    let asked = vlan(&network, ask.vlan)?;
    let (port, kind, own) = match (ask.kind, &ask.port) {
        (FdbKind::Blackhole, None) => (PortId::LOCAL, EntryKind::Blackhole, Some(FIRST_VLAN)),
        (FdbKind::Blackhole, Some(_)) => {
            return Err(invalid(format!(
                "{address}: a blackhole leads nowhere, so it has no port"
            )));
        }
        (_, None) => {
            return Err(invalid(format!("{address}: say the port or the node it is behind")));
        }
        (kind, Some(name)) => {
            let info = find(door, &lab, name)?;
            let kind = match kind {
                FdbKind::Sticky => EntryKind::Sticky,
                _ => EntryKind::Static,
            };
            (info.id, kind, info.spec.vlans.to_vlans().pvid)
        }
    };
    let vlan = match network.vlans {
        None => VlanId::NONE,
        Some(_) => asked.or(own).ok_or_else(|| {
            invalid(format!("{address}: its port has no VLAN for frames without a tag: say one"))
        })?,
    };
    let set = door.switch(|switch| {
        let scope = switch.table().scope(NetworkId::FIRST, vlan)?;
        switch.table().set(address, scope, port, kind).then_some(())
    })?;
    set.ok_or_else(|| DoorError::Failed(format!("{address}: the table has no room for it")))
}

pub(crate) fn del_fdb(door: &LabDoor, ask: &DelFdb) -> Answer<Flushed> {
    let lab = door.lab()?;
    let address = mac(&ask.mac)?;
    let network = config(door)?;
    let asked = vlan(&network, ask.vlan)?;
    let port = ask.port.as_ref().map(|name| find(door, &lab, name)).transpose()?;
    let gone = door.switch(|switch| {
        let meant = |row: &switch::FdbEntry| {
            row.mac == address
                && asked.is_none_or(|vlan| row.vlan == vlan)
                && port.as_ref().is_none_or(|info| row.port == info.id)
        };
        let rows = switch.fdb().into_iter().filter(meant);
        let scope = |row: switch::FdbEntry| switch.table().scope(row.network, row.vlan);
        let scopes: Vec<_> = rows.filter_map(scope).collect();
        scopes.into_iter().filter(|scope| switch.table().remove(address, *scope)).count()
    })?;
    if gone == 0 {
        return Err(DoorError::NotFound(format!("{address} is not in the table there")));
    }
    Ok(Flushed { flushed: gone as u64 })
}

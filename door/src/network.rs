//! Networks at the door: shown, made, changed, ended. Each change is checked before anything happens.

use control::DoorError;
use control::api::{AddNetwork, EventKind, Network, PortVlan, SetNetwork};
use gateway::LegId;
use lab::domain::{self, Domain};
use lab::{Lab, Resized, entries, port, station};
use switch::core::{Memberships, PortVlans, VlanFilter};
use switch::{Leg, NetworkConfig, NetworkId, PortId, PortInfo, Switch};
use wire::{MacAddr, VlanId};

use crate::open::{Answer, LabDoor, refusal};
use crate::settings::{failed, invalid};
use crate::{carried, change, groups, places, settings};

/// A network as the switch has it.
pub(crate) struct Of {
    /// Its name.
    pub(crate) name: String,
    /// Its numbers.
    pub(crate) domain: Domain,
    /// Its settings.
    pub(crate) config: NetworkConfig,
}

impl Of {
    /// By its name; None for the lab's first.
    pub(crate) fn named(door: &LabDoor, name: Option<&str>) -> Answer<Self> {
        let (name, domain) = door.lab()?.network(name).map_err(|error| refusal(&error))?;
        let found = door.switch(|switch| switch.network(domain.id))?;
        let config = found.ok_or_else(|| DoorError::NotFound(format!("network {name} is gone")))?;
        Ok(Self { name, domain, config })
    }

    /// By its name; None for the only one there is, `of` an address that would be in any.
    pub(crate) fn only(door: &LabDoor, name: Option<&str>, of: &MacAddr) -> Answer<Self> {
        let all = door.lab()?.networks();
        if name.is_none() && all.len() > 1 {
            let all: Vec<_> = all.into_iter().map(|(name, _)| name).collect();
            return Err(invalid(format!(
                "{of}: say in which network, by `--network NAME`: there are {}",
                all.join(", ")
            )));
        }
        Self::named(door, name)
    }

    /// A network's number in the switch; None where none is named.
    pub(crate) fn id(door: &LabDoor, name: Option<&str>) -> Answer<Option<NetworkId>> {
        name.map(|name| Ok(Self::named(door, Some(name))?.domain.id)).transpose()
    }

    /// That of a port.
    pub(crate) fn port(door: &LabDoor, port: &PortInfo) -> Answer<Self> {
        let name = door.lab()?.network_name(port.spec.network).ok_or_else(|| {
            let port = &port.spec.name;
            DoorError::Conflict(format!(
                "port {port} is in no network: say `port {port} --network NAME` first"
            ))
        })?;
        Self::named(door, Some(&name))
    }

    pub(crate) fn set(&self, door: &LabDoor, config: NetworkConfig) -> Answer<()> {
        door.switch(|switch| switch.set_network(self.domain.id, config))?.map_err(|e| failed(&e))
    }

    /// That it tells VLANs apart.
    pub(crate) fn filtered(&self) -> Answer<()> {
        self.config.vlans.map(|_| ()).ok_or_else(|| self.tells_none())
    }

    fn tells_none(&self) -> DoorError {
        let (name, program) = (&self.name, lab::called::program());
        DoorError::Conflict(format!(
            "network {name} does not tell VLANs apart: `{program} network set {name} \
             --vlan-filtering on` has it do so"
        ))
    }

    /// The gateway's first leg in it.
    pub(crate) fn leg(&self) -> Option<Leg> {
        self.domain.legs.first().map(|(_, leg)| station::leg(*leg))
    }

    /// The gateway's legs by VLAN, where one is to be in `vlan` too: that VLAN's own, where it has
    /// subnets, else the one that has the network's, which leaves the VLAN it was in.
    pub(crate) fn legs_with(&self, door: &LabDoor, vlan: VlanId) -> Answer<Vec<(VlanId, Leg)>> {
        let mut legs = self.config.legs.clone();
        let of_vlans = door.lab()?.with_spec(|spec| {
            let network = spec.network(&self.name);
            network.map(|own| own.vlans.keys().copied().collect::<Vec<_>>()).unwrap_or_default()
        });
        let of_vlan = |(of, _): &&(VlanId, LegId)| of_vlans.contains(&of.get());
        let own = self.domain.legs.iter().find(|leg| leg.0 == vlan && of_vlan(leg));
        let whole = self.domain.legs.iter().find(|leg| !of_vlan(leg));
        let Some(leg) = own.or(whole).map(|(_, leg)| station::leg(*leg)) else {
            return Err(DoorError::Conflict(format!(
                "the gateway has no address for VLAN {} of network {}: its legs there belong to \
                 other VLANs",
                vlan.get(),
                self.name
            )));
        };
        let taken = legs.iter().any(|(of, other)| *of == vlan && *other != leg);
        if taken {
            return Err(DoorError::Conflict(format!(
                "the gateway has another leg in VLAN {} of network {}: say `vlan del \
                 gateway:{} {}` first",
                vlan.get(),
                self.name,
                self.name,
                vlan.get()
            )));
        }
        legs.retain(|(_, other)| *other != leg);
        legs.push((vlan, leg));
        legs.sort_unstable();
        Ok(legs)
    }

    /// Another VLAN is that of frames without a tag from now on, 0 for none: the gateway's leg with the
    /// network's own addresses is in it, and so is each port that was in the one before, but for ports
    /// that are members of the new one already (net/bridge/br_vlan.c, `__br_vlan_set_default_pvid`).
    /// Tells what those ports are to be members of.
    fn native(
        &self,
        door: &LabDoor,
        network: &mut NetworkConfig,
        vlan: u16,
    ) -> Answer<Vec<(PortId, Memberships)>> {
        let vlan = Some(VlanId::from_tci(vlan)).filter(|vlan| *vlan != VlanId::NONE);
        let lab = door.lab()?;
        let (before, own) = lab.with_spec(|spec| {
            let network = spec.network(&self.name);
            let own = network.map(|network| network.vlans.keys().copied().collect::<Vec<_>>());
            (network.map_or(Some(1), topology::Network::default_pvid), own.unwrap_or_default())
        });
        let before = before.map(VlanId::from_tci);
        if let Some(taken) = vlan.filter(|vlan| own.contains(&vlan.get())) {
            return Err(DoorError::Conflict(format!(
                "VLAN {} of network {} has a subnet of its own: its ports say so one by one \
                 (`vlan add PORT {} --pvid --untagged`)",
                taken.get(),
                self.name,
                taken.get()
            )));
        }
        match (before, vlan) {
            (Some(before), Some(vlan)) => {
                let legs = network.legs.iter_mut().filter(|(of, _)| *of == before);
                legs.for_each(|(of, _)| *of = vlan);
            }
            (Some(before), None) => network.legs.retain(|(of, _)| *of != before),
            (None, Some(vlan)) => network.legs.extend(self.leg().map(|leg| (vlan, leg))),
            (None, None) => {}
        }
        network.legs.sort_unstable();
        let ports = door.switch(Switch::ports)?.into_iter().filter(|info| self.has(info));
        let natives = ports.filter_map(|info| {
            let mut vlans = info.spec.vlans.to_vlans();
            let member = vlan.is_some_and(|vlan| info.spec.vlans.has(vlan));
            if vlans.pvid != before || member {
                return None;
            }
            before.map(|before| vlans.remove(before));
            if let Some(vlan) = vlan {
                vlans.add(vlan, true);
                vlans.pvid = Some(vlan);
            }
            Some((info.id, vlans.into()))
        });
        Ok(natives.collect())
    }

    /// The VLANs of what is set at no port, where they are told apart: all that there are.
    pub(crate) fn all_vlans(&self, door: &LabDoor) -> Answer<Vec<VlanId>> {
        let ports = door.switch(Switch::ports)?;
        let all = |spec: &topology::Spec| {
            let own = ports.iter().filter(|info| self.has(info));
            spec.network(&self.name).map(|network| entries::all_vlans(network, own))
        };
        Ok(door.lab()?.with_spec(all).unwrap_or_default())
    }

    /// The VLANs in which something is set at no port: the one that is asked for, else all that there are.
    pub(crate) fn vlans_without(&self, door: &LabDoor, asked: Option<u16>) -> Answer<Vec<VlanId>> {
        let asked = self.vlan(asked)?;
        if self.config.vlans.is_none() {
            return Ok(vec![VlanId::NONE]);
        }
        let mut all = self.all_vlans(door)?;
        all.retain(|vlan| asked.is_none_or(|asked| asked == *vlan));
        let name = &self.name;
        match (all.is_empty(), asked.map(VlanId::get)) {
            (false, _) => Ok(all),
            (true, Some(vlan)) => Err(invalid(format!(
                "nothing in network {name} is a member of VLAN {vlan}: say `vlan add PORT {vlan}` first"
            ))),
            (true, None) => Err(invalid(format!(
                "nothing in network {name} is a member of a VLAN: say `vlan add PORT VID` first"
            ))),
        }
    }

    /// Whether a port is in it.
    fn has(&self, info: &PortInfo) -> bool {
        info.spec.role == switch::PortRole::Bridged && info.spec.network == self.domain.id
    }

    /// The VLAN of a request, checked against what the network tells apart.
    pub(crate) fn vlan(&self, asked: Option<u16>) -> Answer<Option<VlanId>> {
        let Some(asked) = asked else { return Ok(None) };
        self.filtered()?;
        let _ = port::vlans(asked, asked).map_err(invalid)?;
        Ok(Some(VlanId::from_tci(asked)))
    }

    /// The VLANs in which something is set at a port of it: the one that is asked for, else all that
    /// the port is a member of, as the kernel's bridge has it.
    pub(crate) fn vlans_for(&self, port: &PortInfo, asked: Option<u16>) -> Answer<Vec<VlanId>> {
        let (own, name) = (&port.spec.vlans, &port.spec.name);
        match (self.vlan(asked)?, self.config.vlans) {
            (_, None) => Ok(vec![VlanId::NONE]),
            (Some(vlan), _) if own.has(vlan) => Ok(vec![vlan]),
            (Some(vlan), _) => Err(invalid(format!(
                "port {name} is no member of VLAN {0}: say `vlan add {name} {0}` first",
                vlan.get()
            ))),
            (None, _) if own.all().next().is_some() => Ok(own.all().collect()),
            (None, _) => Err(invalid(format!(
                "port {name} is a member of no VLAN: say `vlan add {name} VID` first"
            ))),
        }
    }
}

pub(crate) fn networks(door: &LabDoor) -> Answer<Vec<Network>> {
    let names: Vec<_> = door.lab()?.networks().into_iter().map(|(name, _)| name).collect();
    if names.is_empty() {
        door.switch(|_| ())?;
    }
    names.iter().map(|name| network(door, name)).collect()
}

/// One network.
fn network(door: &LabDoor, name: &str) -> Answer<Network> {
    let Of { name, domain, config } = Of::named(door, Some(name))?;
    let lab = door.lab()?;
    let spec = lab.with_spec(|spec| spec.network(&name).cloned()).unwrap_or_default();
    let (gateway, mtu) = lab.with_spec(|spec| (own_gateway(spec, &name), spec.mtu_of(&name)));
    let (learned, moved, ports) = door.switch(|switch| {
        let here = |info: &PortInfo| {
            info.spec.role == switch::PortRole::Bridged && info.spec.network == domain.id
        };
        let mut ports = switch.ports();
        ports.retain(here);
        let moved = ports.iter().map(|info| info.stats.moved).sum();
        (switch.table().network_len(domain.id), moved, ports.len())
    })?;
    let own = config.legs.iter().map(|(vlan, _)| vlan.get());
    let own: Vec<u16> = own.filter(|vlan| config.vlans.is_some() && *vlan > 0).collect();
    let protocol = config.vlans.unwrap_or_default().protocol;
    let shown = Network {
        name,
        number: domain.id.0,
        subnets: spec.subnets.iter().map(ToString::to_string).collect(),
        gateway: config.local.and(gateway).map(|own| own.ip.to_string()),
        internal: spec.internal,
        routed: spec.routed.clone(),
        mtu,
        ports: u32::try_from(ports).unwrap_or(u32::MAX),
        ageing_time: config.ageing_time.as_secs(),
        group_fwd_mask: config.group_fwd_mask,
        fdb_n_learned: learned,
        fdb_max_learned: config.fdb_max_learned.unwrap_or(0),
        fdb_n_moved: moved,
        gateway_guard: config.gateway_guard,
        vlan_filtering: config.vlans.is_some(),
        vlan_protocol: if protocol == AD { "802.1ad" } else { "802.1Q" }.into(),
        vlan_default_pvid: spec.default_pvid().unwrap_or(0),
        gateway_vlan: own.first().copied(),
        gateway_vlans: own,
        gateway_vlan_stats: gateway_vlans(door, &config)?,
        ..Network::default()
    };
    groups::shown(door, domain.id, &config.mcast, shown)
}

/// The gateway's address of IPv4 in the network's own subnets.
fn own_gateway(spec: &topology::Spec, network: &str) -> Option<topology::Address> {
    spec.gateways(network).into_iter().find(|own| own.ip.is_ipv4())
}

pub(crate) fn add_network(door: &LabDoor, ask: &AddNetwork) -> Answer<Network> {
    let lab = door.lab()?;
    lab.add_network(&ask.name, ask.network.clone()).map_err(|error| refusal(&error))?;
    network(door, &ask.name)
}

/// The gateway's VLANs in a network, with what it has said and was given in each.
fn gateway_vlans(door: &LabDoor, config: &NetworkConfig) -> Answer<Vec<PortVlan>> {
    if config.vlans.is_none() {
        return Ok(Vec::new());
    }
    let of_leg = |(vlan, leg): &(VlanId, Leg)| {
        let counted = door.switch(|switch| switch.leg_stats(*leg))?;
        Ok(port::vlans_shown(&PortVlans::access(*vlan).into(), &counted))
    };
    let rows = config.legs.iter().map(of_leg).collect::<Answer<Vec<_>>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// That a network's MTU is another, in the door's words.
pub(crate) fn resized(lab: &Lab, resized: Resized) -> EventKind {
    let Resized { network, from, to } = resized;
    let network = (lab.networks().len() > 1).then_some(network);
    EventKind::MtuChanged { network, from, to }
}

pub(crate) fn remove_network(door: &LabDoor, name: &str) -> Answer<()> {
    let lab = door.lab()?;
    let removed = lab.remove_network(name);
    change::tell_withdrawn(door, &lab);
    removed.map_err(|error| refusal(&error))
}

/// The protocol of a provider's tags.
const AD: u16 = 0x88a8;
/// Says which of these settings cannot be.
fn check_settings(ask: &SetNetwork) -> Answer<()> {
    match ask.wrong().first() {
        Some((key, text)) => Err(invalid(format!("{key} {text}"))),
        None => Ok(()),
    }
}

pub(crate) fn set_network(door: &LabDoor, name: &str, ask: &SetNetwork) -> Answer<Network> {
    let of = Of::named(door, Some(name))?;
    let mut network = of.config.clone();
    check_settings(ask)?;
    if let Some(seconds) = ask.ageing_time {
        network.ageing_time = std::time::Duration::from_secs(seconds);
    }
    if let Some(mask) = ask.group_fwd_mask {
        network.group_fwd_mask = mask;
    }
    if let Some(most) = ask.fdb_max_learned {
        network.fdb_max_learned = Some(most).filter(|most| *most > 0);
    }
    network.mcast = domain::groups_set(&network.mcast, ask);
    network.gateway_guard = ask.gateway_guard.unwrap_or(network.gateway_guard);
    let protocol = ask.vlan_protocol.map(|one| VlanFilter { protocol: one.tpid() });
    match ask.vlan_filtering.unwrap_or(network.vlans.is_some()) {
        true => {
            if network.vlans.is_none() {
                let spec = door.lab()?.with_spec(|spec| spec.network(name).cloned());
                network.legs = places::begun(&spec.unwrap_or_default(), &of.domain);
            }
            network.vlans = Some(protocol.or(network.vlans).unwrap_or_default());
        }
        false if protocol.is_some() => of.filtered()?,
        false => {
            network.legs = of.leg().map(|leg| (VlanId::NONE, leg)).into_iter().collect();
            network.vlans = None;
        }
    }
    let pvid = match ask.vlan_default_pvid {
        None => None,
        Some(_) if network.vlans.is_none() => {
            return Err(of.tells_none());
        }
        Some(vlan) => Some(of.native(door, &mut network, vlan)?),
    };
    // Nothing but this may be refused any more.
    if let Some(mtu) = ask.mtu {
        door.lab()?.set_network_mtu(name, mtu).map_err(|error| refusal(&error))?;
    }
    let filters = network.vlans.is_some();
    of.set(door, network)?;
    if let Some(natives) = pvid {
        natives.into_iter().try_for_each(|(port, vlans)| settings::set_vlans(door, port, vlans))?;
    }
    if filters != of.config.vlans.is_some() {
        carried::follow(door, &of, filters)?;
        door.lab()?.tell_vlans();
    }
    door.lab()?.note_network(name, |network| network.set(ask));
    self::network(door, name)
}

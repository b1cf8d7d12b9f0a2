//! What was set by hand in a network, where VLANs begin or cease to be told apart there: it goes along, and
//! no row stays in a table that nobody looks into. What was learned is forgotten by the switch.
//!
//! As `fdb add` and `mdb add` without a VLAN: with VLANs a row is in all those of its port, without in the
//! one table there is then.

use switch::{EntryKind, FdbEntry, PortId, PortInfo, Switch};
use wire::VlanId;

use crate::network::Of;
use crate::open::{Answer, LabDoor, now};

/// Has all that was set in a network follow. Told after the switch has begun, or ceased.
pub(crate) fn follow(door: &LabDoor, of: &Of, begins: bool) -> Answer<()> {
    let (ports, all) = (door.switch(Switch::ports)?, of.all_vlans(door)?);
    let vlans = |port: PortId| -> Vec<VlanId> {
        if !begins {
            return vec![VlanId::NONE];
        }
        let info = ports.iter().find(|info| info.id == port);
        // A blackhole has no port.
        info.map_or_else(|| all.clone(), |info| info.spec.vlans.all().collect())
    };
    let is_dead = |vlan: VlanId| (vlan == VlanId::NONE) == begins;
    addresses(door, of, vlans, is_dead)?;
    members(door, of, (&ports, vlans), is_dead)
}

fn addresses(
    door: &LabDoor,
    of: &Of,
    vlans: impl Fn(PortId) -> Vec<VlanId>,
    is_dead: impl Fn(VlanId) -> bool,
) -> Answer<()> {
    let id = of.domain.id;
    door.switch(|switch| {
        let table = switch.table();
        let mut rows: Vec<FdbEntry> = switch.fdb();
        rows.retain(|row| row.network == id && !row.kind.is_learned() && is_dead(row.vlan));
        // Of one address in several VLANs the lowest goes before; what is set to nobody, before all.
        rows.sort_by_key(|row| (row.kind != EntryKind::Blackhole, row.vlan));
        for row in rows {
            for vlan in vlans(row.port) {
                let Some(scope) = table.scope(id, vlan) else { continue };
                let there = table.entry(row.mac, scope, now()).filter(|own| !own.kind.is_learned());
                if there.is_none() && !table.set(row.mac, scope, row.port, row.kind, now()) {
                    tracing::warn!(
                        "{}: the table has no room for it in VLAN {}",
                        row.mac,
                        vlan.get()
                    );
                }
            }
            let was = table.scope(id, row.vlan);
            was.map(|was| table.remove(row.mac, was));
        }
    })
}

fn members(
    door: &LabDoor,
    of: &Of,
    (ports, vlans): (&[PortInfo], impl Fn(PortId) -> Vec<VlanId>),
    is_dead: impl Fn(VlanId) -> bool,
) -> Answer<()> {
    let Some(groups) = door.switch(|switch| switch.groups_kept(of.domain.id))? else {
        return Ok(());
    };
    let rows = groups.entries(now());
    for row in rows.into_iter().filter(|row| row.permanent && is_dead(row.vlan)) {
        let Some(info) = ports.iter().find(|info| info.id == row.port) else { continue };
        for vlan in vlans(row.port) {
            if !groups.set(vlan, row.group, (info.id, &info.spec.settings), now()) {
                tracing::warn!("{:?}: there is no room for it in VLAN {}", row.group, vlan.get());
            }
        }
        groups.end(row.vlan, row.group, row.port);
    }
    Ok(())
}

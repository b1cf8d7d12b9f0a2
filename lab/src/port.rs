//! A port's settings as they are asked for and shown at the door, and as the switch takes them:
//! the one place where the two meet. Pure.

use std::collections::BTreeMap;

use control::api;
use switch::core::{Memberships, PortVlans, RouterMode};
use switch::{PortSettings, StormLimits, VlanStats};
use wire::VlanId;

/// The group of PAUSE frames, which a link keeps to itself whatever a port is told
/// (net/bridge/br_private.h, `BR_GROUPFWD_MACPAUSE`).
const PAUSE: u16 = 1 << 1;
/// The group that `isolated` alone stands for.
pub(crate) const ISOLATED: u8 = 0;

/// The settings of a node's port when it is plugged in.
#[must_use]
pub fn plugged(storm: api::StormLimits) -> PortSettings {
    PortSettings { storm: limits(storm), ..PortSettings::default() }
}

fn limits(asked: api::StormLimits) -> StormLimits {
    let api::StormLimits { broadcast, multicast, unknown } = asked;
    StormLimits { broadcast, multicast, unknown }
}

/// The storm limits of a port.
#[must_use]
pub fn storm(settings: &PortSettings) -> api::StormLimits {
    let StormLimits { broadcast, multicast, unknown } = settings.storm;
    api::StormLimits { broadcast, multicast, unknown }
}

/// A port's settings.
#[must_use]
pub fn shown(settings: &PortSettings) -> api::PortSettings {
    api::PortSettings {
        hairpin: settings.hairpin,
        learning: settings.learning,
        flood: settings.flood,
        mcast_flood: settings.mcast_flood,
        bcast_flood: settings.bcast_flood,
        isolated: settings.isolation.is_some(),
        isolation: settings.isolation.filter(|group| *group > 0),
        locked: settings.locked,
        mab: settings.mab,
        group_fwd_mask: settings.group_fwd_mask,
        neigh_suppress: settings.neigh_suppress,
        fastleave: settings.fastleave,
        mcast_router: router_shown(settings.mcast_router),
        mcast_max_groups: settings.mcast_max_groups,
        loop_protect: settings.loop_protect,
        learn_limit: settings.learn_limit,
    }
}

/// Settings changed as asked.
///
/// # Errors
/// One line for what contradicts itself.
pub fn changed(before: &PortSettings, ask: &api::SetPort) -> Result<PortSettings, String> {
    let isolation = match (ask.isolated, ask.isolation) {
        (_, Some(0)) => return Err("isolation group 0: groups are numbered from 1 to 255".into()),
        (Some(false), Some(group)) => {
            return Err(format!("not isolated, and in isolation group {group}: say one of them"));
        }
        (_, Some(group)) => Some(group),
        (Some(true), None) => before.isolation.or(Some(ISOLATED)),
        (Some(false), None) => None,
        (None, None) => before.isolation,
    };
    let locked = ask.locked.unwrap_or(before.locked);
    let mab = ask.mab.unwrap_or(before.mab);
    if mab && !locked {
        return Err(
            "MAC authentication bypass takes a locked port: `--locked on` as well, or `--mab \
                    off` with it"
                .into(),
        );
    }
    if mab && !ask.learning.unwrap_or(before.learning) {
        return Err(
            "MAC authentication bypass learns who knocks: `--learning on` as well, or `--mab off` \
                    with it"
                .into(),
        );
    }
    let mask = ask.group_fwd_mask.unwrap_or(before.group_fwd_mask);
    if mask & PAUSE != 0 {
        return Err(format!(
            "group mask {mask:#06x}: the group 01:80:c2:00:00:01 cannot be let through (bit 1)"
        ));
    }
    Ok(PortSettings {
        hairpin: ask.hairpin.unwrap_or(before.hairpin),
        learning: ask.learning.unwrap_or(before.learning),
        flood: ask.flood.unwrap_or(before.flood),
        mcast_flood: ask.mcast_flood.unwrap_or(before.mcast_flood),
        bcast_flood: ask.bcast_flood.unwrap_or(before.bcast_flood),
        isolation,
        // The lab's to set.
        reach: before.reach,
        locked,
        mab,
        group_fwd_mask: mask,
        neigh_suppress: ask.neigh_suppress.unwrap_or(before.neigh_suppress),
        fastleave: ask.fastleave.unwrap_or(before.fastleave),
        mcast_router: ask.mcast_router.map_or(Ok(before.mcast_router), router)?,
        mcast_max_groups: ask.mcast_max_groups.unwrap_or(before.mcast_max_groups),
        loop_protect: ask.loop_protect.unwrap_or(before.loop_protect),
        learn_limit: ask.learn_limit.unwrap_or(before.learn_limit),
        storm: ask.storm.map_or(before.storm, limits),
    })
}

/// Whether a multicast router is somewhere, by the kernel's number.
///
/// # Errors
/// One line for what is no such number.
pub fn router(mode: u8) -> Result<RouterMode, String> {
    match mode {
        0 => Ok(RouterMode::Never),
        1 => Ok(RouterMode::Learned),
        2 => Ok(RouterMode::Always),
        other => Err(format!("multicast router {other}: 0 never, 1 while one is heard, 2 always")),
    }
}

/// The number of [`router`].
#[must_use]
pub fn router_shown(mode: RouterMode) -> u8 {
    match mode {
        RouterMode::Never => 0,
        RouterMode::Learned => 1,
        RouterMode::Always => 2,
    }
}

/// The VLANs from `first` to `last`.
///
/// # Errors
/// One line for what is no VLAN, or no range.
pub fn vlans(first: u16, last: u16) -> Result<impl Iterator<Item = VlanId>, String> {
    if let Some(bad) = [first, last].into_iter().find(|vlan| !(1..=4094).contains(vlan)) {
        return Err(format!("{bad} is no VLAN: they are numbered from 1 to 4094"));
    }
    if last < first {
        return Err(format!("VLANs {first}-{last}: the smaller number comes first"));
    }
    Ok((first..=last).map(VlanId::from_tci))
}

/// The VLANs of a port that is to be a member of these and no others.
///
/// # Errors
/// One line for what is no VLAN, no range, or no PVID.
pub fn memberships(asked: &[api::AddVlan]) -> Result<PortVlans, String> {
    let mut port = PortVlans::none();
    for ask in asked {
        ask.check().map_err(|why| why.to_string())?;
        for vlan in vlans(ask.vlan, ask.last())? {
            port.add(vlan, ask.untagged);
            if ask.pvid {
                port.pvid = Some(vlan);
            }
        }
    }
    Ok(port)
}

/// A port's VLANs in the shape of `bridge -s -j vlan show`, with what was counted of each: those that
/// follow one another and are alike as one row.
#[must_use]
pub fn vlans_shown(
    vlans: &Memberships,
    counted: &BTreeMap<VlanId, VlanStats>,
) -> Vec<api::PortVlan> {
    let PortVlans { members, untagged, pvid, .. } = vlans.to_vlans();
    let mut rows: Vec<api::PortVlan> = Vec::new();
    for vlan in members.iter() {
        let number = vlan.get();
        let mut flags = Vec::new();
        if pvid == Some(vlan) {
            flags.push("PVID".to_owned());
        }
        if untagged.has(vlan) {
            flags.push("Egress Untagged".to_owned());
        }
        let stats = counted.get(&vlan).copied().unwrap_or_default();
        let VlanStats { rx_bytes, rx_packets, tx_bytes, tx_packets } = stats;
        let stats = Some(api::VlanStats { rx_bytes, rx_packets, tx_bytes, tx_packets });
        match rows.last_mut() {
            Some(row)
                if row.vlan_end.unwrap_or(row.vlan) + 1 == number
                    && row.flags == flags
                    && row.stats == stats
                    && pvid != Some(vlan) =>
            {
                row.vlan_end = Some(number);
            }
            _ => rows.push(api::PortVlan { vlan: number, vlan_end: None, flags, stats }),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_asked_is_what_is_shown() {
        let before = PortSettings::default();
        let ask = api::SetPort {
            learning: Some(false),
            isolation: Some(7),
            locked: Some(true),
            learn_limit: Some(3),
            ..api::SetPort::default()
        };
        let after = changed(&before, &ask).unwrap();
        let shown = shown(&after);
        assert!(!shown.learning && shown.isolated && shown.locked && shown.flood);
        assert_eq!((shown.isolation, shown.learn_limit), (Some(7), 3));
        let off = api::SetPort { isolated: Some(false), ..api::SetPort::default() };
        assert_eq!(changed(&after, &off).unwrap().isolation, None);
        let on = api::SetPort { isolated: Some(true), ..api::SetPort::default() };
        assert_eq!(changed(&before, &on).unwrap().isolation, Some(0));
        assert_eq!(changed(&after, &on).unwrap().isolation, Some(7), "it stays in its group");
    }

    #[test]
    fn vlans_that_are_alike_stand_in_one_row() {
        let mut port = PortVlans::access(VlanId::from_tci(10));
        for vlan in [11, 12, 13, 20] {
            port.add(VlanId::from_tci(vlan), false);
        }
        let seen = VlanStats { rx_packets: 1, ..VlanStats::default() };
        let rows = vlans_shown(&port.into(), &BTreeMap::from([(VlanId::from_tci(13), seen)]));
        let row = |vlan, vlan_end, flags: &[&str]| api::PortVlan {
            vlan,
            vlan_end,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            stats: Some(api::VlanStats { rx_packets: (vlan == 13).into(), ..Default::default() }),
        };
        let wanted = [
            row(10, None, &["PVID", "Egress Untagged"]),
            row(11, Some(12), &[]),
            row(13, None, &[]),
            row(20, None, &[]),
        ];
        assert_eq!(rows, wanted);
    }

    #[test]
    fn a_port_is_a_member_of_the_vlans_it_was_given_and_no_others() {
        let asked = ["10 pvid untagged", "20-21"].map(|text| text.parse().unwrap());
        let port = memberships(&asked).unwrap();
        assert_eq!(port.members.iter().map(VlanId::get).collect::<Vec<_>>(), [10, 20, 21]);
        assert_eq!(port.untagged.iter().map(VlanId::get).collect::<Vec<_>>(), [10]);
        assert_eq!(port.pvid.map(VlanId::get), Some(10));
        assert!(memberships(&[api::AddVlan::tagged(4095)]).is_err());
        assert_eq!(memberships(&[]).unwrap(), PortVlans::none());
    }

    #[test]
    fn what_is_no_vlan_is_said() {
        for (first, last) in [(0, 1), (1, 4095), (4095, 4095), (5, 4)] {
            assert!(vlans(first, last).is_err(), "{first}-{last}");
        }
        assert_eq!(vlans(4093, 4094).unwrap().count(), 2);
    }
}

//! What ports are set to, and the VLANs they are members of.

use super::{Check, few};
use crate::port::SetPort;

/// The group of PAUSE frames, which a link keeps to itself (net/bridge/br_private.h,
/// `BR_GROUPFWD_MACPAUSE`).
const PAUSE: u16 = 1 << 1;

impl Check<'_> {
    pub(super) fn ports(&mut self) {
        let spec = self.spec;
        for (key, settings) in &spec.ports {
            let path = ["ports", key.as_str()];
            let (name, network) = match key.split_once(':') {
                Some((name, network)) => (name, Some(network)),
                None => (key.as_str(), None),
            };
            let joint = spec.joint(name);
            let of_node = spec.node(name);
            if of_node.is_none() && joint.is_none() {
                let all = few(spec.nodes.keys());
                self.problem(path, format!("there is no node {name}: {all}"));
                continue;
            }
            let places = of_node.iter().flat_map(|node| &node.networks);
            let places = places.map(|place| place.network.as_str());
            let own: Vec<&str> =
                places.chain(joint.iter().flat_map(|joint| joint.networks)).collect();
            if own.is_empty() || network.is_some_and(|network| !own.contains(&network)) {
                let where_ = network.unwrap_or("a network");
                let text =
                    format!("{name} has no port in {where_}: attach it there, or leave this out");
                self.problem(path, text);
                continue;
            }
            let meant = own.iter().filter(|own| network.is_none_or(|network| network == **own));
            let filters = |own: &&str| spec.network(own).is_some_and(|own| own.filters_vlans());
            let filtered = meant.clone().any(filters);
            let open = |own: &&str| spec.port(name, own).locked != Some(true);
            if settings.mab == Some(true) && meant.clone().any(open) {
                let text =
                    "MAC authentication bypass takes a locked port: say locked: true as well";
                self.problem(["ports", key, "mab"], text);
            }
            let deaf = |own: &&str| spec.port(name, own).learning == Some(false);
            if settings.mab == Some(true) && meant.clone().any(deaf) {
                let text = "MAC authentication bypass learns who knocks: leave learning on";
                self.problem(["ports", key, "mab"], text);
            }
            self.settings(&path, settings, (filtered, meant.copied().collect()));
        }
    }

    fn settings(
        &mut self,
        path: &[&str; 2],
        settings: &SetPort,
        (filtered, networks): (bool, Vec<&str>),
    ) {
        let [ports, key] = *path;
        match (settings.isolated, settings.isolation) {
            (_, Some(0)) => self.problem(
                [ports, key, "isolation"],
                "isolation group 0: groups are numbered from 1 to 255",
            ),
            (Some(false), Some(group)) => self.problem(
                [ports, key, "isolation"],
                format!("not isolated, and in isolation group {group}: say one of them"),
            ),
            _ => {}
        }
        if let Some(mask) = settings.group_fwd_mask.filter(|mask| mask & PAUSE != 0) {
            self.problem(
                [ports, key, "group_fwd_mask"],
                format!("{mask:#06x}: the group 01:80:c2:00:00:01 cannot be let through (bit 1)"),
            );
        }
        if let Some(mode) = settings.mcast_router.filter(|mode| *mode > 2) {
            self.problem(
                [ports, key, "mcast_router"],
                format!("{mode}: 0 never, 1 while one is heard, 2 always"),
            );
        }
        let Some(vlans) = &settings.vlans else { return };
        if !filtered {
            let networks = networks.join(", ");
            self.problem(
                [ports, key, "vlans"],
                format!("VLANs are not told apart in {networks}: say vlan_filtering: true there"),
            );
        }
        let mut pvid = None;
        for (at, vlan) in vlans.iter().enumerate() {
            let at = at.to_string();
            let path = [ports, key, "vlans", &at];
            if let Err(why) = vlan.check() {
                self.problem(path, why);
            } else if vlan.pvid {
                match pvid {
                    None => pvid = Some(vlan.vlan),
                    Some(first) => self.problem(path, two_pvids(first, vlan.vlan)),
                }
            }
        }
    }
}

fn two_pvids(first: u16, second: u16) -> String {
    format!(
        "VLANs {first} and {second} are both to be the port's PVID, and frames without a tag belong to \
         one VLAN: leave pvid out of one of them"
    )
}

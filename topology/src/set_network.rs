//! What of a network may be set, in the names of `ip -d -j link show type bridge`; times in seconds. The
//! command, the API and files have the same settings, with the same bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::seconds::Seconds;
use crate::vlan::LAST;
use crate::vlan_protocol::VlanProtocol;

/// Groups that a bridge keeps to itself whatever it is told: PAUSE frames, and the link's own
/// (net/bridge/br_private.h, `BR_GROUPFWD_RESTRICTED`).
const RESTRICTED: u16 = 0x0007;
/// As long as the kernel's timers reach: about 248 days.
const LONGEST: u64 = 21_474_836;
/// Shortest span between questions about groups.
const SHORTEST: Duration = Duration::from_millis(100);

/// Small numbers, and what they may be: in files, `mcast_router` of a port too.
const SMALL: [(&str, (u8, u8)); 5] = [
    ("mcast_router", (0, 2)),
    ("mcast_igmp_version", (2, 3)),
    ("mcast_mld_version", (1, 2)),
    ("mcast_last_member_count", (1, 10)),
    ("mcast_startup_query_count", (0, 100)),
];
/// Most groups of a network.
const GROUPS: u32 = 65_536;

/// What the number of a setting is to be, where that is less than its type says, for whoever writes
/// another word there.
pub(crate) fn wanted(key: &str) -> Option<String> {
    if let Some((_, (low, high))) = SMALL.iter().find(|(small, _)| *small == key) {
        return Some(format!("a whole number from {low} to {high}"));
    }
    Some(match key {
        "vlan_default_pvid" => format!("a VLAN: 1 to {LAST}, or 0 for none"),
        "vlan" | "vlan_end" => format!("a VLAN: they are numbered from 1 to {LAST}"),
        "mcast_hash_max" => format!("a whole number from 1 to {GROUPS}"),
        "ageing_time" => format!("a whole number of seconds, 0 to {LONGEST}"),
        "isolation" => "an isolation group: they are numbered from 1 to 255".into(),
        "mtu" => "a whole number from 68 to 65535".into(),
        key if key.starts_with("mcast_") && key.ends_with("_interval") => {
            format!("a number of seconds, 0.1 to {LONGEST}")
        }
        _ => return None,
    })
}

/// What of a network is to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetNetwork {
    /// The largest packet of its nodes' links, of its ports and of the gateway's legs, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// After how many seconds an address not seen is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ageing_time: Option<u64>,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_fwd_mask: Option<u16>,
    /// Most addresses learned in it; 0 for as many as the table holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fdb_max_learned: Option<u32>,
    /// Whether frames that claim to come from the gateway's address are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_guard: Option<bool>,
    /// Whether groups are sent to those alone who have asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_snooping: Option<bool>,
    /// Whether the switch asks who wants which groups, where nobody else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_querier: Option<bool>,
    /// The gateway gets every group (2), or none it has not asked for (0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_router: Option<u8>,
    /// 2, or 3 to have sources count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_igmp_version: Option<u8>,
    /// 1, or 2 to have sources count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_mld_version: Option<u8>,
    /// How often the last member of a group is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_last_member_count: Option<u8>,
    /// How long it may take to answer each time, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_last_member_interval: Option<Seconds>,
    /// General queries at the start that are closer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_startup_query_count: Option<u8>,
    /// How far apart those are, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_startup_query_interval: Option<Seconds>,
    /// How far apart the others are, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_query_interval: Option<Seconds>,
    /// How long hosts may take to answer one, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_query_response_interval: Option<Seconds>,
    /// How long another querier is believed to be there, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_querier_interval: Option<Seconds>,
    /// How long a membership lasts that is not reported again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_membership_interval: Option<Seconds>,
    /// Most groups of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_hash_max: Option<u32>,
    /// Whether VLANs are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_filtering: Option<bool>,
    /// By which tags: `802.1Q` or `802.1ad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_protocol: Option<VlanProtocol>,
    /// The VLAN of ports that say no other, and of the gateway; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_default_pvid: Option<u16>,
}

/// A setting that cannot be: its key, and why in words, which begin with the value.
pub type Wrong = (&'static str, String);

impl SetNetwork {
    /// What of it cannot be.
    #[must_use]
    pub fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if let Some(seconds) = self.ageing_time.filter(|seconds| *seconds > LONGEST) {
            wrong.push(("ageing_time", format!("{seconds} s: at most {LONGEST} s")));
        }
        if let Some(mask) = self.group_fwd_mask.filter(|mask| mask & RESTRICTED != 0) {
            wrong.push((
                "group_fwd_mask",
                format!(
                    "{mask:#06x}: the groups 01:80:c2:00:00:00 to :02 cannot be let through by it \
                     (bits 0 to 2)"
                ),
            ));
        }
        if let Some(vlan) = self.vlan_default_pvid.filter(|vlan| *vlan > LAST) {
            wrong.push((
                "vlan_default_pvid",
                format!("{vlan} is no VLAN: 1 to {LAST}, or 0 for none"),
            ));
        }
        let small = [
            self.mcast_router,
            self.mcast_igmp_version,
            self.mcast_mld_version,
            self.mcast_last_member_count,
            self.mcast_startup_query_count,
        ];
        for ((key, (low, high)), value) in SMALL.into_iter().zip(small) {
            if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
                wrong.push((key, format!("{value}: {low} to {high}")));
            }
        }
        for (key, value) in [
            ("mcast_last_member_interval", self.mcast_last_member_interval),
            ("mcast_startup_query_interval", self.mcast_startup_query_interval),
            ("mcast_query_interval", self.mcast_query_interval),
            ("mcast_query_response_interval", self.mcast_query_response_interval),
            ("mcast_querier_interval", self.mcast_querier_interval),
            ("mcast_membership_interval", self.mcast_membership_interval),
        ] {
            if let Some(value) = value.filter(|value| value.span() < SHORTEST) {
                wrong.push((key, format!("{value} s: at least 0.1 s")));
            }
            if let Some(value) = value.filter(|value| value.span().as_secs() > LONGEST) {
                wrong.push((key, format!("{value} s: at most {LONGEST} s")));
            }
        }
        if let Some(most) = self.mcast_hash_max.filter(|most| !(1..=GROUPS).contains(most)) {
            wrong.push(("mcast_hash_max", format!("{most}: 1 to {GROUPS} groups")));
        }
        wrong
    }
}

/// What a network has of these, and how it changes.
macro_rules! settings {
    ($($name:ident,)*) => {
        impl Network {
            /// What of its settings was said.
            #[must_use]
            pub fn settings(&self) -> SetNetwork {
                SetNetwork { mtu: self.mtu, $($name: self.$name,)* }
            }

            /// Says what `ask` says; the rest stays as it is. The MTU of a network that runs changes
            /// at its links first.
            pub fn set(&mut self, ask: &SetNetwork) {
                $(self.$name = ask.$name.or(self.$name);)*
            }
        }
    };
}

settings! {
    ageing_time,
    group_fwd_mask,
    fdb_max_learned,
    gateway_guard,
    mcast_snooping,
    mcast_querier,
    mcast_router,
    mcast_igmp_version,
    mcast_mld_version,
    mcast_last_member_count,
    mcast_last_member_interval,
    mcast_startup_query_count,
    mcast_startup_query_interval,
    mcast_query_interval,
    mcast_query_response_interval,
    mcast_querier_interval,
    mcast_membership_interval,
    mcast_hash_max,
    vlan_filtering,
    vlan_protocol,
    vlan_default_pvid,
}

impl Network {
    /// What of its settings cannot be.
    #[must_use]
    pub fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = self.settings().wrong();
        let of_vlans = [
            ("vlan_protocol", self.vlan_protocol.is_some()),
            ("vlan_default_pvid", self.vlan_default_pvid.is_some()),
        ];
        for (key, _) in of_vlans.into_iter().filter(|(_, said)| *said && !self.filters_vlans()) {
            wrong.push((key, "VLANs are not told apart here: say vlan_filtering: true".into()));
        }
        wrong
    }
}

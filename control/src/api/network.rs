//! A network and its settings, in the names of `ip -d -j link show type bridge`, with times in
//! seconds.

use serde::{Deserialize, Serialize};

use super::{PortVlan, Seconds};

/// A network of the lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The switch's number of it: the lowest that was free when it came.
    #[serde(default)]
    pub number: u16,
    /// Its subnets, as `10.100.0.0/16`.
    pub subnets: Vec<String>,
    /// The gateway's address in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Its nodes have no way out by the uplink.
    #[serde(default)]
    pub internal: bool,
    /// Networks that the gateway forwards to from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routed: Vec<String>,
    /// Its largest packet, in bytes.
    #[serde(default)]
    pub mtu: u32,
    /// Its ports.
    pub ports: u32,
    /// A learned address not seen for this long is forgotten, in seconds.
    pub ageing_time: u64,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n.
    pub group_fwd_mask: u16,
    /// Addresses learned in it.
    pub fdb_n_learned: u32,
    /// Most addresses learned in it; 0 for as many as the table holds.
    pub fdb_max_learned: u32,
    /// How often an address of it was seen at another port than before.
    #[serde(default)]
    pub fdb_n_moved: u64,
    /// Frames that claim to come from the gateway's address are refused.
    #[serde(default)]
    pub gateway_guard: bool,
    /// Whether groups are sent to those alone who have asked for them.
    #[serde(default)]
    pub mcast_snooping: bool,
    /// Whether the switch asks who wants which groups, where nobody else does.
    #[serde(default)]
    pub mcast_querier: bool,
    /// The gateway gets every group (2), or none it has not asked for (0, 1).
    #[serde(default)]
    pub mcast_router: u8,
    /// 2, or 3 to have sources count.
    #[serde(default)]
    pub mcast_igmp_version: u8,
    /// 1, or 2 to have sources count.
    #[serde(default)]
    pub mcast_mld_version: u8,
    /// How often the last member of a group is asked for.
    #[serde(default)]
    pub mcast_last_member_count: u8,
    /// How long it may take to answer each time, in seconds.
    #[serde(default)]
    pub mcast_last_member_interval: Seconds,
    /// General queries at the start that are closer together.
    #[serde(default)]
    pub mcast_startup_query_count: u8,
    /// How far apart those are, in seconds.
    #[serde(default)]
    pub mcast_startup_query_interval: Seconds,
    /// How far apart the others are, in seconds.
    #[serde(default)]
    pub mcast_query_interval: Seconds,
    /// How long hosts may take to answer one, in seconds.
    #[serde(default)]
    pub mcast_query_response_interval: Seconds,
    /// How long another querier is believed to be there, in seconds.
    #[serde(default)]
    pub mcast_querier_interval: Seconds,
    /// How long a membership lasts that is not reported again, in seconds.
    #[serde(default)]
    pub mcast_membership_interval: Seconds,
    /// Most groups of the network.
    #[serde(default)]
    pub mcast_hash_max: u32,
    /// Groups of it.
    #[serde(default)]
    pub mcast_n_groups: u32,
    /// Reports for which there was no room: then unknown groups are flooded for a while.
    #[serde(default)]
    pub mcast_n_refused: u64,
    /// Whether VLANs are told apart.
    pub vlan_filtering: bool,
    /// By which tags: `802.1Q` or `802.1ad`.
    pub vlan_protocol: String,
    /// The VLAN of ports that say no other, where they are told apart; 0 for none.
    #[serde(default)]
    pub vlan_default_pvid: u16,
    /// The first VLAN the gateway is in, where they are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_vlan: Option<u16>,
    /// All VLANs the gateway is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_vlans: Vec<u16>,
    /// The same in the shape of `bridge -s -j vlan show` of a bridge itself: what the gateway has said
    /// counts as received, what it was given as sent, since the network was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_vlan_stats: Vec<PortVlan>,
}

/// A network to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddNetwork {
    /// Its name.
    pub name: String,
    /// What it is to be; as in a topology file.
    #[serde(default)]
    pub network: ::topology::Network,
}

//! Who is a member of which group, in the shape of `bridge -d -s -j mdb show`, and neighbours that
//! are answered for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All groups, and where multicast routers are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mdb {
    /// A port in a group each; one that names sources has a row for each of them besides.
    pub mdb: Vec<MdbEntry>,
    /// Ports at which a multicast router is, by bridge.
    pub router: BTreeMap<String, Vec<MdbRouter>>,
    /// Other switches or routers that ask for groups, by whose questions memberships last.
    #[serde(default)]
    pub querier: Vec<MdbQuerier>,
}

/// A port in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MdbEntry {
    /// The number of the bridge's network in the switch, from 1.
    #[serde(default)]
    pub index: u32,
    /// The bridge: the lab's name.
    pub dev: String,
    /// The port.
    pub port: String,
    /// The group.
    pub grp: String,
    /// The source this row is about; absent for the group as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// `temp`, or `permanent` where it was set by hand.
    pub state: String,
    /// `include` or `exclude`: whether the sources named are wanted, or all others. Absent where
    /// sources do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_mode: Option<String>,
    /// The sources named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_list: Vec<MdbSource>,
    /// `kernel` for what was heard, `static` for what was set, as `bridge` has it.
    pub protocol: String,
    /// Of a source: `blocked` where what it sends is not wanted, `added_by_star_ex` where it is wanted
    /// as all are, and another port names it.
    pub flags: Vec<String>,
    /// The VLAN, where they are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<u16>,
    /// Seconds until it ends, unless it is reported again; 0 of a source, whose timer stands in the
    /// list of its group.
    pub timer: String,
    /// The node behind the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A source that a membership names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MdbSource {
    /// Its address.
    pub address: String,
    /// Seconds for which it is wanted yet; 0 where it is not.
    pub timer: String,
}

/// A port at which a multicast router is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MdbRouter {
    /// The port.
    pub port: String,
    /// The VLAN, where they are told apart and the router was heard in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<u16>,
    /// Seconds for which that is believed yet; 0 where it was set.
    pub timer: String,
    /// `temp`, or `permanent` where it was set.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Somebody else who asks for groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MdbQuerier {
    /// Its address.
    pub address: String,
    /// The port it was heard by.
    pub port: String,
    /// The VLAN, where they are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<u16>,
    /// Seconds for which it is believed yet.
    pub timer: String,
}

/// A membership to set by hand, or to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetMdb {
    /// The port, or its node.
    pub port: String,
    /// The group: an address of IPv4 or IPv6, or a hardware address.
    pub group: String,
    /// The VLAN, where they are told apart; without one, all that the port is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// A neighbour that is known, to be answered for where a port suppresses questions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its address, of IPv4 or IPv6.
    pub address: String,
    /// Its hardware address; none where it is to be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether the lab knows it by itself: a node, or the gateway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

//! What a port of the switch is set to, and what may be set: in the names of
//! `bridge -d -j link show`. The same type at the door, in the command and in files; the one adapter
//! to the switch's own is `lab/src/port.rs`.

use serde::{Deserialize, Serialize};

use crate::switched;
use crate::vlan::AddVlan;

/// The settings of a bridged port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PortSettings {
    /// A frame may leave by the port it came in by.
    pub hairpin: bool,
    /// Addresses seen here are learned.
    pub learning: bool,
    /// Frames to unknown addresses are flooded to this port.
    pub flood: bool,
    /// Multicast is flooded to this port.
    pub mcast_flood: bool,
    /// Broadcast is flooded to this port.
    pub bcast_flood: bool,
    /// It does not reach the other isolated ports of its group.
    pub isolated: bool,
    /// Which group that is; absent for the one that `isolated` alone puts it into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<u8>,
    /// Frames are let in only from addresses that the table knows here.
    pub locked: bool,
    /// An unknown address at the locked port is noted in the table, locked.
    #[serde(default)]
    pub mab: bool,
    /// Link-local groups let in here beside the network's: bit n stands for 01:80:c2:00:00:0n.
    #[serde(default)]
    pub group_fwd_mask: u16,
    /// Questions for neighbours behind it are answered for them, and not sent here.
    #[serde(default)]
    pub neigh_suppress: bool,
    /// A member that leaves a group is not asked again.
    #[serde(default)]
    pub fastleave: bool,
    /// Whether a multicast router is here: 0 never, 1 while one is heard, 2 always.
    #[serde(default)]
    pub mcast_router: u8,
    /// Most groups it may be a member of; 0 for as many as there is room for.
    #[serde(default)]
    pub mcast_max_groups: u32,
    /// Probes are sent here, and it is shut for five minutes where a loop is seen.
    #[serde(default)]
    pub loop_protect: bool,
    /// Most addresses learned here.
    pub learn_limit: u32,
}

/// What of a port is to change; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPort {
    /// Whether a frame may leave by the port it came in by.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub hairpin: Option<bool>,
    /// Whether addresses seen here are learned.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub learning: Option<bool>,
    /// Whether frames to unknown addresses are flooded to this port.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub flood: Option<bool>,
    /// Whether multicast is flooded to this port.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcast_flood: Option<bool>,
    /// Whether broadcast is flooded to this port.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub bcast_flood: Option<bool>,
    /// Whether it is isolated from the other isolated ports.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub isolated: Option<bool>,
    /// The group of ports, 1 to 255, that it is isolated from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<u8>,
    /// Whether frames are let in only from addresses that the table knows here.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub locked: Option<bool>,
    /// Whether an unknown address at the locked port is noted in the table, locked (MAC
    /// authentication bypass).
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub mab: Option<bool>,
    /// Link-local groups let in here beside the network's: bit n stands for 01:80:c2:00:00:0n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_fwd_mask: Option<u16>,
    /// Whether questions for neighbours behind it are answered for them, and not sent here.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub neigh_suppress: Option<bool>,
    /// Whether a member that leaves a group is not asked again.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub fastleave: Option<bool>,
    /// Whether a multicast router is here: 0 never, 1 while one is heard, 2 always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_router: Option<u8>,
    /// Most groups it may be a member of; 0 for as many as there is room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcast_max_groups: Option<u32>,
    /// Whether probes are sent here, and it is shut where a loop is seen. Said of a port that is shut,
    /// it opens it.
    #[serde(
        default,
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub loop_protect: Option<bool>,
    /// Most addresses learned here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_limit: Option<u32>,
    /// What it may have flooded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormLimits>,
    /// The VLANs it is a member of, where they are told apart, instead of those it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vec<AddVlan>>,
}

impl SetPort {
    /// What both say; where they differ, what `over` says.
    #[must_use]
    pub fn overlaid(self, over: &Self) -> Self {
        let over = over.clone();
        Self {
            hairpin: over.hairpin.or(self.hairpin),
            learning: over.learning.or(self.learning),
            flood: over.flood.or(self.flood),
            mcast_flood: over.mcast_flood.or(self.mcast_flood),
            bcast_flood: over.bcast_flood.or(self.bcast_flood),
            isolated: over.isolated.or(self.isolated),
            isolation: over.isolation.or(self.isolation),
            locked: over.locked.or(self.locked),
            mab: over.mab.or(self.mab),
            group_fwd_mask: over.group_fwd_mask.or(self.group_fwd_mask),
            neigh_suppress: over.neigh_suppress.or(self.neigh_suppress),
            fastleave: over.fastleave.or(self.fastleave),
            mcast_router: over.mcast_router.or(self.mcast_router),
            mcast_max_groups: over.mcast_max_groups.or(self.mcast_max_groups),
            loop_protect: over.loop_protect.or(self.loop_protect),
            learn_limit: over.learn_limit.or(self.learn_limit),
            storm: over.storm.or(self.storm),
            vlans: over.vlans.or(self.vlans),
        }
    }
}

/// Most frames a second of each kind that a port may have flooded; what is absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StormLimits {
    /// To everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<u32>,
    /// To a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multicast: Option<u32>,
    /// To an address that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
}

impl StormLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

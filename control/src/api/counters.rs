//! All that is counted, as one answer. Nothing here names an address or a flow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The lab's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counters {
    /// The switch; None where the topology has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchCounters>,
    /// The gateway; None where the topology has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayCounters>,
}

/// The switch's. Each received frame is in exactly one of forwarded, flooded, members, local,
/// uplink, drops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SwitchCounters {
    /// Frames taken out of the rings.
    pub received: u64,
    /// To one port.
    pub forwarded: u64,
    /// To several.
    pub flooded: u64,
    /// To the members of a group.
    #[serde(default)]
    pub members: u64,
    /// To the gateway.
    pub local: u64,
    /// Came in by the uplink, for the gateway.
    pub uplink: u64,
    /// Nowhere, by reason; only reasons that have occurred.
    pub drops: BTreeMap<String, u64>,
    /// Frames the kernel refused to take.
    pub send_errors: u64,
    /// The same by reason: queue-full, link-down, too-long, offload, other.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// Frames the gateway sent to the bridge.
    pub station_to_bridge: u64,
    /// Frames the gateway sent to the uplink.
    pub station_to_uplink: u64,
    /// Frames of the gateway that had nowhere to go.
    pub station_lost: u64,
    /// Events nobody fetched in time.
    pub events_lost: u64,
    /// Frames that reached the rings, by the kernel's count, dropped ones included.
    pub ring_packets: u64,
    /// Frames the kernel dropped because a ring was full, or had stopped.
    pub ring_drops: u64,
    /// Rings that had stopped and were opened anew.
    pub rings_renewed: u64,
    /// Addresses known now.
    pub fdb_entries: u64,
    /// The most it may know.
    pub fdb_limit: u64,
    /// Worker threads that forward at present.
    pub workers: u64,
}

/// The gateway's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GatewayCounters {
    /// Frames that entered from the LAN.
    pub lan_in: u64,
    /// Frames that entered from the uplink.
    pub uplink_in: u64,
    /// Frames that left, rewritten, to the LAN.
    pub to_lan: u64,
    /// Frames that left, rewritten, to the uplink.
    pub to_uplink: u64,
    /// Frames kept or answered, by what became of them.
    pub consumed: BTreeMap<String, u64>,
    /// Frames discarded, by reason; only reasons that have occurred.
    pub drops: BTreeMap<String, u64>,
    /// Frames sent beside those that entered.
    pub extra: u64,
    /// ICMP errors sent.
    pub icmp_errors: u64,
    /// ICMP errors not sent because there had been too many.
    pub icmp_limited: u64,
    /// ICMP errors translated, both ways.
    pub icmp_translated: u64,
    /// Hosts told by an ICMP redirect that they took a detour.
    pub redirects: u64,
    /// Echo requests answered.
    pub echo_replies: u64,
    /// The NAT's.
    pub nat: NatCounters,
    /// The resolver's of names.
    #[serde(default)]
    pub names: NamesCounters,
}

/// The resolver's of names. Each query is in exactly one of answered, denied, refused, forwarded,
/// repeated, crowded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NamesCounters {
    /// Queries for names the lab knows.
    pub answered: u64,
    /// For names that there are not (NXDOMAIN).
    pub denied: u64,
    /// Refused, or not understood.
    pub refused: u64,
    /// Passed on to the host's resolvers.
    pub forwarded: u64,
    /// Sent again while the host's resolvers are asked.
    pub repeated: u64,
    /// Not passed on, for too many were waiting (SERVFAIL).
    pub crowded: u64,
    /// Of those passed on, without an answer (SERVFAIL).
    pub failed: u64,
    /// Messages and datagrams that were no query.
    pub malformed: u64,
    /// TCP connections that were opened.
    pub streams: u64,
    /// TCP connections that gave way to others.
    pub displaced: u64,
    /// Queries that listeners were not told of.
    pub events_lost: u64,
    /// TCP connections now.
    pub connections: u64,
    /// Queries that wait for the host's resolvers now.
    pub waiting: u64,
}

/// The NAT's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NatCounters {
    /// Sessions opened.
    pub opened: u64,
    /// Sessions that outlived their lifetime.
    pub expired: u64,
    /// Sessions forgotten by a flush or a change of the uplink's address.
    pub flushed: u64,
    /// Sessions opened from outside that the inside had not taken up, and that gave way to others.
    pub displaced: u64,
    /// Events nobody fetched in time.
    pub events_lost: u64,
    /// How full the tables are, by protocol: `other` for all that are translated by address alone.
    pub usage: BTreeMap<String, NatUsage>,
}

/// How full one protocol's table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NatUsage {
    /// Living sessions.
    pub sessions: u64,
    /// Outside ports in use.
    pub mappings: u64,
}

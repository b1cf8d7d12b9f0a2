//! What happens in the lab, as it happens: one JSON object a line.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Protocol, Session};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// When: nanoseconds since 1970, UTC.
    pub time: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// Something that happens now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the wall clock, for people to read")]
    pub fn now(kind: EventKind) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = now.map_or(0, |since| since.as_nanos());
        Self { time: u64::try_from(nanos).unwrap_or(u64::MAX), kind }
    }
}

/// What happened; `event` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// An address was seen for the first time.
    Learned {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// The address.
        mac: String,
        /// Its VLAN; 0 for untagged.
        vlan: u16,
        /// Where.
        ifname: String,
    },
    /// An address was seen behind another port.
    Moved {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// The address.
        mac: String,
        /// Its VLAN; 0 for untagged.
        vlan: u16,
        /// Where it was.
        from: String,
        /// Where it is.
        to: String,
    },
    /// A loop was seen: an address moves to and fro between two ports, or a probe has come back.
    LoopFound {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// The address; absent where it was a probe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac: Option<String>,
        /// Its VLAN; 0 for untagged.
        vlan: u16,
        /// One of the ports that the loop joins.
        ifname: String,
        /// The other.
        other: String,
        /// The port that was shut because of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shut: Option<String>,
    },
    /// Addresses were forgotten because nothing was heard of them.
    Aged {
        /// How many.
        count: u64,
    },
    /// A port was plugged in.
    PortAdded {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// Its name.
        ifname: String,
    },
    /// A port was taken out.
    PortRemoved {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// Its name.
        ifname: String,
    },
    /// A port was moved to another network.
    PortMoved {
        /// Its name.
        ifname: String,
        /// The network; absent where it is in none now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
    },
    /// A link came up.
    PortUp {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// The port.
        ifname: String,
    },
    /// A link went down.
    PortDown {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// The port.
        ifname: String,
    },
    /// A NAT session began.
    SessionOpened {
        /// The session.
        session: Box<Session>,
    },
    /// A NAT session ended.
    SessionClosed {
        /// The session.
        session: Box<Session>,
        /// Why: `expired`, `flushed`, or `displaced` by another that needed its place.
        reason: String,
    },
    /// The resolver was asked for a name, or has waited for others in vain.
    Asked {
        /// The name, in lower case.
        name: String,
        /// The type of record: `A`, `PTR`, …
        record: String,
        /// The port of who asks.
        ifname: String,
        /// What became of it: `answered`, `denied`, `refused`, `forwarded`, `repeated`, `crowded`,
        /// `failed`.
        outcome: String,
    },
    /// Frames were dropped during the last second.
    Drops {
        /// Who dropped them: `switch` or `gateway`.
        by: String,
        /// Why.
        reason: String,
        /// How many.
        count: u64,
    },
    /// A ring of the switch had stopped, by a frame that the kernel could not hand over, and was
    /// opened anew.
    RingRenewed {
        /// Whose: `nodes` or `uplink`.
        ring: String,
        /// Frames lost meanwhile.
        count: u64,
    },
    /// The reader was too slow, or too much happened: this many events are not told.
    Missed {
        /// How many.
        count: u64,
    },
    /// Learned addresses were forgotten on request.
    FdbFlushed {
        /// Those of this port; absent where all were.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ifname: Option<String>,
        /// How many.
        count: u64,
    },
    /// NAT sessions were forgotten on request; each is told as closed besides.
    NatFlushed {
        /// How many.
        count: u64,
    },
    /// The gateway routes in another way from now on.
    GatewaySet {
        /// Whether it forwards what is not for itself.
        forwarding: bool,
        /// The type of its NAT, or `none`.
        nat: String,
    },
    /// A host is in the network.
    HostCame {
        /// Its name.
        host: String,
        /// Its end of the tunnel.
        vtep: IpAddr,
    },
    /// A host is in the network no longer.
    HostWent {
        /// Its name.
        host: String,
    },
    /// The registry of hosts does not answer.
    RegistryAlone {
        /// What was heard of it last.
        why: String,
    },
    /// The registry of hosts answers again.
    RegistryBack,
    /// Rows of the tunnel were not as they had been set, and were set again.
    RowsRepaired {
        /// How many.
        count: u64,
    },
    /// A node is cut off from other hosts, for one of them has what was its own.
    NodeCutOff {
        /// The node.
        node: String,
        /// Who has what.
        why: String,
    },
    /// A node has its own again, and is no longer cut off.
    NodeRestored {
        /// The node.
        node: String,
    },
    /// The MTU of a network is another.
    MtuChanged {
        /// The network, in a lab of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// What it was, in bytes.
        from: u32,
        /// What it is.
        to: u32,
    },
    /// A port was published or withdrawn.
    Published {
        /// TCP or UDP.
        protocol: Protocol,
        /// The port outside.
        port: u16,
        /// Whether it is published now.
        published: bool,
    },
}

impl EventKind {
    /// The network it is about; None where it is about none, and in a lab of one network.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Learned { network, .. }
            | Self::Moved { network, .. }
            | Self::LoopFound { network, .. }
            | Self::PortAdded { network, .. }
            | Self::PortRemoved { network, .. }
            | Self::PortMoved { network, .. }
            | Self::PortUp { network, .. }
            | Self::PortDown { network, .. }
            | Self::MtuChanged { network, .. } => network.as_deref(),
            Self::Aged { .. }
            | Self::SessionOpened { .. }
            | Self::SessionClosed { .. }
            | Self::Drops { .. }
            | Self::RingRenewed { .. }
            | Self::Missed { .. }
            | Self::FdbFlushed { .. }
            | Self::NatFlushed { .. }
            | Self::Asked { .. }
            | Self::GatewaySet { .. }
            | Self::HostCame { .. }
            | Self::HostWent { .. }
            | Self::RegistryAlone { .. }
            | Self::RegistryBack
            | Self::RowsRepaired { .. }
            | Self::NodeCutOff { .. }
            | Self::NodeRestored { .. }
            | Self::Published { .. } => None,
        }
    }
}

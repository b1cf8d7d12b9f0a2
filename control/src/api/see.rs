//! Looking at frames: what is asked for, and the walk of one frame as told by `trace` and `explain`.

use serde::{Deserialize, Serialize};

/// An enum whose values are a word each, for the API and for people alike.
macro_rules! words {
    ($(#[$about:meta])* pub enum $name:ident {
        $($(#[$what:meta])* $value:ident = $word:literal,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$what])* #[serde(rename = $word)] $value,)*
        }

        impl $name {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// Frames wanted as a pcapng stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CaptureAsk {
    /// Ports or nodes, looked up anew whenever ports come, go or move; none means all.
    pub ports: Vec<String>,
    /// A filter in the pcap-filter language; a node's name stands for its address.
    pub filter: String,
    /// Bytes of each frame; all unless given.
    pub snaplen: Option<usize>,
    /// Whether segments that travel as one frame are cut up.
    pub segment: bool,
    /// End after so many frames.
    pub count: Option<u64>,
}

/// Walks wanted, one JSON object a line ([`TraceLine`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TraceAsk {
    /// Ports or nodes where the frame enters or leaves, looked up anew whenever ports come, go or move;
    /// none means all.
    pub ports: Vec<String>,
    /// Only ports of this network; none means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// A filter; it sees the frame as it came and as it left.
    pub filter: String,
    /// End after so many frames.
    pub count: Option<u64>,
}

/// An imagined packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExplainAsk {
    /// The node that sends it; `inet` for the outside.
    pub from: String,
    /// An address, or a node's name.
    pub to: String,
    /// Where to: a port of TCP or UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What it carries: `tcp`, `udp`, `icmp` (an echo request), or one without ports here (`gre`, `ipip`,
    /// `esp`, `sctp`, …, as sessions have it), or its number from `0` to `255`. TCP where a port is given
    /// and nothing else said; else an ICMP echo request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "trace", rename_all = "snake_case")]
pub enum TraceLine {
    /// A frame's walk.
    Frame(Box<Walk>),
    /// Frames that were not followed for want of room, since the line before.
    Lost {
        /// How many.
        count: u64,
    },
    /// The last line.
    End {
        /// Frames told.
        told: u64,
        /// Frames not followed, in all.
        lost: u64,
    },
}

/// The way of one frame through the lab, decision by decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Walk {
    /// When it came: nanoseconds since 1970, UTC; 0 for an imagined one.
    pub time: u64,
    /// The frame, in a line.
    pub summary: String,
    /// The port it came in by; `gateway` for the gateway's own, `switch` for what the switch says itself.
    pub port: String,
    /// The network of that port, in a lab of several; of the gateway's own frames that where they leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The decisions, in their order.
    pub steps: Vec<Step>,
    /// The header fields that the gateway changed.
    pub changes: Vec<FieldChange>,
    /// The ports it left by.
    pub to: Vec<String>,
    /// The end.
    pub verdict: Verdict,
    /// Why, where it was dropped: one word, as the counters have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether an imagined packet would arrive, as far as the lab can know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrives: Option<bool>,
    /// Whether the kernel would carry an imagined one by itself; None where it repeats nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<bool>,
    /// Nanoseconds it took; None for an imagined one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// Which ICMP echo it is; None for an imagined one, and for all that is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<Echo>,
}

words! {
    /// How a walk ends.
    #[derive(Default)]
    pub enum Verdict {
        /// By one port, whose address the table knows.
        Forwarded = "forwarded",
        /// By every port that may have it.
        Flooded = "flooded",
        /// Out by the uplink.
        Uplink = "uplink",
        /// The gateway turned it round.
        Answered = "answered",
        /// It stays inside the node that sends it.
        Local = "local",
        /// The gateway took it in.
        Consumed = "consumed",
        /// The gateway holds it until a neighbour answers.
        Waits = "waits",
        /// Nowhere.
        #[default]
        Dropped = "dropped",
    }
}

words! {
    /// What was decided at a step of a walk.
    pub enum Decision {
        /// A port took it in.
        Came = "came",
        /// The gateway or the switch said it of its own.
        Speaks = "speaks",
        /// The outside sent it.
        Sends = "sends",
        /// A node keeps it to itself, or it is the gateway's own.
        Local = "local",
        /// By whom it goes on.
        Route = "route",
        /// Who asks for, or knows, a hardware address.
        Arp = "arp",
        /// The source was new.
        Learned = "learned",
        /// The source was noted at a locked port.
        Locked = "locked",
        /// The source was known there.
        Refreshed = "refreshed",
        /// The source was known elsewhere.
        Moved = "moved",
        /// No room to learn the source.
        Full = "full",
        /// The source is another port's for good.
        Refused = "refused",
        /// The port does not learn.
        Off = "off",
        /// The table knows the destination.
        Hit = "hit",
        /// The table does not know the destination.
        Miss = "miss",
        /// To all.
        Flood = "flood",
        /// To those who have asked for the group.
        Members = "members",
        /// Addresses translated.
        Nat = "nat",
        /// The next hop, and whether its hardware address is known.
        Neighbour = "neighbour",
        /// It waits for a neighbour's answer.
        Queued = "queued",
        /// A fragment waits for the first of its datagram.
        Held = "held",
        /// It goes on in fragments.
        Fragmented = "fragmented",
        /// The resolver of names takes it.
        Asks = "asks",
        /// An echo request to the gateway was turned round.
        Answers = "answers",
        /// The gateway sends it on.
        Forwards = "forwards",
        /// A port sent it.
        Sent = "sent",
        /// It ends here.
        Drop = "drop",
    }
}

/// What tells an ICMP echo from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Echo {
    /// Whether it is the reply.
    pub reply: bool,
    /// Its sequence number.
    pub seq: u16,
    /// Its identifier, as it came.
    pub id: u16,
    /// Its identifier on the other side of the NAT, where it was translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translated: Option<u16>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    /// Who decided: a node, `port NAME`, `table`, `gateway`.
    pub at: String,
    /// What.
    pub decision: Decision,
    /// What and why, in words.
    pub text: String,
    /// Of an address in the table: seconds since it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
}

/// A header field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldChange {
    /// Its name, such as `ip.ttl`.
    pub field: String,
    /// As it came.
    pub before: String,
    /// As it left.
    pub after: String,
}

/// Where a frame's time went, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spent {
    /// In the kernel's ring, until a worker took it up.
    pub ring: u64,
    /// In the switch, the gateway's part included.
    pub switch: u64,
    /// The gateway's part.
    pub gateway: u64,
}

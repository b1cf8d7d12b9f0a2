//! What became of a frame: exactly one [`Verdict`] for each frame that enters.
//!
//! A drop names its reason; the words are what `show` and `trace` print, and the documentation
//! lists them. A test fails if one of them is never produced.

use std::fmt;

use crate::leg::LegId;

/// Which side of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// A network of the inside.
    Leg(LegId),
    /// The world.
    Uplink,
}

impl Side {
    /// The first leg: the LAN of a lab with one network.
    pub const LAN: Self = Self::Leg(LegId::FIRST);

    /// True on every leg.
    #[must_use]
    pub const fn is_inside(self) -> bool {
        matches!(self, Self::Leg(_))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LAN => f.write_str("lan"),
            Self::Leg(leg) => write!(f, "leg {leg}"),
            Self::Uplink => f.write_str("uplink"),
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same bytes, rewritten, leave to this leg.
    Leg(LegId),
    /// The same bytes, rewritten, leave to the uplink.
    Uplink,
    /// The same bytes, untouched, are for the kernel that has the leg's addresses too.
    Host(LegId),
    /// It ended here, as it should.
    Consumed(Consumed),
    /// It was discarded.
    Drop(DropReason),
}

impl Verdict {
    /// To the first leg.
    pub const LAN: Self = Self::Leg(LegId::FIRST);

    /// The side the frame leaves to, where it does.
    #[must_use]
    pub const fn side(self) -> Option<Side> {
        match self {
            Self::Leg(leg) => Some(Side::Leg(leg)),
            Self::Uplink => Some(Side::Uplink),
            Self::Host(_) | Self::Consumed(_) | Self::Drop(_) => None,
        }
    }
}

impl From<Side> for Verdict {
    fn from(side: Side) -> Self {
        match side {
            Side::Leg(leg) => Self::Leg(leg),
            Side::Uplink => Self::Uplink,
        }
    }
}

/// How a frame ended at the gateway without being discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// ARP, taken in and answered where it asked for the gateway.
    Arp,
    /// Waiting for the next hop's hardware address.
    Queued,
    /// A fragment waiting for the first of its datagram.
    Held,
    /// Cut into fragments, which left one by one.
    Fragmented,
    /// Given to the resolver of names.
    Dns,
}

impl Consumed {
    /// The word printed for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Queued => "queued",
            Self::Held => "fragment-held",
            Self::Fragmented => "fragmented",
            Self::Dns => "dns",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)*) => {
        /// Why a frame was discarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)* }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word printed for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// One sentence for `explain`.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)* }
            }
        }
    };
}

reasons! {
    /// Fewer bytes than an Ethernet header.
    Runt = "runt",
    /// Addressed to another station, or a broadcast the gateway has no use for.
    NotForMe = "not-for-me",
    /// With a VLAN's tag where VLANs are not told apart, or one of another protocol, or two.
    Tagged = "tagged",
    /// Neither IPv4 nor ARP.
    NotIpv4 = "not-ipv4",
    /// An IPv4 header that contradicts itself or is cut off.
    BadHeader = "bad-header",
    /// The IPv4 header does not sum up or, in a packet for the gateway itself, what follows it.
    BadChecksum = "bad-checksum",
    /// From a leg that the gateway does not have.
    NoLeg = "no-leg",
    /// Source-routed (RFC 7126: to be dropped by default).
    SourceRoute = "source-route",
    /// A vnet header that does not fit the packet under it.
    BadOffload = "bad-offload",
    /// ARP that is malformed, or whose sender cannot have that address.
    BadArp = "bad-arp",
    /// ARP that claims an address of the gateway.
    ArpSpoof = "arp-spoof",
    /// A source address that cannot be where it came from.
    Martian = "martian",
    /// From outside, addressed to an inside host itself.
    InsideFromOutside = "inside-from-outside",
    /// Multicast or broadcast, which is not routed.
    Multicast = "multicast",
    /// To a network that the sender's is not routed to; answered with "prohibited".
    Isolated = "isolated",
    /// Not for the gateway itself, and it does not forward.
    ForwardingOff = "forwarding-off",
    /// To the uplink from an internal network; answered with "prohibited".
    Internal = "internal",
    /// UDP to the remote end of a tunnel, which would take it for the host's own; answered with
    /// "prohibited".
    TunnelEnd = "tunnel-end",
    /// The time to live ran out; answered with "time exceeded".
    TtlExceeded = "ttl-exceeded",
    /// Too large for the next link with Don't Fragment set, or in segments too large; answered
    /// with "fragmentation needed".
    TooBig = "too-big",
    /// No route to the destination; answered with "net unreachable".
    NoRoute = "no-route",
    /// The next hop does not answer ARP; answered with "host unreachable".
    HostUnreachable = "host-unreachable",
    /// Too many packets already wait for neighbours.
    NeighbourQueueFull = "neighbour-queue-full",
    /// Addressed to the gateway, where nothing listens; answered with "port unreachable", a node's TCP
    /// with a reset.
    NoService = "no-service",
    /// To the resolver of names, and no query that could be read.
    NoQuery = "no-query",
    /// To the resolver of names, from a node that has asked its share already.
    DnsLimit = "dns-limit",
    /// A protocol that cannot pass the NAT (AH), or nobody here speaks; answered with "protocol
    /// unreachable".
    Protocol = "protocol",
    /// An ICMP message of a kind a NAT does not pass.
    IcmpType = "icmp-type",
    /// A transport header that is cut off.
    Truncated = "truncated",
    /// From outside to the uplink's address, outside the ports of the NAT there.
    NotOurs = "not-ours",
    /// From outside, and no session or mapping knows it.
    NoSession = "no-session",
    /// From outside to a mapping, and the filter does not let this sender in.
    Filtered = "filtered",
    /// A SYN from outside that nobody asked for: silence for six seconds.
    UnsolicitedSyn = "unsolicited-syn",
    /// A TCP packet from inside that cannot begin a session.
    NotAnOpening = "not-an-opening",
    /// No port left; answered with "prohibited".
    PortsExhausted = "ports-exhausted",
    /// The session table is full; answered with "prohibited".
    TableFull = "table-full",
    /// The sender has its share of sessions already; answered with "prohibited".
    Quota = "quota",
    /// Another session has the same tuple.
    TupleTaken = "tuple-taken",
    /// By a protocol without ports to a host that another inside host speaks to by it: answers could not be
    /// told apart; answered with "prohibited".
    RemoteTaken = "remote-taken",
    /// By a protocol without ports to a remote end of a tunnel that the host has itself; answered with
    /// "prohibited".
    HostTunnel = "host-tunnel",
    /// Of a session, a port or an address that another node has.
    Foreign = "foreign",
    /// An ICMP error that does not sum up, is cut off, or quotes nothing known here.
    BadIcmpError = "bad-icmp-error",
    /// A first fragment too small to hold its ports, or one that would overlap them (RFC 1858).
    TinyFragment = "tiny-fragment",
    /// A fragment larger than all that one source may have held.
    FragmentTableFull = "fragment-table-full",
}

impl DropReason {
    /// Where the counter of this reason stands.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

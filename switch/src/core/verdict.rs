//! The outcomes of a decision. Each frame that enters ends in exactly one of them, and is counted.

use super::fdb_entry::Learned;
use super::port::PortId;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To one port.
    Forward(PortId),
    /// To every port that the path names, and to the station's leg where it names one.
    Flood,
    /// To the members of a group and to routers, which the path names.
    Members,
    /// To the station alone.
    Local,
    /// Nowhere.
    Drop(DropReason),
}

/// A verdict and what was learned on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where the frame goes.
    pub verdict: Verdict,
    /// What the table made of its source.
    pub learned: Learned,
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a frame went nowhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name used in counters and texts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Its number, below [`Self::COUNT`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

drop_reasons! {
    /// Shorter than an Ethernet header.
    Runt = "runt",
    /// Longer than the ring's slot, and too long or too many to be kept beside it: the rest was lost.
    Clipped = "clipped",
    /// Came in by an interface that is no port (just removed, for instance).
    UnknownPort = "unknown-port",
    /// The port it came in by is in no network.
    NoNetwork = "no-network",
    /// The port it came in by is down.
    IngressDown = "ingress-down",
    /// A group address as source (IEEE 802.3: never legal).
    GroupSource = "group-source",
    /// An all-zero source address.
    ZeroSource = "zero-source",
    /// The station's own address as source, from outside: a loop or a forgery.
    OwnSource = "own-source",
    /// From an address that is not its port's, or giving others addresses or a router.
    Spoofed = "spoofed",
    /// To 01:80:c2:00:00:0x, which bridges do not forward (IEEE 802.1D 7.12.6).
    LinkLocal = "link-local",
    /// The destination lives behind the port the frame came in by.
    SamePort = "same-port",
    /// The destination's entry says so.
    Blackhole = "blackhole",
    /// To an address of the switch's own interfaces, which have no stack behind them.
    OwnPort = "own-port",
    /// Without a tag, or with one that names no VLAN, by a port without a PVID.
    NoPvid = "no-pvid",
    /// Of a VLAN that the port it came in by is no member of.
    VlanIngress = "vlan-ingress",
    /// Of a VLAN that the destination's port is no member of.
    VlanEgress = "vlan-egress",
    /// By a locked port, from an address that the table does not know there.
    Locked = "locked",
    /// Both ports are in one isolation group, or one leads to other hosts that the other is cut off from.
    Isolated = "isolated",
    /// The destination's port is down or gone.
    EgressDown = "egress-down",
    /// Larger than the egress port's MTU.
    TooBig = "too-big",
    /// Nobody else to flood to.
    NoTarget = "no-target",
    /// For a group that nobody has asked for, of a network that snoops.
    NoMember = "no-member",
    /// An IP, IGMP or MLD header that is broken, in a group's frame of a network that snoops.
    BadMembership = "bad-membership",
    /// A question for a neighbour that was answered, and that no other port needs.
    NeighSuppress = "neigh-suppress",
    /// A probe of the switch's own that came back, or a port that is shut because of a loop.
    LoopProtect = "loop-protect",
    /// Over the port's limit of flooded frames.
    Storm = "storm",
    /// The ring was filling, and its port had had its share of it.
    Overload = "overload",
    /// The station would not have it; it counts why.
    Station = "station",
    /// Came from the uplink, and there is no station to take it.
    NoStation = "no-station",
}

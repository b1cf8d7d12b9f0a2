//! The switch's reasons for a drop, in words, and how far it has got then.

use switch::DropReason;

/// Whether a frame is refused before its source is looked at.
pub(super) fn unlearned(reason: DropReason) -> bool {
    use DropReason as D;
    matches!(
        reason,
        D::Runt
            | D::Clipped
            | D::UnknownPort
            | D::NoNetwork
            | D::IngressDown
            | D::GroupSource
            | D::ZeroSource
            | D::OwnSource
            | D::NoPvid
            | D::VlanIngress
            | D::Locked
            | D::Overload
    )
}

/// A reason of the switch in a sentence.
pub(super) fn why(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Runt => "shorter than an Ethernet header",
        DropReason::Clipped => "longer than a slot of the ring: its end is lost",
        DropReason::UnknownPort => "it came by an interface that is no port",
        DropReason::NoNetwork => "the port it came by is in no network",
        DropReason::IngressDown => "the port it came by is down",
        DropReason::GroupSource => "a group address cannot be a source",
        DropReason::ZeroSource => "its source address is all zeros",
        DropReason::OwnSource => "it claims to come from the gateway: a loop, or a forgery",
        DropReason::Spoofed => "it speaks for another host than its port's, or for a router",
        DropReason::LinkLocal => "to the neighbour on the wire alone: bridges do not forward it",
        DropReason::SamePort => "that is where it came from",
        DropReason::Blackhole => "an entry set by hand says so",
        DropReason::OwnPort => "that is an address of the switch itself, which takes no frames",
        DropReason::NoPvid => "it names no VLAN, and its port has none for such frames (no PVID)",
        DropReason::VlanIngress => "the port it came by is no member of its VLAN",
        DropReason::VlanEgress => "that port is no member of its VLAN",
        DropReason::Locked => "its port is locked, and the table does not know its source there",
        DropReason::Isolated => "the two ports are isolated from each other",
        DropReason::EgressDown => "that port is down or gone",
        DropReason::TooBig => "larger than that port's MTU",
        DropReason::LoopProtect => "a loop was seen: its port is shut for a while",
        DropReason::NoMember => "nobody has asked for that group",
        DropReason::BadMembership => "its IP, IGMP or MLD header is broken",
        DropReason::NeighSuppress => {
            "the switch has answered it itself, and no other port needs it"
        }
        DropReason::NoTarget => "there is no other port that could take it",
        DropReason::Overload => {
            "frames come faster than they can be sent, and its port had its share"
        }
        DropReason::Storm => "its port floods more than it may",
        DropReason::Station => "the gateway would not have it",
        DropReason::NoStation => "there is no gateway to take it",
    }
}

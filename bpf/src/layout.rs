//! Where things lie in the memory that the programs and the switch share, in words of 64 bits: the
//! structures of `c/flows.bpf.c` once more. `tests/object.rs` compares sizes.

/// Flows between ports there is room for: 64 bytes each, and 48 for each core. Routes there are as
/// many: 128 bytes each, and 48 for each core.
pub const ENTRIES: usize = 16_384;
/// Places of both, those of routes last.
pub const ROWS: usize = 2 * ENTRIES;
/// Flows of a bucket, of which each key has two.
pub const BUCKET: usize = 4;
pub(crate) const BUCKETS: usize = ENTRIES / BUCKET;

/// Words of a flow.
pub const FLOW: usize = 8;
pub(crate) const ADDRESSES: usize = 0;
pub(crate) const REST: usize = 1;
/// The tag, and the egress interface behind it.
pub(crate) const TAG_EGRESS: usize = 2;
pub(crate) const GENERATION: usize = 3;
pub(crate) const UNTIL: usize = 4;
/// The MTU, and what is done to the frame.
pub(crate) const MTU_ACTION: usize = 5;
/// The tag to push, and the address that its packets come from.
pub(crate) const PUSH_SOURCE: usize = 6;
pub(crate) const TICKET: usize = 7;

/// Words of a route: those of a flow, and further what its packets are told apart by and become.
pub const ROUTE: usize = 16;
pub(crate) const ENDS: usize = 8;
pub(crate) const PORTS_PROTOCOL: usize = 9;
pub(crate) const NEW_ENDS: usize = 10;
/// The new ports, and what the new addresses add to a sum.
pub(crate) const NEW_PORTS_SUM: usize = 11;
/// What the new ports add, and the first four bytes of the new hardware addresses.
pub(crate) const SUM_LINK: usize = 12;
/// The other eight.
pub(crate) const LINK: usize = 13;
/// The interface in the other namespace, and the route whose answer comes first.
pub(crate) const BEYOND: usize = 14;
/// When the first segment with FIN was sent on, and above it [`ANSWERED`].
pub(crate) const ENDED: usize = 15;
/// What answers a SYN was sent on.
pub(crate) const ANSWERED: u64 = 1 << 63;

pub(crate) const ACTION_POP: u32 = 1;
pub(crate) const ACTION_PUSH: u32 = 2;
pub(crate) const ACTION_PEER: u32 = 4;
pub(crate) const ACTION_ATOMIC: u32 = 8;
pub(crate) const ACTION_BEYOND: u32 = 16;
pub(crate) const ACTION_FLOOD: u32 = 32;
pub(crate) const ACTION_KEPT: u32 = 64;
pub(crate) const ACTION_ANSWERS: u32 = 128;
/// Set in the number of an interface of another namespace than the switch's.
pub(crate) const ELSEWHERE: u32 = 1 << 31;

/// Words of a flow's counts on one core: frames, bytes, failures, when last, packets, failures for
/// want of the port, frames that are not counted as the flow's.
pub const COUNT: usize = 7;

/// Sets of ports that frames are flooded to, a flow each.
pub const SETS: usize = 64;
/// Most ports of a set.
pub const MEMBERS: usize = 128;
/// Words of a member: its interface, its failures, those for want of it.
pub(crate) const MEMBER: usize = 3;
/// Words of a set: how many ports, then these.
pub const SET: usize = 1 + MEMBERS * MEMBER;

/// Words of what is said to all flows at once.
pub const CONTROL: usize = 40;
pub(crate) const NOW: usize = 0;
pub(crate) const SECRETS: usize = 1;
pub(crate) const SLACK: usize = 3;
/// The address of an uplink elsewhere, and our end of the crossing.
pub(crate) const OWN_CROSSING: usize = 4;
/// The first and the last port of its block.
pub(crate) const BLOCK: usize = 5;
/// 1 once there has been a route for all ports of two hosts.
pub(crate) const OPEN: usize = 6;
/// Words of the ports of an uplink elsewhere that are held: a bit each, of TCP, then of UDP; then as many of
/// what comes by protocols without ports.
pub const HELD: usize = 3 * 65_536 / 64;
/// Of each lane: tickets drawn, and frames sent on.
pub(crate) const CAME: [usize; 2] = [8, 24];
pub(crate) const GONE: [usize; 2] = [16, 32];

//! Where things lie in the memory that the programs and the switch share, in words of 64 bits: the
//! structures of `c/flows.bpf.c` once more. `tests/object.rs` compares sizes.

/// Flows there is room for: 64 bytes each, and 32 for each core.
pub const ENTRIES: usize = 16_384;
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
pub(crate) const PUSH: usize = 6;
pub(crate) const TICKET: usize = 7;

pub(crate) const ACTION_POP: u32 = 1;
pub(crate) const ACTION_PUSH: u32 = 2;
pub(crate) const ACTION_PEER: u32 = 4;

/// Words of a flow's counts on one core: frames, bytes, failures, when last.
pub const COUNT: usize = 4;

/// Words of what is said to all flows at once.
pub const CONTROL: usize = 24;
pub(crate) const NOW: usize = 0;
pub(crate) const SECRETS: usize = 1;
pub(crate) const SLACK: usize = 3;
pub(crate) const CAME: usize = 8;
pub(crate) const GONE: usize = 16;

//! What the programs and the rings' owners share, by words of 64 bits.

use super::RINGS;

/// Entries of the table of flows; a power of two.
pub(super) const FLOWS: usize = 1 << 14;
/// Most cores of a machine; a power of two.
pub(super) const CORES: usize = 128;

/// Whether frames are spread (lowest bit), and how often that has begun.
pub(super) const MODE: usize = 0;
/// What the first ring must be past before flows leave it.
pub(super) const BARRIER: usize = 1;
/// Whether spread frames go by their flow's hash instead of their core.
pub(super) const BY_FLOW: usize = 2;
/// The table: an entry a flow.
pub(super) const TABLE: usize = 2048;
/// All of it.
pub(super) const WORDS: usize = TABLE + FLOWS;

/// Words from one core's to the next one's: a cache line.
const LINE: usize = 8;
/// Words from one ring's counters to the next one's.
pub(super) const COUNTERS: usize = 2 * LINE;
/// Where the cores' words begin.
const FIRST_CORE: usize = COUNTERS * (RINGS + 1);

/// Frames steered to a ring.
pub(super) const fn came(ring: usize) -> usize {
    COUNTERS * (ring + 1)
}

/// Frames of it sent on or lost.
pub(super) const fn gone(ring: usize) -> usize {
    came(ring) + LINE
}

/// The ring that the frame at hand on a core was given to.
pub(super) const fn word(core: usize) -> usize {
    FIRST_CORE + LINE * core
}

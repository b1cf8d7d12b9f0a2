//! Which of the LAN's nodes: the port of the switch its frames come in by, as a number.
//!
//! An address can be claimed by anybody; the port a frame comes in by cannot. So what a node holds
//! of a table is counted by this number, and what is opened for it goes with it.

/// One of the LAN's nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(pub u16);

impl Node {
    /// No node in particular: the world outside, or a LAN whose ports nobody tells apart.
    pub const NOBODY: Self = Self(0);

    /// False where the two are known to be different ones.
    #[inline]
    pub(crate) fn may_be(self, other: Self) -> bool {
        self == other || self == Self::NOBODY || other == Self::NOBODY
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

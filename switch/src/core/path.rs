//! The way out of a frame: the ports it leaves by, and what becomes of its tag at each.
//!
//! [`super::Bridge`] fills it, whoever sends, shows or foretells the frame reads it. A worker keeps
//! one for all of its frames, so that a decision allocates nothing.

use wire::{VlanId, VlanTag};

use super::loops::Loop;
use super::network::Leg;
use super::port::PortId;

/// What becomes of a frame's outermost tag on its way out of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// It leaves as it came.
    Keep,
    /// It leaves without its tag.
    Pop,
    /// It leaves with this tag in the place of its own.
    Set(VlanTag),
    /// It leaves with this tag before its own, if it has one.
    Push(VlanTag),
}

impl Tagging {
    /// The tags the frame leaves with, the outermost first, where it came with `own`.
    #[must_use]
    pub fn tags(self, own: Option<VlanTag>) -> [Option<VlanTag>; 2] {
        match self {
            Self::Keep => [own, None],
            Self::Pop => [None, None],
            Self::Set(tag) => [Some(tag), None],
            Self::Push(tag) => [Some(tag), own],
        }
    }
}

/// One port a frame leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Which.
    pub port: PortId,
    /// What becomes of the frame's tag there.
    pub tagging: Tagging,
}

/// All the ways one frame takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    exits: Vec<Exit>,
    leg: Option<Leg>,
    vlan: Option<VlanId>,
    said: Vec<(Vec<u8>, Exit)>,
    circle: Option<Loop>,
}

impl Path {
    /// One with room for a flood to every port.
    #[must_use]
    pub fn roomy() -> Self {
        Self { exits: Vec::with_capacity(PortId::MAX), ..Self::default() }
    }

    /// The ports, in the order in which they are sent to.
    #[must_use]
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// The ports alone.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + '_ {
        self.exits.iter().map(|exit| exit.port)
    }

    /// The station's leg that gets the frame too, or alone.
    #[must_use]
    pub fn leg(&self) -> Option<Leg> {
        self.leg
    }

    /// The VLAN that the frame was let into, where they are told apart.
    #[must_use]
    #[inline]
    pub fn vlan(&self) -> Option<VlanId> {
        self.vlan
    }

    #[inline]
    pub(super) fn let_into(&mut self, vlan: Option<VlanId>) {
        self.vlan = vlan;
    }

    /// Nobody gets the frame.
    pub(super) fn close(&mut self) {
        self.exits.clear();
        self.leg = None;
    }

    /// What the switch says of its own because of the frame, and where; taken, for it is said once.
    /// Only group frames of networks that read them have any.
    #[must_use]
    pub fn take_said(&mut self) -> Vec<(Vec<u8>, Exit)> {
        std::mem::take(&mut self.said)
    }

    /// The loop by which the frame came back, if it was a probe of ours; taken, for it is told once.
    #[must_use]
    pub fn take_loop(&mut self) -> Option<Loop> {
        self.circle.take()
    }

    pub(super) fn came_back(&mut self, circle: Loop) {
        self.circle = Some(circle);
    }

    /// Frames to be said.
    pub(super) fn said(&self) -> usize {
        self.said.len()
    }

    pub(super) fn say(&mut self, bytes: Vec<u8>, exit: Exit) {
        self.said.push((bytes, exit));
    }

    /// Forgets the frame before.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.exits.clear();
        (self.leg, self.vlan) = (None, None);
    }

    #[inline]
    pub(super) fn add(&mut self, port: PortId, tagging: Tagging) {
        self.exits.push(Exit { port, tagging });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exits.is_empty() && self.leg.is_none()
    }

    pub(super) fn reach(&mut self, leg: Option<Leg>) {
        self.leg = leg;
    }
}

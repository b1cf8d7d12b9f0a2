//! VLANs (IEEE 802.1Q clauses 6.9 and 8.6): which one a frame belongs to where it comes in, whether
//! it may leave by a port, and what becomes of its tag there.
//!
//! As the kernel's bridge does it with `vlan_filtering` (net/bridge/br_vlan.c): a tag of another
//! protocol than the network's is part of the payload.

use wire::{VlanId, VlanTag};

use super::path::Tagging;
use super::verdict::DropReason;

/// Words of a set of VLANs.
const WORDS: usize = 4096 / 64;
/// The bits of a tag that are no VLAN: priority and drop eligibility.
const PRIORITY: u16 = 0xf000;

/// How a network tells VLANs apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanFilter {
    /// The tag protocol identifier of its tags: 0x8100 (802.1Q) or 0x88a8 (802.1ad).
    pub protocol: u16,
}

impl Default for VlanFilter {
    fn default() -> Self {
        Self { protocol: 0x8100 }
    }
}

/// A set of VLANs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanSet(Box<[u64; WORDS]>);

impl Default for VlanSet {
    fn default() -> Self {
        Self(Box::new([0; WORDS]))
    }
}

impl VlanSet {
    /// Whether a VLAN is in it.
    #[must_use]
    #[inline]
    pub fn has(&self, vlan: VlanId) -> bool {
        let at = usize::from(vlan.get());
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    /// Puts a VLAN in, or takes it out.
    pub fn put(&mut self, vlan: VlanId, is_in: bool) {
        let at = usize::from(vlan.get());
        let bit = 1 << (at % 64);
        if is_in {
            self.0[at / 64] |= bit;
        } else {
            self.0[at / 64] &= !bit;
        }
    }

    /// Puts all of another one in.
    pub(crate) fn put_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(own, other)| *own |= other);
    }

    /// All that are in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = VlanId> + '_ {
        (0..4096).map(VlanId::from_tci).filter(|vlan| self.has(*vlan))
    }
}

/// The VLANs of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortVlans {
    /// Those whose frames it takes and gives.
    pub members: VlanSet,
    /// Those of them whose frames leave without a tag.
    pub untagged: VlanSet,
    /// The one that frames without a tag belong to; None refuses them.
    pub pvid: Option<VlanId>,
    /// Whether frames of VLANs it is no member of are refused where they come in. The kernel's
    /// bridge always does.
    pub ingress_filter: bool,
}

impl Default for PortVlans {
    fn default() -> Self {
        Self::access(VlanId::from_tci(1))
    }
}

impl PortVlans {
    /// A port of one VLAN, without tags.
    #[must_use]
    pub fn access(vlan: VlanId) -> Self {
        let mut port = Self::none();
        port.add(vlan, true);
        port.pvid = Some(vlan);
        port
    }

    /// A port of no VLAN.
    #[must_use]
    pub fn none() -> Self {
        let (members, untagged) = (VlanSet::default(), VlanSet::default());
        Self { members, untagged, pvid: None, ingress_filter: true }
    }

    /// Makes it a member of a VLAN, with or without tags; what was said of that VLAN is gone.
    pub fn add(&mut self, vlan: VlanId, untagged: bool) {
        self.members.put(vlan, true);
        self.untagged.put(vlan, untagged);
        if self.pvid == Some(vlan) {
            self.pvid = None;
        }
    }

    /// Ends its membership; true where it was a member.
    pub fn remove(&mut self, vlan: VlanId) -> bool {
        let was = self.members.has(vlan);
        self.members.put(vlan, false);
        self.untagged.put(vlan, false);
        if self.pvid == Some(vlan) {
            self.pvid = None;
        }
        was
    }
}

/// A port's VLANs as a bridge holds them; None stands for the default: VLAN 1, without tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships(Option<std::sync::Arc<PortVlans>>);

impl From<PortVlans> for Memberships {
    fn from(vlans: PortVlans) -> Self {
        Self(Some(std::sync::Arc::new(vlans)))
    }
}

impl Memberships {
    /// Spelled out.
    #[must_use]
    pub fn to_vlans(&self) -> PortVlans {
        self.0.as_deref().cloned().unwrap_or_default()
    }

    /// Whether it is a member of a VLAN.
    #[must_use]
    pub fn has(&self, vlan: VlanId) -> bool {
        self.0.as_ref().map_or(vlan.get() == 1, |vlans| vlans.members.has(vlan))
    }

    /// All it is a member of, ascending.
    pub fn all(&self) -> impl Iterator<Item = VlanId> + '_ {
        (1..4095).map(VlanId::from_tci).filter(|vlan| self.has(*vlan))
    }

    /// Puts all it is a member of into a set.
    pub(crate) fn put_into(&self, set: &mut VlanSet) {
        match &self.0 {
            Some(vlans) => set.put_all(&vlans.members),
            None => set.put(VlanId::from_tci(1), true),
        }
    }

    fn untagged(&self, vlan: VlanId) -> bool {
        self.0.as_ref().map_or(vlan.get() == 1, |vlans| vlans.untagged.has(vlan))
    }

    fn pvid(&self) -> Option<VlanId> {
        self.0.as_ref().map_or(Some(VlanId::from_tci(1)), |vlans| vlans.pvid)
    }

    fn filters(&self) -> bool {
        self.0.as_ref().is_none_or(|vlans| vlans.ingress_filter)
    }

    /// The tag of a frame of the switch's own that has no VLAN of itself: it is sent in the port's PVID,
    /// else in the first of its VLANs. None at a port of no VLAN, where nothing passes.
    pub(super) fn of_own(&self, protocol: u16) -> Option<Tagging> {
        let pvid = self.pvid().filter(|vlan| self.has(*vlan));
        let vlan = pvid.or_else(|| self.all().next())?;
        self.egress(&Carried::plain(protocol, vlan))
    }

    /// What becomes of a frame's tag where it leaves; None where it may not.
    #[inline]
    pub(super) fn egress(&self, carried: &Carried) -> Option<Tagging> {
        let vlan = carried.tag.id();
        if !self.has(vlan) {
            return None;
        }
        Some(match (carried.how, self.untagged(vlan)) {
            (How::Tagged, false) | (How::Untagged, true) => Tagging::Keep,
            (How::Tagged | How::Priority, true) => Tagging::Pop,
            (How::Priority, false) => Tagging::Set(carried.tag),
            (How::Untagged, false) => Tagging::Push(carried.tag),
        })
    }
}

/// A frame's VLAN, and how it told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// The tag it would have on a port that gives tags.
    pub(super) tag: VlanTag,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// By a tag with that VLAN.
    Tagged,
    /// By a tag with no VLAN in it, which has a priority alone (802.1Q 6.9.1).
    Priority,
    /// Not at all, or by a tag of another protocol, which is left alone.
    Untagged,
}

impl Carried {
    /// A frame of the same VLAN that has no tag.
    pub(super) fn untagged(&self) -> Self {
        Self { how: How::Untagged, ..*self }
    }

    /// Whether a tag of the network's protocol is what told of it, or of its priority.
    pub(super) fn is_told(&self) -> bool {
        self.how != How::Untagged
    }

    /// A frame of the station's own.
    pub(super) fn plain(protocol: u16, vlan: VlanId) -> Self {
        Self { tag: VlanTag { tpid: protocol, tci: vlan.get() }, how: How::Untagged }
    }
}

/// The VLAN of a frame that comes in by a port.
pub(super) fn ingress(
    tag: Option<VlanTag>,
    filter: VlanFilter,
    port: &Memberships,
) -> Result<Carried, DropReason> {
    let VlanFilter { protocol } = filter;
    let (own, how) = match tag.filter(|tag| tag.tpid == protocol) {
        Some(tag) if tag.id() != VlanId::NONE => (Some(tag), How::Tagged),
        Some(tag) => (Some(tag), How::Priority),
        None => (None, How::Untagged),
    };
    let tag = match (own, how) {
        (Some(tag), How::Tagged) => tag,
        _ => {
            let pvid = port.pvid().ok_or(DropReason::NoPvid)?;
            let priority = own.map_or(0, |tag| tag.tci & PRIORITY);
            VlanTag { tpid: protocol, tci: priority | pvid.get() }
        }
    };
    if port.filters() && !port.has(tag.id()) {
        return Err(DropReason::VlanIngress);
    }
    Ok(Carried { tag, how })
}

#[cfg(test)]
#[path = "vlan_tests.rs"]
mod tests;

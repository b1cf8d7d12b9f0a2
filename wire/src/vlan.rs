//! VLAN identifiers and tags (IEEE 802.1Q).

/// A VLAN identifier, 0 to 4095. 0 stands for "no tag" here, as a priority tag carries no VLAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// No VLAN: an untagged or priority-tagged frame.
    pub const NONE: Self = Self(0);

    /// The low twelve bits of `value`.
    #[must_use]
    pub const fn from_tci(value: u16) -> Self {
        Self(value & 0x0fff)
    }

    /// The identifier as a number, 0 to 4095.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The outermost tag of a frame. The kernel strips it on receive (`tp_vlan_tci`, `tp_vlan_tpid`);
/// it goes back in front of the EtherType, with its own TPID, when the frame is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Tag protocol identifier: 0x8100 or 0x88a8, host order.
    pub tpid: u16,
    /// Priority (3 bits), drop eligible (1), identifier (12), host order.
    pub tci: u16,
}

impl VlanTag {
    /// The identifier in the tag.
    #[must_use]
    pub const fn id(self) -> VlanId {
        VlanId::from_tci(self.tci)
    }
}

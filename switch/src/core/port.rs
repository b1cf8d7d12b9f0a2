//! What the bridge knows of a port: its settings, its state, and its place in the table of ports.

use wire::MacAddr;

use super::network::NetworkId;
use super::vlan::Memberships;

/// A port's number: an index, small, reused after removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

impl PortId {
    /// The switch's own host: the station. Never a plugged port.
    pub const LOCAL: Self = Self(u16::MAX);
    /// Most ports of a switch.
    pub const MAX: usize = 4096;

    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A port's row of settings, named as `bridge link` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Addresses seen here are learned.
    pub learning: bool,
    /// Frames to unknown unicast addresses are flooded to this port.
    pub flood: bool,
    /// Multicast is flooded to this port.
    pub mcast_flood: bool,
    /// Broadcast is flooded to this port.
    pub bcast_flood: bool,
    /// A frame may leave by the port it came in by.
    pub hairpin: bool,
    /// Ports with the same group number do not reach each other; None is not isolated.
    pub isolation: Option<u8>,
    /// Frames are let in only from addresses that the table knows at this port.
    pub locked: bool,
    /// Most addresses learned here.
    pub learn_limit: u32,
    /// Flooded frames let in here.
    pub storm: StormLimits,
}

/// Most frames a second of each kind that a port may have flooded (storm control); None is
/// unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StormLimits {
    /// To everybody.
    pub broadcast: Option<u32>,
    /// To a group.
    pub multicast: Option<u32>,
    /// To an address that is not in the table.
    pub unknown: Option<u32>,
}

impl StormLimits {
    /// The limit of one kind.
    #[must_use]
    pub fn of(self, kind: Flooded) -> Option<u32> {
        match kind {
            Flooded::Broadcast => self.broadcast,
            Flooded::Multicast => self.multicast,
            Flooded::Unknown => self.unknown,
        }
    }
}

/// Why a frame is flooded: by its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flooded {
    /// To everybody.
    Broadcast,
    /// To a group.
    Multicast,
    /// To one address, of which it is not known where it lives.
    Unknown,
}

impl Flooded {
    /// Of a frame to `dst`.
    #[must_use]
    pub fn to(dst: MacAddr) -> Self {
        if dst.is_broadcast() {
            Self::Broadcast
        } else if dst.is_group() {
            Self::Multicast
        } else {
            Self::Unknown
        }
    }
}

impl Default for PortSettings {
    fn default() -> Self {
        Self {
            learning: true,
            flood: true,
            mcast_flood: true,
            bcast_flood: true,
            hairpin: false,
            isolation: None,
            locked: false,
            learn_limit: 16_384,
            storm: StormLimits { broadcast: None, multicast: None, unknown: None },
        }
    }
}

/// A plugged port as the bridge sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortState {
    /// The network it belongs to.
    pub network: NetworkId,
    /// Its settings.
    pub settings: PortSettings,
    /// Its VLANs, where its network tells them apart.
    pub vlans: Memberships,
    /// Largest layer-3 packet it takes, in bytes.
    pub mtu: u32,
    /// Link is up.
    pub up: bool,
    /// It has never been up: a frame from there comes because it is up now.
    pub expected: bool,
}

impl PortState {
    /// A port of the first network that is up.
    #[must_use]
    pub fn up(settings: PortSettings, mtu: u32) -> Self {
        let (network, vlans) = (NetworkId::FIRST, Memberships::default());
        Self { network, settings, vlans, mtu, up: true, expected: false }
    }
}

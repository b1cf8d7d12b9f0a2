//! What the bridge knows of a port: its settings, its state, and its place in the table of ports.

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
    /// Most addresses learned here.
    pub learn_limit: u32,
    /// Flooded frames a second let in here (storm control); None is unlimited.
    pub storm_limit: Option<u32>,
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
            learn_limit: 16_384,
            storm_limit: None,
        }
    }
}

/// A plugged port as the bridge sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortState {
    /// Its settings.
    pub settings: PortSettings,
    /// Largest layer-3 packet it takes, in bytes.
    pub mtu: u32,
    /// Link is up.
    pub up: bool,
}

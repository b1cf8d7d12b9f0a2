//! What the bridge knows of a port: its settings, its state, and its place in the table of ports.

use std::sync::Arc;

use wire::MacAddr;

use super::mcast::RouterMode;
use super::network::NetworkId;
use super::source_guard::SourceGuard;
use super::vlan::Memberships;

/// A port's number: an index. One that is free again is given out after all others.
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
    /// Where its frames may go, and come from.
    pub reach: Reach,
    /// Frames are let in only from addresses that the table knows at this port.
    pub locked: bool,
    /// An unknown address at a locked port is noted in the table, locked (MAC authentication bypass).
    pub mab: bool,
    /// Link-local groups let in here, beside those of the network: bit n stands for
    /// 01:80:c2:00:00:0n.
    pub group_fwd_mask: u16,
    /// Questions for neighbours behind this port are answered for them, and not sent here.
    pub neigh_suppress: bool,
    /// A member that leaves a group is not asked again.
    pub fastleave: bool,
    /// Whether a multicast router is here.
    pub mcast_router: RouterMode,
    /// Most groups it may be a member of; 0 for as many as there is room for.
    pub mcast_max_groups: u32,
    /// Probes are sent here, and it is shut for a while where a loop is seen.
    pub loop_protect: bool,
    /// Most addresses learned here.
    pub learn_limit: u32,
    /// Flooded frames let in here.
    pub storm: StormLimits,
}

/// Where a port's frames may go, and come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Wherever they are to.
    #[default]
    All,
    /// The port leads to other hosts.
    Far,
    /// To the ports of this host alone, and so from none that leads to others.
    Near,
}

impl Reach {
    /// Whether frames go from a port with this reach to one with that.
    #[must_use]
    pub fn to(self, other: Self) -> bool {
        !matches!((self, other), (Self::Far, Self::Near) | (Self::Near, Self::Far))
    }
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
            reach: Reach::All,
            locked: false,
            mab: false,
            group_fwd_mask: 0,
            neigh_suppress: false,
            fastleave: false,
            mcast_router: RouterMode::Learned,
            mcast_max_groups: 0,
            loop_protect: false,
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
    /// The address of its own interface, if known: frames to it are for nobody.
    pub mac: Option<MacAddr>,
    /// Link is up.
    pub up: bool,
    /// It has never been up: a frame from there comes because it is up now.
    pub expected: bool,
    /// Who alone may speak from there; None for anybody.
    pub sources: Option<Arc<SourceGuard>>,
}

impl PortState {
    /// A port of the first network that is up.
    #[must_use]
    pub fn up(settings: PortSettings, mtu: u32) -> Self {
        let (network, vlans) = (NetworkId::FIRST, Memberships::default());
        Self { network, settings, vlans, mtu, mac: None, up: true, expected: false, sources: None }
    }
}

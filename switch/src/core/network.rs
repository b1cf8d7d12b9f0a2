//! A network: one broadcast domain of the switch, with its ports, its settings and its VLANs.
//!
//! Owned by [`super::Bridge`]. A frame never leaves the network it came in by: whatever a decision
//! looks at (ports to flood to, filtering identifiers, the station's legs) lies in one of these.

use std::sync::Arc;
use std::time::Duration;

use wire::{MacAddr, VlanId, VlanTag};

use super::fdb::Fdb;
use super::fids::Scope;
use super::mcast::{McastConfig, RouterMode, Snoop};
use super::port::{PortId, PortState};
use super::suppress::Neighbours;
use super::verdict::DropReason;
use super::vlan::{self, Carried, Memberships, VlanFilter, VlanSet};

/// A network's number: an index, small, reused after removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u16);

impl NetworkId {
    /// The one that is there from the start.
    pub const FIRST: Self = Self(0);
    /// None: that of a port which is in no network.
    pub const NONE: Self = Self(u16::MAX);
    /// Most networks of a switch.
    pub const MAX: usize = 256;

    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The station's place in a network, or in one VLAN of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg(pub u16);

impl Leg {
    /// Most legs of a station.
    pub const MAX: usize = 256;
}

/// What holds for a whole network, named as the kernel's bridge names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// The station's address there, if it has one.
    pub local: Option<MacAddr>,
    /// The station's leg by VLAN; [`VlanId::NONE`] where VLANs are not filtered.
    pub legs: Vec<(VlanId, Leg)>,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n.
    pub group_fwd_mask: u16,
    /// A learned address not seen for this long is forgotten (802.1D: 300 s).
    pub ageing_time: Duration,
    /// Most addresses learned in the network; None for as many as the table holds.
    pub fdb_max_learned: Option<u32>,
    /// How VLANs are told apart; None where tags mean nothing.
    pub vlans: Option<VlanFilter>,
    /// Multicast: snooping and its timers.
    pub mcast: McastConfig,
    /// Frames that claim to come from the station's own address are refused.
    pub gateway_guard: bool,
    /// The port of a host that has the station's address too, and alone may come from it.
    pub host: Option<PortId>,
}

/// As long as 802.1D recommends.
pub(super) const AGEING_TIME: Duration = Duration::from_secs(300);

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            local: None,
            legs: vec![(VlanId::NONE, Leg::default())],
            group_fwd_mask: 0,
            ageing_time: AGEING_TIME,
            fdb_max_learned: None,
            vlans: None,
            mcast: McastConfig::default(),
            gateway_guard: true,
            host: None,
        }
    }
}

impl NetworkConfig {
    /// One without VLANs, in which the station has an address or none.
    #[must_use]
    pub fn with(local: Option<MacAddr>) -> Self {
        Self { local, ..Self::default() }
    }

    /// The link-local groups let through, as in [`NetworkConfig::group_fwd_mask`]: those set, and
    /// where outer tags are a provider's, those that IEEE 802.1ad keeps for its customers.
    pub(super) fn passed_groups(&self) -> u16 {
        let outer = self.vlans.is_some_and(|filter| filter.protocol == wire::ethertype::QINQ);
        self.group_fwd_mask | if outer { CUSTOMERS } else { 0 }
    }
}

/// Groups of customers that a provider's bridge passes on (IEEE 802.1Q table 8-1 without those of
/// 8-2; `BR_GROUPFWD_8021AD` of the kernel's bridge).
const CUSTOMERS: u16 = 0xb801;

/// What a frame belongs to: the table's scope, and its VLAN, where VLANs are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    pub(super) scope: Scope,
    pub(super) vlan: Option<Carried>,
}

impl Lane {
    /// The VLAN's number; [`VlanId::NONE`] where tags mean nothing.
    pub(super) fn vid(&self) -> VlanId {
        self.vlan.map_or(VlanId::NONE, |carried| carried.tag.id())
    }
}

/// A network as a worker's bridge holds it.
pub(super) struct Network {
    pub(super) id: NetworkId,
    pub(super) config: NetworkConfig,
    /// Its ports in ascending order: what a flood walks over.
    pub(super) plugged: Vec<PortId>,
    /// The address nobody outside may have.
    pub(super) guarded: Option<MacAddr>,
    /// The ports' own addresses, ascending.
    own: Vec<MacAddr>,
    /// Group frames are looked into.
    pub(super) reads: bool,
    /// Its groups, where it snoops.
    pub(super) snoop: Option<Arc<Snoop>>,
    /// Ports set to lead to a multicast router.
    pub(super) routers: Vec<PortId>,
    /// One of its ports suppresses questions.
    pub(super) suppresses: bool,
    /// One of its ports looks for loops.
    pub(super) protects: bool,
    /// Who is known, to answer for.
    pub(super) neighbours: Neighbours,
    /// The scope of all frames where tags mean nothing.
    plain: Scope,
    /// The scopes of VLANs that a port is a member of, by number; none without filtering.
    scopes: Vec<Option<Scope>>,
}

impl Network {
    pub(super) fn new(id: NetworkId, config: NetworkConfig, fdb: &Fdb) -> Self {
        fdb.set_network(id, config.ageing_time, config.fdb_max_learned);
        let plain = fdb.scope(id, VlanId::NONE).unwrap_or_default();
        let guarded = config.local.filter(|_| config.gateway_guard);
        let (plugged, own, scopes) = (Vec::new(), Vec::new(), Vec::new());
        let mut network = Self {
            id,
            config,
            plugged,
            guarded,
            own,
            reads: false,
            snoop: None,
            routers: Vec::new(),
            suppresses: false,
            protects: false,
            neighbours: Neighbours::default(),
            plain,
            scopes,
        };
        let legs: Vec<VlanId> = network.config.legs.iter().map(|(vlan, _)| *vlan).collect();
        legs.into_iter().for_each(|vlan| network.admit(vlan, fdb));
        network
    }

    /// Makes frames of a VLAN possible.
    fn admit(&mut self, vlan: VlanId, fdb: &Fdb) {
        if self.config.vlans.is_none() || vlan == VlanId::NONE {
            return;
        }
        let at = usize::from(vlan.get());
        if self.scopes.len() <= at {
            self.scopes.resize(at + 1, None);
        }
        if self.scopes[at].is_none() {
            self.scopes[at] = fdb.scope(self.id, vlan);
        }
    }

    /// Frames are possible of these VLANs alone, and of those of the station's legs.
    pub(super) fn keep(&mut self, mut used: VlanSet) {
        self.config.legs.iter().for_each(|(vlan, _)| used.put(*vlan, true));
        for (vlan, scope) in (0..).map(VlanId::from_tci).zip(&mut self.scopes) {
            scope.take_if(|_| !used.has(vlan));
        }
    }

    /// The VLANs of a port that is plugged in, or has others now.
    pub(super) fn meet(&mut self, members: &Memberships, fdb: &Fdb) {
        members.all().for_each(|vlan| self.admit(vlan, fdb));
    }

    /// Whether an address is one of its ports' own.
    pub(super) fn owns(&self, mac: MacAddr) -> bool {
        self.own.binary_search(&mac).is_ok()
    }

    /// Notes what of its ports matters to the whole.
    pub(super) fn survey<'a>(&mut self, ports: impl Iterator<Item = (PortId, &'a PortState)>) {
        self.own.clear();
        self.routers.clear();
        (self.suppresses, self.protects) = (false, false);
        for (id, state) in ports {
            self.own.extend(state.mac);
            self.suppresses |= state.settings.neigh_suppress;
            self.protects |= state.settings.loop_protect;
            if state.settings.mcast_router == RouterMode::Always {
                self.routers.push(id);
            }
        }
        self.own.sort_unstable();
        self.reads = self.suppresses || self.protects || self.snoop.is_some();
    }

    /// The hardware address by which the switch itself speaks here: the station's, else one of its
    /// own (locally administered).
    pub(super) fn speaks_by(&self) -> MacAddr {
        let [high, low] = self.id.0.to_be_bytes();
        self.config.local.unwrap_or(MacAddr([0x02, 0x75, 0x73, 0x77, high, low]))
    }

    /// The VLANs that a port is a member of; [`VlanId::NONE`] where they are not told apart.
    pub(super) fn vlans(&self) -> impl Iterator<Item = VlanId> + '_ {
        let plain = self.config.vlans.is_none().then_some(VlanId::NONE);
        let known = (0..4095).zip(&self.scopes).filter(|(_, scope)| scope.is_some());
        plain.into_iter().chain(known.map(|(vlan, _)| VlanId::from_tci(vlan)))
    }

    /// What a frame of the switch's own in a VLAN belongs to.
    pub(super) fn lane(&self, vlan: VlanId) -> Option<Lane> {
        let carried = self.config.vlans.map(|filter| Carried::plain(filter.protocol, vlan));
        Some(Lane { scope: self.scope(vlan)?, vlan: carried })
    }

    /// The table's scope of a VLAN, whoever is a member of it.
    pub(super) fn scope(&self, vlan: VlanId) -> Option<Scope> {
        match self.config.vlans {
            None => Some(self.plain),
            Some(_) => self.scopes.get(usize::from(vlan.get())).copied().flatten(),
        }
    }

    /// What a frame with this outermost tag belongs to, where it came in by a port of these VLANs.
    #[inline]
    pub(super) fn classify(
        &self,
        tag: Option<VlanTag>,
        members: &Memberships,
    ) -> Result<Lane, DropReason> {
        match &self.config.vlans {
            None => Ok(Lane { scope: self.plain, vlan: None }),
            Some(filter) => self.filtered(tag, *filter, members),
        }
    }

    #[inline(never)]
    fn filtered(
        &self,
        tag: Option<VlanTag>,
        filter: VlanFilter,
        members: &Memberships,
    ) -> Result<Lane, DropReason> {
        let carried = vlan::ingress(tag, filter, members)?;
        let scope = self.scope(carried.tag.id()).ok_or(DropReason::VlanIngress)?;
        Ok(Lane { scope, vlan: Some(carried) })
    }

    /// What a frame of the station's own belongs to, by the leg it leaves by.
    pub(super) fn of_leg(&self, leg: Leg) -> Option<Lane> {
        let (vlan, _) = self.config.legs.iter().find(|(_, own)| *own == leg)?;
        self.lane(*vlan)
    }

    /// The station's leg among the frames of a lane.
    pub(super) fn leg(&self, lane: &Lane) -> Option<Leg> {
        let vid = lane.vid();
        self.config.legs.iter().find(|(vlan, _)| *vlan == vid).map(|(_, leg)| *leg)
    }
}

//! Ports as the world names them, and a worker's copy of them.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use sys::packet::Pass;
use wire::MacAddr;

use crate::core::{
    Memberships, NetworkConfig, NetworkId, PortId, PortSettings, PortState, SourceGuard,
};
use crate::stats::{PortCells, PortStats};

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// One of the bridge's ports.
    Bridged,
    /// The station's uplink: its frames do not meet the bridge.
    Routed,
}

/// A port to plug in: an interface that lies in the switch's namespace already.
#[derive(Clone, Debug)]
pub struct PortSpec {
    /// Its interface's name, for people.
    pub name: String,
    /// Its interface's index in the switch's namespace.
    pub ifindex: u32,
    /// What it is for.
    pub role: PortRole,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The longest frame that it takes, in bytes, where TCP segments of more are to be cut for it.
    pub longest: Option<u32>,
    /// Its own address, if known: frames to it are for nobody.
    pub mac: Option<MacAddr>,
    /// The network it belongs to, where it is one of the bridge's.
    pub network: NetworkId,
    /// The bridge's settings for it.
    pub settings: PortSettings,
    /// Its VLANs, where its network tells them apart.
    pub vlans: Memberships,
    /// The address of the one host at the other end of its link, where that is known.
    pub behind: Option<MacAddr>,
    /// Who alone may speak from there; None for anybody.
    pub sources: Option<Arc<SourceGuard>>,
    /// The namespace it lies in, where that is not the switch's: for a [`PortRole::Routed`] port
    /// alone, which then has rings of its own.
    pub netns: Option<Elsewhere>,
    /// Its link is up, or has been. Else the switch lets in what comes from there, for the link is
    /// up then, and sends nothing there until it is told of the link.
    pub up: bool,
}

impl PortSpec {
    /// A port of the first network whose link is up, with all settings at their defaults.
    #[must_use]
    pub fn bridged(name: String, ifindex: u32, mtu: u32) -> Self {
        Self {
            name,
            ifindex,
            role: PortRole::Bridged,
            mtu,
            longest: None,
            mac: None,
            network: NetworkId::FIRST,
            settings: PortSettings::default(),
            vlans: Memberships::default(),
            behind: None,
            sources: None,
            netns: None,
            up: true,
        }
    }
}

/// Another namespace, and what is of interest there.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The namespace.
    pub netns: Arc<OwnedFd>,
    /// What of the interface's traffic reaches the rings.
    pub pass: Pass,
    /// By which the kernel gets there, to repeat what is decided; None where it does not.
    pub crossing: Option<Crossing>,
}

/// A veth pair between the switch's namespace and that of an uplink, which nothing else uses, and what
/// is the switch's of the uplink, besides the ports that are held: the same as `pass` says.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// The index of its end in the switch's namespace.
    pub near: u32,
    /// That of its other end.
    pub far: u32,
    /// The uplink's address.
    pub address: Ipv4Addr,
    /// The ports of that address which are the switch's.
    pub ports: RangeInclusive<u16>,
}

/// A port as the handle shows it.
#[derive(Clone, Debug)]
pub struct PortInfo {
    /// Its number.
    pub id: PortId,
    /// How it was plugged in.
    pub spec: PortSpec,
    /// Link is up.
    pub up: bool,
    /// Its counters, all workers together.
    pub stats: PortStats,
}

/// A port as the handle keeps it.
pub(super) struct Port {
    pub(super) spec: PortSpec,
    pub(super) up: bool,
    pub(super) cells: Vec<Arc<PortCells>>,
}

impl Port {
    /// As a worker that counts into `cells` is to know it.
    pub(super) fn plugged(&self, cells: &Arc<PortCells>) -> Plugged {
        let PortSpec { ifindex, longest, mtu, ref netns, .. } = self.spec;
        Plugged { ifindex, cells: Arc::clone(cells), longest, mtu, foreign: netns.is_some() }
    }

    /// As the workers are to see it.
    pub(super) fn state(&self) -> PortState {
        let PortSpec { network, settings, vlans, mtu, mac, up, sources, .. } = &self.spec;
        PortState {
            network: *network,
            settings: *settings,
            vlans: vlans.clone(),
            mtu: *mtu,
            mac: *mac,
            up: self.up,
            expected: !up,
            sources: sources.clone(),
        }
    }
}

impl Port {
    /// Has room to count its VLANs, where its network tells them apart.
    pub(super) fn make_room(&self, networks: &BTreeMap<NetworkId, NetworkConfig>) {
        if networks.get(&self.spec.network).is_some_and(|network| network.vlans.is_some()) {
            let cells = || self.cells.iter();
            self.spec.vlans.all().for_each(|vlan| cells().for_each(|c| c.vlans.admit(vlan)));
        }
    }
}

/// A port in a worker's copy.
pub(super) struct Plugged {
    pub(super) ifindex: u32,
    pub(super) cells: Arc<PortCells>,
    /// See [`PortSpec::longest`].
    pub(super) longest: Option<u32>,
    /// Its MTU in bytes.
    pub(super) mtu: u32,
    /// It lies in another namespace, where interface numbers mean other interfaces.
    pub(super) foreign: bool,
}

/// A worker's view: from interface to port and back.
#[derive(Default)]
pub(super) struct PortMap {
    ports: Vec<Option<Plugged>>,
    /// By interface index, port number + 1; interfaces of a namespace are numbered from one.
    near: Vec<u16>,
    /// Those with an index beyond [`NEAR`].
    far: HashMap<u32, PortId>,
    uplink: Option<PortId>,
}

/// Interface indices looked up directly.
const NEAR: usize = 1 << 16;

impl PortMap {
    pub(super) fn insert(&mut self, id: PortId, role: PortRole, port: Plugged) {
        self.remove(id);
        let at = usize::try_from(port.ifindex).unwrap_or(usize::MAX);
        if port.foreign {
            // Its frames come from a ring of their own.
        } else if at < NEAR {
            if self.near.len() <= at {
                self.near.resize(at + 1, 0);
            }
            self.near[at] = id.0 + 1;
        } else {
            self.far.insert(port.ifindex, id);
        }
        if self.ports.len() <= id.index() {
            self.ports.resize_with(id.index() + 1, || None);
        }
        self.ports[id.index()] = Some(port);
        if role == PortRole::Routed {
            self.uplink = Some(id);
        }
    }

    pub(super) fn remove(&mut self, id: PortId) {
        let Some(old) = self.ports.get_mut(id.index()).and_then(Option::take) else { return };
        if self.uplink == Some(id) {
            self.uplink = None;
        }
        if old.foreign {
            return;
        }
        self.far.remove(&old.ifindex);
        if let Some(slot) = usize::try_from(old.ifindex).ok().and_then(|i| self.near.get_mut(i)) {
            *slot = 0;
        }
    }

    pub(super) fn by_ifindex(&self, ifindex: u32) -> Option<PortId> {
        match usize::try_from(ifindex).ok().and_then(|at| self.near.get(at)) {
            Some(0) => None,
            Some(number) => Some(PortId(number - 1)),
            None => self.far.get(&ifindex).copied(),
        }
    }

    pub(super) fn get(&self, id: PortId) -> Option<&Plugged> {
        self.ports.get(id.index())?.as_ref()
    }

    pub(super) fn set_mtu(&mut self, id: PortId, mtu: u32) {
        if let Some(Some(port)) = self.ports.get_mut(id.index()) {
            port.mtu = mtu;
        }
    }

    pub(super) fn uplink(&self) -> Option<PortId> {
        self.uplink
    }
}

//! Which steps build a topology. Pure: a list that says what to make, in order, with every
//! interface's index chosen beforehand, so that nothing has to be looked up while it is applied.
//!
//! Namespaces are made by the plan and empty, so index 1 is lo and the others are ours to choose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// A namespace of the plan: its place in [`Plan::namespaces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NsId(pub usize);

/// The index of lo in every namespace.
pub const LOOPBACK: u32 = 1;

/// The longest name of an interface (IFNAMSIZ less the closing zero).
pub const MAX_INTERFACE_NAME: usize = 15;

/// One end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Where it lives.
    pub ns: NsId,
    /// Its name there.
    pub name: String,
    /// Its index there.
    pub index: u32,
    /// Its address; None leaves the choice to the kernel.
    pub mac: Option<[u8; 6]>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the namespace: named, or held by a descriptor alone.
    Namespace(NsId),
    /// Write a setting below `/proc/sys/net` inside the namespace. A kernel without that setting,
    /// or with `/proc/sys` read-only, is no error.
    Sysctl {
        /// Where.
        ns: NsId,
        /// For example `ipv6/conf/all/disable_ipv6`.
        key: &'static str,
        /// For example `1`.
        value: &'static str,
    },
    /// Make a veth pair, each end in its place from the start.
    Veth {
        /// The end whose namespace the request is sent in.
        a: End,
        /// The other end.
        b: End,
        /// Of both.
        mtu: u32,
    },
    /// Bring an interface up.
    Up {
        /// Where.
        ns: NsId,
        /// Which.
        index: u32,
    },
    /// Give an interface an address.
    Address {
        /// Where.
        ns: NsId,
        /// Which.
        index: u32,
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix: u8,
    },
    /// A route.
    Route {
        /// Where.
        ns: NsId,
        /// Whereto: an address and a prefix length; None for everywhere else.
        to: Option<(IpAddr, u8)>,
        /// By which router.
        via: IpAddr,
        /// Out of which interface, by its index.
        index: u32,
    },
}

impl Step {
    /// The namespace the step is done in.
    #[must_use]
    pub fn ns(&self) -> NsId {
        match self {
            Self::Namespace(ns)
            | Self::Sysctl { ns, .. }
            | Self::Up { ns, .. }
            | Self::Address { ns, .. }
            | Self::Route { ns, .. } => *ns,
            Self::Veth { a, .. } => a.ns,
        }
    }
}

/// A namespace as the plan knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// Bind-mounted under this name.
    Named(String),
    /// Held by a descriptor alone; it dies with the process.
    Anonymous,
    /// Made earlier, by another plan; handed to `apply`.
    Existing(String),
}

/// A list of steps over a list of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    namespaces: Vec<Room>,
    next_index: Vec<u32>,
    steps: Vec<Step>,
    /// Where the first part ends.
    pause: Option<usize>,
    tunnels: bool,
}

impl Plan {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the stacks of its pairs' ends may hand on segments in a tunnel whole. What takes frames
    /// from a packet socket has to know them, for their header does not say it.
    pub fn tunnels(&mut self, whole: bool) {
        self.tunnels = whole;
    }

    pub(crate) fn are_tunnels_whole(&self) -> bool {
        self.tunnels
    }

    /// A namespace with a name.
    pub fn named(&mut self, name: impl Into<String>) -> NsId {
        let ns = self.room(Room::Named(name.into()), LOOPBACK + 1);
        self.steps.push(Step::Namespace(ns));
        ns
    }

    /// A namespace without one.
    pub fn anonymous(&mut self) -> NsId {
        let ns = self.room(Room::Anonymous, LOOPBACK + 1);
        self.steps.push(Step::Namespace(ns));
        ns
    }

    /// A namespace that is there already, whose next free index is `next_index`.
    pub fn existing(&mut self, name: impl Into<String>, next_index: u32) -> NsId {
        self.room(Room::Existing(name.into()), next_index)
    }

    fn room(&mut self, room: Room, next_index: u32) -> NsId {
        self.namespaces.push(room);
        self.next_index.push(next_index);
        NsId(self.namespaces.len() - 1)
    }

    /// Writes a setting of the namespace.
    pub fn sysctl(&mut self, ns: NsId, key: &'static str, value: &'static str) {
        self.steps.push(Step::Sysctl { ns, key, value });
    }

    /// A veth pair; the indices of its two ends.
    pub fn veth(&mut self, a: (NsId, &str), b: (NsId, &str), options: VethOptions) -> (u32, u32) {
        let (index_a, index_b) = (self.index(a.0), self.index(b.0));
        self.steps.push(Step::Veth {
            a: End { ns: a.0, name: a.1.into(), index: index_a, mac: options.mac_a },
            b: End { ns: b.0, name: b.1.into(), index: index_b, mac: options.mac_b },
            mtu: options.mtu,
        });
        (index_a, index_b)
    }

    fn index(&mut self, ns: NsId) -> u32 {
        let next = &mut self.next_index[ns.0];
        let index = *next;
        *next += 1;
        index
    }

    /// Brings an interface up.
    pub fn up(&mut self, ns: NsId, index: u32) {
        self.steps.push(Step::Up { ns, index });
    }

    /// Gives an interface an address.
    pub fn address(&mut self, ns: NsId, index: u32, address: impl Into<IpAddr>, prefix: u8) {
        let address = address.into();
        self.steps.push(Step::Address { ns, index, address, prefix });
    }

    /// Ends the first part. What follows waits until the caller asks for it
    /// ([`crate::Applied::finish`]), who does meanwhile what the rest builds on.
    pub fn pause(&mut self) {
        self.pause = Some(self.steps.len());
    }

    /// How many steps the first part has: all where there is no pause.
    #[must_use]
    pub fn first_part(&self) -> usize {
        self.pause.unwrap_or(self.steps.len())
    }

    /// A route by a router, out of the interface of this index; everywhere else for None.
    pub fn route(
        &mut self,
        ns: NsId,
        to: Option<(IpAddr, u8)>,
        via: impl Into<IpAddr>,
        index: u32,
    ) {
        self.steps.push(Step::Route { ns, to, via: via.into(), index });
    }

    /// The ends of pairs that are brought up before their other end is, by namespace: their carrier
    /// comes later than they do.
    #[must_use]
    pub fn early(&self) -> BTreeMap<NsId, BTreeSet<u32>> {
        let mut up = BTreeMap::new();
        for (place, step) in self.steps.iter().enumerate() {
            if let Step::Up { ns, index } = step {
                up.insert((*ns, *index), place);
            }
        }
        let mut early = BTreeMap::<_, BTreeSet<_>>::new();
        for step in &self.steps {
            let Step::Veth { a, b, .. } = step else { continue };
            let ends = [(a.ns, a.index), (b.ns, b.index)];
            if let [Some(at), Some(other)] = ends.map(|end| up.get(&end)) {
                let (ns, index) = ends[usize::from(other < at)];
                early.entry(ns).or_default().insert(index);
            }
        }
        early
    }

    /// What is to be done, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The namespaces, in the order of their [`NsId`].
    #[must_use]
    pub fn namespaces(&self) -> &[Room] {
        &self.namespaces
    }

    /// What the namespace is called in messages.
    #[must_use]
    pub fn label(&self, ns: NsId) -> &str {
        match &self.namespaces[ns.0] {
            Room::Named(name) | Room::Existing(name) => name,
            Room::Anonymous => "the switch's namespace",
        }
    }
}

/// What a veth pair may be given.
#[derive(Clone, Copy, Debug)]
pub struct VethOptions {
    /// Of both ends.
    pub mtu: u32,
    /// The first end's address.
    pub mac_a: Option<[u8; 6]>,
    /// The second end's address.
    pub mac_b: Option<[u8; 6]>,
}

impl Default for VethOptions {
    fn default() -> Self {
        Self { mtu: 1500, mac_a: None, mac_b: None }
    }
}

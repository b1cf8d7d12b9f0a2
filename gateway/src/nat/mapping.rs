//! Which inside endpoint an outside port stands for, whoever is at the other end.
//!
//! A mapping's slot is its outside port, so the way in is one array access; the way out is an
//! index by inside endpoint. A dynamic mapping lives while it has sessions; a published one until
//! it is withdrawn. It is its node's, and goes with it. Owned by a realm of the NAT; bounded by the 65,536 ports there are.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::index::Index;
use super::ports::Ports;
use super::session::NONE;
use super::siblings;
use super::slots::Slots;
use crate::hash::Key;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};

const USED: u32 = 1 << 31;
const PUBLISHED: u32 = 1 << 30;
/// `by_inside` leads here; a second published port of the same endpoint is reached from outside
/// only.
const PRIMARY: u32 = 1 << 29;
/// It was published, and goes on for the sessions that were there.
const WITHDRAWN: u32 = 1 << 28;
/// It is published, and somebody holds the port at the host's kernel.
const HELD: u32 = 1 << 27;
/// It has had more sessions than are linked: they are counted.
const CROWDED: u32 = 1 << 26;
const FLAGS: u32 = USED | PUBLISHED | PRIMARY | WITHDRAWN | HELD | CROWDED;

#[derive(Clone, Copy, Debug, Default)]
struct Mapping {
    inside: u32,
    /// The flags, and below them one more than the first of its sessions, or their number where they are
    /// counted; 0 for none.
    word: u32,
    port: u16,
    node: Node,
}

/// The mappings of one protocol.
#[derive(Debug)]
pub(crate) struct Mappings {
    by_port: Vec<Mapping>,
    by_inside: Index,
    used: usize,
    key: Key,
    pub(crate) ports: Ports,
}

impl Mappings {
    pub(crate) fn new(protocol: Protocol, range: RangeInclusive<u16>, seed: u64) -> Self {
        // Never more mappings than ports, nor than inside endpoints that hold a session.
        Self {
            by_port: vec![Mapping::default(); 65_536],
            by_inside: Index::new(65_536),
            used: 0,
            key: Key::new(seed, 10 + u64::from(protocol.number())),
            ports: Ports::new(protocol, range, seed),
        }
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.by_port.len() * size_of::<Mapping>() + self.by_inside.bytes()
    }

    /// The outside port of an inside endpoint.
    #[inline]
    pub(crate) fn outside(&self, inside: Endpoint) -> Option<u16> {
        let found = self.by_inside.find(self.hash(inside), |port| {
            let m = &self.by_port[port as usize];
            m.inside == u32::from(inside.address) && m.port == inside.port
        });
        found.and_then(|port| u16::try_from(port).ok())
    }

    /// The inside endpoint of an outside port.
    #[inline]
    pub(crate) fn inside(&self, port: u16) -> Option<Endpoint> {
        let m = &self.by_port[usize::from(port)];
        (m.word & USED != 0).then(|| Endpoint::new(Ipv4Addr::from(m.inside), m.port))
    }

    /// Whose mapping it is.
    pub(crate) fn node(&self, port: u16) -> Node {
        self.by_port[usize::from(port)].node
    }

    pub(crate) fn is_published(&self, port: u16) -> bool {
        self.by_port[usize::from(port)].word & PUBLISHED != 0
    }

    /// True where the port is published and the host's kernel may have connections there.
    pub(crate) fn is_held(&self, port: u16) -> bool {
        self.by_port[usize::from(port)].word & HELD != 0
    }

    /// True where the port was published and only the sessions of that time hold it.
    pub(crate) fn is_withdrawn(&self, port: u16) -> bool {
        self.by_port[usize::from(port)].word & WITHDRAWN != 0
    }

    /// True where the end of its sessions frees the port: it is not published, and they are few.
    pub(crate) fn is_let_go(&self, port: u16) -> bool {
        self.by_port[usize::from(port)].word & (PUBLISHED | CROWDED) == 0
    }

    /// True where no session is on this port.
    pub(crate) fn is_idle(&self, port: u16) -> bool {
        self.by_port[usize::from(port)].word & !FLAGS == 0
    }

    /// The sessions on this port, where they are few.
    pub(crate) fn sessions_of<'a>(
        &self,
        port: u16,
        slots: &'a Slots,
    ) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let mapping = &self.by_port[usize::from(port)];
        (mapping.word & CROWDED == 0).then(|| siblings::from(slots, mapping.first()))
    }

    /// True where the end of one session is the end of the mapping.
    pub(crate) fn ends_with(&self, port: u16, slots: &Slots) -> bool {
        let alone = match self.sessions_of(port, slots) {
            Some(sessions) => sessions.take(2).count() == 1,
            None => self.by_port[usize::from(port)].word & !FLAGS == 1,
        };
        alone && !self.is_published(port)
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Makes a dynamic mapping without sessions yet; the port is free.
    pub(crate) fn open(&mut self, (node, inside): (Node, Endpoint), port: u16) {
        self.ports.take(port);
        self.put((node, inside), port, USED);
    }

    /// Publishes an endpoint on a port that no mapping uses.
    pub(crate) fn publish(&mut self, (node, inside): (Node, Endpoint), port: u16, held: bool) {
        self.ports.take(port);
        self.put((node, inside), port, USED | PUBLISHED | if held { HELD } else { 0 });
    }

    /// Publishes a withdrawn port again, for the endpoint it had.
    pub(crate) fn publish_again(&mut self, port: u16, held: bool) {
        let word = &mut self.by_port[usize::from(port)].word;
        *word = *word & !(WITHDRAWN | HELD) | PUBLISHED | if held { HELD } else { 0 };
        self.make_primary(port);
    }

    /// One session more on this port.
    pub(crate) fn acquire(&mut self, port: u16, id: u32, slots: &mut Slots) {
        debug_assert!(id < CROWDED - 1, "slot {id} has no room below the flags");
        let mapping = &mut self.by_port[usize::from(port)];
        if mapping.word & CROWDED != 0 {
            mapping.word += 1;
        } else if siblings::enter(slots, id, mapping.first()) {
            mapping.word = mapping.word & FLAGS | (id + 1);
        } else {
            mapping.word = mapping.word & FLAGS | CROWDED | (siblings::MOST + 1);
        }
    }

    /// One session less; true where that was the end of the mapping.
    pub(crate) fn release(&mut self, port: u16, id: u32, slots: &mut Slots) -> bool {
        self.by_port[usize::from(port)].leave(id, slots);
        let ends = self.is_idle(port) && !self.is_published(port);
        if ends {
            self.close(port);
        }
        ends
    }

    /// Withdraws a published port, and no other. Where sessions still use it, it goes on as a dynamic
    /// mapping until they end, and true is returned.
    pub(crate) fn withdraw(&mut self, port: u16) -> bool {
        if !self.is_published(port) {
            return false;
        }
        let word = &mut self.by_port[usize::from(port)].word;
        *word = *word & !(PUBLISHED | HELD) | WITHDRAWN;
        if !self.is_idle(port) {
            return true;
        }
        self.close(port);
        false
    }

    /// Leads an endpoint's outbound sessions to `port`, unless they already have one.
    pub(crate) fn make_primary(&mut self, port: u16) {
        if let Some(inside) = self.inside(port)
            && self.outside(inside).is_none()
        {
            self.by_inside.insert(self.hash(inside), u32::from(port));
            self.by_port[usize::from(port)].word |= PRIMARY;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.by_port.fill(Mapping::default());
        self.by_inside.clear();
        self.used = 0;
        self.ports.reset();
    }

    fn put(&mut self, (node, inside): (Node, Endpoint), port: u16, word: u32) {
        self.used += usize::from(self.by_port[usize::from(port)].word & USED == 0);
        self.by_port[usize::from(port)] =
            Mapping { inside: inside.address.into(), word, port: inside.port, node };
        self.make_primary(port);
    }

    fn close(&mut self, port: u16) {
        let Some(inside) = self.inside(port) else { return };
        if self.by_port[usize::from(port)].word & PRIMARY != 0 {
            let (by_port, key) = (&self.by_port, self.key);
            let hash_of = |port: u32| by_port[port as usize].hash(key);
            self.by_inside.remove(self.hash(inside), u32::from(port), hash_of);
        }
        self.by_port[usize::from(port)] = Mapping::default();
        self.used -= 1;
        self.ports.give(port);
    }

    #[inline]
    fn hash(&self, inside: Endpoint) -> u64 {
        hash(self.key, inside.address.into(), inside.port)
    }
}

impl Mapping {
    /// The first of its sessions, where they are linked.
    fn first(&self) -> u32 {
        (self.word & !FLAGS).checked_sub(1).unwrap_or(NONE)
    }

    /// One session less.
    fn leave(&mut self, id: u32, slots: &mut Slots) {
        if self.word & CROWDED == 0 {
            let first = siblings::leave(slots, id, self.first());
            self.word = self.word & FLAGS | first.wrapping_add(1);
            return;
        }
        self.word -= 1;
        if self.word & !FLAGS == 0 {
            self.word &= !CROWDED;
        }
    }

    fn hash(&self, key: Key) -> u64 {
        hash(key, self.inside, self.port)
    }
}

#[inline]
fn hash(key: Key, address: u32, port: u16) -> u64 {
    key.mix(u64::from(address), u64::from(port))
}

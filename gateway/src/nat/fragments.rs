//! Fragments of datagrams that are translated or answered, in any order (RFC 4787 REQ-14).
//!
//! Only the first fragment has ports, so what was decided for it is kept for the others; those
//! that come before it are held. Nothing is reassembled. Bounded three ways: datagrams followed,
//! bytes held, thirty seconds. All legs together get half of each, so that a flood from outside
//! leaves the inside its own; one source an eighth; a node as much as is left of its side. Who has its share,
//! or finds its side full, displaces the oldest datagram of its own source, node or side: first one
//! nobody has asked for yet (its first fragment has not come, or was dropped), so that forged
//! fragments displace each other and not those of a datagram that is on its way.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use wire::Timestamp;

use super::covered::Covered;
use crate::config::Limits;
use crate::hash::Key;
use crate::node::Node;
use crate::packet::Packet;
use crate::turns::Turns;
use crate::verdict::{DropReason, Side};

/// How long a datagram is followed (RFC 791 and 1122 allow 15 to 120 s for reassembly).
pub(crate) const LIFETIME: Duration = Duration::from_secs(30);

/// Which datagram a fragment is of, on the side it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Datagram {
    side: Side,
    node: Node,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    id: u16,
}

impl Datagram {
    /// Of a packet as it came, before any rewriting.
    pub(crate) fn of(side: Side, node: Node, p: &Packet) -> Self {
        Self { side, node, src: p.src, dst: p.dst, protocol: p.protocol, id: p.id }
    }
}

/// What was decided for the first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sent on with these addresses and this identification, to a hop that belongs to this node.
    Forward { src: Ipv4Addr, dst: Ipv4Addr, id: Option<u16>, to: Side, hop: Ipv4Addr, node: Node },
    /// Part of an echo request to the gateway.
    Echo,
    /// Dropped, and so are the others.
    Drop(DropReason),
}

/// A fragment that waits for the first of its datagram: vnet header and frame.
#[derive(Debug)]
pub(crate) struct Held(pub(crate) Vec<u8>);

#[derive(Debug)]
struct Flow {
    /// Which opening this is: tells it from an earlier one of the same datagram in the orders.
    serial: u64,
    action: Option<Action>,
    held: Vec<Held>,
    seen: Covered,
    length: Option<usize>,
}

impl Flow {
    /// True where its first fragment has come and passed.
    fn is_wanted(&self) -> bool {
        matches!(self.action, Some(Action::Forward { .. } | Action::Echo))
    }
}

/// Who counts for a datagram, from the one that counts most closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Source(Side, Node, Ipv4Addr),
    Node {
        inside: bool,
        node: Node,
    },
    /// All legs, or the uplink.
    Half {
        inside: bool,
    },
}

type Flows = HashMap<Datagram, Flow, Key>;

/// The datagrams being followed.
#[derive(Debug)]
pub(crate) struct Fragments {
    flows: Flows,
    /// What each owner has, and in which order.
    turns: Turns<Owner, Datagram>,
    /// The same order, of those that nobody has asked for yet.
    unwanted: Turns<Owner, Datagram>,
    /// Every opening by its deadline; those that have been completed are taken out now and then.
    order: VecDeque<(Timestamp, u64, Datagram)>,
    opened: u64,
    limits: Limits,
    /// Fragments held that were forgotten before their first one came.
    pub(crate) lost: u64,
}

impl Fragments {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            flows: HashMap::with_hasher(Key::new(seed, 40)),
            turns: Turns::new(Key::new(seed, 41)),
            unwanted: Turns::new(Key::new(seed, 42)),
            order: VecDeque::new(),
            opened: 0,
            limits,
            lost: 0,
        }
    }

    /// A later fragment: what was decided for its datagram, or None where that is still open and
    /// [`Fragments::hold`] is to be asked.
    pub(crate) fn later(
        &mut self,
        datagram: Datagram,
        p: &Packet,
        now: Timestamp,
    ) -> Option<Action> {
        self.expire(now);
        let action = self.flows.get(&datagram)?.action?;
        self.account(datagram, p);
        Some(action)
    }

    /// Keeps a later fragment until the first comes.
    pub(crate) fn hold(
        &mut self,
        datagram: Datagram,
        p: &Packet,
        held: Held,
        now: Timestamp,
    ) -> Result<(), DropReason> {
        self.open(datagram, now)?;
        let length = held.0.len();
        for owner in datagram.owners() {
            while self.turns.of(owner).1 + length > self.bytes(owner) {
                self.displace(owner)?;
            }
        }
        // It may have displaced itself, where it is the largest of all.
        self.open(datagram, now)?;
        let Some(flow) = self.flows.get_mut(&datagram) else {
            return Err(DropReason::FragmentTableFull);
        };
        flow.held.push(held);
        for owner in datagram.owners() {
            self.turns.weigh(owner, length, 0);
        }
        self.account(datagram, p);
        Ok(())
    }

    /// The first fragment has been decided about: remembers that, and returns those that waited.
    pub(crate) fn first(
        &mut self,
        datagram: Datagram,
        p: &Packet,
        action: Action,
        now: Timestamp,
    ) -> Result<Vec<Held>, DropReason> {
        self.expire(now);
        self.open(datagram, now)?;
        let mut held = Vec::new();
        if let Some(flow) = self.flows.get_mut(&datagram) {
            if flow.action.is_some() {
                // The identification is used again: another datagram begins.
                (flow.seen, flow.length) = (Covered::default(), None);
            }
            flow.action = Some(action);
            held = std::mem::take(&mut flow.held);
        }
        self.give_back(datagram, &held);
        self.account(datagram, p);
        Ok(held)
    }

    /// Forgets datagrams whose time is over; says when the next one's is.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some((deadline, serial, datagram)) = self.order.front().copied() {
            let current = is_open(&self.flows, serial, datagram);
            if current && deadline > now {
                return Some(deadline);
            }
            self.order.pop_front();
            if current {
                self.close(datagram);
            }
        }
        None
    }

    /// A node is gone, and what was on its way from it and to it.
    pub(crate) fn forget(&mut self, gone: Node) {
        let of_it = |(datagram, flow): &(&Datagram, &Flow)| {
            let to = matches!(flow.action, Some(Action::Forward { node, .. }) if node == gone);
            to || datagram.side.is_inside() && datagram.node == gone
        };
        let datagrams = self.flows.iter().filter(of_it).map(|(d, _)| *d).collect();
        self.close_all(datagrams);
    }

    /// A leg is gone or another, and what was on its way from it and to it.
    pub(crate) fn forget_side(&mut self, gone: Side) {
        let of_it = |(datagram, flow): &(&Datagram, &Flow)| {
            let to = matches!(flow.action, Some(Action::Forward { to, .. }) if to == gone);
            to || datagram.side == gone
        };
        let datagrams = self.flows.iter().filter(of_it).map(|(d, _)| *d).collect();
        self.close_all(datagrams);
    }

    fn close_all(&mut self, datagrams: Vec<Datagram>) {
        for datagram in datagrams {
            self.close(datagram);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.flows.clear();
        self.turns.clear();
        self.unwanted.clear();
        self.order.clear();
    }

    /// Datagrams followed and bytes held.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let held = |inside| self.turns.of(Owner::Half { inside }).1;
        (self.flows.len(), held(true) + held(false))
    }

    /// Datagrams an owner may have.
    fn places(&self, owner: Owner) -> usize {
        let limit = self.limits.fragment_flows;
        self.share(owner, limit, |owner| self.turns.of(owner).0)
    }

    /// Bytes an owner may have.
    fn bytes(&self, owner: Owner) -> usize {
        let limit = self.limits.fragment_bytes;
        self.share(owner, limit, |owner| self.turns.of(owner).1)
    }

    fn share(&self, owner: Owner, limit: usize, has: impl Fn(Owner) -> usize) -> usize {
        let half = limit.div_ceil(2);
        match owner {
            Owner::Source(..) => limit.div_ceil(8),
            Owner::Node { node: Node::NOBODY, .. } | Owner::Half { .. } => half,
            // As much as is left when it has it: half of its side alone, a third each of two.
            Owner::Node { inside, .. } => half
                .saturating_sub(has(Owner::Half { inside }).saturating_sub(has(owner)))
                .div_ceil(2),
        }
    }

    /// Forgets the oldest datagram of an owner, of those nobody has asked for where there is one.
    fn displace(&mut self, owner: Owner) -> Result<(), DropReason> {
        let flows = &self.flows;
        let unwanted =
            |serial, datagram| is_open(flows, serial, datagram) && !flows[&datagram].is_wanted();
        let first = self.unwanted.oldest(owner, unwanted);
        let first =
            first.or_else(|| self.turns.oldest(owner, |serial, d| is_open(flows, serial, d)));
        let (_, datagram) = first.ok_or(DropReason::FragmentTableFull)?;
        self.close(datagram);
        Ok(())
    }

    fn open(&mut self, datagram: Datagram, now: Timestamp) -> Result<(), DropReason> {
        if self.flows.contains_key(&datagram) {
            return Ok(());
        }
        for owner in datagram.owners() {
            while self.turns.of(owner).0 >= self.places(owner) {
                self.displace(owner)?;
            }
        }
        let flows = &self.flows;
        if self.order.len() >= 2 * self.limits.fragment_flows.max(64) {
            // At most half of them are open: paid for by the openings since the last time.
            self.order.retain(|(_, serial, datagram)| is_open(flows, *serial, *datagram));
        }
        self.opened += 1;
        let serial = self.opened;
        self.order.push_back((now + LIFETIME, serial, datagram));
        for owner in datagram.owners() {
            let turn = (serial, datagram);
            self.turns.enter(owner, turn, |serial, d| is_open(flows, serial, d));
            self.unwanted.enter(owner, turn, |serial, d| is_open(flows, serial, d));
        }
        let seen = Covered::default();
        let flow = Flow { serial, action: None, held: Vec::new(), seen, length: None };
        self.flows.insert(datagram, flow);
        Ok(())
    }

    /// Notes a fragment's bytes; a datagram all of whose bytes have passed is forgotten.
    fn account(&mut self, datagram: Datagram, p: &Packet) {
        let Some(flow) = self.flows.get_mut(&datagram) else { return };
        let payload = p.total_len - p.header_len;
        flow.seen.add(p.fragment_offset, p.fragment_offset + payload);
        if !p.more_fragments {
            flow.length = Some(p.fragment_offset + payload);
        }
        if flow.action.is_some() && flow.length.is_some_and(|l| flow.seen.is_whole(l)) {
            self.close(datagram);
        }
    }

    fn close(&mut self, datagram: Datagram) {
        let Some(flow) = self.flows.remove(&datagram) else { return };
        self.lost += flow.held.len() as u64;
        self.give_back(datagram, &flow.held);
        for owner in datagram.owners() {
            self.turns.leave(owner);
            self.unwanted.leave(owner);
        }
    }

    /// These are no longer held.
    fn give_back(&mut self, datagram: Datagram, held: &[Held]) {
        let bytes = held.iter().map(|h| h.0.len()).sum::<usize>();
        for owner in datagram.owners() {
            self.turns.weigh(owner, 0, bytes);
        }
    }
}

impl Datagram {
    fn owners(self) -> [Owner; 3] {
        let Self { side, node, src, .. } = self;
        let inside = side.is_inside();
        [Owner::Source(side, node, src), Owner::Node { inside, node }, Owner::Half { inside }]
    }
}

/// Whether this opening of a datagram has neither been completed nor forgotten.
fn is_open(flows: &Flows, serial: u64, datagram: Datagram) -> bool {
    flows.get(&datagram).is_some_and(|flow| flow.serial == serial)
}

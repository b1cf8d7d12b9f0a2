//! Fragments of datagrams that are translated or answered, in any order (RFC 4787 REQ-14).
//!
//! Only the first fragment has ports, so what was decided for it is kept for the others; those
//! that come before it are held. Nothing is reassembled. Bounded three ways: datagrams followed
//! (an eighth of them from one source), bytes held, thirty seconds; what does not fit is dropped.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use wire::Timestamp;

use crate::config::Limits;
use crate::hash::Key;
use crate::packet::Packet;
use crate::verdict::{DropReason, Side};

/// How long a datagram is followed (RFC 791 and 1122 allow 15 to 120 s for reassembly).
pub(crate) const LIFETIME: Duration = Duration::from_secs(30);

/// Which datagram a fragment is of, on the side it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Datagram {
    side: Side,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    id: u16,
}

impl Datagram {
    /// Of a packet as it came, before any rewriting.
    pub(crate) fn of(side: Side, p: &Packet) -> Self {
        Self { side, src: p.src, dst: p.dst, protocol: p.protocol, id: p.id }
    }
}

/// What was decided for the first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sent on with these addresses and this identification.
    Forward { src: Ipv4Addr, dst: Ipv4Addr, id: Option<u16>, to: Side, hop: Ipv4Addr },
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
    deadline: Timestamp,
    action: Option<Action>,
    held: Vec<Held>,
    seen: usize,
    length: Option<usize>,
}

/// The datagrams being followed.
#[derive(Debug)]
pub(crate) struct Fragments {
    flows: HashMap<Datagram, Flow, Key>,
    sources: HashMap<Ipv4Addr, usize, Key>,
    order: VecDeque<(Timestamp, Datagram)>,
    bytes: usize,
    limits: Limits,
}

impl Fragments {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            flows: HashMap::with_hasher(Key::new(seed, 40)),
            sources: HashMap::with_hasher(Key::new(seed, 41)),
            order: VecDeque::new(),
            bytes: 0,
            limits,
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
        if self.bytes + held.0.len() > self.limits.fragment_bytes {
            return Err(DropReason::FragmentTableFull);
        }
        self.open(datagram, now)?;
        self.bytes += held.0.len();
        if let Some(flow) = self.flows.get_mut(&datagram) {
            flow.held.push(held);
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
                (flow.seen, flow.length) = (0, None);
            }
            flow.action = Some(action);
            held = std::mem::take(&mut flow.held);
        }
        self.bytes -= held.iter().map(|h| h.0.len()).sum::<usize>();
        self.account(datagram, p);
        Ok(held)
    }

    /// Forgets datagrams whose time is over; says when the next one's is.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some((deadline, datagram)) = self.order.front().copied() {
            // A datagram that was completed, and perhaps begun anew, has another deadline.
            let current = self.flows.get(&datagram).map(|f| f.deadline);
            if current == Some(deadline) && deadline > now {
                return Some(deadline);
            }
            self.order.pop_front();
            if current == Some(deadline) {
                self.close(datagram);
            }
        }
        None
    }

    pub(crate) fn clear(&mut self) {
        self.flows.clear();
        self.sources.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// Datagrams followed and bytes held.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.flows.len(), self.bytes)
    }

    fn open(&mut self, datagram: Datagram, now: Timestamp) -> Result<(), DropReason> {
        if self.flows.contains_key(&datagram) {
            return Ok(());
        }
        let limit = self.limits.fragment_flows;
        let mine = self.sources.get(&datagram.src).copied().unwrap_or(0);
        // Completed datagrams leave their place in the queue until their time: it is bounded too.
        if self.flows.len() >= limit || mine >= limit.div_ceil(8) || self.order.len() >= limit * 64
        {
            return Err(DropReason::FragmentTableFull);
        }
        let deadline = now + LIFETIME;
        let flow = Flow { deadline, action: None, held: Vec::new(), seen: 0, length: None };
        self.flows.insert(datagram, flow);
        self.order.push_back((deadline, datagram));
        *self.sources.entry(datagram.src).or_insert(0) += 1;
        Ok(())
    }

    /// Counts a fragment's bytes; a datagram all of whose bytes have passed is forgotten.
    fn account(&mut self, datagram: Datagram, p: &Packet) {
        let Some(flow) = self.flows.get_mut(&datagram) else { return };
        let payload = p.total_len - p.header_len;
        flow.seen += payload;
        if !p.more_fragments {
            flow.length = Some(p.fragment_offset + payload);
        }
        if flow.action.is_some() && flow.length.is_some_and(|l| flow.seen >= l) {
            self.close(datagram);
        }
    }

    fn close(&mut self, datagram: Datagram) {
        let Some(flow) = self.flows.remove(&datagram) else { return };
        self.bytes -= flow.held.iter().map(|h| h.0.len()).sum::<usize>();
        if let Some(count) = self.sources.get_mut(&datagram.src) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&datagram.src);
            }
        }
    }
}

//! Fragments of datagrams that are translated or answered, in any order (RFC 4787 REQ-14).
//!
//! Only the first fragment has ports, so what was decided for it is kept for the others; those
//! that come before it are held. Nothing is reassembled. Bounded three ways: datagrams followed,
//! bytes held, thirty seconds. One side gets half of each, so that a flood from outside leaves the
//! inside its own; when it is full a fragment is dropped. One source gets an eighth; then its own
//! oldest datagram gives way, so that one whose fragments get lost on the way is not shut out.

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
    /// Which opening this is: tells it from an earlier one of the same datagram in `order`.
    serial: u64,
    action: Option<Action>,
    held: Vec<Held>,
    seen: usize,
    length: Option<usize>,
}

/// What one side has in the table.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    flows: usize,
    bytes: usize,
}

/// What one source has in the table, and its openings in their order.
#[derive(Debug, Default)]
struct Source {
    share: Share,
    order: VecDeque<(u64, Datagram)>,
}

/// The datagrams being followed.
#[derive(Debug)]
pub(crate) struct Fragments {
    flows: HashMap<Datagram, Flow, Key>,
    sources: HashMap<Ipv4Addr, Source, Key>,
    sides: [Share; 2],
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
            sources: HashMap::with_hasher(Key::new(seed, 41)),
            sides: [Share::default(); 2],
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
        let (length, limit) = (held.0.len(), self.limits.fragment_bytes);
        while self.source(datagram).bytes + length > limit.div_ceil(8) {
            self.displace(datagram.src)?;
        }
        if self.sides[datagram.side as usize].bytes + length > limit.div_ceil(2) {
            return Err(DropReason::FragmentTableFull);
        }
        self.open(datagram, now)?;
        self.sides[datagram.side as usize].bytes += length;
        self.sources.entry(datagram.src).or_default().share.bytes += length;
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
        self.give_back(datagram, &held);
        self.account(datagram, p);
        Ok(held)
    }

    /// Forgets datagrams whose time is over; says when the next one's is.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some((deadline, serial, datagram)) = self.order.front().copied() {
            let current = self.is_open(datagram, serial);
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

    pub(crate) fn clear(&mut self) {
        self.flows.clear();
        self.sources.clear();
        self.sides = [Share::default(); 2];
        self.order.clear();
    }

    /// Datagrams followed and bytes held.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.flows.len(), self.sides.iter().map(|s| s.bytes).sum())
    }

    /// Whether this opening of a datagram has neither been completed nor forgotten.
    fn is_open(&self, datagram: Datagram, serial: u64) -> bool {
        self.flows.get(&datagram).is_some_and(|flow| flow.serial == serial)
    }

    fn source(&self, datagram: Datagram) -> Share {
        self.sources.get(&datagram.src).map(|s| s.share).unwrap_or_default()
    }

    /// Forgets the oldest datagram of a source.
    fn displace(&mut self, source: Ipv4Addr) -> Result<(), DropReason> {
        loop {
            let next = self.sources.get_mut(&source).and_then(|s| s.order.pop_front());
            let (serial, datagram) = next.ok_or(DropReason::FragmentTableFull)?;
            if self.is_open(datagram, serial) {
                self.close(datagram);
                return Ok(());
            }
        }
    }

    fn open(&mut self, datagram: Datagram, now: Timestamp) -> Result<(), DropReason> {
        if self.flows.contains_key(&datagram) {
            return Ok(());
        }
        let limit = self.limits.fragment_flows;
        if self.source(datagram).flows >= limit.div_ceil(8) {
            self.displace(datagram.src)?;
        }
        if self.sides[datagram.side as usize].flows >= limit.div_ceil(2) {
            return Err(DropReason::FragmentTableFull);
        }
        if self.order.len() >= 2 * limit.max(64) {
            // At most half of them are open: paid for by the openings since the last time.
            let order = std::mem::take(&mut self.order);
            self.order = order.into_iter().filter(|o| self.is_open(o.2, o.1)).collect();
        }
        self.opened += 1;
        let serial = self.opened;
        let flow = Flow { serial, action: None, held: Vec::new(), seen: 0, length: None };
        self.flows.insert(datagram, flow);
        self.order.push_back((now + LIFETIME, serial, datagram));
        self.sides[datagram.side as usize].flows += 1;
        let mut source = self.sources.remove(&datagram.src).unwrap_or_default();
        if source.order.len() >= 2 * limit.div_ceil(8).max(64) {
            source.order.retain(|(serial, datagram)| self.is_open(*datagram, *serial));
        }
        source.order.push_back((serial, datagram));
        source.share.flows += 1;
        self.sources.insert(datagram.src, source);
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
        self.lost += flow.held.len() as u64;
        self.give_back(datagram, &flow.held);
        self.sides[datagram.side as usize].flows -= 1;
        if let Some(source) = self.sources.get_mut(&datagram.src) {
            source.share.flows -= 1;
            if source.share.flows == 0 {
                self.sources.remove(&datagram.src);
            }
        }
    }

    /// These are no longer held.
    fn give_back(&mut self, datagram: Datagram, held: &[Held]) {
        let bytes = held.iter().map(|h| h.0.len()).sum::<usize>();
        self.sides[datagram.side as usize].bytes -= bytes;
        if let Some(source) = self.sources.get_mut(&datagram.src) {
            source.share.bytes -= bytes;
        }
    }
}

//! Hardware addresses of the hosts on one link: asked for, learned, checked, forgotten.
//!
//! An unknown one is asked for three times, a second apart; meanwhile packets wait: 96 KiB a host,
//! which is one datagram of the largest size in fragments, and a bounded number of bytes in all.
//! What is more is refused. Half of all is kept for the first three packets of a host, so that who
//! floods hosts that are not there leaves room for others. One that has not been heard of for a
//! minute is still used while it is asked again, directly and in the end by a question to everybody.
//! Another that claims its address, in a question or an answer, gets it only once it has been asked
//! twice and is silent.
//!
//! Half of the table is for hosts that were asked for, half for those learned from their own
//! questions; of each half, and of the bytes that wait, a node has as much as is left when it has it.
//! Beyond that its own oldest entry gives way, of those not in use. An entry knows the node its host
//! answers from, and what waits is for that one alone.

mod far;
mod places;
mod repeated;

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use wire::{MacAddr, Timestamp, VnetHeader};

use crate::hash::Key;
use crate::node::Node;
use crate::turns::Turns;

pub use self::far::Far;

/// Between two questions.
const RETRY: Duration = Duration::from_secs(1);
/// Questions before giving up (RFC 4861's MAX_MULTICAST_SOLICIT, which Linux uses for ARP).
const TRIES: u8 = 3;
/// The same, where another claims the address: a host that has a new card waits for so long.
const OBJECTIONS: u8 = 2;
/// How long a confirmation is good.
const FRESH: Duration = Duration::from_secs(60);
/// How long an entry nobody uses is kept.
const IDLE: Duration = Duration::from_secs(300);
/// Packets that wait for a host in any case.
const FIRST: usize = 3;
/// Bytes of packets that wait for a host, beyond the first ones.
const WAITING: usize = 96 << 10;
/// What a packet that waits takes beside its bytes.
const OVERHEAD: usize = 64;
/// In `asked`: the questions are over, and for one more [`RETRY`] packets are refused at once.
const GIVEN_UP: u8 = u8::MAX;

/// A frame that waits, complete but for its hardware addresses.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) vnet: VnetHeader,
    pub(crate) frame: Vec<u8>,
    /// Who has sent it, and whom it is for.
    pub(crate) from: Node,
    pub(crate) to: Node,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.frame.len() + OVERHEAD
    }
}

/// What [`Neighbours::resolve`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The address, and the node it is at.
    Known(MacAddr, Node),
    /// The same, which is to be confirmed by asking its owner.
    Stale(MacAddr, Node),
    /// It is being asked for.
    Pending,
    /// It has to be asked for.
    Ask,
    /// Nobody has answered lately.
    Failed,
    /// There is no room to remember that one has asked.
    Full,
}

/// What [`Neighbours::confirm`] made of a host's word.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is so; these have waited for it.
    Believed(Vec<Waiting>),
    /// Another is known to have the address, and is to be asked, now where it is given.
    Contested(Option<MacAddr>),
}

/// What is to be done about time having passed.
#[derive(Debug)]
pub(crate) enum Due {
    /// Ask everybody for this address.
    Ask(Ipv4Addr),
    /// Ask its last known owner.
    Confirm(Ipv4Addr, MacAddr),
    /// Nobody has answered; these have waited in vain.
    Failed(Vec<Waiting>),
}

#[derive(Debug)]
struct Entry {
    mac: Option<MacAddr>,
    confirmed: Timestamp,
    used: Timestamp,
    /// Questions asked since the last answer, and when the next is due.
    asked: u8,
    due: Option<Timestamp>,
    /// The node it is at.
    node: Node,
    learned: bool,
    /// The node it counts for, and under which number.
    holder: Node,
    serial: u64,
    /// Who else claims the address.
    rival: Option<(MacAddr, Node)>,
    waiting: Vec<Waiting>,
    /// Bytes of what waits.
    queued: usize,
    /// Somebody has been told where it is, who goes by that until he hears otherwise.
    told: bool,
}

/// A neighbour as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourView {
    /// Its IP address.
    pub address: Ipv4Addr,
    /// Its hardware address; None while it is asked for.
    pub mac: Option<MacAddr>,
    /// Since it was last heard of.
    pub age: Duration,
    /// `reachable`, `stale`, `probing`, `incomplete` or `failed`.
    pub state: &'static str,
    /// Packets that wait for it.
    pub waiting: usize,
}

/// The hosts of one link.
#[derive(Debug)]
pub(crate) struct Neighbours {
    entries: HashMap<Ipv4Addr, Entry, Key>,
    due: BTreeSet<(Timestamp, Ipv4Addr)>,
    limit: usize,
    /// Who has them, those asked for and those learned.
    asked: Turns<Node, Ipv4Addr>,
    learned: Turns<Node, Ipv4Addr>,
    made: u64,
    queue_limit: usize,
    queued: usize,
    /// Bytes of them by who has sent them.
    queued_by: HashMap<Node, usize, Key>,
    next_cleaning: Option<Timestamp>,
    far: Arc<Far>,
    /// Packets that waited for an entry that gave way.
    pub(crate) lost: u64,
    /// A host of which somebody was told where it is is elsewhere now, or forgotten.
    pub(crate) moved: bool,
}

impl Neighbours {
    pub(crate) fn new(limit: usize, queue_limit: usize, seed: u64, purpose: u64) -> Self {
        Self {
            entries: HashMap::with_hasher(Key::new(seed, purpose)),
            due: BTreeSet::new(),
            limit,
            asked: Turns::new(Key::new(seed, purpose + 10)),
            learned: Turns::new(Key::new(seed, purpose + 20)),
            made: 0,
            queue_limit,
            queued: 0,
            queued_by: HashMap::with_hasher(Key::new(seed, purpose + 30)),
            next_cleaning: None,
            far: Arc::default(),
            lost: 0,
            moved: false,
        }
    }

    /// From now on it may have so many entries, and so many bytes may wait; what is more gives way to
    /// what is new.
    pub(crate) fn set_limits(&mut self, limit: usize, queue_limit: usize) {
        (self.limit, self.queue_limit) = (limit, queue_limit);
    }

    /// Looks without a trace.
    pub(crate) fn peek(&self, address: Ipv4Addr) -> Option<MacAddr> {
        self.told(address).map(|(mac, _)| mac).or_else(|| self.entries.get(&address)?.mac)
    }

    /// The node a host is known to be at.
    pub(crate) fn node(&self, address: Ipv4Addr) -> Option<Node> {
        let asked = || self.entries.get(&address).filter(|entry| entry.mac.is_some());
        self.told(address).map(|(_, node)| node).or_else(|| asked().map(|entry| entry.node))
    }

    /// Looks for a host a packet is to go to. [`Resolution::Ask`] and [`Resolution::Stale`] have
    /// noted that the caller asks now, on behalf of `by`.
    #[inline]
    pub(crate) fn resolve(&mut self, address: Ipv4Addr, by: Node, now: Timestamp) -> Resolution {
        if let Some((mac, node)) = self.told(address) {
            return Resolution::Known(mac, node);
        }
        let Some(entry) = self.entries.get_mut(&address) else {
            return self.begin(address, by, now);
        };
        entry.used = now;
        match entry.mac {
            None if entry.asked == GIVEN_UP => Resolution::Failed,
            None => Resolution::Pending,
            Some(mac) if entry.due.is_some() || now.since(entry.confirmed) < FRESH => {
                Resolution::Known(mac, entry.node)
            }
            Some(mac) => {
                entry.asked = 1;
                entry.due = Some(now + RETRY);
                self.due.insert((now + RETRY, address));
                Resolution::Stale(mac, entry.node)
            }
        }
    }

    /// Lets a frame wait; false where there is no room or nobody is being asked.
    pub(crate) fn wait(&mut self, address: Ipv4Addr, waiting: Waiting) -> bool {
        let Some(entry) = self.entries.get_mut(&address) else { return false };
        let bytes = waiting.bytes();
        let (all, own) = (self.queued + bytes, entry.queued + bytes);
        let part =
            if entry.waiting.len() < FIRST { self.queue_limit } else { self.queue_limit / 2 };
        let of_node = self.queued_by.get(&waiting.from).copied().unwrap_or(0) + bytes;
        let share = waiting.from == Node::NOBODY || of_node <= part.saturating_sub(self.queued);
        let fits = all <= part && share && (entry.waiting.len() < FIRST || own <= WAITING);
        if fits {
            (self.queued, entry.queued) = (all, own);
            self.queued_by.insert(waiting.from, of_node);
            entry.waiting.push(waiting);
        }
        fits
    }

    /// A host has told its address from a node, in a question or an answer. `create` makes an entry where
    /// there is none.
    pub(crate) fn confirm(
        &mut self,
        (address, mac, node): (Ipv4Addr, MacAddr, Node),
        create: bool,
        now: Timestamp,
    ) -> Claim {
        if !self.entries.contains_key(&address) && create {
            self.insert(address, None, (true, node), now);
        }
        let Some(entry) = self.entries.get_mut(&address) else {
            return Claim::Believed(Vec::new());
        };
        let elsewhere = !entry.node.may_be(node);
        if let Some(known) = entry.mac.filter(|known| *known != mac || elsewhere) {
            entry.rival = Some((mac, node));
            if entry.due.is_some() {
                return Claim::Contested(None);
            }
            entry.asked = 1;
            entry.due = Some(now + RETRY);
            self.due.insert((now + RETRY, address));
            return Claim::Contested(Some(known));
        }
        self.moved |= entry.told && entry.node != node;
        (entry.mac, entry.node) = (Some(mac), node);
        entry.confirmed = now;
        entry.asked = 0;
        entry.rival = None;
        if let Some(due) = entry.due.take() {
            self.due.remove(&(due, address));
        }
        Claim::Believed(self.take_waiting(address))
    }

    /// Something whose time has come, or None and [`Neighbours::next`] says when to ask again.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Option<Due> {
        if self.next_cleaning.is_some_and(|at| at <= now) {
            self.clean(now);
        }
        loop {
            let (due, address) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
            self.due.remove(&(due, address));
            let entry = self.entries.get_mut(&address)?;
            if entry.asked == GIVEN_UP {
                entry.due = None;
                self.remove(address);
                continue;
            }
            if entry.asked >= OBJECTIONS
                && let Some((mac, node)) = entry.rival.take()
            {
                // Its owner had its chance to object.
                (entry.mac, entry.node, entry.confirmed) = (Some(mac), node, now);
                (entry.asked, entry.due) = (0, None);
                self.moved |= entry.told;
                continue;
            }
            if entry.asked >= TRIES {
                self.moved |= entry.told;
                entry.mac = None;
                entry.asked = GIVEN_UP;
                entry.due = Some(now + RETRY);
                self.due.insert((now + RETRY, address));
                return Some(Due::Failed(self.take_waiting(address)));
            }
            entry.asked += 1;
            entry.due = Some(now + RETRY);
            self.due.insert((now + RETRY, address));
            return Some(match entry.mac {
                // Its owner alone at first; in the end everybody, for it may have a new card and have said
                // nothing (RFC 1122 2.3.2.1; Linux's ucast_solicit and mcast_solicit).
                Some(mac) if entry.asked < TRIES => Due::Confirm(address, mac),
                _ => Due::Ask(address),
            });
        }
    }

    /// When [`Neighbours::tick`] next has something.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let due = self.due.first().map(|(due, _)| *due);
        [due, self.next_cleaning].into_iter().flatten().min()
    }

    /// Forgets every host and whatever waited; returns how many packets that were.
    pub(crate) fn clear(&mut self) -> usize {
        let waited = self.entries.values().map(|e| e.waiting.len()).sum();
        self.moved |= self.entries.values().any(|entry| entry.told);
        self.entries.clear();
        self.due.clear();
        self.next_cleaning = None;
        self.asked.clear();
        self.learned.clear();
        self.queued_by.clear();
        self.queued = 0;
        waited
    }

    /// Every entry, by address.
    pub(crate) fn views(&self, now: Timestamp) -> Vec<NeighbourView> {
        self.views_from(Ipv4Addr::UNSPECIFIED, usize::MAX, now)
    }

    /// Up to `limit` entries, by address, from `from` on.
    pub(crate) fn views_from(
        &self,
        from: Ipv4Addr,
        limit: usize,
        now: Timestamp,
    ) -> Vec<NeighbourView> {
        let mut found: Vec<_> = self.entries.iter().filter(|(a, _)| **a >= from).collect();
        if limit < found.len() {
            found.select_nth_unstable_by_key(limit, |(address, _)| **address);
            found.truncate(limit);
        }
        found.sort_unstable_by_key(|(address, _)| **address);
        let view = |(address, e): (&Ipv4Addr, &Entry)| NeighbourView {
            address: *address,
            mac: e.mac,
            age: now.since(e.confirmed),
            state: match (e.mac, e.due) {
                (None, _) if e.asked == GIVEN_UP => "failed",
                (None, _) => "incomplete",
                (Some(_), Some(_)) => "probing",
                (Some(_), None) if now.since(e.confirmed) < FRESH => "reachable",
                (Some(_), None) => "stale",
            },
            waiting: e.waiting.len(),
        };
        found.into_iter().map(view).collect()
    }

    fn begin(&mut self, address: Ipv4Addr, by: Node, now: Timestamp) -> Resolution {
        if !self.insert(address, Some(now + RETRY), (false, by), now) {
            return Resolution::Full;
        }
        self.due.insert((now + RETRY, address));
        Resolution::Ask
    }
}

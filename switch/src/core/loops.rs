//! Loops seen: an address that moves to and fro between two ports, and a probe of our own that comes
//! back; and the ports shut because of them (`loop_protect`).
//!
//! [`Flaps`] is a worker's own: 256 addresses are watched, a newcomer takes the place of another.
//! [`Guards`] are common to all workers: which ports are shut, until when. A probe is a group frame,
//! which other bridges flood, with a number that no other switch has, and that nobody knows but who is
//! behind the port it leaves by.
//!
//! A probe alone has a port shut. An address that moves may be a node's that speaks by another's: it has
//! the two ports suspected, and probed in its VLAN, 256 of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::port::PortId;

/// Addresses watched.
const WATCHED: usize = 256;
/// So many moves between the same two ports, within [`WINDOW`], are a loop: a host that is moved, or
/// has two links of which one takes over, makes one or two.
const MOVES: u8 = 6;
const WINDOW: Duration = Duration::from_secs(10);
/// How long a port is suspected, and how many may be.
const SUSPECTED: Duration = Duration::from_secs(30);
const SUSPECTS: usize = 256;
/// What goes round in a loop when it is cut has been heard by then.
const ECHO: Duration = Duration::from_millis(200);
/// How long a port is shut unless somebody opens it.
pub(super) const SHUT: Duration = Duration::from_secs(300);
/// Between probes.
pub(super) const PROBE: Duration = Duration::from_secs(5);
/// Local experimental EtherType 2 (IEEE 802).
const ETHERTYPE: [u8; 2] = [0x88, 0xb6];
/// Where probes go: a group of local administration.
const TO: MacAddr = MacAddr([0x03, 0x75, 0x73, 0x77, 0x00, 0x01]);
const MAGIC: [u8; 12] = *b"uswitch loop";

/// A loop, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The address that moved to and fro; None where a probe came back.
    pub mac: Option<MacAddr>,
    /// The ports it joins; the same one where what is behind it loops.
    pub ports: [PortId; 2],
}

#[derive(Clone, Copy, Default)]
struct Row {
    whose: (MacAddr, VlanId),
    ports: [u16; 2],
    moves: u8,
    since: Timestamp,
}

/// Which addresses have moved of late.
pub struct Flaps(Box<[Row; WATCHED]>);

impl Default for Flaps {
    fn default() -> Self {
        Self(Box::new([Row::default(); WATCHED]))
    }
}

impl Flaps {
    /// An address was at one port and is at another; true where that is once too often. It is told
    /// once in a window.
    pub fn moved(
        &mut self,
        mac: MacAddr,
        vlan: VlanId,
        [from, to]: [PortId; 2],
        now: Timestamp,
    ) -> bool {
        let at = usize::from(mac.0[5]) ^ usize::from(mac.0[4]);
        let row = &mut self.0[at % WATCHED];
        let ports = [from.0.min(to.0), from.0.max(to.0)];
        if row.whose != (mac, vlan) || row.ports != ports || now.since(row.since) >= WINDOW {
            *row = Row { whose: (mac, vlan), ports, moves: 1, since: now };
            return false;
        }
        row.moves = row.moves.saturating_add(1);
        row.moves == MOVES
    }
}

/// Which ports are shut.
pub struct Guards {
    /// A part of the addresses of ports without one of their own.
    id: u64,
    /// By which our probes are known: their numbers are keyed hashes of ports.
    secrets: RandomState,
    /// Grows with each change.
    version: AtomicU64,
    shut: Mutex<BTreeMap<PortId, Timestamp>>,
    /// Ports by which what is on its way in a loop that was cut may yet be heard, and until when.
    echoes: Mutex<BTreeMap<PortId, Timestamp>>,
    /// Ports that stay shut until it is known whether they close a loop, and when a probe left by them.
    held: Mutex<BTreeMap<PortId, Option<Timestamp>>>,
    /// Where an address of a VLAN has moved to and fro, until when that counts, and when it is probed next.
    suspects: Mutex<BTreeMap<(PortId, VlanId), [Timestamp; 2]>>,
    /// When probes are due, in nanoseconds.
    next_probe: AtomicU64,
}

impl Default for Guards {
    fn default() -> Self {
        let id = RandomState::new().build_hasher().finish();
        Self {
            id,
            secrets: RandomState::new(),
            version: AtomicU64::new(1),
            shut: Mutex::default(),
            echoes: Mutex::default(),
            held: Mutex::default(),
            suspects: Mutex::default(),
            next_probe: AtomicU64::new(0),
        }
    }
}

impl Guards {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PortId, Timestamp>> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when a port is shut or opened.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The ports that are shut, and until when.
    #[must_use]
    pub fn shut_ports(&self, now: Timestamp) -> BTreeMap<PortId, Timestamp> {
        self.lock().iter().filter(|(_, until)| **until > now).map(|(id, at)| (*id, *at)).collect()
    }

    /// Whether a loop was seen at a port, so that it is shut.
    pub(crate) fn is_shut(&self, port: PortId, now: Timestamp) -> bool {
        self.lock().get(&port).is_some_and(|until| *until > now)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<PortId, Option<Timestamp>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ports that take no frames and are given none: those that are shut, and those that are held.
    pub(super) fn closed_ports(&self, now: Timestamp) -> BTreeSet<PortId> {
        let held: Vec<PortId> = self.held().keys().copied().collect();
        self.shut_ports(now).into_keys().chain(held).collect()
    }

    /// Keeps a port shut until [`Guards::release`]: probes alone leave by it.
    pub(crate) fn hold(&self, port: PortId) {
        self.held().insert(port, None);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// When a probe has left by a held port since [`Guards::ask`].
    pub(crate) fn asked(&self, port: PortId) -> Option<Timestamp> {
        self.held().get(&port).copied().flatten()
    }

    /// A held port is open, unless a loop has been seen there.
    pub(crate) fn release(&self, port: PortId) {
        self.held().remove(&port);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Has probes leave at the next tick, and says of a held port when its own has.
    pub(crate) fn ask(&self, port: PortId) {
        if let Some(asked) = self.held().get_mut(&port) {
            *asked = None;
        }
        self.next_probe.store(0, Ordering::Relaxed);
    }

    /// Shuts a port.
    pub(super) fn shut(&self, port: PortId, now: Timestamp) {
        self.lock().insert(port, now + SHUT);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// What is heard by a port for a while is a loop's that was cut at its other end.
    pub(super) fn echoes(&self, port: PortId, now: Timestamp) {
        let mut echoes = self.echoes.lock().unwrap_or_else(PoisonError::into_inner);
        echoes.insert(port, now + ECHO);
    }

    /// The ports of which that is over, and when it is of the next.
    pub(super) fn faded(&self, now: Timestamp) -> (Vec<PortId>, Option<Timestamp>) {
        let mut echoes = self.echoes.lock().unwrap_or_else(PoisonError::into_inner);
        let faded = echoes.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id).collect();
        echoes.retain(|_, until| *until > now);
        (faded, echoes.values().min().copied())
    }

    /// Opens a port; true where it was shut.
    pub fn open(&self, port: PortId) -> bool {
        let was = self.lock().remove(&port).is_some();
        self.held().remove(&port);
        self.version.fetch_add(1, Ordering::Release);
        was
    }

    /// Opens those whose time is over; when the next one's is.
    pub(super) fn settle(&self, now: Timestamp) -> Option<Timestamp> {
        let mut shut = self.lock();
        let before = shut.len();
        shut.retain(|_, until| *until > now);
        if shut.len() != before {
            self.version.fetch_add(1, Ordering::Release);
        }
        shut.values().min().copied()
    }

    /// Whether probes are due, and when they are next.
    pub(super) fn probe_due(&self, now: Timestamp) -> (bool, Timestamp) {
        let next = Timestamp::from_nanos(self.next_probe.load(Ordering::Relaxed));
        if next > now {
            return (false, next);
        }
        let next = now + PROBE;
        self.next_probe.store(next.as_nanos(), Ordering::Relaxed);
        (true, next)
    }

    fn suspects(&self) -> MutexGuard<'_, BTreeMap<(PortId, VlanId), [Timestamp; 2]>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address of a VLAN has moved to and fro at a port: probes are to tell whether it is a loop.
    pub(super) fn suspect(&self, port: PortId, vlan: VlanId, now: Timestamp) {
        let mut suspects = self.suspects();
        let is_full = suspects.len() >= SUSPECTS;
        match suspects.get_mut(&(port, vlan)) {
            Some([until, _]) => *until = now + SUSPECTED,
            None if is_full => {}
            None => _ = suspects.insert((port, vlan), [now + SUSPECTED, now]),
        }
    }

    /// The suspects that are to be probed now.
    pub(super) fn suspected(&self, now: Timestamp) -> Vec<(PortId, VlanId)> {
        let mut suspects = self.suspects();
        suspects.retain(|_, [until, _]| *until > now);
        let mut due = Vec::new();
        for (suspect, [_, next]) in suspects.iter_mut().filter(|(_, [_, next])| *next <= now) {
            *next = now + PROBE;
            due.push(*suspect);
        }
        due
    }

    /// What probes of a port are known by.
    fn number(&self, port: PortId) -> u64 {
        self.secrets.hash_one(port.0)
    }

    /// By which address a port without one of its own sends probes: not the gateway's, as whose it
    /// would be refused where it comes back.
    pub(super) fn speaks_by(&self, port: PortId) -> MacAddr {
        let [a, b, c, ..] = self.id.to_be_bytes();
        let [high, low] = port.0.to_be_bytes();
        MacAddr([2, a, b, c, high, low])
    }

    /// The probe that leaves by a port now.
    pub(super) fn probe(&self, by: MacAddr, port: PortId, now: Timestamp) -> Vec<u8> {
        if let Some(asked) = self.held().get_mut(&port) {
            *asked = Some(now);
        }
        let number = self.number(port).to_be_bytes();
        let head = [&TO.0[..], &by.0, &ETHERTYPE, &MAGIC, &number, &port.0.to_be_bytes()].concat();
        [&head[..], &[0; 24]].concat()
    }

    /// The port that a probe of ours had left by; None for any other frame.
    pub(super) fn own_probe(&self, frame: &[u8]) -> Option<PortId> {
        let rest = frame.strip_prefix(&TO.0)?.get(6..)?;
        let rest = rest.strip_prefix(&ETHERTYPE)?.strip_prefix(&MAGIC)?;
        let (number, rest) = rest.split_first_chunk()?;
        let (port, _) = rest.split_first_chunk()?;
        let port = PortId(u16::from_be_bytes(*port));
        (u64::from_be_bytes(*number) == self.number(port)).then_some(port)
    }
}

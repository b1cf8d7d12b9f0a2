//! The worker's part in the fast path: it has what it decided written down, tells the kernel how far
//! the ring is, and looks from time to time at what has gone by.
//!
//! Owned by the one worker of a switch that has a fast path; without one it does nothing. It takes
//! the book's lock for a new flow and twenty times a second, never for a frame that has one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bpf::{Ends, FlowId, Generation, Key, Lane, Retag};
use wire::{Timestamp, VlanId, VlanTag};

use super::flooded::Kinds;
use super::pending::Pending;
use super::routed::ends;
use super::{Decided, FastPath};
use crate::core::{Bridge, Exit, Fdb, Frame, Learned, Leg, PortId, PortSettings, Tagging};
use crate::station::{Ignored, SharedStation};

/// How often the counts are looked at while there are flows.
const LOOK: Duration = Duration::from_millis(50);
/// A decision that hangs on an address's age ends this much earlier than the address: the kernel's
/// clock goes by ticks.
const EARLY: Duration = Duration::from_millis(20);
/// Frames that the ring was given and does not have are given up after this time.
const LOST: Duration = Duration::from_millis(5);
/// Flows let past their own frames in the ring at the same time.
const CUTS: usize = 64;

/// The worker's pen.
#[derive(Default)]
pub(in crate::run) struct Scribe {
    pub(super) fast: Option<Arc<FastPath>>,
    /// What held when the batch began.
    pub(super) generation: Option<Generation>,
    /// Frames sent on before the batch.
    gone: u64,
    /// Flows the kernel carries already while frames of theirs are in the ring, up to which ticket.
    cuts: Vec<(FlowId, u64)>,
    pub(super) kinds: Kinds,
    pub(super) pending: Pending,
    /// The station was shown the frame at hand, and would refuse all like it.
    pub(in crate::run) ignored: Option<Ignored>,
    next: Option<Timestamp>,
    /// What each ring had been given and had sent on, when that differed first.
    behind: [Option<([u64; 2], Timestamp)>; 2],
}

/// A forwarded frame, as the worker knows it.
pub(in crate::run) struct Forwarded<'a> {
    pub(in crate::run) frame: &'a Frame,
    pub(in crate::run) ingress: PortId,
    pub(in crate::run) ifindex: u32,
    pub(in crate::run) learned: Learned,
    pub(in crate::run) exits: &'a [Exit],
}

impl Scribe {
    pub(in crate::run) fn new(fast: Option<Arc<FastPath>>) -> Self {
        Self { fast, cuts: Vec::with_capacity(CUTS), ..Self::default() }
    }

    /// Whether decisions are written down.
    #[inline]
    pub(in crate::run) fn writes(&self) -> bool {
        self.generation.is_some()
    }

    /// The counts have to be looked at.
    pub(super) fn wake_later(&mut self, now: Timestamp) {
        self.next.get_or_insert(now + LOOK);
    }

    /// A batch begins: what is decided from here on is decided by what holds now.
    pub(in crate::run) fn begin(&mut self) {
        let Some(fast) = &self.fast else { return };
        self.generation = Some(fast.table.generation()).filter(|held| held.is_open());
        [_, self.gone] = fast.table.progress(Lane::Ports);
        let gone = self.gone;
        self.cuts.retain(|(_, until)| *until > gone);
    }

    /// So many frames of a ring have been sent on, or were lost there.
    pub(in crate::run) fn passed(&self, lane: Lane, count: u64) {
        if let Some(fast) = self.fast.as_ref().filter(|_| count > 0) {
            fast.table.passed(lane, count);
        }
    }

    /// The worker has done what it was told: what was decided before holds no more.
    pub(in crate::run) fn changed(&self, watched: bool) {
        if let Some(fast) = &self.fast {
            fast.table.open(!watched);
        }
    }

    /// A frame was forwarded to one port.
    pub(in crate::run) fn forwarded(
        &mut self,
        of: &Forwarded<'_>,
        bridge: &Bridge,
        now: Timestamp,
    ) {
        let (Some(fast), Some(generation)) = (&self.fast, self.generation) else { return };
        let ([exit], Learned::Known | Learned::New | Learned::Off) = (of.exits, of.learned) else {
            return;
        };
        let known = fast.table.find(&of.key());
        if known.is_some_and(|id| fast.table.holds(id, now)) || exit.port == of.ingress {
            return;
        }
        let Some(scope) = bridge.scope(of.frame.tag(), of.ingress) else { return };
        let Some(until) = bridge.fdb().known_until(of.frame.dst, scope).map(early) else { return };
        let Some(decided) = decide(of, *exit, until, bridge) else { return };
        fast.put(&Decided { generation, ..decided }, now);
        self.wake_later(now);
    }

    /// A frame was refused because its port had had its share of a ring that fills: the kernel
    /// carries its flow from now on, and what of it is in the ring gives way.
    pub(in crate::run) fn refused(
        &mut self,
        (frame, bytes): (&Frame, &[u8]),
        ifindex: u32,
        now: Timestamp,
    ) {
        let Some(fast) = &self.fast else { return };
        if self.cuts.len() == CUTS {
            return;
        }
        let found = find(fast, (frame, bytes), ifindex);
        if let Some(id) = found.filter(|id| fast.table.holds(*id, now))
            && let Some(until) = fast.table.cut(id)
        {
            self.cuts.push((id, until));
        }
    }

    /// Whether a frame, so many from the first of the batch, has been overtaken by its flow.
    pub(in crate::run) fn is_late(
        &self,
        (frame, bytes): (&Frame, &[u8]),
        ifindex: u32,
        ahead: usize,
    ) -> bool {
        let Some(fast) = self.fast.as_ref().filter(|_| !self.cuts.is_empty()) else { return false };
        let Some(id) = find(fast, (frame, bytes), ifindex) else { return false };
        let ticket = self.gone + ahead as u64 + 1;
        self.cuts.iter().any(|(cut, until)| *cut == id && ticket <= *until)
    }

    /// Whether any frame may have been overtaken.
    pub(in crate::run) fn has_cuts(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Brings counters and ages up to date where that is due, and has the station told; how many
    /// frames went by.
    pub(in crate::run) fn look(
        &mut self,
        fdb: &Fdb,
        station: Option<&SharedStation>,
        now: Timestamp,
    ) -> u64 {
        let Some(fast) = self.fast.as_ref().filter(|_| self.next.is_some_and(|at| at <= now))
        else {
            return 0;
        };
        let mut book = fast.book();
        let frames = book.fold(&fast.table, fdb, now);
        fast.free(&mut book);
        self.next = (!book.is_empty()).then(|| now + LOOK);
        let owes = book.owes();
        // The station's lock comes before the book's.
        drop(book);
        if let Some(station) = station.filter(|_| owes) {
            station.lock().unwrap_or_else(PoisonError::into_inner).catch_up();
        }
        frames
    }

    /// The worker is about to sleep over an empty ring: until when, at most?
    pub(in crate::run) fn until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let fast = self.fast.as_ref()?;
        for (lane, behind) in Lane::ALL.into_iter().zip(&mut self.behind) {
            let [came, gone] = fast.table.progress(lane);
            match *behind {
                // More have gone than came where no program stands before the ring.
                _ if came <= gone => *behind = None,
                Some((seen, at)) if seen == [came, gone] => {
                    if now.since(at) >= LOST {
                        fast.table.settle(lane, came);
                        *behind = None;
                    }
                }
                _ => *behind = Some(([came, gone], now)),
            }
        }
        let settles = self.behind.iter().flatten().map(|(_, at)| *at + LOST);
        settles.chain(self.next).min()
    }
}

impl Forwarded<'_> {
    fn key(&self) -> Key {
        key(self.frame, None, self.ifindex)
    }
}

pub(super) fn key(frame: &Frame, ends: Option<Ends>, ingress: u32) -> Key {
    Key { ingress, dst: frame.dst, src: frame.src, tag: frame.tag(), ends }
}

/// The flow of a frame: between ports, or as of a packet that is sent on.
fn find(fast: &FastPath, (frame, bytes): (&Frame, &[u8]), ingress: u32) -> Option<FlowId> {
    let between = fast.table.find(&key(frame, None, ingress));
    between.or_else(|| {
        let ends = ends(bytes)?;
        let find = |ends| fast.table.find(&key(frame, Some(ends), ingress));
        find(ends).or_else(|| find(ends.among_all()?))
    })
}

/// A decision that holds until then is repeated a little less long.
pub(super) fn early(until: Timestamp) -> Timestamp {
    match until.as_nanos() {
        u64::MAX => until,
        ends => Timestamp::from_nanos(ends.saturating_sub(nanos(EARLY))),
    }
}

/// Whether the settings of the ports where frames come in and leave let the kernel repeat what is
/// decided; None for the station's other side.
pub(super) fn may_repeat(from: Option<&PortSettings>, to: Option<&PortSettings>) -> bool {
    let shut_at_any_frame = to.is_some_and(|to| to.loop_protect);
    let Some(from) = from else { return !shut_at_any_frame };
    // All of them by name: whoever adds a setting says here whether the kernel may repeat what is
    // decided by it.
    let PortSettings {
        locked,
        learning: _,
        flood: _,
        mcast_flood: _,
        bcast_flood: _,
        hairpin: _,
        isolation: _,
        reach: _,
        learn_limit: _,
        storm: _,
        mab: _,
        group_fwd_mask: _,
        neigh_suppress: _,
        fastleave: _,
        mcast_router: _,
        mcast_max_groups: _,
        loop_protect,
    } = from;
    // A port that looks for loops may be shut at any frame.
    !(*locked || *loop_protect || shut_at_any_frame)
}

/// The station's leg that frames of `tag` reach from a port, where it is counted by VLAN.
pub(super) fn counted(
    bridge: &Bridge,
    tag: Option<VlanTag>,
    ingress: PortId,
) -> Option<(Leg, VlanId)> {
    bridge.leg_among(tag, ingress).filter(|(_, vlan)| *vlan != VlanId::NONE)
}

/// What the kernel is to repeat until then of frames that leave by a port; None where a port asks for
/// more than that.
pub(super) fn decide<'a>(
    of: &Forwarded<'_>,
    exit: Exit,
    until: Timestamp,
    bridge: &Bridge,
) -> Option<Decided<'a>> {
    let (from, to) = (bridge.port(of.ingress)?, bridge.port(exit.port)?);
    if !may_repeat(Some(&from.settings), Some(&to.settings)) {
        return None;
    }
    // Of whoever may have one of several addresses each frame is looked at.
    let source = match &from.sources {
        Some(sources) => Some(sources.only()?),
        None => None,
    };
    let Frame { dst, src, .. } = *of.frame;
    let tag = of.frame.tag();
    let scope = bridge.scope(tag, of.ingress)?;
    let retag = match exit.tagging {
        Tagging::Keep => Retag::default(),
        Tagging::Pop => Retag { pop: true, push: None },
        Tagging::Set(tag) => Retag { pop: true, push: Some(tag) },
        Tagging::Push(tag) => Retag { pop: false, push: Some(tag) },
    };
    Some(Decided {
        dst,
        src,
        tag,
        ingress: of.ingress,
        egress: exit.port,
        flood: &[],
        retag,
        mtu: to.mtu,
        until,
        source,
        scope: (of.learned != Learned::Off).then_some(scope),
        vlans: [Some(bridge.vlan(tag, of.ingress)).filter(|vlan| *vlan != VlanId::NONE); 2],
        legs: [None; 2],
        routed: None,
        awaits: None,
        ignored: None,
        generation: Generation::NEVER,
    })
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

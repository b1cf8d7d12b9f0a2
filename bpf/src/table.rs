//! The flows in shared memory: found, written, taken back, counted. Time is an argument.
//!
//! One writer at a time (the switch's book of flows, behind a lock); the kernel's programs read
//! without one, on every core. So a flow holds only while its generation is the current one, which
//! is written last and read last; and a place is given to another flow only when no program can
//! still have the old one at hand, which is its writer's to see to.
//!
//! Bounds: [`ENTRIES`] flows, and as many routes, in buckets of four, two buckets a key; where both
//! are full the newcomer has no place, and its frames go to the ring. Places of routes come after
//! those of flows between ports; their first words are the same.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use sys::bpf::Area;
use wire::{MacAddr, Timestamp, VlanTag};

use crate::layout::{
    ACTION_ANSWERS, ACTION_ATOMIC, ACTION_BEYOND, ACTION_FLOOD, ACTION_KEPT, ACTION_PEER,
    ACTION_POP, ACTION_PUSH, ADDRESSES, BEYOND, BUCKET, BUCKETS, CONTROL, COUNT, ENDS, ENTRIES,
    FLOW, GENERATION, LINK, MTU_ACTION, NEW_ENDS, NEW_PORTS_SUM, NOW, OPEN, PORTS_PROTOCOL,
    PUSH_SOURCE, REST, ROUTE, ROWS, SECRETS, SET, SETS, SLACK, SUM_LINK, TAG_EGRESS, TICKET, UNTIL,
};
use crate::route::{self, Ends, Route};

pub use asked::Asked;
pub use lane::{Lane, Shared, elsewhere, here};
pub use sets::{Missed, SetId};

/// Set in the generation while nothing is forwarded by flows.
const CLOSED: u64 = 1 << 63;
/// A ticket that has not been drawn: later than any.
const LATER: u64 = u64::MAX >> 1;

/// What a flow's frames have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The interface they come in by; of another namespace as [`elsewhere`] says it.
    pub ingress: u32,
    /// Their destination.
    pub dst: MacAddr,
    /// Their source.
    pub src: MacAddr,
    /// Their outermost tag, its priority included.
    pub tag: Option<VlanTag>,
    /// Of packets that the gateway sends on: their ends as they come.
    pub ends: Option<Ends>,
}

/// What becomes of a frame's outermost tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retag {
    /// It is taken off.
    pub pop: bool,
    /// This one is put on then.
    pub push: Option<VlanTag>,
}

/// What is done with a flow's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The interface they leave by: where they come in, of that namespace.
    pub egress: u32,
    /// They leave by all ports of this set instead.
    pub flood: Option<SetId>,
    /// Of those, frames of this EtherType alone; None for all.
    pub ethertype: Option<u16>,
    /// That is an end of the crossing, and this the interface by which what the gateway sends on leaves.
    pub beyond: Option<u32>,
    /// They are to the peer's own address: handed over without the peer's looking at it.
    pub peer: bool,
    /// What becomes of the tag.
    pub retag: Retag,
    /// Largest layer-3 packet that may leave there, in bytes.
    pub mtu: u32,
    /// The decision holds until then; [`Timestamp::from_nanos`]`(u64::MAX)` for one without an end.
    pub until: Timestamp,
    /// The address that they come from, packets of IPv4 all of them; None for whatever comes.
    pub source: Option<Ipv4Addr>,
    /// What becomes of them, where the key has ends.
    pub route: Option<Route>,
    /// The route whose answer ([`Route::answers`]) is sent on before any of them.
    pub awaits: Option<FlowId>,
}

/// A flow's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u16);

/// Which decisions hold. A flow of another generation counts as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
    /// One of which no decision holds.
    pub const NEVER: Self = Self(CLOSED);

    /// Whether flows of it are used at all.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.0 & CLOSED == 0
    }
}

/// What the kernel has done by one place's flows, all cores together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames.
    pub frames: u64,
    /// Their bytes, without tags.
    pub bytes: u64,
    /// What they stand for, GSO frames for several; of routes alone.
    pub packets: u64,
    /// Those of them that could not be sent, and their bytes.
    pub failed: u64,
    /// See there.
    pub failed_bytes: u64,
    /// Those of them whose port was no more.
    pub gone: u64,
    /// No others of these: frames by which a sum was to be written over what was translated, and their
    /// bytes. They were dropped.
    pub misplaced: u64,
    /// See there.
    pub misplaced_bytes: u64,
    /// The last one; zero before the first.
    pub seen: Timestamp,
}

enum Words {
    Shared(Area),
    Own(Box<[AtomicU64]>),
}

impl Words {
    fn get(&self) -> &[AtomicU64] {
        match self {
            Self::Shared(area) => area.words(),
            Self::Own(words) => words,
        }
    }
}

/// The flows.
pub struct Table {
    control: Words,
    flows: Words,
    routes: Words,
    counts: Words,
    sets: Words,
    cores: usize,
}

impl Table {
    /// Over memory that programs see, for so many cores.
    pub(crate) fn shared(areas: [Area; 5], cores: usize) -> Self {
        let [control, flows, routes, counts, sets] = areas.map(Words::Shared);
        Self { control, flows, routes, counts, sets, cores }.ready()
    }

    /// Over memory of its own, which no program sees: for tests.
    #[must_use]
    pub fn alone(cores: usize) -> Self {
        let words = |n: usize| Words::Own((0..n).map(|_| AtomicU64::new(0)).collect());
        let (flows, routes) = (words(ENTRIES * FLOW), words(ENTRIES * ROUTE));
        let (control, counts) = (words(CONTROL), words(ROWS * COUNT * cores));
        let sets = words(SETS * SET);
        Self { control, flows, routes, counts, sets, cores }.ready()
    }

    fn ready(self) -> Self {
        let control = self.control.get();
        for word in [SECRETS, SECRETS + 1] {
            control[word].store(secret() | 1, Ordering::Relaxed);
        }
        control[SLACK].store(self.cores as u64, Ordering::Relaxed);
        control[NOW].store(1, Ordering::SeqCst);
        self
    }

    /// Which decisions hold now: to be asked before one is made that is to become a flow.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.control.get()[NOW].load(Ordering::SeqCst))
    }

    /// From now on no decision made before holds. A program that has a frame at hand may still go by
    /// one ([`sys::grace`] waits for it).
    pub fn advance(&self) {
        self.control.get()[NOW].fetch_add(1, Ordering::SeqCst);
    }

    /// Has flows used, or not; no decision made before holds.
    pub fn open(&self, open: bool) {
        let now = &self.control.get()[NOW];
        let next = |was: u64| Some(((was & !CLOSED) + 1) | if open { 0 } else { CLOSED });
        // Never refused.
        let _ = now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// The place of a flow, whatever its generation.
    #[must_use]
    #[inline]
    pub fn find(&self, key: &Key) -> Option<FlowId> {
        let [addresses, rest] = words_of(key);
        let is_it = |id: &FlowId| {
            let flow = self.flow(*id);
            let load = |word: usize| flow[word].load(Ordering::Relaxed);
            load(ADDRESSES) == addresses
                && load(REST) == rest
                && halves(load(TAG_EGRESS)).0 == tag_word(key.tag)
                && load(GENERATION) != 0
                && key.ends.is_none_or(|ends| {
                    load(ENDS) == route::addresses(&ends.src, &ends.dst)
                        && load(PORTS_PROTOCOL) == ports_protocol(&ends)
                })
        };
        self.places(key).find(is_it)
    }

    /// The places a flow may have.
    pub fn places(&self, key: &Key) -> impl Iterator<Item = FlowId> + use<> {
        let hash = self.hash(key);
        let bucket = |bits: u64| usize::try_from(bits & 0xffff_ffff).unwrap_or(0) & (BUCKETS - 1);
        let [first, second] = [bucket(hash), bucket(hash >> 32)];
        let base = if key.ends.is_some() { ENTRIES } else { 0 };
        let of = move |bucket: usize| (0..BUCKET).map(move |n| id(base + bucket * BUCKET + n));
        of(first).chain(of(second))
    }

    /// Whether a flow holds.
    #[must_use]
    pub fn holds(&self, id: FlowId, now: Timestamp) -> bool {
        let flow = self.flow(id);
        flow[GENERATION].load(Ordering::Relaxed) == self.generation().0
            && flow[UNTIL].load(Ordering::Relaxed) > now.as_nanos()
    }

    /// Writes a flow decided in a generation; one that is over by now is never used. Its frames go
    /// on to the ring until those that are there have been sent on.
    pub fn write(&self, id: FlowId, key: &Key, flow: &Flow, decided: Generation) {
        let words = self.flow(id);
        let put = |word: usize, value: u64| words[word].store(value, Ordering::Relaxed);
        put(GENERATION, 0);
        fence(Ordering::SeqCst);
        let [addresses, rest] = words_of(key);
        let Retag { pop, push } = flow.retag;
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        let action = flag(pop, ACTION_POP)
            | flag(push.is_some(), ACTION_PUSH)
            | flag(flow.peer, ACTION_PEER)
            | flag(flow.beyond.is_some(), ACTION_BEYOND)
            | flag(flow.flood.is_some(), ACTION_FLOOD)
            | flag(flow.route.is_some_and(|route| route.atomic), ACTION_ATOMIC)
            | flag(flow.route.is_some_and(|route| route.kept), ACTION_KEPT)
            | flag(flow.route.is_some_and(|route| route.answers), ACTION_ANSWERS);
        put(TICKET, LATER);
        put(ADDRESSES, addresses);
        put(REST, rest);
        let egress = flow.flood.map_or(flow.egress, |SetId(set)| set.into());
        put(TAG_EGRESS, pair(tag_word(key.tag), egress));
        put(UNTIL, flow.until.as_nanos());
        put(MTU_ACTION, pair(flow.mtu, action));
        // As it lies in the packet.
        let source = flow.source.map_or(0, |own| u32::from_ne_bytes(own.octets()));
        let source = flow.ethertype.map_or(source, |kind| kind.to_be().into());
        put(PUSH_SOURCE, pair(tag_word(push), source));
        if let (Some(ends), Some(route)) = (&key.ends, &flow.route) {
            let ([sum, others], [first, second, third]) = (route.sums(ends), route.link());
            put(ENDS, route::addresses(&ends.src, &ends.dst));
            put(PORTS_PROTOCOL, ports_protocol(ends));
            put(NEW_ENDS, route::addresses(&route.src, &route.dst));
            put(NEW_PORTS_SUM, pair(route::ports(&route.src, &route.dst), sum));
            put(SUM_LINK, pair(others, first));
            put(LINK, pair(second, third));
            put(BEYOND, pair(flow.beyond.unwrap_or(0), ends::awaited(flow.awaits)));
            let any = u64::from(route.kept && *ends == ends.all_tcp());
            self.control.get()[OPEN].fetch_or(any, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        let decided = if decided.is_open() { decided.0 } else { 0 };
        words[GENERATION].store(decided, Ordering::SeqCst);
        // What went to the ring until now may be of it; where one has drawn a ticket meanwhile, it is later.
        let [came, _] = self.progress(Lane::of(key.ingress));
        let _ = words[TICKET].compare_exchange(LATER, came, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Lets a flow's frames pass although earlier ones are in the ring still, which are the ring's
    /// owner to drop; says up to which ticket. None where nothing had to wait.
    pub fn cut(&self, id: FlowId) -> Option<u64> {
        let flow = self.flow(id);
        let waited = flow[TICKET].swap(0, Ordering::SeqCst) != 0;
        let ingress = u32::try_from(flow[REST].load(Ordering::Relaxed) >> 32).unwrap_or(0);
        waited.then(|| self.progress(Lane::of(ingress))[0])
    }

    /// Takes a flow back.
    pub fn clear(&self, id: FlowId) {
        self.flow(id)[GENERATION].store(0, Ordering::SeqCst);
    }

    /// Bytes shared with the kernel.
    #[must_use]
    pub fn memory(&self) -> usize {
        let all = [&self.control, &self.flows, &self.routes, &self.counts, &self.sets];
        all.map(|words| words.get().len() * 8).iter().sum()
    }

    fn flow(&self, FlowId(number): FlowId) -> &[AtomicU64] {
        let (words, place) = (usize::from(number) / ENTRIES, usize::from(number) % ENTRIES);
        let (all, size) = if words == 0 { (&self.flows, FLOW) } else { (&self.routes, ROUTE) };
        &all.get()[place * size..(place + 1) * size]
    }

    fn hash(&self, key: &Key) -> u64 {
        let [addresses, rest] = words_of(key);
        let hash = self.mix(addresses, rest, tag_word(key.tag));
        key.ends.map_or(hash, |ends| {
            let ports = u64::from(route::ports(&ends.src, &ends.dst));
            let addresses = route::addresses(&ends.src, &ends.dst);
            self.mix(addresses ^ hash, ports << 8 | u64::from(ends.protocol), 0)
        })
    }

    /// The same as `hash` of `c/flows.bpf.c`.
    fn mix(&self, addresses: u64, rest: u64, tag: u32) -> u64 {
        let [first, second] =
            [SECRETS, SECRETS + 1].map(|word| self.control.get()[word].load(Ordering::Relaxed));
        let mut h = (addresses ^ first).wrapping_mul(second);
        h ^= h >> 29;
        h = h.wrapping_add(rest ^ u64::from(tag) << 13).wrapping_mul(first | 1);
        h ^= h >> 31;
        h = h.wrapping_mul(second);
        h ^ h >> 32
    }
}

fn id(number: usize) -> FlowId {
    FlowId(u16::try_from(number).unwrap_or(0))
}

/// The frame's first twelve bytes as the programs load them, and its ingress.
fn words_of(key: &Key) -> [u64; 2] {
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (key.dst.0, key.src.0);
    let last = u32::from_ne_bytes([i, j, k, l]);
    let rest = u64::from(key.ingress) << 32 | u64::from(last);
    [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), rest]
}

fn tag_word(tag: Option<VlanTag>) -> u32 {
    tag.map_or(0, |tag| u32::from(tag.tpid) << 16 | u32::from(tag.tci))
}

fn ports_protocol(ends: &Ends) -> u64 {
    pair(route::ports(&ends.src, &ends.dst), ends.protocol.into())
}

/// Two halves side by side in memory.
pub(crate) fn pair(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
}

/// A number that no other process knows; the standard library's own hash is keyed the same way.
fn secret() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

mod asked;
mod counts;
mod ends;
mod lane;
mod programs;
mod sets;
#[cfg(test)]
mod tests;

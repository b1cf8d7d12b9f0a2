//! One port's membership of a group: which sources it wants, and until when.
//!
//! Pure: the rules of RFC 3376 6.4 and RFC 3810 7.4, as the kernel's bridge has them
//! (net/bridge/br_multicast.c). In the RFCs' words `A` is the list a port includes; of a port that
//! excludes, `X` are the sources whose timers run (they are forwarded), `Y` those whose have run out
//! (they are not). A source beyond [`SOURCES`] is not noted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::Timestamp;

use super::message::{Kind, Record};

/// Sources a membership may name, as in the kernel (`PG_SRC_ENT_LIMIT`).
const SOURCES: usize = 32;

/// Which sources are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those that are named.
    Include,
    /// All but those that are named.
    Exclude,
}

/// A membership.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) filter: Filter,
    /// Set by hand: nothing ends it but a hand.
    pub(super) permanent: bool,
    /// While it excludes: until when, unless it is reported anew.
    pub(super) until: Timestamp,
    /// With the end of each timer.
    pub(super) sources: BTreeMap<IpAddr, Timestamp>,
}

/// The times that hold for a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) now: Timestamp,
    /// When what is reported now ends (group membership interval).
    pub(super) end: Timestamp,
    /// When what is asked about now ends (last member query time).
    pub(super) soon: Timestamp,
}

/// What a querier has to ask after a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    /// Whether anybody still wants the group.
    pub(super) group: bool,
    /// Whether anybody still wants these sources of it.
    pub(super) sources: Vec<IpAddr>,
}

impl Member {
    /// One that wants everything, until `until`.
    pub(super) fn of_all(until: Timestamp) -> Self {
        Self { filter: Filter::Exclude, permanent: false, until, sources: BTreeMap::new() }
    }

    /// One that wants nothing yet.
    pub(super) fn of_nothing() -> Self {
        Self { filter: Filter::Include, ..Self::of_all(Timestamp::ZERO) }
    }

    /// As it is when its timers up to `now` have run out; false where nothing is left.
    pub(super) fn settle(&mut self, now: Timestamp) -> bool {
        if self.permanent {
            return true;
        }
        if self.filter == Filter::Exclude && self.until <= now {
            self.filter = Filter::Include;
        }
        if self.filter == Filter::Include {
            self.sources.retain(|_, until| *until > now);
            return !self.sources.is_empty();
        }
        true
    }

    /// Whether it has not ended.
    pub(super) fn lives(&self, now: Timestamp) -> bool {
        let named = || self.sources.values().any(|until| *until > now);
        self.permanent || (self.filter == Filter::Exclude && self.until > now) || named()
    }

    /// Whether it wants what `source` sends.
    pub(super) fn wants(&self, source: Option<IpAddr>, now: Timestamp) -> bool {
        let timer = source.and_then(|source| self.sources.get(&source));
        if self.permanent || (self.filter == Filter::Exclude && self.until > now) {
            return timer.is_none_or(|until| *until > now);
        }
        timer.is_some_and(|until| *until > now)
    }

    /// When it next changes by itself.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let group = Some(self.until).filter(|_| self.filter == Filter::Exclude);
        let named = self.sources.values().copied().filter(|_| self.filter == Filter::Include);
        named.chain(group).min().filter(|_| !self.permanent)
    }

    /// A group record of this port.
    pub(super) fn report(&mut self, kind: Kind, record: &Record<'_>, times: Times) -> Doubts {
        let Times { now, end, .. } = times;
        self.settle(now);
        let named = || record.sources();
        let mut doubts = Doubts::default();
        let running = |member: &Self, source: &IpAddr| {
            member.sources.get(source).is_some_and(|until| *until > now)
        };
        match (kind, self.filter) {
            (Kind::IsInclude | Kind::Allow, _) => self.add(named(), end),
            (Kind::IsExclude | Kind::ToExclude, Filter::Include) => {
                if kind == Kind::ToExclude {
                    doubts.sources.extend(named().filter(|source| running(self, source)));
                }
                // EXCLUDE(A*B, B-A): what is new is blocked at once.
                self.replace(named(), Timestamp::ZERO);
            }
            (Kind::IsExclude, Filter::Exclude) => self.replace(named(), end),
            (Kind::ToExclude, Filter::Exclude) => {
                self.replace(named(), self.until);
                doubts.sources.extend(named().filter(|source| running(self, source)));
            }
            (Kind::ToInclude, _) => {
                let others = self.sources.iter().filter(|(source, until)| {
                    **until > now && !named().any(|named| named == **source)
                });
                doubts.sources.extend(others.map(|(source, _)| *source));
                doubts.group = self.filter == Filter::Exclude;
                self.add(named(), end);
            }
            (Kind::Block, Filter::Include) => {
                doubts.sources.extend(named().filter(|source| running(self, source)));
            }
            (Kind::Block, Filter::Exclude) => {
                let until = self.until;
                let new = named().filter(|source| !self.sources.contains_key(source));
                let new: Vec<_> = new.collect();
                self.add(new.into_iter(), until);
                doubts.sources.extend(named().filter(|source| running(self, source)));
            }
        }
        if matches!(kind, Kind::IsExclude | Kind::ToExclude) {
            self.filter = Filter::Exclude;
            self.until = end;
        }
        self.doubt(&doubts, times.soon);
        doubts
    }

    /// What is asked about has until `soon` to be reported again.
    fn doubt(&mut self, doubts: &Doubts, soon: Timestamp) {
        if doubts.group && self.filter == Filter::Exclude {
            self.until = self.until.min(soon);
        }
        for source in &doubts.sources {
            if let Some(until) = self.sources.get_mut(source) {
                *until = soon.min(*until);
            }
        }
    }

    fn add(&mut self, named: impl Iterator<Item = IpAddr>, until: Timestamp) {
        for source in named {
            if self.sources.len() < SOURCES || self.sources.contains_key(&source) {
                self.sources.insert(source, until);
            }
        }
    }

    /// Keeps the sources named, with their timers; new ones get `new`.
    fn replace(&mut self, named: impl Iterator<Item = IpAddr>, new: Timestamp) {
        let kept = |source: IpAddr| (source, self.sources.get(&source).copied().unwrap_or(new));
        let kept: BTreeMap<_, _> = named.take(SOURCES).map(kept).collect();
        self.sources = kept;
    }
}

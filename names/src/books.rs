//! What the server has done: counted always, and told query by query while somebody listens.
//!
//! Each query is in exactly one of answered, denied, refused, forwarded, repeated, crowded. Of those
//! told, [`KEPT`] wait to be fetched; more are lost, and counted.

use std::collections::VecDeque;

use crate::resolver::{Said, asked};

/// Queries that wait to be fetched by those who listen.
const KEPT: usize = 1024;

/// What became of a query, or of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lab knows the name.
    Answered,
    /// There is no such name (NXDOMAIN).
    Denied,
    /// Refused, or not understood.
    Refused,
    /// Others are asked.
    Forwarded,
    /// Others are asked already.
    Repeated,
    /// Not passed on: too many wait for others (SERVFAIL).
    Crowded,
    /// Others were asked and have not answered, or the query gave way (SERVFAIL).
    Failed,
    /// A segment of a connection.
    Segment,
    /// No query, or damaged.
    Malformed,
}

impl Outcome {
    /// The word printed for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Forwarded => "forwarded",
            Self::Repeated => "repeated",
            Self::Crowded => "crowded",
            Self::Failed => "failed",
            Self::Segment => "segment",
            Self::Malformed => "malformed",
        }
    }
}

impl From<Said> for Outcome {
    fn from(said: Said) -> Self {
        match said {
            Said::Answered => Self::Answered,
            Said::Denied => Self::Denied,
            Said::Refused => Self::Refused,
        }
    }
}

/// What has been done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of names the lab knows.
    pub answered: u64,
    /// Of names that there are not.
    pub denied: u64,
    /// Refused, or not understood.
    pub refused: u64,
    /// Passed on to others.
    pub forwarded: u64,
    /// Sent again while others are asked.
    pub repeated: u64,
    /// Not passed on, for too many were waiting.
    pub crowded: u64,
    /// Of those passed on, without an answer; they are not counted twice.
    pub failed: u64,
    /// Messages and datagrams that were no query.
    pub malformed: u64,
    /// Connections that were opened.
    pub streams: u64,
    /// Connections that gave way to others.
    pub gave_way: u64,
    /// Queries nobody fetched in time.
    pub events_lost: u64,
}

impl Counters {
    /// Queries, by datagram and stream.
    #[must_use]
    pub const fn queries(&self) -> u64 {
        self.answered + self.denied + self.refused + self.forwarded + self.repeated + self.crowded
    }
}

/// A query, for those who listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<W> {
    /// The way it came.
    pub way: W,
    /// The name, in lower case, without a dot at its end; what cannot be printed is escaped.
    pub name: String,
    /// Its type: `A`, `PTR`, …
    pub kind: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// The counters, and what is to be told.
#[derive(Debug)]
pub(crate) struct Books<W> {
    pub(crate) counters: Counters,
    /// While somebody listens.
    told: Option<VecDeque<Question<W>>>,
}

impl<W> Books<W> {
    pub(crate) fn new() -> Self {
        Self { counters: Counters::default(), told: None }
    }

    /// From now on queries are kept to be told, or are not.
    pub(crate) fn keep(&mut self, keep: bool) {
        match keep {
            true => _ = self.told.get_or_insert_default(),
            false => self.told = None,
        }
    }

    /// What has been kept.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Question<W>> + '_ {
        self.told.iter_mut().flat_map(|told| told.drain(..))
    }

    /// Enters what has become of the query in `message`.
    pub(crate) fn enter(&mut self, way: W, message: &[u8], outcome: Outcome) {
        let c = &mut self.counters;
        *match outcome {
            Outcome::Answered => &mut c.answered,
            Outcome::Denied => &mut c.denied,
            Outcome::Refused => &mut c.refused,
            Outcome::Forwarded => &mut c.forwarded,
            Outcome::Repeated => &mut c.repeated,
            Outcome::Crowded => &mut c.crowded,
            Outcome::Failed => &mut c.failed,
            Outcome::Malformed => &mut c.malformed,
            // What is in it is entered for itself.
            Outcome::Segment => return,
        } += 1;
        let Some(told) = &mut self.told else { return };
        if told.len() >= KEPT {
            self.counters.events_lost += 1;
            return;
        }
        // What has no name to tell is in the counters.
        if let Some((name, kind)) = asked(message) {
            told.push_back(Question { way, name, kind: kind.to_string(), outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a` of the root, type A.
    const QUERY: &[u8] =
        b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";

    #[test]
    fn queries_are_told_while_somebody_listens_and_counted_always() {
        let mut books = Books::new();
        books.enter(1, QUERY, Outcome::Answered);
        assert_eq!(books.take().count(), 0);
        books.keep(true);
        books.enter(1, QUERY, Outcome::Denied);
        // A second listener takes nothing from the first.
        books.keep(true);
        books.enter(2, b"no query", Outcome::Malformed);
        let (name, kind) = ("a".into(), "A".into());
        let told: Vec<_> = books.take().collect();
        assert_eq!(told, [Question { way: 1, name, kind, outcome: Outcome::Denied }]);
        for _ in 0..KEPT + 3 {
            books.enter(1, QUERY, Outcome::Refused);
        }
        assert_eq!((books.take().count(), books.counters.events_lost), (KEPT, 3));
        books.keep(false);
        books.enter(1, QUERY, Outcome::Forwarded);
        assert_eq!(books.take().count(), 0);
        let counters = books.counters;
        assert_eq!((counters.queries(), counters.malformed), (KEPT as u64 + 6, 1));
    }
}

//! The lease by which a host is in a network: when to renew it, when it is lost, when to ask for another.
//! What goes with the lease (the host, its claims) goes from the registry when it runs out.

use std::time::Duration;

use wire::Timestamp;

/// How long a host is in the network after its last word.
pub const TTL: Duration = Duration::from_secs(5);
/// How often it says a word.
pub const BEAT: Duration = Duration::from_millis(1500);
/// How soon it is tried again where nobody could be asked.
pub const AGAIN: Duration = Duration::from_millis(500);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A new lease is to be asked for.
    Grant,
    /// This one is to be renewed.
    Renew(i64),
    /// Nothing before this time.
    At(Timestamp),
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: i64,
    until: Timestamp,
}

/// A host's membership.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    lease: Option<Lease>,
    next: Timestamp,
    /// Since when nobody could be asked.
    alone: Option<Timestamp>,
}

impl Session {
    /// One without a lease, which is due now.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { lease: None, next: now, alone: None }
    }

    /// What is to be done.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Due {
        match self.lease {
            _ if now < self.next => Due::At(self.next),
            Some(lease) => Due::Renew(lease.id),
            None => Due::Grant,
        }
    }

    /// The lease, where there is one.
    #[must_use]
    pub fn lease(&self) -> Option<i64> {
        self.lease.map(|lease| lease.id)
    }

    /// Whether what was told by this host may have run out: its lease has not been renewed for as long
    /// as it lasts.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.lease.is_none_or(|lease| lease.until <= now)
    }

    /// Since when the registry has not answered.
    #[must_use]
    pub fn alone(&self) -> Option<Timestamp> {
        self.alone
    }

    /// There is a lease, as of the time when it was asked for.
    pub fn granted(&mut self, id: i64, ttl: Duration, asked: Timestamp) {
        self.lease = Some(Lease { id, until: asked + ttl });
        self.next = asked + BEAT.min(ttl / 3);
        self.alone = None;
    }

    /// There is no such lease any more.
    pub fn lost(&mut self, now: Timestamp) {
        self.lease = None;
        self.next = now;
        self.alone = None;
    }

    /// Nobody could be asked. True where that is news.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        self.next = now + AGAIN;
        let news = self.alone.is_none();
        self.alone.get_or_insert(now);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_lease_is_renewed_in_time_and_asked_for_again_when_lost() {
        let mut session = Session::new(at(0));
        assert_eq!(session.due(at(0)), Due::Grant);
        session.granted(7, TTL, at(0));
        assert_eq!(session.due(at(1000)), Due::At(at(1500)));
        assert_eq!(session.due(at(1500)), Due::Renew(7));
        session.granted(7, TTL, at(1500));
        assert!(!session.is_over(at(6499)) && session.is_over(at(6500)));
        session.lost(at(3000));
        assert_eq!((session.due(at(3000)), session.lease()), (Due::Grant, None));
    }

    #[test]
    fn where_nobody_answers_it_is_tried_twice_a_second_and_told_once() {
        let mut session = Session::new(at(0));
        session.granted(7, TTL, at(0));
        assert!(session.failed(at(2000)) && !session.failed(at(2500)));
        assert_eq!(session.alone(), Some(at(2000)));
        assert_eq!(session.due(at(2600)), Due::At(at(3000)));
        // The lease may still be there: it is asked for by its number.
        assert_eq!(session.due(at(9000)), Due::Renew(7));
        session.granted(7, TTL, at(9000));
        assert_eq!(session.alone(), None);
    }
}

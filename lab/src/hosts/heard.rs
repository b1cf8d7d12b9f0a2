//! Whether the watch still tells: a connection that carries nothing any more, though both ends keep it,
//! looks like an etcd in which nothing happens.
//!
//! Each renewal of the lease says how far etcd is, by a connection of its own. What the watch has to tell
//! of that is there within milliseconds; where nothing comes, what has happened is perhaps another
//! network's, or the watch is deaf. The agent opens another one then, which costs as much as a renewal.

use std::time::Duration;

use wire::Timestamp;

/// For the watch to tell what a renewal has seen.
const GRACE: Duration = Duration::from_millis(400);

/// How far etcd is known to be, and the watch with it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// As far as the watch is known to have told all.
    to: i64,
    /// Since when etcd is ahead of that.
    behind: Option<Timestamp>,
}

impl Heard {
    /// A watch was opened, by a member that is at this revision.
    pub(super) fn opened(&mut self, at: i64) {
        *self = Self { to: at, behind: None };
    }

    /// The watch has told something: it is not deaf, and what came before that has come.
    pub(super) fn told(&mut self, revision: i64) {
        self.opened(self.to.max(revision));
    }

    /// A renewal has seen etcd at this revision.
    pub(super) fn seen(&mut self, at: i64, now: Timestamp) {
        if at > self.to {
            self.behind.get_or_insert(now);
        }
    }

    /// When the watch is to be opened anew, where it tells nothing before.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.behind.map(|behind| behind + GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_watch_that_tells_nothing_of_what_a_renewal_saw_is_opened_anew() {
        let mut heard = Heard::default();
        heard.opened(7);
        heard.seen(7, at(0));
        assert_eq!(heard.due(), None);
        heard.seen(8, at(1500));
        heard.seen(9, at(3000));
        assert_eq!(heard.due(), Some(at(1500) + GRACE));
        // What it tells then shows that it is there.
        heard.told(9);
        assert_eq!(heard.due(), None);
        heard.seen(12, at(4500));
        // Another one begins behind all that was seen.
        heard.opened(12);
        heard.seen(12, at(6000));
        assert_eq!(heard.due(), None);
    }
}

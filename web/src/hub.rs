//! What all pages share: the newest facts, and who listens how closely.
//!
//! The sampler publishes, streams listen. At most [`QUEUE`] changes wait, for all streams together; a
//! stream that has fallen further behind gets the newest snapshot in place of a backlog. Memory is
//! therefore the same however slowly a browser reads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::facts::{Facts, change};

/// Changes that wait for slow streams.
const QUEUE: usize = 4;
/// How long a stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How closely somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A tab nobody sees.
    Hidden,
    /// A tab that is seen.
    Seen,
    /// A tab in which packets are followed.
    Following,
}

impl Pace {
    /// From one look to the next.
    fn period(self) -> Duration {
        Duration::from_millis(match self {
            Self::Hidden => 10_000,
            Self::Seen => 500,
            Self::Following => 250,
        })
    }
}

/// It.
pub(crate) struct Hub {
    shared: Mutex<Shared>,
    wanted: Condvar,
}

struct Shared {
    facts: Facts,
    number: u64,
    /// The facts as a stream tells them; made when somebody needs it.
    snapshot: Option<Arc<str>>,
    tell: broadcast::Sender<Arc<str>>,
    listeners: [usize; 3],
    over: bool,
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        let shared = Shared {
            facts: Facts::new(),
            number: 0,
            snapshot: None,
            tell: broadcast::Sender::new(QUEUE),
            listeners: [0; 3],
            over: false,
        };
        Arc::new(Self { shared: Mutex::new(shared), wanted: Condvar::new() })
    }

    /// The newest look. Told also where nothing has changed: so a page knows that it is the newest.
    pub(crate) fn publish(&self, facts: Facts) {
        let mut shared = self.lock();
        let text = serde_json::to_string(&change(&shared.facts, &facts)).unwrap_or_default();
        shared.number += 1;
        let text = format!("id: {}\nevent: change\ndata: {text}\n\n", shared.number);
        shared.facts = facts;
        shared.snapshot = None;
        // Nobody to hear it is no error.
        let _ = shared.tell.send(text.into());
    }

    /// Changes one fact of those there are.
    pub(crate) fn amend(&self, edit: impl FnOnce(&mut Facts)) {
        let mut facts = self.lock().facts.clone();
        edit(&mut facts);
        self.publish(facts);
    }

    /// From now on: a snapshot, then what changes.
    pub(crate) fn listen(self: &Arc<Self>, pace: Pace) -> Listener {
        let mut shared = self.lock();
        shared.listeners[pace as usize] += 1;
        let changes = shared.tell.subscribe();
        self.wanted.notify_all();
        let rest = (pace == Pace::Hidden).then(|| pace.period());
        let hub = Arc::clone(self);
        Listener { hub, pace, changes, behind: true, begun: false, rest, heartbeat: HEARTBEAT }
    }

    /// Waits for the time of the next look, `took` being how long the last one was: a look is at most a
    /// tenth of the lab's and our time, and nobody looks while nobody listens. False at the end.
    pub(crate) fn wait(&self, took: Duration) -> bool {
        let mut shared = self.lock();
        let begun = sys::clock::now();
        loop {
            if shared.over {
                return false;
            }
            let paces = [Pace::Following, Pace::Seen, Pace::Hidden];
            let closest = paces.into_iter().find(|pace| shared.listeners[*pace as usize] > 0);
            let Some(pace) = closest else {
                shared = self.wanted.wait(shared).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let waited = Duration::from_nanos(sys::clock::now().saturating_sub(begun));
            let left = pace.period().max(took * 9).saturating_sub(waited);
            if left.is_zero() {
                return true;
            }
            let woken = self.wanted.wait_timeout(shared, left);
            shared = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// No more looks.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.wanted.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's end.
pub(crate) struct Listener {
    hub: Arc<Hub>,
    pace: Pace,
    changes: broadcast::Receiver<Arc<str>>,
    /// The next thing told is a snapshot.
    behind: bool,
    begun: bool,
    /// From one snapshot to the next, where there is nothing but snapshots.
    rest: Option<Duration>,
    heartbeat: Duration,
}

impl Listener {
    /// The next piece of the stream, in the form of server-sent events.
    pub(crate) async fn next(&mut self) -> Arc<str> {
        if let Some(rest) = self.rest
            && self.begun
        {
            tokio::time::sleep(rest).await;
            self.behind = true;
        }
        self.begun = true;
        if self.behind {
            return self.snapshot();
        }
        match tokio::time::timeout(self.heartbeat, self.changes.recv()).await {
            Ok(Ok(text)) => text,
            Ok(Err(RecvError::Lagged(_))) => self.snapshot(),
            // The hub outlives its listeners, so nothing but time is left.
            Ok(Err(RecvError::Closed)) | Err(_) => ":\n\n".into(),
        }
    }

    fn snapshot(&mut self) -> Arc<str> {
        let mut shared = self.hub.lock();
        // Both under one lock: what is told next follows from the snapshot.
        self.changes = shared.tell.subscribe();
        self.behind = false;
        if let Some(text) = &shared.snapshot {
            return Arc::clone(text);
        }
        let facts = serde_json::to_string(&shared.facts).unwrap_or_default();
        let number = shared.number;
        let text = format!("id: {number}\nretry: 1000\nevent: snapshot\ndata: {facts}\n\n");
        let text: Arc<str> = text.into();
        shared.snapshot = Some(Arc::clone(&text));
        text
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hub.lock().listeners[self.pace as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;

    fn facts(number: u64) -> Facts {
        Facts::from([("lab".into(), json!(number))])
    }

    #[tokio::test]
    async fn first_a_snapshot_then_what_changes() {
        let hub = Hub::new();
        hub.publish(facts(1));
        let mut listener = hub.listen(Pace::Seen);
        let first = listener.next().await;
        assert_eq!(&*first, "id: 1\nretry: 1000\nevent: snapshot\ndata: {\"lab\":1}\n\n");
        hub.publish(facts(2));
        let change = listener.next().await;
        assert_eq!(&*change, "id: 2\nevent: change\ndata: {\"set\":{\"lab\":2}}\n\n");
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_the_newest_and_no_backlog() {
        let hub = Hub::new();
        let (mut slow, mut quick) = (hub.listen(Pace::Seen), hub.listen(Pace::Seen));
        slow.next().await;
        quick.next().await;
        for number in 1..=1000 {
            hub.publish(facts(number));
            assert!(quick.next().await.starts_with(&format!("id: {number}\nevent: change")));
        }
        assert!(slow.next().await.contains("event: snapshot\ndata: {\"lab\":1000}"));
        hub.publish(facts(1001));
        assert!(slow.next().await.starts_with("id: 1001\nevent: change"));
    }

    #[tokio::test]
    async fn a_quiet_stream_says_that_it_lives() {
        let hub = Hub::new();
        let mut listener = hub.listen(Pace::Seen);
        listener.next().await;
        assert_eq!(listener.next().now_or_never(), None);
        listener.heartbeat = Duration::ZERO;
        assert_eq!(&*listener.next().await, ":\n\n");
    }

    #[tokio::test]
    async fn a_hidden_tab_is_told_snapshots_far_apart() {
        let hub = Hub::new();
        let mut listener = hub.listen(Pace::Hidden);
        listener.next().await;
        hub.publish(facts(1));
        hub.publish(facts(2));
        assert_eq!(listener.next().now_or_never(), None);
        listener.rest = Some(Duration::ZERO);
        assert!(listener.next().await.contains("event: snapshot\ndata: {\"lab\":2}"));
    }

    #[test]
    fn nobody_looks_while_nobody_listens() {
        let hub = Hub::new();
        let (tell, told) = std::sync::mpsc::channel();
        let sampler = Arc::clone(&hub);
        let thread = std::thread::spawn(move || {
            while sampler.wait(Duration::ZERO) {
                tell.send(()).unwrap();
            }
        });
        assert!(told.try_recv().is_err());
        let listener = hub.listen(Pace::Seen);
        told.recv().unwrap();
        drop(listener);
        hub.end();
        thread.join().unwrap();
    }
}

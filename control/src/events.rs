//! What happens in the lab, told to whoever listens: a bounded broadcast.
//!
//! The lab's event pump tells; each listener reads at its own pace from one common ring of
//! [`EVENTS_KEPT`]. A listener that falls behind loses the oldest and is told how many, in a
//! `missed` event at the place where they are missing. What is lost with a `missed` event counts as what that
//! one has told of. Telling never waits for a listener.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::broadcast;

use crate::api::{Event, EventKind};

/// Events kept for slow listeners, in all: a few hundred KB.
pub const EVENTS_KEPT: usize = 1024;

/// The teller's end. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    ring: broadcast::Sender<Told>,
    /// All that has been told so far. Held while something is told, and while somebody begins to listen.
    total: Arc<Mutex<u64>>,
    bell: Arc<OnceLock<Bell>>,
}

/// An event, and how many have been told with it, those counted in that were missed before they came here.
#[derive(Clone)]
struct Told {
    event: Arc<Event>,
    total: u64,
}

/// For how many events one stands.
fn weight(event: &Event) -> u64 {
    match event.kind {
        EventKind::Missed { count } => count,
        _ => 1,
    }
}

/// Rung by each new listener.
type Bell = Box<dyn Fn() + Send + Sync>;

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("listeners", &self.ring.receiver_count()).finish()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// A broadcast nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ring: broadcast::Sender::new(EVENTS_KEPT),
            total: Arc::default(),
            bell: Arc::default(),
        }
    }

    /// Tells all listeners. Without any, nothing is kept.
    pub fn tell(&self, event: Event) {
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        *total += weight(&event);
        // An error means that nobody listens.
        let _ = self.ring.send(Told { event: Arc::new(event), total: *total });
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.ring.receiver_count()
    }

    /// Whether telling is of any use.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.listeners() > 0
    }

    /// Has `bell` called after each new listener has come and before its request is answered, so
    /// that what happens after the answer is told. Once only; it must be quick.
    pub fn on_listen(&self, bell: impl Fn() + Send + Sync + 'static) {
        let _ = self.bell.set(Box::new(bell));
    }

    /// Listens, from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        let listener = {
            let total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
            Listener { ring: self.ring.subscribe(), heard: *total, next: None }
        };
        if let Some(ring) = self.bell.get() {
            ring();
        }
        listener
    }
}

/// A listener's end.
pub struct Listener {
    ring: broadcast::Receiver<Told>,
    /// What has been told up to the last event heard.
    heard: u64,
    /// What comes behind those that were missed.
    next: Option<Arc<Event>>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Listener {
    /// The next event, or a `missed` one where some were lost; None once the lab has ended.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if let Some(event) = self.next.take() {
            return Some(event);
        }
        loop {
            match self.ring.recv().await {
                Ok(Told { event, total }) => {
                    let count = (total - weight(&event)).saturating_sub(self.heard);
                    self.heard = total;
                    if count == 0 {
                        return Some(event);
                    }
                    self.next = Some(event);
                    return Some(Arc::new(Event::now(EventKind::Missed { count })));
                }
                // How many those stand for is said by the next one, which is there.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(count: u64) -> Event {
        Event { time: count, kind: EventKind::Aged { count } }
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_many_it_missed() {
        let events = Events::new();
        assert!(!events.heard());
        let (told, heard) = std::sync::mpsc::channel();
        events.on_listen(move || told.send(()).unwrap());
        let mut slow = events.listen();
        assert!(events.heard());
        heard.try_recv().unwrap();
        let told = EVENTS_KEPT as u64 + 300;
        for n in 0..told {
            events.tell(aged(n));
        }
        let first = slow.next().await.unwrap();
        assert_eq!(first.kind, EventKind::Missed { count: 300 });
        for n in 300..told {
            assert_eq!(*slow.next().await.unwrap(), aged(n));
        }
        drop(events);
        assert!(slow.next().await.is_none());
    }

    /// One that tells of others which were lost before counts as those, where it is lost itself.
    #[tokio::test]
    async fn what_is_missed_with_a_missed_event_is_counted_too() {
        let events = Events::new();
        events.tell(aged(0));
        let mut slow = events.listen();
        events.tell(Event { time: 0, kind: EventKind::Missed { count: 5_000 } });
        for n in 0..EVENTS_KEPT as u64 {
            events.tell(aged(n));
        }
        assert_eq!(slow.next().await.unwrap().kind, EventKind::Missed { count: 5_000 });
        for n in 0..EVENTS_KEPT as u64 {
            assert_eq!(*slow.next().await.unwrap(), aged(n));
        }
        events.tell(Event { time: 0, kind: EventKind::Missed { count: 7 } });
        assert_eq!(slow.next().await.unwrap().kind, EventKind::Missed { count: 7 });
    }
}

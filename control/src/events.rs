//! What happens in the lab, told to whoever listens: a bounded broadcast.
//!
//! The lab's event pump tells; each listener reads at its own pace from one common ring of
//! [`EVENTS_KEPT`]. A listener that falls behind loses the oldest and is told how many, in a
//! `missed` event at the place where they are missing. Telling never waits.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

use crate::api::{Event, EventKind};

/// Events kept for slow listeners, in all: a few hundred KB.
pub const EVENTS_KEPT: usize = 1024;

/// The teller's end. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    ring: broadcast::Sender<Arc<Event>>,
    bell: Arc<OnceLock<Bell>>,
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
        Self { ring: broadcast::Sender::new(EVENTS_KEPT), bell: Arc::default() }
    }

    /// Tells all listeners. Without any, nothing is kept.
    pub fn tell(&self, event: Event) {
        // An error means that nobody listens.
        let _ = self.ring.send(Arc::new(event));
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
        let listener = Listener { ring: self.ring.subscribe() };
        if let Some(ring) = self.bell.get() {
            ring();
        }
        listener
    }
}

/// A listener's end.
#[derive(Debug)]
pub struct Listener {
    ring: broadcast::Receiver<Arc<Event>>,
}

impl Listener {
    /// The next event, or a `missed` one where some were lost; None once the lab has ended.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        match self.ring.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => {
                Some(Arc::new(Event::now(EventKind::Missed { count })))
            }
            Err(broadcast::error::RecvError::Closed) => None,
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
}

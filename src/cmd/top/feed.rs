//! What comes from the lab: looks when asked for, events as they happen; each from a thread of its
//! own, so that a lab that is slow to answer holds up no key. Both end with the process.
//!
//! One queue of [`QUEUE`] messages: when it is full the threads wait, the lab counts the events it
//! cannot deliver, and says how many they were.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anyhow::Context;
use control::api::Event;
use control::{Client, ClientError};

use super::Watched;
use super::sample::{Sample, Want};
use crate::cmd::monitor;

/// Messages that wait to be handled.
const QUEUE: usize = 1024;
/// Until the event stream is asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// Failures in a row after which the lab counts as gone.
const FAILURES: u32 = 5;

/// What comes in.
pub(super) enum Message<Other> {
    /// A look, or why there is none.
    Look(Result<Box<Sample>, ClientError>),
    /// Something happened in the lab.
    Event(Event),
    /// The lab has ended.
    Ended,
    /// A thread died.
    Dead,
    /// From elsewhere.
    Other(Other),
}

/// How often in a row a look may fail before the lab counts as gone.
#[derive(Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// A look has come.
    pub(super) fn renew(&mut self) {
        self.failures = 0;
    }

    /// A look has failed. Gives what there is to say of it where the lab counts as gone.
    pub(super) fn lost(&mut self, error: &ClientError) -> Option<String> {
        self.failures += 1;
        match error {
            ClientError::NoLab(_) => Some(String::new()),
            _ if self.failures >= FAILURES => Some(format!(", or no longer answers: {error}")),
            _ => None,
        }
    }
}

/// The lab's side of the queue.
pub(super) struct Feed {
    asks: SyncSender<Want>,
}

/// The queue's two ends.
pub(super) type Ends<Other> = (SyncSender<Message<Other>>, Receiver<Message<Other>>);

/// A queue.
pub(super) fn queue<Other>() -> Ends<Other> {
    sync_channel(QUEUE)
}

impl Feed {
    /// Starts both threads.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub(super) fn start<Other: Send + 'static>(
        watched: &Watched<'_>,
        tell: &SyncSender<Message<Other>>,
    ) -> anyhow::Result<Self> {
        let (asks, asked) = sync_channel(1);
        let client = Client::new(&watched.socket)?;
        let network = watched.network.clone();
        spawn("looks", tell, move |tell| {
            for want in asked {
                let look = Sample::fetch(&client, want, network.as_deref()).map(Box::new);
                if tell.send(Message::Look(look)).is_err() {
                    return;
                }
            }
        })?;
        let (socket, network) = (watched.socket.clone(), watched.network.clone());
        spawn("events", tell, move |tell| events(&socket, network.as_deref(), tell))?;
        Ok(Self { asks })
    }

    /// Asks for a look. False where the one asked for before is still to come.
    pub(super) fn ask(&self, want: Want) -> bool {
        !matches!(self.asks.try_send(want), Err(TrySendError::Full(_)))
    }
}

/// A thread whose panic is told.
pub(super) fn spawn<Other: Send + 'static>(
    name: &str,
    tell: &SyncSender<Message<Other>>,
    work: impl FnOnce(&SyncSender<Message<Other>>) + Send + 'static,
) -> anyhow::Result<()> {
    struct Last<Other>(SyncSender<Message<Other>>);
    impl<Other> Drop for Last<Other> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let _ = self.0.send(Message::Dead);
            }
        }
    }
    let last = Last(tell.clone());
    let body = move || work(&last.0);
    std::thread::Builder::new().name(name.into()).spawn(body).context("starting a thread")?;
    Ok(())
}

/// Tells events until the lab is gone.
fn events<Other>(socket: &Path, network: Option<&str>, tell: &SyncSender<Message<Other>>) {
    let wanted = |event: &Event| network.is_none_or(|network| monitor::is_of(&event.kind, network));
    let mut failures = 0;
    while failures < FAILURES {
        let Ok(client) = Client::new(socket) else { return };
        match client.events() {
            Ok(stream) => {
                failures = 0;
                for event in stream.map_while(Result::ok).filter(wanted) {
                    if tell.send(Message::Event(event)).is_err() {
                        return;
                    }
                }
            }
            Err(ClientError::NoLab(_)) => break,
            Err(_) => failures += 1,
        }
        std::thread::sleep(AGAIN);
    }
    let _ = tell.send(Message::Ended);
}

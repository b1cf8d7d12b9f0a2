//! Has the kernel forward for a port, once the first flow comes in by it.
//!
//! To attach a program takes the kernel some ten milliseconds, in which it waits for all its cores
//! with the lock of all links held; to take one away costs as much. So it is done by a thread of its
//! own, for the ports alone that have something to repeat: until then their frames go by the ring, as
//! the first ones do anyway. The same thread waits until places that flows have left are free.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bpf::Programs;
use crossbeam_channel::{Receiver, Sender, bounded};
use sys::bpf::Attached;

use super::book::Book;
use super::flow::Across;
use crate::core::PortId;

/// What may wait to be done; whoever comes when it is full asks again with the next frame.
const ASKS: usize = 256;

pub(super) enum Ask {
    Attach {
        port: PortId,
        ifindex: u32,
        across: Option<Across>,
    },
    Detach(Vec<Attached>),
    /// Waits until nothing is under way by flows that have ended.
    Grace,
}

/// The thread, while it is held.
pub(super) struct Porter {
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
}

impl Porter {
    /// Starts it, for the interfaces of one namespace.
    pub(super) fn start(
        home: Arc<OwnedFd>,
        programs: Arc<Programs>,
        book: Arc<Mutex<Book>>,
    ) -> io::Result<Self> {
        let (asks, asked) = bounded(ASKS);
        let builder = std::thread::Builder::new().name("porter".into());
        let thread = builder.spawn(move || serve(&home, &programs, &book, &asked))?;
        Ok(Self { asks: Some(asks), thread: Some(thread) })
    }

    /// False where too much waits already: then it is not done.
    pub(super) fn ask(&self, ask: Ask) -> bool {
        self.asks.as_ref().is_some_and(|asks| asks.try_send(ask).is_ok())
    }
}

impl Drop for Porter {
    fn drop(&mut self) {
        drop(self.asks.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(home: &OwnedFd, programs: &Programs, book: &Mutex<Book>, asked: &Receiver<Ask>) {
    let here = sys::netns::enter(home.as_fd());
    if let Err(error) = &here {
        // Every port is told so, for its frames do not wait.
        tracing::error!("the kernel repeats nothing: {error}");
    }
    for ask in asked {
        let (port, ifindex, across) = match ask {
            Ask::Attach { port, ifindex, across } => (port, ifindex, across),
            Ask::Detach(attached) => {
                drop(attached);
                continue;
            }
            Ask::Grace => {
                let number = lock(book).grace_begins();
                super::grace();
                lock(book).grace_ended(number);
                lock(book).grace_served();
                continue;
            }
        };
        let attached = here.is_ok().then(|| match &across {
            None => programs.attach(ifindex).map(|attached| vec![attached]),
            Some(across) => cross(programs, ifindex, across),
        });
        if let Some(Err(error)) = &attached {
            // It may have gone meanwhile.
            tracing::debug!("the kernel repeats nothing of interface {ifindex}: {error}");
        }
        let attached = attached.and_then(Result::ok);
        let mut known = lock(book);
        let late = known.attached(port, ifindex, attached);
        drop(known);
        // Where the port is no more, it is taken away without the lock.
        drop(late);
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same for an interface of another namespace. What comes across goes on at both ends before
/// anything is sent there.
fn cross(programs: &Programs, ifindex: u32, across: &Across) -> io::Result<Vec<Attached>> {
    let Across { netns, ends: [near, far] } = across;
    let mut all = vec![programs.attach_crossing(*near)?];
    all.extend(sys::netns::inside(netns.as_fd(), || {
        let far = programs.attach_crossing(*far)?;
        Ok([far, programs.attach_uplink(bpf::here(ifindex))?])
    })?);
    Ok(all)
}

//! Frames that a packet socket cannot be told of: where they leave, and what makes of them what they are.
//!
//! Segments in a tunnel leave whole by a detour, on which a program of the kernel finishes them
//! ([`bpf::finish`]), or as the packets they stand for: where the kernel has no such program, where the
//! port is of another kind than a node's, and until the program is in its place. That is done by a
//! thread of its own when the first such frame has come, for it takes the kernel some milliseconds, and
//! a worker may not.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use bpf::finish::{Finish, Kind};
use crossbeam_channel::{Receiver, Sender, bounded};
use sys::bpf::Attached;
use sys::packet::Detour;

/// What the thread is told.
enum Ask {
    Begin,
    End,
}

/// The way by the loopback, as workers see it.
pub(super) struct Way {
    /// The loopback's index once it finishes frames; 0 until then.
    via: AtomicU32,
    asked: AtomicBool,
    asks: Sender<Ask>,
}

impl Way {
    /// How a frame of this kind gets to an interface. None where it does not, or not yet.
    pub(super) fn detour(&self, kind: Kind, to: u32) -> Option<Detour> {
        let via = self.via.load(Ordering::Acquire);
        if via == 0 {
            if !self.asked.swap(true, Ordering::Relaxed) {
                let _ = self.asks.try_send(Ask::Begin);
            }
            return None;
        }
        Some(Detour { via, mark: kind.mark(to)?, to })
    }
}

#[cfg(test)]
impl Way {
    /// One by the interface with this number, or none yet.
    pub(super) fn by(via: u32) -> Arc<Self> {
        let (asks, _) = bounded(1);
        Arc::new(Self { via: AtomicU32::new(via), asked: AtomicBool::new(false), asks })
    }

    /// Whether a frame has asked for it.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self, via: u32) {
        self.via.store(via, Ordering::Release);
    }
}

/// The thread, while it is held.
pub(super) struct Finisher {
    way: Arc<Way>,
    thread: Option<JoinHandle<()>>,
}

impl Finisher {
    /// Starts it, for one namespace.
    pub(super) fn start(home: Arc<OwnedFd>) -> std::io::Result<Self> {
        let (asks, asked) = bounded(2);
        let way = Arc::new(Way { via: AtomicU32::new(0), asked: AtomicBool::new(false), asks });
        let told = Arc::clone(&way);
        let builder = std::thread::Builder::new().name("finisher".into());
        let thread = builder.spawn(move || serve(&home, &told, &asked))?;
        Ok(Self { way, thread: Some(thread) })
    }

    pub(super) fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way)
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        let _ = self.way.asks.send(Ask::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(home: &OwnedFd, way: &Way, asked: &Receiver<Ask>) {
    let mut held = None;
    while let Ok(Ask::Begin) = asked.recv() {
        match begin(home) {
            Ok((via, attached)) => {
                held = Some(attached);
                way.via.store(via, Ordering::Release);
            }
            Err(error) => tracing::info!("segments in tunnels leave one by one: {error}"),
        }
    }
    // No worker is left that could send by it.
    drop(held);
}

fn begin(home: &OwnedFd) -> Result<(u32, Attached), bpf::Error> {
    let finish = Finish::load()?;
    Ok(sys::netns::inside(home.as_fd(), || {
        let via = sys::netns::loopback_up()?;
        Ok((via, finish.attach(via)?))
    })?)
}

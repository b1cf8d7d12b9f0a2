//! The keeper: a thread that opens another ring where a worker finds that its own has stopped, for
//! a worker neither enters a namespace nor opens a socket.
//!
//! Started and ended by the handle. Asks wait in a bounded channel; what finds no room is asked
//! again. Where no ring can be had the worker is told so, and asks again at its next look.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bpf::Lane;
use crossbeam_channel::{Receiver, Sender, bounded};
use sys::packet::{Pass, RingConfig, Spare};

use super::command::Command;
use super::config::Error;
use super::config::Event;
use super::fast::FastPath;
use super::link::Link;
use super::outbox::Links;
use super::running::Teller;
use super::worker::{MAIN, UPLINK, Worker, now};

/// Asks on their way.
const ASKS: usize = 16;

/// A worker's ring has stopped.
pub(super) struct Ask {
    pub(super) worker: usize,
    pub(super) uplink: bool,
}

/// How a worker's ring was opened.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) netns: Arc<OwnedFd>,
    pub(super) config: RingConfig,
    pub(super) pass: Pass,
    /// Whose program stands before it, and which.
    pub(super) fast: Option<(Arc<FastPath>, Lane)>,
}

impl Recipe {
    fn open(&self) -> std::io::Result<Spare> {
        sys::netns::inside(self.netns.as_fd(), || match &self.fast {
            Some((fast, lane)) => fast.spare(*lane, self.config),
            None => Spare::open(self.config, &self.pass),
        })
    }
}

/// Of each worker: how its ring was opened, and that of the uplink elsewhere.
#[derive(Default)]
pub(super) struct Recipes {
    pub(super) main: Vec<Recipe>,
    pub(super) uplink: Vec<Recipe>,
}

/// The running keeper.
pub(super) struct Keeper {
    pub(super) recipes: Arc<Mutex<Recipes>>,
    asks: Option<Sender<Ask>>,
    asked: Receiver<Ask>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        let (asks, asked) = bounded(ASKS);
        Self { recipes: Arc::default(), asks: Some(asks), asked, thread: None }
    }

    /// The means to ask, for a worker.
    pub(super) fn asks(&self) -> Option<Sender<Ask>> {
        self.asks.clone()
    }

    /// Starts the thread, which answers these workers.
    pub(super) fn start(&mut self, workers: Vec<Teller>) -> Result<(), Error> {
        let (asked, recipes) = (self.asked.clone(), Arc::clone(&self.recipes));
        let (ready, waits) = bounded(1);
        let serve = move || {
            // What waiting takes of memory it takes now, and not beside frames that pass.
            let early = asked.recv_timeout(Duration::from_millis(1)).ok();
            let _ = ready.send(());
            let mut told = false;
            for ask in early.into_iter().chain(asked) {
                let known = recipes.lock().unwrap_or_else(PoisonError::into_inner);
                let of = if ask.uplink { &known.uplink } else { &known.main };
                let recipe = of.get(ask.worker).cloned();
                drop(known);
                let spare = recipe.map(|recipe| recipe.open());
                tell(&spare, &ask, &mut told);
                let spare = spare.and_then(Result::ok).map(Box::new);
                if let Some(worker) = workers.get(ask.worker) {
                    // One that has ended needs no ring.
                    let _ = worker.tell(Command::Ring { uplink: ask.uplink, spare });
                }
            }
        };
        let builder = std::thread::Builder::new().name("keeper".into());
        self.thread = Some(builder.spawn(serve).map_err(Error::Thread)?);
        // Where it has ended there is nothing to wait for.
        let _ = waits.recv();
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The workers have ended before, and with them their means to ask.
        drop(self.asks.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<L: Link> Worker<L> {
    /// Puts another ring in the place of one that has stopped.
    pub(super) fn renew(&mut self, uplink: bool, spare: Option<Box<L::Spare>>) {
        let pulse = &mut self.pulses[if uplink { UPLINK } else { MAIN }];
        let Links { main, uplink: other, .. } = &mut self.links;
        let (Some(spare), Some(io)) = (spare, if uplink { other.as_mut() } else { Some(main) })
        else {
            return pulse.refused();
        };
        match io.replace(*spare) {
            Ok(last) => {
                self.cells.ring_packets.add(last.packets);
                self.cells.ring_drops.add(last.drops);
                let lane = if uplink { Lane::Uplink } else { Lane::Ports };
                self.scribe.passed(lane, last.drops);
                self.cells.rings_renewed.add(1);
                let lost = pulse.renewed(last.drops, now());
                if self.events.try_send(Event::Renewed { uplink, lost }).is_err() {
                    self.cells.events_lost.add(1);
                }
            }
            Err(error) => {
                tracing::error!("a ring that had stopped was opened anew in vain: {error}");
                pulse.refused();
            }
        }
    }
}

/// The first time aloud: a node that stops rings over and over must not fill the log.
fn tell(spare: &Option<std::io::Result<Spare>>, ask: &Ask, told: &mut bool) {
    let whose = if ask.uplink { "the uplink" } else { "the nodes" };
    match spare {
        None => {}
        Some(Ok(_)) if !std::mem::replace(told, true) => tracing::warn!(
            "a frame of a kind the kernel cannot hand over has stopped the ring of {whose}: it is \
             opened anew, now and whenever that happens again (`show counters` says how often)"
        ),
        Some(Ok(_)) => tracing::debug!("the ring of {whose} is opened anew"),
        Some(Err(error)) => {
            tracing::error!("the ring of {whose} has stopped and cannot be opened anew: {error}");
        }
    }
}

//! Looking at frames: captures, traces and explanations, asked for at the control door.
//!
//! ```text
//!   worker ─► recorder::Fan (the tap) ─► a watcher's bounded queue ─► run::Task (its own thread)
//!                 filter, copy                full: lost, counted        capture | trace ─► client
//!   explain: the same facts by asking the same decisions ─► walk ─► the same steps
//! ```
//!
//! At most [`WATCHERS`] at once, each with at most 28 MiB of buffers. Without one there is no tap, and
//! the data path does nothing for this folder.

mod asked;
mod capture;
mod explain;
mod foretell;
mod imagined;
mod journey;
mod kernel;
mod kernel6;
mod missed;
mod names;
mod present;
mod question;
mod recorder;
mod run;
mod selection;
#[cfg(test)]
mod tests;
mod trace;
mod walk;
mod why;

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use control::api::{CaptureAsk, ExplainAsk, TraceAsk, Walk};
use control::{DoorError, Flow, flow};
use observe::filter::{Filter, Host, Known};
use switch::Tap;

use capture::Capture;
use lab::{Lab, station};
use names::Names;
use recorder::{Fan, Watcher, Watchers, Wish};
use run::{Sink, Task};
use selection::Selection;
use trace::Trace;

/// Watchers at once.
const WATCHERS: usize = 8;
/// Bytes of a frame a capture may hold.
const SNAP: usize = 262_144;

/// How long the lab waits at its end for watchers to tell theirs, in nanoseconds.
const ENDING: u64 = 1_000_000_000;

/// All that looks at a lab's frames.
pub(crate) struct Watch {
    lab: Weak<Lab>,
    watchers: Watchers,
}

impl Watch {
    /// Of a lab at which nobody looks.
    pub(crate) fn new(lab: &Arc<Lab>) -> Arc<Self> {
        Arc::new(Self { lab: Arc::downgrade(lab), watchers: Watchers::default() })
    }

    fn lab(&self) -> Option<Arc<Lab>> {
        self.lab.upgrade()
    }

    /// Frames from now on, as pcapng.
    pub(crate) fn capture(self: &Arc<Self>, ask: &CaptureAsk) -> Result<Flow, DoorError> {
        let lab = self.lab_now()?;
        let names = Names::of(&lab);
        let ports = Selection::of(&lab, &names, &ask.ports, None)?;
        let snap = ask.snaplen.map_or(SNAP, |snap| snap.clamp(1, SNAP));
        let filter = filter(&lab, &ask.filter)?;
        // What is to be cut into segments has to be whole first.
        let copied = if ask.segment { SNAP } else { snap };
        let sink = Capture::new(ask, snap, ports.list(&names), &names, run::counted(&lab));
        let wish = Wish { filter, ports, snap: copied };
        self.start(wish, sink, names, ask.count.unwrap_or(u64::MAX))
    }

    /// The walks of frames from now on.
    pub(crate) fn trace(self: &Arc<Self>, ask: &TraceAsk) -> Result<Flow, DoorError> {
        let lab = self.lab_now()?;
        let names = Names::of(&lab);
        let ports = Selection::of(&lab, &names, &ask.ports, ask.network.as_deref())?;
        let filter = filter(&lab, &ask.filter)?;
        let wish = Wish { filter, ports, snap: SNAP };
        self.start(wish, Trace::default(), names, ask.count.unwrap_or(u64::MAX))
    }

    /// The walk of an imagined packet.
    pub(crate) fn explain(&self, ask: &ExplainAsk) -> Result<Walk, DoorError> {
        let lab = self.lab_now()?;
        explain::explain(&lab, ask)
    }

    /// Asks a watcher to end in an orderly way.
    pub(crate) fn end(&self, id: u64) -> Result<(), DoorError> {
        let ended = self.watchers.change(
            |list| {
                let found = list.iter().find(|watcher| watcher.id == id);
                found.map(|watcher| watcher.ending.store(true, Ordering::Relaxed))
            },
            |_| {},
        );
        ended.ok_or_else(|| DoorError::NotFound(format!("nobody looks under the number {id}")))
    }

    /// Asks all watchers to end in an orderly way, and waits until they have, for [`ENDING`] at
    /// most: a client that does not read holds nobody up.
    pub(crate) fn end_all(&self) {
        let watching = self.watchers.change(
            |list| {
                list.iter().for_each(|watcher| watcher.ending.store(true, Ordering::Relaxed));
                list.clone()
            },
            |_| {},
        );
        let over = |watcher: &Arc<Watcher>| watcher.ended.load(Ordering::Relaxed);
        let limit = sys::clock::now() + ENDING;
        while !watching.iter().all(over) && sys::clock::now() < limit {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn lab_now(&self) -> Result<Arc<Lab>, DoorError> {
        let lab = self.lab().ok_or_else(|| DoorError::Failed("the lab is ending".into()))?;
        if lab.with_switch(|_| ()).is_none() {
            return Err(DoorError::Unsupported(format!(
                "lab {} is a {} and has no switch to look at: the topology `switch` has one",
                lab.config().name,
                lab.config().topology()
            )));
        }
        Ok(lab)
    }

    fn start<S: Sink>(
        self: &Arc<Self>,
        wish: Wish,
        sink: S,
        names: Names,
        count: u64,
    ) -> Result<Flow, DoorError> {
        let id = self.watchers.next.fetch_add(1, Ordering::Relaxed) + 1;
        let (watcher, sightings) = Watcher::new(id, wish);
        let roster = self.lab_now()?.with_switch(switch::Switch::roster).unwrap_or_default();
        let (writer, flow) = flow(id);
        let watch = Arc::downgrade(self);
        let task = Task {
            watch: watch.clone(),
            watcher: Arc::clone(&watcher),
            sightings,
            names,
            roster,
            sink,
            writer,
            count,
        };
        let added = self.watchers.change(
            |list| {
                let room = list.len() < WATCHERS;
                if room {
                    list.push(watcher);
                }
                room
            },
            |list| self.set_tap(list),
        );
        if !added {
            let line = format!("{WATCHERS} look at frames already: end one of them first");
            return Err(DoorError::Conflict(line));
        }
        let thread = std::thread::Builder::new().name(format!("watch-{id}"));
        if let Err(error) = thread.spawn(move || {
            task.run();
            // What the frames lay in may have been the most this process had.
            if watch.upgrade().is_some_and(|watch| watch.watchers.is_empty()) {
                sys::memory::give_back();
            }
        }) {
            self.remove(id);
            return Err(DoorError::Failed(format!("starting a thread: {error}")));
        }
        Ok(flow)
    }

    /// Takes a watcher out of the tap.
    fn remove(&self, id: u64) {
        let gone = |list: &mut Vec<Arc<Watcher>>| list.retain(|watcher| watcher.id != id);
        self.watchers.change(gone, |list| self.set_tap(list));
    }

    fn set_tap(&self, list: &[Arc<Watcher>]) {
        let Some(lab) = self.lab() else { return };
        lab.with_gateway(|gateway| {
            // Notes that are being taken go on: only the first and the last watcher change it.
            if gateway.note().is_some() == list.is_empty() {
                gateway.take_notes(!list.is_empty());
            }
        });
        let tap = (!list.is_empty()).then(|| Arc::new(Fan(list.to_vec())) as Arc<dyn Tap>);
        if let Some(Err(error)) = lab.with_switch(|switch| switch.set_tap(tap)) {
            tracing::warn!("frames cannot be looked at: {error}");
        }
    }
}

/// A filter in which nodes' names stand for their addresses.
fn filter(lab: &Lab, text: &str) -> Result<Filter, DoorError> {
    let nodes = lab.nodes();
    let host = |name: &str| {
        let node = nodes.iter().find(|node| node.name == name);
        let own = node.into_iter().flat_map(|node| &node.interfaces);
        let host = |own: &lab::Interface| Host {
            address: own.ipv4().map(|(address, _)| address.into()),
            mac: Some(own.mac),
        };
        own.map(host).collect()
    };
    let prefix = lab.with_spec(station::first_gateway).map(|(_, prefix)| prefix);
    let mask = |prefix: u8| u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    let netmask = prefix.map(|prefix| Ipv4Addr::from_bits(mask(prefix)));
    Filter::parse(text, &Known { host: &host, netmask })
        .map_err(|error| DoorError::Invalid(error.to_string()))
}

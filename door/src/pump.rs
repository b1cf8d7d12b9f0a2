//! The event pump: a thread that turns what happened into the door's events while somebody
//! listens, and samples ports once a second always.
//!
//! Bounded on all sides: it takes at most [`BURST`] of the switch's events and a queue of the
//! gateway's each [`BEAT`]; what does not fit is lost where it arose, counted there, and told here
//! as `missed`. The gateway keeps session events only while somebody listens, so that opening a
//! session costs nothing otherwise. The thread ends with the lab, which it holds weakly.

use std::net::Ipv4Addr;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use control::Door;
use control::api::{Event, EventKind};
use crossbeam_channel::{Receiver, Sender, bounded};
use lab::Lab;
use wire::Timestamp;

use crate::error::{Error, Result};
use crate::names;
use crate::open::{LabDoor, now};
use crate::tell::{self, Drops, Names};
use crate::{bridge, change, network, tunnel};

/// How often events are fetched while somebody listens.
const BEAT: Duration = Duration::from_millis(50);
/// Most events of the switch told in one beat: 20,000 a second.
const BURST: usize = 1000;
/// How often ports are sampled and drops summed up.
const SECOND: Duration = Duration::from_secs(1);

/// The running pump; dropping it ends the thread.
pub(crate) struct Pump {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

enum Wake {
    Heard,
    Stop,
}

impl Pump {
    /// Starts the thread, which tells what happens in `lab` through `door`.
    pub(crate) fn start(lab: &Arc<Lab>, door: &Arc<LabDoor>) -> Result<Self> {
        let (wake, woken) = bounded(1);
        let (bell, listening) = (wake.clone(), Arc::downgrade(door));
        let switch = lab.with_switch(switch::Switch::events);
        let old = switch.clone();
        door.events().on_listen(move || {
            if let Some(door) = listening.upgrade() {
                keep(&door);
                if door.events().listeners() == 1 {
                    discard(old.as_ref());
                }
            }
            // Where the channel is full the thread wakes anyway.
            let _ = bell.try_send(Wake::Heard);
        });
        let teller = Teller {
            lab: Arc::downgrade(lab),
            door: Arc::downgrade(door),
            switch,
            names: Names::default(),
            version: 0,
            drops: Drops::new(),
            lost: None,
        };
        let thread = std::thread::Builder::new()
            .name("events".into())
            .spawn(move || run(teller, &woken))
            .map_err(Error::Thread)?;
        Ok(Self { wake, thread: Some(thread) })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        // It takes what is in the channel soon, so this waits for no more than a beat's work.
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// Has the gateway keep session events exactly while somebody listens: decided under its lock, so
/// that a listener who comes meanwhile is not forgotten.
fn keep(door: &LabDoor) {
    let _ = door.gateway(|gateway| gateway.keep_events(door.events().heard()));
    if let Ok(lab) = door.lab() {
        lab.with_resolver(|names| names.keep_questions(door.events().heard()));
    }
}

/// What the first listener has come too late for.
fn discard(events: Option<&Receiver<switch::Event>>) {
    if let Some(events) = events {
        // No more than the queue holds, however fast it fills.
        events.try_iter().take(events.capacity().unwrap_or(BURST)).for_each(drop);
    }
}

fn run(mut teller: Teller, woken: &Receiver<Wake>) {
    let mut heard = false;
    let mut second = now() + SECOND;
    loop {
        let until = second.since(now());
        match woken.recv_timeout(if heard { BEAT.min(until) } else { until }) {
            Ok(Wake::Stop) => return teller.last(),
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return,
            Ok(Wake::Heard) | Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
        }
        let (Some(lab), Some(door)) = (teller.lab.upgrade(), teller.door.upgrade()) else { return };
        let listened = door.events().heard();
        if listened {
            teller.tell(&lab, &door, heard);
        } else {
            teller.forget();
            drop(lab.take_withdrawn());
            drop(lab.take_host_events());
            drop(lab.take_resized());
            if heard {
                keep(&door);
            }
        }
        heard = listened;
        let now = now();
        if second <= now {
            second = now + SECOND;
            teller.second(&lab, &door, heard, now);
        }
    }
}

struct Teller {
    lab: Weak<Lab>,
    door: Weak<LabDoor>,
    switch: Option<Receiver<switch::Event>>,
    names: Names,
    /// The switch's roster when they were last looked up.
    version: u64,
    /// Drops so far, as of the last second; none when the lab begins.
    drops: Drops,
    /// Events lost at their source so far.
    lost: Option<u64>,
}

impl Teller {
    /// Nobody listens: what has happened is of no use any more.
    fn forget(&mut self) {
        discard(self.switch.as_ref());
        self.lost = None;
    }

    fn tell(&mut self, lab: &Lab, door: &LabDoor, before: bool) {
        let lost = lost(lab);
        let missed = lost.saturating_sub(self.lost.unwrap_or(lost));
        self.lost = Some(lost);
        if missed > 0 {
            door.events().tell(Event::now(EventKind::Missed { count: missed }));
        }
        self.tell_switch(lab, door, before);
        change::tell_withdrawn(door, lab);
        for event in lab.take_host_events() {
            door.events().tell(Event::now(tunnel::happened(event)));
        }
        for resized in lab.take_resized() {
            door.events().tell(Event::now(network::resized(lab, resized)));
        }
        door.asides().drain(..).for_each(|event| door.events().tell(event));
        tell_sessions(lab, door, now());
        self.tell_questions(lab, door);
    }

    /// The door is about to be shut: what has happened since the last beat is told to whoever listens.
    fn last(&mut self) {
        let both = self.lab.upgrade().zip(self.door.upgrade());
        if let Some((lab, door)) = both.filter(|(_, door)| door.events().heard()) {
            self.tell(&lab, &door, true);
        }
    }

    fn tell_questions(&mut self, lab: &Lab, door: &LabDoor) {
        let fetched = lab.with_resolver(|names| names.questions().collect::<Vec<_>>());
        for question in fetched.unwrap_or_default() {
            let kind = names::asked(question.clone(), self.names.of(question.way.port()));
            door.events().tell(Event::now(kind));
        }
    }

    fn tell_switch(&mut self, lab: &Lab, door: &LabDoor, before: bool) {
        let Some(events) = self.switch.clone() else { return };
        // Names are looked up once a beat at most: a flood of strange events must not cost more.
        let mut looked = false;
        let version = lab.with_switch(|switch| switch.roster().version()).unwrap_or_default();
        if !before || std::mem::replace(&mut self.version, version) != version {
            self.look(lab);
        }
        for event in events.try_iter().take(BURST) {
            // No frame adds a port.
            let is_new = matches!(event, switch::Event::Added { .. });
            if !self.names.cover(&event) && (is_new || !looked) {
                self.look(lab);
                looked = true;
            }
            // What a port's node did is told before the port goes.
            if matches!(event, switch::Event::Removed { .. }) {
                tell_sessions(lab, door, now());
            }
            door.events().tell(Event::now(self.names.tell(&event)));
        }
    }

    fn look(&mut self, lab: &Lab) {
        if let Some(ports) = lab.with_switch(switch::Switch::ports) {
            self.names.learn(&ports, &bridge::networks(lab));
        }
    }

    /// A second has passed.
    fn second(&mut self, lab: &Lab, door: &LabDoor, heard: bool, now: Timestamp) {
        if let Some(ports) = lab.with_switch(switch::Switch::ports) {
            door.rates().sample(&ports, now);
        }
        let switch = lab.with_switch(switch::Switch::counters);
        let gateway = lab.with_gateway(|gateway| gateway.counters());
        let drops = tell::drops(switch.as_ref(), gateway.as_ref());
        if heard {
            for kind in tell::dropped(&self.drops, &drops) {
                door.events().tell(Event::now(kind));
            }
        }
        self.drops = drops;
    }
}

fn tell_sessions(lab: &Lab, door: &LabDoor, now: Timestamp) {
    // Fetched under the lock, told outside it.
    let fetched = lab.with_gateway(|gateway| {
        let own = gateway.uplink_address().map_or(Ipv4Addr::UNSPECIFIED, |own| own.address);
        (gateway.drain_events().collect::<Vec<_>>(), own)
    });
    let Some((events, own)) = fetched else { return };
    for event in &events {
        door.events().tell(Event::now(tell::session(event, own, now)));
    }
}

fn lost(lab: &Lab) -> u64 {
    let switch = lab.with_switch(|switch| switch.counters().events_lost).unwrap_or(0);
    let sessions = lab.with_gateway(|gateway| gateway.counters().nat.events_lost).unwrap_or(0);
    switch + sessions + lab.with_resolver(|names| names.counters().events_lost).unwrap_or(0)
}

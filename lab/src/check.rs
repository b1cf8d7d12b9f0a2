//! The pings that show a lab works, each sent from inside its node by our own pinger. A few run at
//! a time; results are told in their order.
//!
//! In a crowd two things would fail pings of a lab that works. What the nodes say as they come up
//! is flooded to all of them, so the pings wait until the switch is through with it; and the kernel
//! holds 1,024 neighbours over all namespaces, so both ends of a ping forget each other again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::bounded;

use crate::blueprint::CheckPlan;
use crate::error::{Doing, Result};
use crate::lab::{Held, Lab, State};

/// How long an answer is waited for: a lab on a busy machine is no broken one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pings at the same time.
const AT_ONCE: usize = 16;
/// With more checks than this each sends a single probe.
const MANY: usize = 12;

/// More nodes than this are a crowd. A ping makes a neighbour at both ends, and the kernel gives up
/// none that is in use or fresh.
const CROWD: usize = 256;
/// A crowd is calm once the switch has flooded nothing for so long; so many such spans (30 s) are
/// waited at most, for somebody may really have that much to say.
const CALM: Duration = Duration::from_millis(300);
const SPANS: usize = 100;

/// One ping, and what came of it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The node it started from.
    pub from: String,
    /// What the destination is called.
    pub to_name: String,
    /// Where it went.
    pub to: Ipv4Addr,
    /// What came of it; an error where it could not even be sent.
    pub report: std::result::Result<icmp::Report, String>,
}

impl Checked {
    /// Whether every probe was answered.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.report.as_ref().is_ok_and(|r| r.sent > 0 && r.received == r.sent)
    }
}

/// Sends the pings of `lab` until done or `stop` is set; `tell` gets each result, in order. Says
/// whether all were answered.
///
/// # Errors
/// Where no thread is to be had.
pub fn run(lab: &Lab, stop: &AtomicBool, mut tell: impl FnMut(&Checked)) -> Result<bool> {
    let checks = lab.checks();
    if checks.len() > CROWD {
        calm(lab, stop);
    }
    let next = AtomicUsize::new(0);
    let (results, arriving) = bounded(AT_ONCE);
    let (mut good, mut told) = (true, 0);
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..AT_ONCE.min(checks.len()) {
            let (results, next) = (results.clone(), &next);
            let work = move || {
                while !stop.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(check) = checks.get(place) else { return };
                    if results.send((place, one(lab, check, checks.len() > MANY, stop))).is_err() {
                        return;
                    }
                }
            };
            match std::thread::Builder::new().name("check".into()).spawn_scoped(scope, work) {
                Ok(_) => started += 1,
                // Fewer at a time do as well.
                Err(_) if started > 0 => break,
                Err(error) => {
                    return Err(error).doing(|| "starting a thread for the checks".into());
                }
            }
        }
        drop(results);
        // Bounded by the pings at once: a result waits only for those before it.
        let mut early = BTreeMap::new();
        for (place, checked) in arriving {
            early.insert(place, checked);
            while let Some(checked) = early.remove(&told) {
                good &= checked.ok();
                tell(&checked);
                told += 1;
            }
        }
        Ok(good && told == checks.len())
    })
}

/// Waits until the switch floods nothing more.
fn calm(lab: &Lab, stop: &AtomicBool) {
    let flooded = || lab.with_switch(|switch| switch.counters().flooded);
    let mut before = flooded();
    for _ in 0..SPANS {
        if before.is_none() || stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(CALM);
        let now = flooded();
        if now == before {
            return;
        }
        before = now;
    }
}

fn one(lab: &Lab, check: &CheckPlan, single: bool, stop: &AtomicBool) -> Checked {
    let (from, netns) = origin(lab, check.from);
    let options = icmp::Options {
        count: Some(if single { 1 } else { 3 }),
        interval: Duration::from_millis(50),
        patience: icmp::Patience::Each(PATIENCE),
        ..icmp::Options::default()
    };
    // The thread is the checks' own, and goes from node to node.
    let ping = |netns: std::os::fd::BorrowedFd<'_>| {
        sys::netns::enter(netns)?;
        icmp::ping(check.to, options, &icmp::Route::default(), stop, &mut |_, _| {})
            .map_err(std::io::Error::other)
    };
    let report = match netns {
        Some(netns) => ping(netns.as_fd()).map_err(|e| e.to_string()),
        None => Err("the node is gone".into()),
    };
    if lab.checks().len() > CROWD {
        forget(lab, check);
    }
    Checked { from, to_name: check.to_name.clone(), to: check.to, report }
}

/// Both ends of a check forget each other, as they would in time.
fn forget(lab: &Lab, check: &CheckPlan) {
    for (netns, neighbour) in ends(lab, check) {
        if let Err(error) = ns::neighbour::forget(netns.as_fd(), neighbour) {
            tracing::debug!("{error}");
        }
    }
}

/// The name and the namespace of the node a check starts from.
fn origin(lab: &Lab, place: usize) -> (String, Option<OwnedFd>) {
    let state = lab.state();
    at(&state, place).map_or((format!("net{}", place + 1), None), |held| {
        (held.node.name.clone(), held.home.descriptor().ok())
    })
}

/// The nodes at the ends of a check, each with the neighbour it meets there.
fn ends(lab: &Lab, check: &CheckPlan) -> Vec<(OwnedFd, Ipv4Addr)> {
    let state = lab.state();
    let from = at(&state, check.from);
    let to = state.nodes.iter().find(|held| held.node.interface(check.to).is_some());
    let own = from.and_then(|held| held.node.ipv4());
    let ends = [from.map(|held| (held, check.to)), to.zip(own)];
    let open = |(held, address): (&Held, _)| Some((held.home.descriptor().ok()?, address));
    ends.into_iter().flatten().filter_map(open).collect()
}

/// The node a plan has at this place.
fn at(state: &State, place: usize) -> Option<&Held> {
    state.nodes.iter().find(|held| u32::try_from(place + 1) == Ok(held.node.number))
}

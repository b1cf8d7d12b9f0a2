//! The pings that show a lab works, each sent from inside its node by our own pinger. A few run at
//! a time; results are told in their order.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::bounded;

use crate::lab::Lab;
use crate::topology::CheckPlan;

/// Pings at the same time.
const AT_ONCE: usize = 16;
/// With more checks than this each sends a single probe.
const MANY: usize = 12;

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
    pub report: Result<icmp::Report, String>,
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
pub fn run(lab: &Lab, stop: &AtomicBool, mut tell: impl FnMut(&Checked)) -> bool {
    let checks = lab.checks();
    let next = AtomicUsize::new(0);
    let (results, arriving) = bounded(AT_ONCE);
    let mut good = true;
    let mut told = 0;
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(checks.len()) {
            let (results, next) = (results.clone(), &next);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(check) = checks.get(place) else { return };
                    if results.send((place, one(lab, check, checks.len() > MANY, stop))).is_err() {
                        return;
                    }
                }
            });
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
    });
    good && told == checks.len()
}

fn one(lab: &Lab, check: &CheckPlan, single: bool, stop: &AtomicBool) -> Checked {
    let (from, netns) = lab.check_origin(check.from);
    let options = icmp::Options {
        count: Some(if single { 1 } else { 3 }),
        interval: Duration::from_millis(50),
        patience: icmp::Patience::Each(Duration::from_secs(2)),
        ..icmp::Options::default()
    };
    let ping = |netns: std::os::fd::BorrowedFd<'_>| {
        sys::netns::inside(netns, || {
            icmp::ping(check.to, options, &icmp::Route::default(), stop, &mut |_, _| {})
                .map_err(std::io::Error::other)
        })
    };
    let report = match netns {
        Some(netns) => ping(netns.as_fd()).map_err(|e| e.to_string()),
        None => Err("the node is gone".into()),
    };
    Checked { from, to_name: check.to_name.clone(), to: check.to, report }
}

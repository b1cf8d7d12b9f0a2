//! A thread that hears of addresses, routes and links of the host, and has the uplink follow.
//!
//! What is told comes in bursts (an address and its routes, a lease renewed), so it waits until
//! things have settled, looks at all of it anew and acts on what is different: events that were
//! lost, or that change nothing, make no difference. Of a link or an address the kernel tells before it
//! takes the routes that go with it, so a little later it looks once more.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::poll::PollTimeout;
use ns::route::{Changes, View};

use super::Host;
use crate::error::Result;
use crate::lab::Lab;
use crate::watch::{Again, Stop, Watch, Woken};

/// How long nothing has to have happened, in milliseconds.
const SETTLED: u8 = 20;
/// Looks at the host at least this often while things keep happening.
const BURSTS: usize = 25;

/// Next hops, objects by themselves, of the routes that were seen last.
#[derive(Clone, Default)]
pub(super) struct NextHops(Arc<Mutex<BTreeSet<u32>>>);

impl NextHops {
    /// The host was looked at.
    pub(super) fn saw(&self, view: &View) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&view.next_hops);
    }

    fn any(&self, changes: &mut Changes) -> ns::Result<bool> {
        changes.any(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running watch; dropping it ends the thread.
pub(crate) struct Follow {
    _watch: Watch,
}

impl Follow {
    /// Starts watching on behalf of `lab`.
    pub(crate) fn watch(host: &Host, lab: Weak<Lab>) -> Result<Self> {
        let changes = Changes::new(host.netns().as_fd())?;
        let next_hops = host.next_hops.clone();
        let watch = Watch::start("uplink", move |stop| {
            if let Err(error) = run(changes, &next_hops, &stop, &lab) {
                tracing::error!("the uplink is no longer followed: {error}");
            }
        })?;
        Ok(Self { _watch: watch })
    }
}

fn run(
    mut changes: Changes,
    next_hops: &NextHops,
    stop: &Stop,
    lab: &Weak<Lab>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    // What changed before the watch began.
    refresh(lab);
    let mut again = Again::default();
    loop {
        let mut changed = match stop.wait(changes.as_fd(), again.patience(sys::clock::now()))? {
            Woken::Stop => return Ok(()),
            Woken::Ready => next_hops.any(&mut changes)?,
            Woken::Late => false,
        };
        for _ in 0..BURSTS {
            if !changed {
                break;
            }
            match stop.wait(changes.as_fd(), PollTimeout::from(SETTLED))? {
                Woken::Stop => return Ok(()),
                Woken::Late => break,
                Woken::Ready => changed |= next_hops.any(&mut changes)?,
            }
        }
        if again.due(changed, sys::clock::now()) || changed {
            refresh(lab);
        }
    }
}

fn refresh(lab: &Weak<Lab>) {
    if let Some(lab) = lab.upgrade() {
        lab.refresh_uplink();
    }
}

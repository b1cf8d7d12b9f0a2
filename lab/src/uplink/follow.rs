//! A thread that hears of addresses, routes and links of the host, and has the uplink follow.
//!
//! What is told comes in bursts (an address and its routes, a lease renewed), so it waits until
//! things have settled, looks at all of it anew and acts on what is different: events that were
//! lost, or that change nothing, make no difference.

use std::os::fd::AsFd;
use std::sync::Weak;

use nix::poll::PollTimeout;
use ns::route::Changes;

use super::Host;
use crate::error::Result;
use crate::lab::Lab;
use crate::watch::{Stop, Watch, Woken};

/// How long nothing has to have happened, in milliseconds.
const SETTLED: u8 = 20;
/// Looks at the host at least this often while things keep happening.
const BURSTS: usize = 25;

/// The running watch; dropping it ends the thread.
pub(crate) struct Follow {
    _watch: Watch,
}

impl Follow {
    /// Starts watching on behalf of `lab`.
    pub(crate) fn watch(host: &Host, lab: Weak<Lab>) -> Result<Self> {
        let changes = Changes::new(host.netns().as_fd())?;
        let watch = Watch::start("uplink", move |stop| {
            if let Err(error) = run(changes, &stop, &lab) {
                tracing::error!("the uplink is no longer followed: {error}");
            }
        })?;
        Ok(Self { _watch: watch })
    }
}

fn run(
    mut changes: Changes,
    stop: &Stop,
    lab: &Weak<Lab>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    // What changed before the watch began.
    refresh(lab);
    loop {
        if stop.wait(changes.as_fd(), PollTimeout::NONE)? == Woken::Stop {
            return Ok(());
        }
        let mut any = changes.any()?;
        for _ in 0..BURSTS {
            match stop.wait(changes.as_fd(), PollTimeout::from(SETTLED))? {
                Woken::Stop => return Ok(()),
                Woken::Late => break,
                Woken::Ready => any |= changes.any()?,
            }
        }
        if any {
            refresh(lab);
        }
    }
}

fn refresh(lab: &Weak<Lab>) {
    if let Some(lab) = lab.upgrade() {
        lab.refresh_uplink();
    }
}

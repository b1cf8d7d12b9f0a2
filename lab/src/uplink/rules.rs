//! A thread that hears of rules of the host's firewall, and has the ports of containers follow: one that a
//! rule forwards is the host's, and its container's again when the rule has gone.
//!
//! Rules come by the hundred when a firewall is loaded, so it waits until they have settled. Tables of
//! iptables that tell nobody of changes are looked at every [`SILENT`].

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use nix::poll::PollTimeout;
use ns::forward::{Changes, is_silent};

use super::silence;
use crate::error::Result;
use crate::lab::Lab;
use crate::watch::{Stop, Watch, Woken};

/// How long nothing has to have happened, in milliseconds.
const SETTLED: u8 = 50;
/// Looks at the rules at least this often while things keep happening.
const BURSTS: usize = 20;
/// From one look at rules that tell nobody to the next, in milliseconds.
const SILENT: u16 = 10_000;

/// Starts watching on behalf of `lab`.
pub(super) fn watch(netns: Arc<OwnedFd>, lab: Weak<Lab>) -> Result<Watch> {
    let changes = Changes::new(netns.as_fd())?;
    Watch::start("rules", move |stop| {
        if let Err(error) = run(changes, &netns, &stop, &lab) {
            tracing::error!("rules of the host are no longer followed: {error}");
        }
    })
}

fn run(
    mut changes: Changes,
    netns: &OwnedFd,
    stop: &Stop,
    lab: &Weak<Lab>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    loop {
        let mut changed = match stop.wait(changes.as_fd(), PollTimeout::from(SILENT))? {
            Woken::Stop => return Ok(()),
            Woken::Ready => changes.any(silence::is_ours)?,
            Woken::Late => is_silent(netns.as_fd())?,
        };
        for _ in 0..BURSTS {
            if !changed {
                break;
            }
            match stop.wait(changes.as_fd(), PollTimeout::from(SETTLED))? {
                Woken::Stop => return Ok(()),
                Woken::Late => break,
                Woken::Ready => changed |= changes.any(silence::is_ours)?,
            }
        }
        if changed && let Some(lab) = lab.upgrade() {
            lab.lead_by_rules();
        }
    }
}

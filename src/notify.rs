//! What the service manager is told where one started us (Type=notify, NOTIFY_SOCKET): ready once
//! the checks have passed, alive for as long as frames pass the switch, ending. Called by `run`.
//!
//! Without a manager nothing is sent. A message that cannot be sent is logged and no more: the
//! manager has its time limits.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use lab::{Lab, Watch};
use sd_notify::NotifyState;

/// How long a frame may take to go round: a ring that has stopped is opened anew meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers within a watchdog's period: one may be late.
const BEATS: u32 = 3;

/// Whether a service manager waits for us.
pub(crate) fn managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty())
}

/// Tells the manager what is being done.
pub(crate) fn status(words: &str) {
    send(&[NotifyState::Status(words)]);
}

/// The lab is up. The manager hears that it lives until the guard is dropped, and then that it
/// ends.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn ready(lab: &Arc<Lab>) -> anyhow::Result<Alive> {
    let (stop, stopped) = sync_channel(0);
    let alive = Alive { stop: Some(stop) };
    if !managed() {
        return Ok(alive);
    }
    send(&[NotifyState::Ready, NotifyState::Status(&running(lab))]);
    if let Some(period) = sd_notify::watchdog_enabled() {
        let lab = Arc::clone(lab);
        let mut watch = lab.watch().context("watching the switch")?;
        let beat = move || {
            let mut well = true;
            while stopped.recv_timeout(period / BEATS) == Err(RecvTimeoutError::Timeout) {
                beat(&lab, watch.as_mut(), &mut well);
            }
        };
        std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(beat)
            .context("starting a thread")?;
    }
    Ok(alive)
}

/// One proof of life: every worker answers, and frames go round through every ring. A lab without
/// a switch has no threads to ask; its namespaces need none.
fn beat(lab: &Lab, watch: Option<&mut Watch>, well: &mut bool) {
    // The gateway's lock is part of the question: workers that wait for it forward nothing.
    lab.with_gateway(|_| ());
    let answers = lab.with_switch(|switch| switch.sync()).unwrap_or(Ok(()));
    let passes = || watch.map_or(Ok(()), |watch| watch.prove(PATIENCE));
    let (words, outcome) = match answers {
        Err(error) => ("the switch does not answer", Err(error)),
        Ok(()) => ("the switch stands still", passes()),
    };
    match outcome {
        Err(error) => {
            *well = false;
            tracing::error!("{words}: {error}");
            status(words);
        }
        Ok(()) => {
            send(&[NotifyState::Watchdog]);
            if !std::mem::replace(well, true) {
                status(&running(lab));
            }
        }
    }
}

fn running(lab: &Lab) -> String {
    let config = lab.config();
    let nodes = config.spec.nodes.len();
    let s = if nodes == 1 { "" } else { "s" };
    format!("lab {}: {} with {nodes} node{s}", config.name, config.topology())
}

/// While this lives, so does the lab.
pub(crate) struct Alive {
    stop: Option<SyncSender<()>>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        drop(self.stop.take());
        send(&[NotifyState::Stopping, NotifyState::Status("undoing the lab")]);
    }
}

fn send(what: &[NotifyState<'_>]) {
    if managed()
        && let Err(error) = sd_notify::notify(what)
    {
        tracing::warn!("telling the service manager: {error}");
    }
}

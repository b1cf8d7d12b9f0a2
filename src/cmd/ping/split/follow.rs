//! The lab's trace of the echoes with one address, read on a thread of its own.
//!
//! The queue between the two holds [`QUEUE`] lines. Where the pinger is slow to take them the
//! thread waits, and the lab then counts what it has no room for: nothing grows.

use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::Context;
use control::api::{TraceAsk, TraceLine};

use super::names::Names;
use crate::door::Which;

/// Lines read ahead.
const QUEUE: usize = 1024;

/// Asks a lab for the walks of echoes with `towards`, from now on, and what is where. To be
/// called before a node is entered; the thread it needs is started by [`Lines::read`].
pub(super) struct Lines {
    client: control::Client,
    which: Which,
    ask: TraceAsk,
}

impl Lines {
    /// The way to the lab, and its names.
    ///
    /// # Errors
    /// Where it does not run.
    pub(super) fn of(which: Which, towards: Ipv4Addr) -> anyhow::Result<(Self, Names)> {
        let client = which.client()?;
        let topology = which.answer(client.topology())?;
        let names = Names::of(&topology, &which.answer(client.ports())?);
        let ask = TraceAsk { filter: format!("icmp and host {towards}"), ..TraceAsk::default() };
        Ok((Self { client, which, ask }, names))
    }

    /// Opens the trace: what leaves once this has returned is told. The receiver hears no more
    /// once the lab has ended.
    ///
    /// # Errors
    /// Where the lab refuses, as one without a switch does.
    pub(super) fn read(self) -> anyhow::Result<Receiver<TraceLine>> {
        let (tell, lines) = sync_channel(QUEUE);
        let (opened, open) = sync_channel(1);
        let work = move || {
            let trace = match self.which.answer(self.client.trace(&self.ask)) {
                Ok(trace) => trace,
                Err(error) => return drop(opened.send(Err(error))),
            };
            let _ = opened.send(Ok(()));
            for line in trace {
                let Ok(line) = line else { return };
                if tell.send(line).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("trace".into()).spawn(work).context("starting a thread")?;
        open.recv().context("the thread that follows the lab has ended")??;
        Ok(lines)
    }
}

//! `ping --all`: every node of a lab to every other, as a matrix. A few cells are tried at a time;
//! they are shown once all are known.
//!
//! Behind a real uplink it tries the host's own router and nothing farther: no address of the world's
//! is pinged that was not asked for.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use icmp::session::Session;
use icmp::{Event, Moment, Options, Patience, Route, Stats};
use lab::reach::{Cell, Reach};
use lab::{LabName, names};
use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use serde_json::json;

use super::apart::{Apart, Why};
use super::args::Args;
use super::{TROUBLE, caught};
use crate::door::Which;
use crate::node;
use crate::say;
use crate::units::micros;

/// Pings at the same time.
const AT_ONCE: usize = 16;
/// Where nothing else is asked for: between requests, and for an answer.
const INTERVAL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(2);
/// Cells that failed which are named below the matrix.
const NAMED: usize = 20;

/// What came of a cell.
type Outcome = Result<Came, String>;

/// What came of a cell whose address could be pinged.
#[derive(Clone)]
struct Came {
    stats: Stats,
    /// Why the last probe did not leave that did not.
    refused: Option<String>,
}

/// Tries every cell; the exit code: 1 if one failed.
pub(super) fn all(args: &Args) -> anyhow::Result<u8> {
    let name = &args.which.name;
    let mut reach = node::reach(name)?;
    if let Some(router) = router(name) {
        reach.add(names::ROUTER, router);
    }
    let apart = Apart::of(name, &reach);
    reach.add_routed(|one, other| apart.routes(one, other));
    let apart = apart.all(&reach);
    let stop = caught(&[SIGINT, SIGTERM])?;
    reach.enter()?;
    let mut options = args.options(true)?;
    options.count = Some(args.count.unwrap_or(1));
    options.interval = args.interval.unwrap_or(INTERVAL);
    options.patience = Patience::Each(args.timeout.unwrap_or(PATIENCE));
    let outcomes = try_all((&reach, &apart), &options, &args.route()?, &stop)?;
    let (mut failed, mut tried) = (Vec::new(), 0);
    for ((cell, outcome), why) in reach.cells.iter().zip(&outcomes).zip(&apart) {
        if let Some(why) = why {
            if args.json && !args.quiet {
                say::line(&separated(&reach, cell, *why).to_string());
            }
            continue;
        }
        tried += usize::from(outcome.is_some());
        if outcome.as_ref().is_some_and(|outcome| !reached(outcome)) {
            failed.push((cell, outcome));
        }
        if args.json && !args.quiet {
            say::line(&object(&reach, cell, outcome.as_ref()).to_string());
        }
    }
    let cells = apart.iter().filter(|why| why.is_none()).count();
    let ended = if tried == cells { u8::from(!failed.is_empty()) } else { TROUBLE };
    if args.json {
        let summary = json!({"type": "matrix", "cells": cells, "tried": tried,
            "failed": failed.len(), "separated": apart.len() - cells, "ok": ended == 0});
        say::line(&summary.to_string());
        return Ok(ended);
    }
    if !args.quiet {
        show(&reach, &outcomes, &apart);
    }
    say::line(&format!("{} of {cells} reached", tried - failed.len()));
    for (cell, outcome) in failed.iter().take(NAMED) {
        let (from, to) = (&reach.sources[cell.from].name, &reach.targets[cell.to]);
        let why = outcome.as_ref().map(why).unwrap_or_default();
        say::line(&format!("not reached: {from} -> {to} {}: {why}", cell.address));
    }
    if failed.len() > NAMED {
        say::line(&format!("not reached: {} more", failed.len() - NAMED));
    }
    tell_separated(&reach, &apart);
    Ok(ended)
}

/// The next hop of a real uplink; none while the lab does not answer, as on its way up.
pub(super) fn router(name: &LabName) -> Option<Ipv4Addr> {
    let which = Which { name: name.clone() };
    let uplink = which.client().ok()?.topology().ok()?.uplink?;
    uplink.next_hop.filter(|_| uplink.answers.is_empty())
}

/// The outcome of each cell; None where it is not to be tried, or was not before the end was asked for.
fn try_all(
    (reach, apart): (&Reach, &[Option<Why>]),
    options: &Options,
    route: &Route,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Option<Outcome>>> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; reach.cells.len()]);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = reach.cells.get(place) else { return };
            if apart[place].is_some() {
                continue;
            }
            let outcome = one(reach, cell, options, route, stop);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(outcome);
        }
    };
    std::thread::scope(|scope| {
        for started in 0..AT_ONCE.min(reach.cells.len()) {
            let thread = std::thread::Builder::new().name("ping".into());
            match thread.spawn_scoped(scope, work) {
                Ok(_) => {}
                // Fewer at a time do as well.
                Err(_) if started > 0 => break,
                Err(error) => return Err(error).context("starting a thread"),
            }
        }
        Ok(())
    })?;
    Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn one(reach: &Reach, cell: &Cell, options: &Options, route: &Route, stop: &AtomicBool) -> Outcome {
    // The thread is the cells' own, and goes from node to node.
    sys::netns::enter(reach.sources[cell.from].netns()).map_err(|error| error.to_string())?;
    let mut refused = None;
    let mut watch = |moment: Moment<'_>, _: &Session| {
        if let Moment::Event(event @ Event::Refused { .. }) = moment {
            refused = Some(icmp::text::event(event, options));
        }
    };
    let stats = icmp::ping(cell.address, options.clone(), route, stop, &mut watch)
        .map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
    Ok(Came { stats, refused })
}

fn reached(outcome: &Outcome) -> bool {
    outcome.as_ref().is_ok_and(|came| came.stats.received > 0)
}

/// Why a cell failed.
fn why(outcome: &Outcome) -> String {
    match outcome {
        Err(error) => error.clone(),
        Ok(Came { stats, refused }) => match (stats.kinds.first(), refused) {
            (Some(kind), _) => {
                format!("{} (from {})", icmp::text::name(kind.kind, kind.code), kind.from)
            }
            (None, Some(refused)) => refused.clone(),
            (None, None) => format!("{} sent, no answer", stats.sent),
        },
    }
}

fn object(reach: &Reach, cell: &Cell, outcome: Option<&Outcome>) -> serde_json::Value {
    let stats = outcome.and_then(|outcome| outcome.as_ref().ok()).map(|came| &came.stats);
    let average = stats.and_then(Stats::summary).map(|summary| micros(summary.avg));
    json!({
        "type": "cell", "from": reach.sources[cell.from].name, "to": reach.targets[cell.to],
        "address": cell.address, "ok": outcome.is_some_and(reached),
        "transmitted": stats.map(|stats| stats.sent), "received": stats.map(|s| s.received),
        "rtt_us": average, "why": outcome.filter(|outcome| !reached(outcome)).map(why),
    })
}

fn separated(reach: &Reach, cell: &Cell, why: Why) -> serde_json::Value {
    json!({
        "type": "separated", "from": reach.sources[cell.from].name, "to": reach.targets[cell.to],
        "address": cell.address, "why": why.text(),
    })
}

/// Who was not tried, a pair once, below what was.
fn tell_separated(reach: &Reach, apart: &[Option<Why>]) {
    for which in [Why::Vlans, Why::Isolation] {
        let cells = reach.cells.iter().zip(apart).filter(|(_, why)| **why == Some(which));
        // Both ways are one pair; the gateway has no way back.
        let pairs: Vec<_> = cells
            .map(|(cell, _)| [&*reach.sources[cell.from].name, &*reach.targets[cell.to]])
            .filter(|[from, to]| {
                let at = |name: &str| reach.sources.iter().position(|source| source.name == name);
                at(to).is_none_or(|to| at(from) < Some(to))
            })
            .map(|pair| pair.join(" and "))
            .collect();
        if pairs.is_empty() {
            continue;
        }
        let named = pairs[..pairs.len().min(NAMED)].join(", ");
        let more = match pairs.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        say::line(&format!("separated by {}, not tried: {named}{more}", which.text()));
    }
}

/// Rows are where from, columns where to, cells the mean round trip.
fn show(reach: &Reach, outcomes: &[Option<Outcome>], apart: &[Option<Why>]) {
    let mut rows = vec![vec!["-".to_owned(); reach.targets.len()]; reach.sources.len()];
    let tried = reach.cells.iter().zip(outcomes).zip(apart).filter(|(_, why)| why.is_none());
    for ((cell, outcome), _) in tried {
        rows[cell.from][cell.to] = match outcome {
            None => "?".into(),
            Some(Err(_)) => "error".into(),
            Some(Ok(Came { stats, .. })) => match stats.summary().filter(|_| stats.received > 0) {
                None => "lost".into(),
                Some(_) if stats.lost() > 0 => format!("{}/{}", stats.received, stats.sent),
                Some(summary) => format!("{:.3}", summary.avg.as_secs_f64() * 1e3),
            },
        };
    }
    let head = "from \\ to, ms";
    let first = reach.sources.iter().map(|source| source.name.len()).max().unwrap_or(0);
    let first = first.max(head.len());
    let widths: Vec<usize> = (0..reach.targets.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].len());
            cells.max().unwrap_or(0).max(reach.targets[column].len())
        })
        .collect();
    let line = |name: &str, cells: &[String]| {
        let mut text = format!("{name:<first$}");
        for (cell, width) in cells.iter().zip(&widths) {
            text += &format!("  {cell:>width$}");
        }
        say::line(&text);
    };
    line(head, &reach.targets);
    for (source, row) in reach.sources.iter().zip(&rows) {
        line(&source.name, row);
    }
}

//! The course of a run: rounds, in each round every shape, for each shape every forwarder in turn
//! (starting with another one each round), for each forwarder every wanted scenario.
//!
//! A scenario that fails is reported with its cause and leaves an empty cell; the run goes on.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::args::Args;
use crate::load::ping;
use crate::measure::cpu;
use crate::peers::{self, Forwarder, Lab, Shape};
use crate::report::{self, Results};
use crate::rows::{self, Scenario};
use crate::world;

/// # Errors
/// Where the private world cannot be made, or nothing at all could be measured.
pub fn run(args: &Args) -> Result<()> {
    if args.list {
        list();
        return Ok(());
    }
    if !args.merge.is_empty() {
        return report::write(&Results::merged(&args.merge)?, args);
    }
    world::settle()?;
    let mut results = Results::new();
    let forwarders = chosen(args, &mut results)?;
    let begun = Instant::now();
    for round in 0..args.rounds() {
        for (shape, scenarios) in rows::by_shape(args, round) {
            for turn in 0..forwarders.len() {
                let forwarder = &forwarders[(turn + round) % forwarders.len()];
                if forwarder.fits(shape) {
                    let what = format!("round {} {shape:?} {}", round + 1, forwarder.name());
                    eprintln!("[{:>4.0} s] {what}", begun.elapsed().as_secs_f64());
                    if let Err(error) =
                        visit(forwarder.as_ref(), shape, &scenarios, args, &mut results)
                    {
                        eprintln!("         {what}: {error:#}");
                        results.fail(forwarder.name(), &format!("{shape:?}"), &error);
                    }
                    // A run that is cut short leaves what it has measured.
                    results.finish(begun.elapsed());
                    report::save(&results, args)?;
                }
            }
        }
    }
    report::write(&results, args)
}

/// The forwarders that were asked for and are there; the absent are named.
fn chosen(args: &Args, results: &mut Results) -> Result<Vec<Box<dyn Forwarder>>> {
    let mut chosen = Vec::new();
    for (index, forwarder) in peers::all().into_iter().enumerate() {
        let asked = args.forwarders.is_empty()
            || args.forwarders.iter().any(|name| name == forwarder.name());
        if index != 0 && !asked {
            continue;
        }
        let absent = forwarder.absent();
        if let Some(reason) = &absent {
            eprintln!("absent: {}: {reason}", forwarder.name());
        }
        results.introduce(forwarder.as_ref(), absent.clone());
        if absent.is_none() {
            chosen.push(forwarder);
        }
    }
    for said in &args.also {
        let forwarder = peers::another(said)?;
        results.introduce(forwarder.as_ref(), None);
        chosen.push(forwarder);
    }
    if chosen.is_empty() {
        bail!("no forwarder can run here");
    }
    Ok(chosen)
}

fn visit(
    forwarder: &dyn Forwarder,
    shape: Shape,
    scenarios: &[&Scenario],
    args: &Args,
    results: &mut Results,
) -> Result<()> {
    let mut lab = match forwarder.start(shape) {
        Ok(lab) => lab,
        Err(error) => {
            crate::topology::clear()?;
            return Err(error);
        }
    };
    reach(&mut lab)?;
    cpu::settle(Duration::from_secs(3))?;
    for scenario in scenarios {
        lab.alive()?;
        match (scenario.run)(&lab, args) {
            Ok(values) => {
                for (row, value) in values {
                    results.add(&row, forwarder.name(), value);
                }
            }
            Err(error) => {
                eprintln!("         {} {}: {error:#}", scenario.name, forwarder.name());
                results.fail(forwarder.name(), scenario.name, &error);
            }
        }
    }
    drop(lab);
    cpu::settle(Duration::from_secs(3))
}

/// Waits until the second node answers the first.
fn reach(lab: &mut Lab) -> Result<()> {
    peers::until(Duration::from_secs(20), || {
        lab.alive()?;
        let window = Duration::from_millis(1);
        ping::ping(&lab.nodes[0], lab.nodes[1].address, None, window).map(|_| ())
    })
}

fn list() {
    println!("forwarders:");
    for forwarder in peers::all() {
        let state =
            forwarder.absent().map_or_else(|| forwarder.version(), |why| format!("absent: {why}"));
        println!("  {:<14} {state}", forwarder.name());
    }
    println!("rows:");
    for row in rows::ROWS {
        println!("  {:<24} {} ({})", row.name, row.title, row.unit);
    }
}

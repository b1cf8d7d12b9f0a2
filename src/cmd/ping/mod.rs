//! `uswitch ping`: ping's letters, ping's output, ping's exit codes; from inside a node if one is
//! named; to several destinations at once; `--all` for a whole lab.

mod address;
mod apart;
mod args;
mod json;
mod matrix;
mod split;
mod tell;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use icmp::{Options, Pinger, Route, Stats, text};
use nix::sys::signal::Signal;
use nix::sys::signal::Signal::{SIGINT, SIGQUIT, SIGTERM};

pub(crate) use args::Args;
use split::{Prepared, Split};
use tell::Teller;

use crate::node;
use crate::say;
use crate::signals;

/// Destinations at once.
const MOST: usize = 64;
/// Any error but a missing answer.
const TROUBLE: u8 = 2;

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let ended = if args.all { matrix::all(&args) } else { ping(&args) };
    Ok(ExitCode::from(ended.unwrap_or_else(|error| {
        complain(&error);
        TROUBLE
    })))
}

fn complain(error: &anyhow::Error) {
    say::error(&format!("{error:#}"));
}

/// The node to ping from, if one is named, and the destinations: the first of several words is a
/// node unless it is an address.
fn words(names: &[String]) -> (Option<&String>, &[String]) {
    match names {
        [first, rest @ ..] if !rest.is_empty() && lab::names::number(first).is_none() => {
            (Some(first), rest)
        }
        all => (None, all),
    }
}

/// A flag that is set by the first of `signals` and stays so until it is seen. What the caller has
/// ignored stays so.
fn caught(signals: &[Signal]) -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in signals.iter().filter(|signal| signals::heeds(**signal)) {
        signal_hook::flag::register(*signal as i32, Arc::clone(&flag))
            .context("catching signals")?;
    }
    Ok(flag)
}

/// One destination on its way.
struct Run<'a> {
    dest: &'a str,
    pinger: Pinger,
    status: Arc<AtomicBool>,
}

/// Pings until done; the exit code.
fn ping(args: &Args) -> anyhow::Result<u8> {
    let (from, dests) = words(&args.names);
    ensure!(dests.len() <= MOST, "{} destinations: at most {MOST} at once", dests.len());
    ensure!(!args.flood || dests.len() == 1, "a flood goes to one destination");
    ensure!(!args.split || dests.len() == 1, "--split follows the probes to one destination");
    let route = args.route()?;
    let lab = &args.which.name;
    if let ([dest], None) = (dests, from)
        && lab::names::number(dest).is_none()
        && let Some(said) = address::from_inside(lab, dest)
    {
        bail!("from where? {said}");
    }
    let towards: Vec<(&String, Ipv4Addr)> = dests
        .iter()
        .map(|dest| Ok((dest, address::resolve(lab, from.map(String::as_str), dest)?)))
        .collect::<anyhow::Result<_>>()?;
    let prepared = match towards.first() {
        Some((_, towards)) if args.split => Some(Prepared::new(lab, *towards)?),
        _ => None,
    };
    if let Some(node) = from {
        // The whole process moves: no other thread runs yet, and those to come begin here.
        node::enter(lab, node)?;
    }
    let options = args.options(nix::unistd::geteuid().is_root())?;
    let stop = caught(&[SIGINT, SIGTERM])?;
    let (runs, trouble) = open(args, &options, &route, &towards)?;
    let dests: Vec<&str> = runs.iter().map(|run| run.dest).collect();
    let mut split = match (prepared, runs.first()) {
        (Some(prepared), Some(run)) => {
            Some(prepared.begin(from.map(String::as_str), &run.pinger, args.flood)?)
        }
        _ => None,
    };
    let mut code = if trouble { TROUBLE } else { 0 };
    let ends = run_all(args, &options, &stop, runs, split.as_mut());
    for (dest, ended) in dests.into_iter().zip(ends) {
        code = code.max(match ended {
            Ok(stats) => {
                summary(args, &options, dest, &stats, split.as_ref());
                if from.is_none() && stats.received == 0 {
                    address::from_inside(lab, dest).iter().for_each(|said| say::error(said));
                }
                verdict(&options, &stats)
            }
            Err(error) => {
                complain(&error);
                TROUBLE
            }
        });
    }
    Ok(code)
}

/// Runs each to its end: one here, several on a thread each.
fn run_all(
    args: &Args,
    options: &Options,
    stop: &AtomicBool,
    runs: Vec<Run<'_>>,
    mut split: Option<&mut Split>,
) -> Vec<anyhow::Result<Stats>> {
    let named = words(&args.names).1.len() > 1;
    let one = |run: Run<'_>, mut split: Option<&mut Split>| -> anyhow::Result<Stats> {
        let Run { dest, mut pinger, status } = run;
        let teller = Teller { args, options, dest, named, status: &status };
        pinger.run(stop, &mut |moment, session| {
            let below = split.as_mut().and_then(|split| split.moment(moment, session));
            teller.tell(moment, session, below.as_ref());
        })?;
        if let Some(split) = split {
            split.end();
        }
        Ok(pinger.stats().clone())
    };
    if runs.len() == 1 {
        return runs.into_iter().map(|run| one(run, split.take())).collect();
    }
    std::thread::scope(|scope| {
        let one = &one;
        let threads = runs.into_iter().map(|run| {
            let thread = std::thread::Builder::new().name("ping".into());
            thread.spawn_scoped(scope, move || one(run, None)).context("starting a thread")
        });
        let started: Vec<_> = threads.collect();
        // With one that cannot be had the others have no time of their own either: it is told now.
        if started.iter().any(Result::is_err) {
            stop.store(true, Ordering::Relaxed);
        }
        let ended = started.into_iter().map(|thread| thread.map(|thread| thread.join()));
        ended.map(|end| end?.unwrap_or_else(|_| bail!("a pinger panicked"))).collect()
    })
}

/// Opens a pinger for each destination and prints ping's first lines; with several, one that
/// cannot be sent to does not keep the others, but is trouble.
fn open<'a>(
    args: &Args,
    options: &Options,
    route: &Route,
    towards: &[(&'a String, Ipv4Addr)],
) -> anyhow::Result<(Vec<Run<'a>>, bool)> {
    let lines = !args.json;
    if let Some(pattern) = args.pattern.as_ref().filter(|_| lines && !args.quiet) {
        say::line(&text::pattern(&pattern.0));
    }
    let from_here = words(&args.names).0.is_none();
    let mut runs = Vec::new();
    let mut trouble = false;
    for (dest, towards) in towards.iter().copied() {
        let pinger = match Pinger::open(towards, options.clone(), route) {
            Ok(pinger) => pinger,
            Err(error) => {
                let lab = &args.which.name;
                let no_way = matches!(error, icmp::Error::Send(..));
                let beyond = || address::from_a_node(lab, dest).filter(|_| no_way);
                let said = || address::from_inside(lab, dest).or_else(beyond);
                match from_here.then(said).flatten() {
                    Some(said) => complain(&anyhow::Error::from(error).context(said)),
                    None => complain(&error.into()),
                }
                trouble = true;
                continue;
            }
        };
        if lines {
            let device = route.device.as_deref();
            let given = device.is_some() || route.source.is_some();
            let from = given.then(|| (pinger.source(), device));
            say::line(&text::opening(dest, pinger.towards(), options.size, from));
        }
        let status = caught(&[SIGQUIT])?;
        runs.push(Run { dest, pinger, status });
    }
    Ok((runs, trouble))
}

fn summary(args: &Args, options: &Options, dest: &str, stats: &Stats, split: Option<&Split>) {
    if args.json {
        let mut object = json::summary(dest, stats);
        if let Some(split) = split {
            object["split"] = split.json();
        }
        return say::line(&object.to_string());
    }
    say::part(&text::closing(dest, stats, options));
    for line in text::beyond(stats, options) {
        say::line(&line);
    }
    if args.outage {
        say::line(&text::outage(stats));
    }
    for line in split.map(Split::lines).unwrap_or_default() {
        say::line(&line);
    }
}

/// ping's exit code for one destination.
fn verdict(options: &Options, stats: &Stats) -> u8 {
    let wanted = options.count.filter(|_| options.deadline.is_some()).unwrap_or(1);
    u8::from(stats.received < wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn the_first_of_several_words_is_a_node_unless_it_is_an_address() {
        let names = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        for (text, node, dests) in [
            ("net2", None, "net2"),
            ("net1 net2", Some("net1"), "net2"),
            ("net1 10.0.0.1 net2", Some("net1"), "10.0.0.1 net2"),
            ("10.0.0.1 net2", None, "10.0.0.1 net2"),
        ] {
            let line = names(text);
            let (from, to) = words(&line);
            assert_eq!((from.map(String::as_str), to.join(" ").as_str()), (node, dests));
        }
    }
}

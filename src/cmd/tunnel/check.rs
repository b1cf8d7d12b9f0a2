//! `uswitch tunnel check`: does the way to each other host carry what the network sends?
//!
//! Nothing of uswitch answers at the other end: nodes there do, by their kernels. So it works with a bridge
//! of the kernel as well, and needs a node on both hosts.

mod echo6;
mod probe;
mod verdict;
mod ways;

use std::process::ExitCode;

use anyhow::Context;
use lab::join;
use serde_json::{Value, json};

use self::verdict::{Echo, Fault, Inside, Outside, Tcp, fault};
use self::ways::{Asked, Known};
use crate::door::{Which, ground, json};
use crate::paint::Paint;
use crate::table::Table;
use crate::{say, units};

/// Ways at the same time.
const AT_ONCE: usize = 16;

/// What came of a way.
struct Checked {
    asked: Asked,
    outside: Option<Outside>,
    inside: Option<Inside>,
    fault: Option<Fault>,
}

/// Runs the verb: code 1 where a way does not do.
pub(super) fn main(words: &[String], as_json: bool, which: &Which) -> anyhow::Result<ExitCode> {
    let client = which.client()?;
    let ways = Known::ask(which, &client)?.ways(words)?;
    let all = check_all(ways, which)?;
    if as_json {
        json(&all.iter().map(object).collect::<Vec<_>>())?;
    } else {
        show(&all);
    }
    let good = all.iter().all(|checked| checked.fault.is_none());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_all(ways: Vec<Asked>, which: &Which) -> anyhow::Result<Vec<Checked>> {
    let mut all = Vec::new();
    let mut ways = ways.into_iter();
    loop {
        let some: Vec<_> = ways.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return Ok(all);
        }
        let came: anyhow::Result<Vec<Checked>> = std::thread::scope(|scope| {
            let start = |asked| {
                let thread = std::thread::Builder::new().name("check".into());
                thread.spawn_scoped(scope, || check(asked, which)).context("starting a thread")
            };
            let started: Vec<_> = some.into_iter().map(start).collect();
            let ended = started.into_iter().map(|thread| {
                let panicked = |_| anyhow::anyhow!("a check panicked");
                thread?.join().map_err(panicked)?
            });
            ended.collect()
        });
        all.extend(came?);
    }
}

/// On a thread of its own, which ends up in the node's namespace.
fn check(mut asked: Asked, which: &Which) -> anyhow::Result<Checked> {
    let entrance = join::find(&ground(), &which.name, &asked.from)?;
    let Asked { way, vtep, there, .. } = &mut asked;
    let outside = vtep.map(|vtep| probe::outside(way.local, vtep, way.outer));
    let inside = probe::inside(entrance.netns(), there, way.packet)?.map(|(place, inside)| {
        there.swap(0, place);
        way.node.clone_from(&there[0].0);
        inside
    });
    let fault = fault(way, outside.as_ref(), inside.as_ref());
    Ok(Checked { asked, outside, inside, fault })
}

fn show(all: &[Checked]) {
    if all.is_empty() {
        return say::line("no tunnel leads to another host");
    }
    let paint = Paint::of_stdout();
    let heads = ["HOST", "VTEP", ">VNI", "NODES", ">OUTSIDE", ">BYTES", ">PING", ">BYTES"];
    let mut table = Table::new(&[&heads[..], &["TCP", "SEGMENTS", ""]].concat());
    let mut faults = Vec::new();
    for Checked { asked, outside, inside, fault } in all {
        let Asked { way, host, vtep, from, there } = asked;
        let none = || "-".to_owned();
        let vtep = vtep.map_or_else(none, |vtep| vtep.to_string());
        let host = host.clone().unwrap_or_else(none);
        let nodes = there.first().map_or_else(none, |(name, _)| format!("{from} {name}"));
        let out = |of: fn(&Outside) -> &Echo| outside.as_ref().map_or_else(none, |o| cell(of(o)));
        let within = |of: fn(&Inside) -> &Echo| inside.as_ref().map_or_else(none, |i| cell(of(i)));
        let tcp =
            |of: fn(&Inside) -> &Tcp| inside.as_ref().map_or_else(none, |i| word(of(i)).into());
        table.row([
            host.clone(),
            vtep.clone(),
            way.vni.to_string(),
            nodes,
            out(|outside| &outside.small),
            format!("{} {}", way.outer, out(|outside| &outside.large)),
            within(|inside| &inside.small),
            format!("{} {}", way.packet, within(|inside| &inside.large)),
            tcp(|inside| &inside.tcp),
            tcp(|inside| &inside.tcp_large),
            if fault.is_some() { "fails".into() } else { "ok".into() },
        ]);
        if let Some(Fault { why, mend }) = fault {
            let name = [host, vtep, way.node.clone()].into_iter().find(|name| name != "-");
            faults.push(format!("{}: {why}: {mend}", name.unwrap_or_default()));
        }
    }
    let (head, rows) = table.lines();
    say::line(&paint.head(&head));
    for (row, checked) in rows.iter().zip(all) {
        say::line(&if checked.fault.is_some() { paint.bad(row) } else { row.clone() });
    }
    faults.iter().for_each(|fault| say::error(fault));
}

/// A mean round trip in milliseconds, or why there is none.
fn cell(echo: &Echo) -> String {
    match echo {
        Echo::Answered(rtt) => format!("{:.2}ms", rtt.as_secs_f64() * 1e3),
        Echo::TooLong(mtu) => format!("mtu {mtu}"),
        Echo::Changed => "changed".into(),
        Echo::Refused(_) => "refused".into(),
        Echo::Silent => "lost".into(),
    }
}

fn word(tcp: &Tcp) -> &'static str {
    match tcp {
        Tcp::Answered => "ok",
        Tcp::Silent => "lost",
        Tcp::Refused(_) => "refused",
    }
}

fn object(checked: &Checked) -> Value {
    let Checked { asked, outside, inside, fault } = checked;
    let Asked { way, host, vtep, from, there } = asked;
    let echo = |echo: Option<&Echo>, bytes: u32| {
        let (mut rtt, mut mtu, mut why) = (None, None, None);
        let state = match echo? {
            Echo::Answered(mean) => {
                rtt = Some(units::micros(*mean));
                "answered"
            }
            Echo::TooLong(fits) => {
                mtu = Some(*fits);
                "too-long"
            }
            Echo::Changed => "changed",
            Echo::Refused(said) => {
                why = Some(said);
                "refused"
            }
            Echo::Silent => "silent",
        };
        Some(json!({"bytes": bytes, "state": state, "rtt_us": rtt, "mtu": mtu, "why": why}))
    };
    let tcp = |tcp: Option<&Tcp>| match tcp? {
        Tcp::Answered => Some("answered"),
        Tcp::Silent => Some("silent"),
        Tcp::Refused(_) => Some("refused"),
    };
    let (out, within) = (outside.as_ref(), inside.as_ref());
    json!({
        "host": host, "vtep": vtep, "vni": way.vni, "network": way.network,
        "from": from, "node": there.first().map(|(name, _)| name),
        "address": there.first().map(|(_, address)| address),
        "outside": {
            "small": echo(out.map(|out| &out.small), probe::SHORT),
            "large": echo(out.map(|out| &out.large), way.outer),
            "carries": out.and_then(|out| out.carries),
        },
        "inside": {
            "small": echo(within.map(|within| &within.small), probe::SHORT),
            "large": echo(within.map(|within| &within.large), way.packet),
            "tcp": tcp(within.map(|within| &within.tcp)),
            "tcp_segments": tcp(within.map(|within| &within.tcp_large)),
        },
        "ok": fault.is_none(),
        "why": fault.as_ref().map(|fault| &fault.why),
        "mend": fault.as_ref().map(|fault| &fault.mend),
    })
}

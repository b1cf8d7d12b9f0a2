//! What `capture`, `trace`, `explain` and `extcap` share: which words are ports and which a filter,
//! an orderly end on Ctrl-C, a walk as text.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use control::api::{Decision, Spent, Walk};

use crate::door::Which;
use crate::exit::Usage;
use crate::say;
use crate::signals::Signals;

/// The words that name ports or nodes, and the filter that the others are.
///
/// # Errors
/// When the lab does not answer, and when a filter begins with what joins two.
pub(crate) fn split(which: &Which, words: &[String]) -> anyhow::Result<(Vec<String>, String)> {
    if words.is_empty() {
        return Ok((Vec::new(), String::new()));
    }
    let ports = which.answer(which.client()?.ports())?;
    control::split(&ports, words).map_err(|line| Usage(line).into())
}

/// On the first signal asks the lab to end flow `id`, which then tells what is left and ends.
pub(crate) fn end_on(signals: Signals, which: Which, id: u64) -> anyhow::Result<()> {
    let work = move || {
        signals.wait();
        // Once it has ended of its own there is nothing to end.
        if let Ok(client) = which.client() {
            let _ = client.end_flow(id);
        }
        // A lab that does not answer is not waited for twice.
        signals.wait();
        std::process::exit(130);
    };
    thread::Builder::new().name("end".into()).spawn(work).context("starting a thread")?;
    Ok(())
}

/// Prints a walk below its heading.
pub(crate) fn print(heading: &str, walk: &Walk) {
    say::line(&text(heading, walk));
}

/// A walk as text: its steps in columns, what changed below the step that changed it, its end.
pub(crate) fn text(heading: &str, walk: &Walk) -> String {
    let network = walk.network.as_ref().map_or_else(String::new, |own| format!("  [{own}]"));
    let mut text = format!("{heading}{}{network}\n", walk.summary);
    let wide = |of: fn(&control::api::Step) -> &str| {
        walk.steps.iter().map(|step| of(step).chars().count()).max().unwrap_or(0)
    };
    let (at, decision) = (wide(|step| &step.at), wide(|step| step.decision.as_str()));
    let indent = 3 + at + 2 + decision + 2;
    let mut before = "";
    for step in &walk.steps {
        let age = match step.age {
            Some(0) => " (seen just now)".into(),
            Some(age) => format!(" (seen {age} s ago)"),
            None => String::new(),
        };
        let who = if step.at == before { "" } else { &step.at };
        before = &step.at;
        let _ = writeln!(text, "   {who:at$}  {:decision$}  {}{age}", step.decision, step.text);
        if matches!(step.decision, Decision::Forwards | Decision::Answers) {
            changes(&mut text, indent, walk);
        }
    }
    let _ = write!(text, "   = {}", walk.verdict);
    if let Some(reason) = &walk.reason {
        let _ = write!(text, ": {reason}");
    }
    if let Some(spent) = walk.spent {
        text.push_str(&times(spent));
    }
    text
}

fn changes(text: &mut String, indent: usize, walk: &Walk) {
    let wide = walk.changes.iter().map(|change| change.field.len()).max().unwrap_or(0);
    for change in &walk.changes {
        let (field, from, to) = (&change.field, &change.before, &change.after);
        let _ = writeln!(text, "{:indent$}{field:wide$}  {from} -> {to}", "");
    }
}

fn times(spent: Spent) -> String {
    let span = |nanos| short(Duration::from_nanos(nanos));
    let gateway = match spent.gateway {
        0 => String::new(),
        nanos => format!(", {} of them the gateway's", span(nanos)),
    };
    format!("; {} in the ring, {} in the switch{gateway}", span(spent.ring), span(spent.switch))
}

fn short(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", time.as_secs_f64() * 1e6),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}

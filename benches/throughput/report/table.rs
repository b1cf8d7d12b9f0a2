//! The table: a line a row, a column a forwarder, in each cell the median, half the spread between
//! the least and the greatest sample, and the ratio to the first forwarder (the Linux bridge).

use std::fmt::Write as _;

use super::results::{Cell, Results};
use crate::rows::{Better, ROWS};

pub fn markdown(results: &Results) -> String {
    let present: Vec<_> = results.forwarders.iter().filter(|f| f.absent.is_none()).collect();
    let mut text = header(results);
    let mut titles = String::from("| | unit |");
    let mut rule = String::from("|---|---|");
    for forwarder in &present {
        let _ = write!(titles, " {} |", forwarder.name);
        rule += "---:|";
    }
    let _ = writeln!(text, "{titles}\n{rule}");
    for row in ROWS {
        let Some(cells) = results.rows.get(row.name) else { continue };
        let good = match row.better {
            Better::Higher => "",
            Better::Lower => " ↓",
            Better::Neither => " ·",
        };
        let _ = write!(text, "| {} | {}{good} |", row.title, row.unit);
        let yardstick = present.first().and_then(|f| cells.get(&f.name)).map(|c| c.median);
        for (column, forwarder) in present.iter().enumerate() {
            let base = yardstick.filter(|_| column > 0 && row.better != Better::Neither);
            let _ = match cells.get(&forwarder.name) {
                Some(cell) => write!(text, " {} |", in_words(cell, base)),
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    for failure in &results.failures {
        let _ = writeln!(text, "\nfailed: {failure}");
    }
    text
}

fn header(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "\n{} x {}{}, {} MiB, Linux {}, commit {}, {}; {:.0} s\n",
        machine.cores,
        machine.cpu,
        if machine.virtual_machine { " (virtual machine)" } else { "" },
        machine.memory_mib,
        machine.kernel,
        machine.commit,
        machine.date,
        results.seconds
    );
    for command in &results.commands {
        let _ = writeln!(text, "    {command}");
    }
    for forwarder in &results.forwarders {
        let _ = match &forwarder.absent {
            Some(reason) => writeln!(text, "- {}: absent: {reason}", forwarder.name),
            None => {
                writeln!(
                    text,
                    "- {}: {}; {}",
                    forwarder.name, forwarder.version, forwarder.settings
                )
            }
        };
    }
    let _ = writeln!(
        text,
        "\nMedian ± half the spread (ratio to {}); ↓: lower is better, ·: explains another row.\n",
        results.forwarders.first().map_or("", |f| &f.name)
    );
    text
}

fn in_words(cell: &Cell, base: Option<f64>) -> String {
    let mut text = short(cell.median);
    if cell.samples.len() > 1 {
        let _ = write!(text, " ±{}", short((cell.most - cell.least) / 2.0));
    }
    if let Some(base) = base.filter(|base| *base > 0.0) {
        let _ = write!(text, " ({:.2}×)", cell.median / base);
    }
    text
}

/// Three figures or so.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

//! What was measured: samples by row and side, in the order they came; printed as a table with medians, and
//! written as JSON with all of them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::machine::Machine;
use crate::stats;

#[path = "../throughput/report/machine.rs"]
mod described;

/// Whose network a sample is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The engine's own.
    Theirs,
    Ours,
}

/// Both, one after the other; the other way round in every second round.
pub fn in_turn(round: usize) -> [Side; 2] {
    if round.is_multiple_of(2) { [Side::Theirs, Side::Ours] } else { [Side::Ours, Side::Theirs] }
}

#[derive(Serialize)]
pub struct Row {
    name: String,
    unit: &'static str,
    lower_is_better: bool,
    theirs: Vec<f64>,
    ours: Vec<f64>,
}

#[derive(Serialize)]
pub struct Report {
    machine: described::Machine,
    engines: Vec<String>,
    command: String,
    rows: Vec<Row>,
    failures: Vec<String>,
}

impl Report {
    pub fn new(machine: &Machine) -> Self {
        let version = |line: &str| {
            let said = machine.try_sh(line).out;
            said.lines().next().unwrap_or_default().to_owned()
        };
        let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        Self {
            machine: described::Machine::here(),
            engines: ["dockerd --version", "podman --version", "uswitch --version"]
                .map(version)
                .to_vec(),
            command: format!("cargo bench --bench containers -- {}", words.join(" ")),
            rows: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Something could not be measured.
    pub fn fail(&mut self, what: &str) {
        self.failures.push(what.to_owned());
    }

    /// A sample of a row in milliseconds, less of which is better.
    pub fn time(&mut self, row: &str, side: Side, ms: f64) {
        self.add((row, "ms", true), side, ms);
    }

    /// A sample of a row in this unit, more of which is better.
    pub fn rate(&mut self, row: &str, unit: &'static str, side: Side, value: f64) {
        self.add((row, unit, false), side, value);
    }

    fn add(&mut self, row: (&str, &'static str, bool), side: Side, value: f64) {
        let (name, unit, lower_is_better) = row;
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let (theirs, ours) = (Vec::new(), Vec::new());
            self.rows.push(Row { name: name.into(), unit, lower_is_better, theirs, ours });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        match side {
            Side::Theirs => row.theirs.push(value),
            Side::Ours => row.ours.push(value),
        }
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("{}", self.table());
    }

    /// Writes all samples, so far.
    pub fn save(&self, to: &Path) -> Result<()> {
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {folder:?}"))?;
        }
        std::fs::write(to, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("writing {}", to.display()))
    }

    fn table(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{} x {}{}, Linux {}, commit {}, {}\n    {}\n",
            machine.cores,
            machine.cpu,
            if machine.virtual_machine { " (virtual machine)" } else { "" },
            machine.kernel,
            machine.commit,
            machine.date,
            self.command,
        );
        for engine in &self.engines {
            let _ = writeln!(text, "- {engine}");
        }
        text += "\nMedian ± half the spread; ↓: lower is better.\n\n";
        text += "| | unit | the engine's own | uswitch | ratio |\n|---|---|---:|---:|---:|\n";
        for row in &self.rows {
            let mark = if row.lower_is_better { " ↓" } else { "" };
            let ratio = stats::median(&row.ours) / stats::median(&row.theirs);
            let (theirs, ours) = (in_words(&row.theirs), in_words(&row.ours));
            let _ = writeln!(
                text,
                "| {} | {}{mark} | {theirs} | {ours} | {ratio:.2} |",
                row.name, row.unit
            );
        }
        for failure in &self.failures {
            let _ = writeln!(text, "\nfailed: {failure}");
        }
        text
    }
}

fn in_words(samples: &[f64]) -> String {
    let (least, most) = stats::range(samples);
    format!("{} ±{}", short(stats::median(samples)), short((most - least) / 2.0))
}

/// Three figures or so.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

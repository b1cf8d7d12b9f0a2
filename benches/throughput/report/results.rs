//! What has been measured: samples by row and forwarder, the forwarders (the absent too), and the
//! failures. Results of several runs can be merged: a long run in pieces is one table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::peers::Forwarder;
use crate::stats;

/// Everything a run knows.
#[derive(Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub commands: Vec<String>,
    pub seconds: f64,
    pub forwarders: Vec<Introduced>,
    /// Row name -> forwarder -> cell.
    pub rows: BTreeMap<String, BTreeMap<String, Cell>>,
    pub failures: Vec<String>,
}

/// A forwarder as it was run, or why it was not.
#[derive(Serialize, Deserialize, PartialEq, Clone)]
pub struct Introduced {
    pub name: String,
    pub version: String,
    pub settings: String,
    pub absent: Option<String>,
}

/// One sample a round, and what is said of them.
#[derive(Serialize, Deserialize, Default)]
pub struct Cell {
    pub samples: Vec<f64>,
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Results {
    pub fn new() -> Self {
        Self {
            machine: Machine::here(),
            commands: Vec::new(),
            seconds: 0.0,
            forwarders: Vec::new(),
            rows: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    pub fn introduce(&mut self, forwarder: &dyn Forwarder, absent: Option<String>) {
        self.forwarders.push(Introduced {
            name: forwarder.name().into(),
            version: if absent.is_none() { forwarder.version() } else { String::new() },
            settings: forwarder.settings().into(),
            absent,
        });
    }

    pub fn add(&mut self, row: &str, forwarder: &str, value: f64) {
        if !value.is_finite() {
            self.failures.push(format!("{forwarder} {row}: nothing arrived"));
            return;
        }
        let cell = self.rows.entry(row.into()).or_default().entry(forwarder.into()).or_default();
        cell.samples.push(value);
        cell.median = stats::median(&cell.samples);
        (cell.least, cell.most) = stats::range(&cell.samples);
    }

    pub fn fail(&mut self, forwarder: &str, what: &str, error: &anyhow::Error) {
        self.failures.push(format!("{forwarder} {what}: {error:#}"));
    }

    pub fn finish(&mut self, took: Duration) {
        self.seconds = took.as_secs_f64();
        let words = std::env::args().skip(1).filter(|word| word != "--bench");
        let command = ["cargo bench --bench throughput --".to_owned()].into_iter().chain(words);
        self.commands = vec![command.collect::<Vec<_>>().join(" ")];
    }

    /// The median of a cell.
    pub fn median(&self, row: &str, forwarder: &str) -> Option<f64> {
        Some(self.rows.get(row)?.get(forwarder)?.median)
    }

    /// Reads results and puts them together; the machine is that of the first.
    ///
    /// # Errors
    /// Names the file that is not such a result.
    pub fn merged(paths: &[PathBuf]) -> Result<Self> {
        let mut merged: Option<Self> = None;
        for path in paths {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))?;
            let next: Self = serde_json::from_str(&text)
                .with_context(|| format!("{} is not a result", path.display()))?;
            match &mut merged {
                None => merged = Some(next),
                Some(all) => all.take_in(next),
            }
        }
        merged.context("nothing to merge")
    }

    fn take_in(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.commands.extend(other.commands);
        self.failures.extend(other.failures);
        for forwarder in other.forwarders {
            if !self.forwarders.iter().any(|known| known.name == forwarder.name) {
                self.forwarders.push(forwarder);
            }
        }
        for (row, cells) in other.rows {
            for (forwarder, cell) in cells {
                for sample in cell.samples {
                    self.add(&row, &forwarder, sample);
                }
            }
        }
    }
}

//! The knobs of a run, from the command line after `--`; read by the plan and by the rows.
//!
//! `cargo bench` itself adds `--bench`, and `cargo test --benches` nothing: then the program says
//! what it is and does no work, because a benchmark is not a test.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser, Debug)]
#[command(name = "throughput", about = "Forwarders side by side, ratios to the Linux bridge")]
pub struct Args {
    /// Rows to run: comma-separated beginnings of row names (`tcp`, `frames/60`, `nat`); all if absent
    #[arg(long, env = "USWITCH_BENCH_ROWS", value_delimiter = ',')]
    pub rows: Vec<String>,
    /// Forwarders to run, comma-separated; the Linux bridge is always among them
    #[arg(long, env = "USWITCH_BENCH_FORWARDERS", value_delimiter = ',')]
    pub forwarders: Vec<String>,
    /// Another build of uswitch to run beside this one, as NAME=PATH; may be repeated
    #[arg(long)]
    pub also: Vec<String>,
    /// Rounds: each builds every forwarder once
    #[arg(long, env = "USWITCH_BENCH_ROUNDS", default_value_t = 3)]
    pub rounds: usize,
    /// Length of a bulk measurement in seconds; the shorter ones are halves and thirds of it
    #[arg(long, env = "USWITCH_BENCH_SECONDS", default_value_t = 1.5)]
    pub seconds: f64,
    /// One round of short measurements: is all in order? Not for quoting
    #[arg(long)]
    pub quick: bool,
    /// Where the JSON and the chart go
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench"))]
    pub out: PathBuf,
    /// Name of the files written there
    #[arg(long, default_value = "throughput")]
    pub name: String,
    /// Chart and table of results measured earlier (JSON files), merged; nothing is run
    #[arg(long, num_args = 1..)]
    pub merge: Vec<PathBuf>,
    /// Names the rows and forwarders, and ends
    #[arg(long)]
    pub list: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    /// The measuring time scaled: 1.0 is a bulk measurement.
    pub fn window(&self, scale: f64) -> std::time::Duration {
        let seconds = if self.quick { 0.4 } else { self.seconds };
        std::time::Duration::from_secs_f64((seconds * scale).max(0.15))
    }

    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.max(1) }
    }

    /// Whether a row of this name is wanted.
    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| row.starts_with(wanted.as_str()))
    }
}

/// # Errors
/// The code to end with, where there is nothing to run.
pub fn parse() -> Result<Args, ExitCode> {
    let args = Args::try_parse().map_err(|error| {
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })?;
    if !args.bench && !args.list && args.merge.is_empty() && !crate::world::is_inside() {
        println!("throughput: a benchmark; run it with `cargo bench --bench throughput`");
        return Err(ExitCode::SUCCESS);
    }
    Ok(args)
}

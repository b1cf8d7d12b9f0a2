//! `uswitch metrics`: a running lab's counters as Prometheus' text, or as OpenMetrics.

use std::process::ExitCode;

use crate::door::Which;
use crate::say;

/// Print a running lab's counters for Prometheus
///
/// Prometheus' text format, which `promtool check metrics` reads. `run --metrics ADDR` serves the
/// same over HTTP, as OpenMetrics to a scraper that asks for it.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// OpenMetrics, with units and an end mark
    #[arg(long)]
    openmetrics: bool,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let newer = args.which.answer(client.metrics())?;
    if args.openmetrics {
        say::part(&newer);
    } else {
        say::part(&control::prometheus_text(&newer));
    }
    Ok(ExitCode::SUCCESS)
}

//! `uswitch metrics`: a running lab's counters as OpenMetrics text.

use std::process::ExitCode;

use crate::door::Which;
use crate::say;

/// Print a running lab's counters for Prometheus
///
/// The text that `run --metrics ADDR` serves over HTTP.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    say::part(&args.which.answer(client.metrics())?);
    Ok(ExitCode::SUCCESS)
}

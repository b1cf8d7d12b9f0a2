//! `uswitch ping`: the pinger on the command line.

use std::process::ExitCode;

/// Ping from a node of a lab, or from here
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("ping is not built yet")
}

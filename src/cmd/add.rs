//! `uswitch add`: plug a node in.

use std::process::ExitCode;

/// Plug a new node into a running lab
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("add is not built yet")
}

//! `uswitch exec`: a command inside a node.

use std::process::ExitCode;

/// Run a command in a node's network namespace
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("exec is not built yet")
}

//! `uswitch completions`: shell completions.

use std::process::ExitCode;

/// Print completions for a shell
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("completions is not built yet")
}

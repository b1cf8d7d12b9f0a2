//! `uswitch remove`: pull a node out.

use std::process::ExitCode;

/// Pull a node out of a running lab
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("remove is not built yet")
}

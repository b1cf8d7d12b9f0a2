//! `uswitch up`: the same in the background.

use std::process::ExitCode;

/// Build a lab and leave it running in the background once its checks pass
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("up is not built yet")
}

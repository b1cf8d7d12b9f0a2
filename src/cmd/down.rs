//! `uswitch down`: stop a lab and remove all it made.

use std::process::ExitCode;

/// Stop a lab and remove all it made, also after a crash
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("down is not built yet")
}

//! `uswitch run`: build a lab, check it, stay, undo it.

use std::process::ExitCode;

/// Build a lab, check it with pings, stay until Ctrl-C, undo it
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("run is not built yet")
}

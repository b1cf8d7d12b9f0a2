//! `uswitch man`: the manual page.

use std::process::ExitCode;

/// Print the manual page in roff
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("man is not built yet")
}

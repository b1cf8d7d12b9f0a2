//! `uswitch show`: what a running lab holds.

use std::process::ExitCode;

/// Show a running lab: ports, fdb, nat, neigh, routes, topology
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("show is not built yet")
}

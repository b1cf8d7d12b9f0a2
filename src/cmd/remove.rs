//! `uswitch remove`: a node taken out of a running lab.

use std::process::ExitCode;

use crate::door::Which;
use crate::say;

/// Take a node out of a running lab
///
/// Its namespace goes, and what was published for it; processes in it lose their network.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    args.which.answer(client.remove_node(&args.node))?;
    say::line(&format!("{} is gone", args.node));
    Ok(ExitCode::SUCCESS)
}

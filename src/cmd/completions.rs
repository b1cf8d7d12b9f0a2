//! `uswitch completions`: what a shell needs to complete the verbs.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::say;

/// Print a shell's completions
///
/// As in `uswitch completions bash > /etc/bash_completion.d/uswitch`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "uswitch", &mut text);
    say::bytes(&text);
    Ok(ExitCode::SUCCESS)
}

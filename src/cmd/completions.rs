//! `uswitch completions`: what a shell needs to complete the verbs.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::env::{EnvCompleter, Shells};

use crate::{complete, say};

/// Print a shell's completions
///
/// As in `uswitch completions bash > /etc/bash_completion.d/uswitch`, or for the running shell
/// `source <(uswitch completions bash)`. The shell then asks uswitch for what fits: verbs, options,
/// labs, nodes, interfaces.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).context("no such shell")?;
    let text = registration(shell).with_context(|| format!("writing for {}", args.shell))?;
    say::bytes(&text);
    Ok(ExitCode::SUCCESS)
}

/// The program is asked by its name, wherever PATH has it by then.
fn registration(shell: &dyn EnvCompleter) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    shell.write_registration(complete::VARIABLE, "uswitch", "uswitch", "uswitch", &mut text)?;
    Ok(text)
}

//! `uswitch exec`: a command inside a node. The process moves into the node and becomes the
//! command, so exit code, signals and terminal are the command's own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use lab::{Ground, join};

use crate::door::Which;

/// Run a command in a node's network namespace
///
/// As under `ip netns exec` it sees the node's own /sys, and /etc/netns/NAMESPACE/resolv.conf in
/// the place of /etc/resolv.conf. Exit code: the command's; 126 when it cannot be run, 127 when
/// there is no such command, 1 when there is no such node.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// The node
    #[arg(value_name = "NODE")]
    node: String,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let Some((program, rest)) = args.command.split_first() else {
        anyhow::bail!("a command is missing")
    };
    let entrance = join::find(&Ground::find(), &args.which.name, &args.node)?;
    entrance.enter()?;
    entrance.dress();
    // Comes back only where it fails.
    let error = Command::new(program).args(rest).exec();
    eprintln!("uswitch: cannot run {}: {error}", program.to_string_lossy());
    Ok(ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 }))
}

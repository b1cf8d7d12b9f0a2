//! `uswitch exec`: a command inside a node. The process moves into the node and becomes the
//! command, so exit code, signals and terminal are the command's own.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use lab::called::program;
use lab::{LabName, join};

use crate::complete;
use crate::door::{Which, ground};
use crate::exit::Usage;
use crate::say;

/// Run a command in a node's network namespace
///
/// As under `ip netns exec` it sees the node's own /sys, and /etc/netns/NAMESPACE/FILE in the place
/// of /etc/FILE; where there is no such file, a hosts file with the names of the lab's nodes. Exit
/// code: the command's; 126 when it cannot be run, 127 when
/// there is no such command, 2 when there is no such node.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// The node
    #[arg(value_name = "NODE", add = complete::nodes())]
    node: String,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, add = complete::commands())]
    command: Vec<OsString>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    if args.command.is_empty() {
        let (program, name, node) = (program(), args.which.option(), &args.node);
        let said = format!(
            "a command is missing: `{program} exec{name} {node} -- ip addr`, or \
             `{program} shell{name} {node}` for a shell"
        );
        return Err(Usage(said).into());
    }
    become_one(&args.which.name, &args.node, &args.command, &[])
}

/// Moves into the node and becomes the command.
pub(super) fn become_one(
    lab: &LabName,
    node: &str,
    command: &[OsString],
    environment: &[(&str, String)],
) -> anyhow::Result<ExitCode> {
    let Some((program, rest)) = command.split_first() else {
        return Err(Usage("a command is missing".into()).into());
    };
    let entrance = join::find(&ground(), lab, node)?;
    entrance.enter()?;
    for missing in entrance.dress() {
        say::error(&missing);
    }
    // Closed for us, closed for the command.
    for fd in (0..3).filter(|fd| sys::stdio::was_closed(*fd)) {
        let _ = nix::unistd::close(i32::from(fd));
    }
    // Comes back only where it fails.
    let mut command = Command::new(program);
    command.args(rest).envs(environment.iter().map(|(name, value)| (name, value)));
    let error = command.exec();
    let missing = error.kind() == ErrorKind::NotFound || !is_somewhere(program);
    let why = if missing { "no such program".into() } else { error.to_string() };
    say::error(&format!("cannot run {}: {why}", program.to_string_lossy()));
    Ok(ExitCode::from(if missing { 127 } else { 126 }))
}

/// Whether there is such a file, by its path or along PATH. The kernel's answer alone does not
/// tell: where a directory of PATH may not be looked into, that is all it says.
fn is_somewhere(program: &OsStr) -> bool {
    if program.as_bytes().contains(&b'/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

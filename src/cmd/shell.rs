//! `uswitch shell`: a shell inside a node, whose prompt says where it is.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::exec;
use crate::door::Which;

/// Start a shell in a node's network namespace
///
/// $SHELL, or /bin/sh; its prompt begins with the node's name, which USWITCH_NODE holds as well.
/// Exit code: the shell's; 2 when there is no such node.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// The node
    #[arg(value_name = "NODE", add = crate::complete::nodes())]
    node: String,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let shell = shell.unwrap_or_else(|| "/bin/sh".into());
    let mut command = vec![shell.clone()];
    command.extend(arguments(&shell, &args.node));
    let environment = [
        ("USWITCH_NODE", args.node.clone()),
        // dash and the like have no startup file that sets another.
        ("PS1", format!("({}) $ ", args.node)),
        // bash's startup files set PS1: the node's name is put before it each time it is shown.
        ("PROMPT_COMMAND", r#"PS1="($USWITCH_NODE) ${PS1#($USWITCH_NODE) }""#.into()),
    ];
    exec::become_one(&args.which.name, &args.node, &command, &environment)
}

/// What makes a shell that is told otherwise say where it is.
fn arguments(shell: &OsString, node: &str) -> Vec<OsString> {
    let name = Path::new(shell).file_name().unwrap_or_default();
    if name != "fish" {
        return Vec::new();
    }
    let prompt = format!(
        "functions -c fish_prompt uswitch_prompt; \
         function fish_prompt; printf '({node}) '; uswitch_prompt; end"
    );
    vec!["-C".into(), prompt.into()]
}

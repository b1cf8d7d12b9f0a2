//! `uswitch remove`: nodes taken out of a running lab.

use std::process::ExitCode;

use control::api::Node;
use lab::steps;

use crate::door::Which;
use crate::{complete, exit, say};

/// Take nodes out of a running lab
///
/// A node's namespace goes, and what was published for it; processes in it lose their network. Where one
/// node cannot be taken out, the others are all the same.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The nodes
    #[arg(value_name = "NODE", required = true, add = complete::own_nodes())]
    nodes: Vec<String>,
    /// Print the steps as the commands that would do the same by hand, and change nothing; -v
    /// prints them on stderr as well
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let mut code = 0;
    for node in &args.nodes {
        if steps || args.dry_run {
            let known = args.which.answer(client.topology())?.nodes;
            let tell = if args.dry_run { say::line } else { say::note };
            let is = |known: &&Node| [&known.name, &known.namespace].contains(&node);
            let found = known.iter().find(is);
            found.map(lines).unwrap_or_default().iter().for_each(|line| tell(line));
            if args.dry_run && found.is_some() {
                continue;
            }
        }
        match args.which.answer(client.remove_node(node)) {
            Ok(()) => say::line(&format!("{node} is gone")),
            Err(error) => {
                say::error(&format!("{error:#}"));
                code = code.max(exit::code(&error));
            }
        }
    }
    Ok(ExitCode::from(code))
}

/// What is done to take it out, as commands.
fn lines(node: &Node) -> Vec<String> {
    let prefix = node.namespace.strip_suffix(node.name.as_str()).unwrap_or_default();
    let further = node.further.iter().filter_map(|one| one.port.as_deref());
    let ports: Vec<&str> = node.port.as_deref().into_iter().chain(further).collect();
    steps::remove(prefix, &node.namespace, &ports)
}

//! `uswitch remove`: nodes taken out of a running lab.

use std::process::ExitCode;

use control::api::Node;
use lab::steps;

use crate::door::Which;
use crate::{complete, exit, say};

/// Take nodes out of a running lab
///
/// A node's namespace goes, with its links and what was published for it; processes in it lose their
/// network. All names are looked at first: where one is wrong nothing is taken out (exit code 2).
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
    let known = args.which.answer(client.topology())?.nodes;
    let mut nodes: Vec<&Node> = Vec::new();
    let mut code = 0;
    for asked in &args.nodes {
        match known.iter().find(|node| [&node.name, &node.namespace].contains(&asked)) {
            Some(node) if nodes.contains(&node) => {}
            Some(node) => nodes.push(node),
            None => {
                let all: Vec<_> = known.iter().map(|node| node.name.as_str()).collect();
                let (lab, nodes) = (args.which.name.to_string(), all.join(", "));
                let error = lab::Error::NoNode { lab, node: asked.clone(), nodes };
                say::error(&error.to_string());
                code = exit::USAGE;
            }
        }
    }
    if code != 0 {
        return Ok(ExitCode::from(code));
    }
    for node in nodes {
        if args.dry_run {
            lines(node).iter().for_each(|line| say::line(line));
            continue;
        }
        match args.which.answer(client.remove_node(&node.name)) {
            Ok(()) => {
                if steps {
                    lines(node).iter().for_each(|line| say::note(line));
                }
                say::line(&format!("{} is gone", node.name));
            }
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

//! `uswitch remove`: nodes taken out of a running lab.

use std::process::ExitCode;

use control::api::Node;
use lab::steps;

use crate::door::Which;
use crate::{complete, exit, say};

/// Take nodes out of a running lab
///
/// A node's namespace goes, and what was published for it; processes in it lose their network. Where a name is
/// no node's, none is taken out; where one node cannot be, the others are all the same.
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
    let topology = args.which.answer(client.topology())?;
    let mut nodes: Vec<&Node> = Vec::new();
    let mut strange = Vec::new();
    for name in &args.nodes {
        let is = |known: &&Node| [&known.name, &known.namespace].contains(&name);
        match topology.nodes.iter().find(is) {
            Some(node) if nodes.iter().any(|other| other.name == node.name) => {}
            Some(node) => nodes.push(node),
            None => strange.push(name),
        }
    }
    if let Some((last, before)) = strange.split_last() {
        let unknown = |name: &str| lab::Error::NoNode {
            lab: topology.lab.clone(),
            node: name.to_owned(),
            nodes: topology.nodes.iter().map(|node| &*node.name).collect::<Vec<_>>().join(", "),
        };
        before.iter().for_each(|name| say::error(&unknown(name).to_string()));
        return Err(unknown(last).into());
    }
    let mut code = 0;
    for node in nodes {
        if steps || args.dry_run {
            let tell = if args.dry_run { say::line } else { say::note };
            lines(node).iter().for_each(|line| tell(line));
            if args.dry_run {
                continue;
            }
        }
        let node = &node.name;
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

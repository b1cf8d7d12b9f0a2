//! `uswitch link`: a node's cables, pulled and plugged in again.

use std::process::ExitCode;

use control::api::SetLink;

use crate::door::Which;
use crate::{by_hand, complete, say};

/// Pull a node's cables, or plug them in again
///
/// As when a cable is pulled at the switch: the node has no carrier, keeps its addresses and routes,
/// and is reached again as soon as it is plugged in. Where a link joins two nodes, the node's own end goes
/// down; its routes are put back when it comes up.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The node
    #[arg(value_name = "NODE", add = complete::own_nodes())]
    node: String,
    /// Plugged in, or pulled
    #[arg(value_enum)]
    state: State,
    /// The one in this network alone
    #[arg(long, value_name = "NAME", add = crate::complete::networks())]
    network: Option<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// Plugged in
    Up,
    /// Pulled
    Down,
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let up = args.state == State::Up;
    let ask = SetLink { up, network: args.network.clone() };
    args.which.answer(args.which.client()?.set_link(&args.node, &ask))?;
    by_hand::tell(steps, &args.which, |lab| lab.link(&args.node, args.network.as_deref(), up));
    let state = if up { "up" } else { "down" };
    let of = args.network.map_or_else(String::new, |network| format!(" in {network}"));
    say::line(&format!("the link of {}{of} is {state}", args.node));
    Ok(ExitCode::SUCCESS)
}

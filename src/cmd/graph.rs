//! `uswitch graph`: a running lab as a drawing for a document.

use std::process::ExitCode;

use control::api::TopologyKind;

use crate::door::Which;
use crate::graph::{Graph, dot, mermaid, svg};
use crate::say;

/// Draw a running lab: mermaid, Graphviz's dot, or an SVG image
///
/// Nodes with their addresses, networks, the gateway and what lies behind it; a link that is down is
/// dashed. One lab has one picture. `uswitch graph --svg > lab.svg`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// As mermaid, which pages of code hosts draw (the default)
    #[arg(long, conflicts_with_all = ["dot", "svg"])]
    mermaid: bool,
    /// As a graph of Graphviz
    #[arg(long, conflicts_with = "svg")]
    dot: bool,
    /// As an image
    #[arg(long)]
    svg: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let lab = args.which.answer(client.topology())?;
    let spec = args.which.answer(client.spec())?;
    let switched = lab.kind == TopologyKind::Switch;
    let networks = if switched { args.which.answer(client.networks())? } else { Vec::new() };
    let published =
        if lab.uplink.is_some() { args.which.answer(client.published())? } else { Vec::new() };
    let graph = Graph::of(&lab, &spec, &networks, &published);
    let text = if args.svg {
        svg::write(&lab.lab, &graph)
    } else if args.dot {
        dot::write(&lab.lab, &graph)
    } else {
        mermaid::write(&graph)
    };
    say::bytes(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

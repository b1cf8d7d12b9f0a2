//! `uswitch publish` and `unpublish`: ports of the uplink that lead to nodes, while the lab runs.

use std::process::ExitCode;

use control::api::{Protocol, Publish};

use crate::door::Which;
use crate::{forward, say};

/// Publish a port of the uplink that leads to a node
///
/// As in `uswitch publish 8080:net1:80`; TCP unless `/udp` stands behind it. With a real uplink the
/// port is one of the lab's block.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// [ADDR:]PORT:NODE:PORT[/udp]
    #[arg(value_name = "PORT:NODE:PORT", value_parser = forward::publish)]
    port: Publish,
    #[command(flatten)]
    which: Which,
}

/// Withdraw a published port
#[derive(clap::Args)]
pub(crate) struct Withdraw {
    /// PORT[/udp], as `show published` has it
    #[arg(value_name = "PORT", value_parser = forward::published)]
    port: (Protocol, u16),
    #[command(flatten)]
    which: Which,
}

/// Runs `publish`.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let done = args.which.answer(client.publish(&args.port))?;
    say::line(&format!("{}/{} leads to {}", done.port, done.protocol, done.inside));
    Ok(ExitCode::SUCCESS)
}

/// Runs `unpublish`.
pub(crate) fn withdraw(args: Withdraw) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let (protocol, port) = args.port;
    args.which.answer(client.unpublish(protocol, port))?;
    say::line(&format!("{port}/{protocol} is withdrawn"));
    Ok(ExitCode::SUCCESS)
}

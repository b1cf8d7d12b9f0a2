//! `uswitch publish` and `unpublish`: ports of the uplink that lead to nodes, while the lab runs.

use std::net::IpAddr;
use std::process::ExitCode;

use control::api::{Protocol, Publish, Published, Topology};
use lab::called::program;

use crate::by_hand::prefix;
use crate::door::Which;
use crate::exit::Usage;
use crate::forward::{self, Named};
use crate::say;

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
    /// [ADDR:]PORT[/udp], as `show published` has it
    #[arg(value_name = "PORT", value_parser = forward::published, add = crate::complete::published())]
    port: Named,
    #[command(flatten)]
    which: Which,
}

/// Runs `publish`.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let done = args.which.answer(client.publish(&args.port))?;
    let topology = args.which.answer(client.topology())?;
    if steps {
        say::note(&match simulated(&topology) {
            true => lab::steps::publish(prefix(&topology), &args.port, done.inside.ip()),
            false => lab::steps::SHARED.into(),
        });
    }
    let uplink = topology.uplink;
    let address = done.address.or_else(|| Some(uplink.as_ref()?.address.into()));
    let at = address.map_or_else(|| "the uplink".into(), |address| address.to_string());
    say::line(&format!("{at}:{}/{} leads to {}", done.port, done.protocol, done.inside));
    if let Some((address, uplink)) = address.zip(uplink) {
        let simulated = !uplink.answers.is_empty();
        say::line(&format!("try, {}", trial(&args.which, address, &done, simulated)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the uplink is the simulated internet, which the steps' kernel masquerades to.
fn simulated(topology: &Topology) -> bool {
    topology.uplink.as_ref().is_some_and(|uplink| !uplink.answers.is_empty())
}

/// How to see that the port leads inside: from outside, which for a real uplink is another machine.
fn trial(which: &Which, address: IpAddr, done: &Published, simulated: bool) -> String {
    let asks = match done.protocol {
        Protocol::Udp => format!("nc -u {address} {}", done.port),
        _ => format!("curl http://{address}:{}/", done.port),
    };
    if simulated {
        let (program, name) = (program(), which.option());
        format!("from the simulated internet: {program} exec{name} inet -- {asks}")
    } else {
        format!("from another machine: {asks}")
    }
}

/// Runs `unpublish`.
pub(crate) fn withdraw(args: Withdraw, steps: bool) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let Named { protocol, address, port, inside } = args.port;
    if address.is_some() || inside.is_some() {
        let list = args.which.answer(client.published())?;
        let uplink = args.which.answer(client.topology())?.uplink.map(|uplink| uplink.address);
        let uplink = uplink.map(IpAddr::V4);
        let named = address.map(IpAddr::V4);
        let here = |one: &Published| named.is_none() || one.address.or(uplink) == named;
        let is_led = |one: &Published, (node, port): &(String, u16)| {
            one.inside.port() == *port && one.node.as_ref().is_none_or(|own| own == node)
        };
        let same = |one: &&Published| (one.protocol, one.port) == (protocol, port);
        let found = list.iter().find(same);
        if let Some((one, to)) = found.zip(inside).filter(|(one, to)| !is_led(one, to)) {
            let node = one.node.clone().unwrap_or_else(|| one.inside.ip().to_string());
            let (asked, own) = (format!("{}:{}", to.0, to.1), one.inside.port());
            let said = format!("{port}/{protocol} leads to {node}:{own}, and not to {asked}");
            return Err(Usage(said).into());
        }
        if let Some((one, address)) = found.zip(address).filter(|(one, _)| !here(one)) {
            let at = one.address.or(uplink).map_or_else(String::new, |at| format!("{at}:"));
            let said = format!("{address}:{port}/{protocol} is not published, {at}{port} is");
            return Err(Usage(said).into());
        }
    }
    args.which.answer(client.unpublish(protocol, port))?;
    if steps {
        let topology = args.which.answer(client.topology())?;
        say::note(&match simulated(&topology) {
            true => lab::steps::unpublish(prefix(&topology), protocol, port),
            false => lab::steps::SHARED.into(),
        });
    }
    say::line(&format!("{port}/{protocol} is withdrawn"));
    Ok(ExitCode::SUCCESS)
}

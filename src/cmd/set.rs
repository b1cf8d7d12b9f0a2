//! `uswitch set gateway`: what makes a router of a host, switched off and on in a running lab.

use std::process::ExitCode;

use anyhow::Context;
use control::api::SetGateway;

use crate::door::Which;
use crate::exit::Usage;
use crate::onoff::OnOff;
use crate::{by_hand, say};

/// Change the running gateway
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Gateway(Gateway),
}

/// Switch the gateway's forwarding and NAT off and on, to see what each is for
///
/// Without forwarding it answers for its own addresses and drops what is for others
/// (`sysctl net.ipv4.ip_forward=0`). Without the NAT packets leave with the node's own address, to which
/// nothing outside knows the way back (no MASQUERADE rule). `explain` and `trace` say where a packet
/// ends then.
#[derive(clap::Args)]
struct Gateway {
    /// Whether it forwards what is not for itself
    #[arg(long, value_name = "on|off")]
    forwarding: Option<OnOff>,
    /// `none`, or the lab's type of NAT for that
    #[arg(long, value_name = "none|TYPE", add = crate::complete::nat())]
    nat: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let What::Gateway(Gateway { forwarding, nat, which }) = args.what;
    if forwarding.is_none() && nat.is_none() {
        return Err(Usage("nothing to set: --forwarding on|off, --nat none|TYPE".into()).into());
    }
    let (forward, masked) = (forwarding.map(OnOff::is_on), nat.clone());
    let ask = SetGateway { forwarding: forward, nat };
    let routing = which.answer(which.client()?.set_gateway(&ask)).context("set gateway")?;
    by_hand::tell(steps, &which, |lab| lab.set_gateway(forward, masked.as_deref()));
    let forwarding = OnOff::of(routing.forwarding);
    say::line(&format!("the gateway: forwarding {forwarding}, NAT {}", routing.nat));
    Ok(ExitCode::SUCCESS)
}

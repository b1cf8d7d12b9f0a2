//! `uswitch nat flush`: sessions forgotten on request.

use std::process::ExitCode;

use clap::builder::TypedValueParser;
use control::api::{FlushNat, Flushed};
use wire::IpProtocol;

use crate::door::Which;
use crate::{by_hand, say, units};

/// Change the NAT's table of sessions
#[derive(clap::Args)]
pub(crate) struct Nat {
    #[command(subcommand)]
    verb: NatVerb,
}

#[derive(clap::Subcommand)]
enum NatVerb {
    /// Forget sessions, of one node or protocol or all; published ports stay
    Flush {
        /// Only those of this node
        #[arg(long, value_name = "NODE", add = crate::complete::nodes())]
        node: Option<String>,
        /// Only those of this protocol, by name or number: tcp, udp, icmp, gre
        #[arg(long, value_name = "PROTOCOL")]
        proto: Option<IpProtocol>,
        #[command(flatten)]
        which: Which,
    },
}

/// How many sessions the NAT may be told to have room for.
pub(super) fn sessions() -> impl TypedValueParser<Value = u32> {
    let (least, most) = topology::NAT_SESSIONS_RANGE.into_inner();
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}

/// Runs `nat`.
pub(crate) fn nat(args: Nat, steps: bool) -> anyhow::Result<ExitCode> {
    let NatVerb::Flush { node, proto, which } = args.verb;
    let protocol = proto.map(|own| own.name().map_or_else(|| own.0.to_string(), str::to_owned));
    let ask = FlushNat { node, protocol };
    let client = which.client()?;
    let Flushed { flushed } = which.answer(client.flush_nat(&ask))?;
    let addresses = |name: &String| {
        let nodes = client.topology().map(|topology| topology.nodes).unwrap_or_default();
        let own = nodes.into_iter().filter(|node| node.name == *name || node.namespace == *name);
        own.filter_map(|node| node.address).collect::<Vec<_>>()
    };
    by_hand::tell(steps, &which, |lab| {
        lab.flush_nat(ask.protocol.as_deref(), ask.node.as_ref().map(addresses))
    });
    say::line(&format!("{} forgotten", units::count(flushed, "session", "sessions")));
    Ok(ExitCode::SUCCESS)
}

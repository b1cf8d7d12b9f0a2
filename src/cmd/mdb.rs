//! `uswitch mdb`: ports made members of groups by hand.

use std::process::ExitCode;

use control::api::SetMdb;

use super::vlan;
use crate::by_hand;
use crate::door::Which;

/// Make ports members of groups by hand
///
/// Takes `uswitch network set lan --mcast-snooping on` first. `show mdb` tells who is a member of
/// what, of these and of those that have asked for it themselves.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a port a member of a group, for good
    Add(Membership),
    /// End a port's membership, however it came about
    Del(Membership),
}

#[derive(clap::Args)]
struct Membership {
    /// A node, or a port of the switch
    #[arg(value_name = "NODE|PORT", add = crate::complete::ports())]
    port: String,
    /// The group: 239.1.2.3, ff05::1, 01:00:5e:01:02:03
    group: String,
    /// Its VLAN, where they are told apart [default: all that the port is a member of]
    #[arg(long, value_name = "VID", value_parser = vlan::one)]
    vlan: Option<u16>,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let (adds, membership) = match args.verb {
        Verb::Add(membership) => (true, membership),
        Verb::Del(membership) => (false, membership),
    };
    let Membership { port, group, vlan, which } = membership;
    let (ask, client) = (SetMdb { port, group, vlan }, which.client()?);
    which.answer(if adds { client.set_mdb(&ask) } else { client.del_mdb(&ask) })?;
    let verb = if adds { "add" } else { "del" };
    by_hand::tell(steps, &which, |lab| vec![lab.mdb(verb, &ask)]);
    Ok(ExitCode::SUCCESS)
}

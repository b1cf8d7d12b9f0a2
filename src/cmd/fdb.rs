//! `uswitch fdb`: addresses set by hand, taken out, forgotten.

use std::net::IpAddr;
use std::process::ExitCode;

use control::api::{DelFdb, FdbKind, FlushFdb, Flushed, SetFdb};

use super::vlan;
use crate::door::Which;
use crate::{by_hand, say, units};

/// Change the switch's table of addresses
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Set an address by hand: it does not age
    Add {
        /// The address, as 02:00:00:00:00:01
        mac: String,
        /// The port it is behind, or its node
        #[arg(
            value_name = "NODE|PORT",
            required_unless_present = "blackhole",
            conflicts_with = "blackhole",
            add = crate::complete::ports()
        )]
        port: Option<String>,
        /// It does not age; seen at another port it moves there (the default)
        #[arg(long = "static", group = "kind")]
        is_static: bool,
        /// It does not age, and stays at this port wherever frames from it come in
        #[arg(long, group = "kind")]
        sticky: bool,
        /// It is the switch's own: frames to it are for nobody
        #[arg(long, group = "kind")]
        local: bool,
        /// It does not age but moves, as what another program has learned
        #[arg(long = "extern", group = "kind")]
        is_extern: bool,
        /// Drop frames to it
        #[arg(long, group = "kind")]
        blackhole: bool,
        /// Behind a tunnel, `vxlan` or `vxlanN`: the remote end that frames to it go to
        #[arg(long, value_name = "ADDR", requires = "port", conflicts_with_all = ["blackhole", "local"])]
        dst: Option<IpAddr>,
        /// Its VLAN, where they are told apart [default: all that the port is a member of; of a blackhole all there are]
        #[arg(long, value_name = "VID", value_parser = vlan::one)]
        vlan: Option<u16>,
        /// The network of a blackhole; a port is in its own [default: the lab's only one]
        #[arg(long, value_name = "NAME", add = crate::complete::networks())]
        network: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Take an address out
    Del {
        /// The address
        mac: String,
        /// Only if it is behind this port or node
        #[arg(value_name = "NODE|PORT", add = crate::complete::ports())]
        port: Option<String>,
        /// Only in this VLAN
        #[arg(long, value_name = "VID", value_parser = vlan::one)]
        vlan: Option<u16>,
        /// Only in this network
        #[arg(long, value_name = "NAME", add = crate::complete::networks())]
        network: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Forget learned addresses, of one port or node or of all
    Flush {
        /// The port, or its node
        #[arg(value_name = "NODE|PORT", add = crate::complete::ports())]
        port: Option<String>,
        /// Only in this VLAN
        #[arg(long, value_name = "VID", value_parser = vlan::one)]
        vlan: Option<u16>,
        /// Only in this network
        #[arg(long, value_name = "NAME", add = crate::complete::networks())]
        network: Option<String>,
        #[command(flatten)]
        which: Which,
    },
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Add {
            mac,
            port,
            is_static: _,
            sticky,
            local,
            is_extern,
            blackhole,
            dst,
            vlan,
            network,
            which,
        } => {
            let asked = [
                (sticky, FdbKind::Sticky),
                (local, FdbKind::Local),
                (is_extern, FdbKind::Extern),
                (blackhole, FdbKind::Blackhole),
            ];
            let kind = asked.into_iter().find(|(is_asked, _)| *is_asked);
            let kind = kind.map_or(FdbKind::Static, |(_, kind)| kind);
            let ask = SetFdb { mac, port, vlan, network, kind, dst };
            which.answer(which.client()?.set_fdb(&ask))?;
            by_hand::tell(steps, &which, |lab| lab.set_fdb(&ask));
        }
        Verb::Del { mac, port, vlan, network, which } => {
            let ask = DelFdb { mac, port, vlan, network };
            which.answer(which.client()?.del_fdb(&ask))?;
            by_hand::tell(steps, &which, |lab| lab.del_fdb(&ask));
        }
        Verb::Flush { port, vlan, network, which } => {
            let ask = FlushFdb { port, vlan, network };
            let Flushed { flushed } = which.answer(which.client()?.flush_fdb(&ask))?;
            by_hand::tell(steps, &which, |lab| lab.flush_fdb(&ask));
            say::line(&format!("{} forgotten", units::count(flushed, "address", "addresses")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

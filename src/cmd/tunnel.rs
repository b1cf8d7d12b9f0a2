//! `uswitch tunnel`: networks that reach over several hosts, by VXLAN.

mod check;

use std::net::IpAddr;
use std::process::ExitCode;

use control::api::AddTunnel;

use crate::door::Which;
use crate::{by_hand, say};

/// Join a network to those of other hosts, by VXLAN (RFC 7348)
///
/// The tunnel is a port of the switch. It speaks with every VXLAN of the same number and UDP port: another
/// host's uswitch, or a bridge of the kernel with a vxlan device. `show tunnel` tells what there is, and
/// `tunnel check` whether the way to the other hosts carries it.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Plug a tunnel in; the network's MTU becomes what fits through it
    Add {
        /// How frames are wrapped
        #[arg(value_name = "vxlan", value_parser = ["vxlan"])]
        kind: String,
        /// The number of the network outside, 1 to 16777215
        #[arg(value_name = "VNI")]
        vni: u32,
        /// This host's address, which it sends from
        #[arg(long, value_name = "ADDRESS")]
        local: IpAddr,
        /// Another host's address; repeatable
        #[arg(long = "remote", value_name = "ADDRESS", required = true)]
        remotes: Vec<IpAddr>,
        /// The network that joins [default: the first]
        #[arg(long, value_name = "NAME", add = crate::complete::networks())]
        network: Option<String>,
        /// The UDP port of all ends [default: 4789]
        #[arg(long, value_name = "PORT")]
        port: Option<u16>,
        #[command(flatten)]
        which: Which,
    },
    /// Try the way to each other host: MTU, checksums, echoes and TCP of short and long packets
    ///
    /// Outside the tunnel the other end is pinged; inside it, from a node here to one there, go echoes and
    /// TCP segments, short ones and as long as the network has them, none of which may be fragmented.
    /// Exits with 1 where a way fails, and says why and what mends it.
    Check {
        /// A VNI, another host's name or end, or an address of a node there [default: all hosts]
        #[arg(value_name = "VNI|HOST|ADDRESS", add = crate::complete::tunnels())]
        what: Vec<String>,
        /// JSON, on one line
        #[arg(short, long)]
        json: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Take a tunnel out
    Remove {
        /// Its number
        #[arg(value_name = "VNI", add = crate::complete::tunnels())]
        vni: u32,
        #[command(flatten)]
        which: Which,
    },
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Add { kind: _, vni, local, remotes, network, port, which } => {
            let ask = AddTunnel { vni, local, remotes, network, port };
            let made = which.answer(which.client()?.add_tunnel(&ask))?;
            by_hand::tell(steps, &which, |lab| lab.add_tunnel(&made.ifname, &ask));
            let remotes: Vec<_> = made.remotes.iter().map(ToString::to_string).collect();
            say::line(&format!(
                "port {} joins {} to VNI {} at {}; packets of up to {} bytes",
                made.ifname,
                made.network,
                made.vni,
                remotes.join(", "),
                made.mtu
            ));
        }
        Verb::Check { what, json, which } => return check::main(&what, json, &which),
        Verb::Remove { vni, which } => {
            let client = which.client()?;
            let there = which.answer(client.tunnels())?;
            let port = there.into_iter().find(|tunnel| tunnel.vni == vni);
            which.answer(client.remove_tunnel(vni))?;
            let port = port.map(|tunnel| tunnel.ifname).unwrap_or_default();
            by_hand::tell(steps, &which, |lab| vec![lab.remove_tunnel(&port)]);
            say::line(&format!("the tunnel with VNI {vni} is gone"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

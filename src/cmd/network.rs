//! `uswitch network`: the lab's networks and their settings.

use std::process::ExitCode;

use control::api::{Network, SetNetwork};

use crate::door::{Which, json};
use crate::exit::Usage;
use crate::onoff::OnOff;
use crate::paint::Paint;
use crate::say;
use crate::table::Table;

/// Show networks, or change their settings
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// The networks and their settings
    Ls {
        /// JSON, on one line
        #[arg(short, long)]
        json: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Change a network's settings; what is not given stays
    Set {
        /// The network: `lan`
        #[arg(value_name = "NAME")]
        network: String,
        /// Forget a learned address that has not been seen for so long
        #[arg(long, value_name = "SECONDS")]
        ageing_time: Option<u64>,
        /// Let these link-local groups through: bit N stands for 01:80:c2:00:00:0N
        #[arg(long, value_name = "MASK", value_parser = mask)]
        group_fwd_mask: Option<u16>,
        /// Learn at most so many addresses; 0 for as many as the table holds
        #[arg(long, value_name = "N")]
        fdb_max_learned: Option<u32>,
        /// Tell VLANs apart
        #[arg(long, value_name = "on|off")]
        vlan_filtering: Option<OnOff>,
        /// By which tags
        #[arg(long, value_name = "PROTOCOL", value_parser = ["802.1Q", "802.1ad"],
              ignore_case = true)]
        vlan_protocol: Option<String>,
        #[command(flatten)]
        which: Which,
    },
}

/// Reads a mask, as a number or with `0x`.
fn mask(text: &str) -> Result<u16, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|_| format!("{text:?} is no mask of 16 bits: 0x4000, for one, lets LLDP through"))
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Ls { json: as_json, which } => {
            let networks = which.answer(which.client()?.networks())?;
            if as_json {
                json(&networks)?;
            } else {
                let (head, rows) = table(&networks).lines();
                say::line(&Paint::of_stdout().head(&head));
                rows.iter().for_each(|row| say::line(row));
            }
        }
        Verb::Set {
            network,
            ageing_time,
            group_fwd_mask,
            fdb_max_learned,
            vlan_filtering,
            vlan_protocol,
            which,
        } => {
            let ask = SetNetwork {
                ageing_time,
                group_fwd_mask,
                fdb_max_learned,
                vlan_filtering: vlan_filtering.map(OnOff::is_on),
                vlan_protocol,
            };
            if ask == SetNetwork::default() {
                return Err(Usage("say what to set: --help lists the settings".into()).into());
            }
            which.answer(which.client()?.set_network(&network, &ask))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(networks: &[Network]) -> Table {
    let mut table =
        Table::new(&["NETWORK", "SUBNETS", "GATEWAY", ">PORTS", ">LEARNED", "SETTINGS"]);
    for network in networks {
        let Network { ageing_time, group_fwd_mask, fdb_max_learned, .. } = network;
        let vlans = match (network.vlan_filtering, network.gateway_vlan) {
            (false, _) => "off".to_owned(),
            (true, Some(vlan)) => format!("{} (gateway in {vlan})", network.vlan_protocol),
            (true, None) => network.vlan_protocol.clone(),
        };
        table.row([
            network.name.clone(),
            network.subnets.join(", "),
            network.gateway.clone().unwrap_or_else(|| "-".into()),
            network.ports.to_string(),
            network.fdb_n_learned.to_string(),
            format!(
                "ageing_time {ageing_time} group_fwd_mask {group_fwd_mask:#06x} fdb_max_learned \
                 {fdb_max_learned} vlan_filtering {vlans}"
            ),
        ]);
    }
    table
}

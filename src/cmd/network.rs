//! `uswitch network`: the lab's networks and their settings.

mod ending;
mod mcast;

use std::net::IpAddr;
use std::process::ExitCode;

use control::api::{AddNetwork, Network, SetNetwork};
use topology::{Gateway, Subnet, VlanProtocol};

use crate::door::{Which, json};
use crate::exit::{self, Usage};
use crate::onoff::OnOff;
use crate::paint::Paint;
use crate::table::Table;
use crate::{by_hand, say};

/// Show networks, make and end them, change their settings
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is made, once")]
enum Verb {
    /// The networks and their settings
    Ls {
        /// JSON, on one line
        #[arg(short, long)]
        json: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Make a network, isolated from the others
    Add {
        /// Its name
        #[arg(value_name = "NAME")]
        network: String,
        /// A subnet of it, of IPv4 or IPv6; repeatable
        #[arg(long = "subnet", value_name = "CIDR")]
        subnets: Vec<Subnet>,
        /// The gateway's address in it, or `none`; one a subnet [default: the first of each subnet
        /// of IPv4]
        #[arg(long = "gateway", value_name = "ADDRESS|none", value_parser = gateway)]
        gateways: Vec<Option<IpAddr>>,
        /// Give its nodes no way out by the uplink
        #[arg(long)]
        internal: bool,
        /// Let the gateway forward between it and this network; repeatable
        #[arg(long = "routed", value_name = "NETWORK", add = crate::complete::networks())]
        routed: Vec<String>,
        /// Its largest packet, in bytes [default: the lab's]
        #[arg(long, value_name = "BYTES")]
        mtu: Option<u32>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        which: Which,
    },
    /// End networks that no node is attached to
    ///
    /// All are looked at first: where one is not there, or has nodes attached, none is ended.
    Remove {
        /// The networks
        #[arg(value_name = "NAME", required = true, add = crate::complete::networks())]
        networks: Vec<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Change a network's settings; what is not given stays
    Set {
        /// The network: `lan`
        #[arg(value_name = "NAME", add = crate::complete::networks())]
        network: String,
        /// Its largest packet, in bytes: its nodes' interfaces, its ports and the gateway follow
        #[arg(long, value_name = "BYTES")]
        mtu: Option<u32>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        which: Which,
    },
}

/// What may be set of a network.
#[derive(clap::Args)]
struct Settings {
    /// Forget a learned address that has not been seen for so long
    #[arg(long, value_name = "SECONDS")]
    ageing_time: Option<u64>,
    /// Let these link-local groups through: bit N stands for 01:80:c2:00:00:0N
    #[arg(long, value_name = "MASK", value_parser = mask)]
    group_fwd_mask: Option<u16>,
    /// Learn at most so many addresses; 0 for as many as the table holds
    #[arg(long, value_name = "N")]
    fdb_max_learned: Option<u32>,
    /// Refuse frames that claim to come from the gateway's address
    #[arg(long, value_name = "on|off")]
    gateway_guard: Option<OnOff>,
    /// Tell VLANs apart
    #[arg(long, value_name = "on|off")]
    vlan_filtering: Option<OnOff>,
    /// By which tags
    #[arg(long, value_name = "802.1Q|802.1ad", value_parser = protocol,
          add = crate::complete::words(&["802.1Q", "802.1ad"]))]
    vlan_protocol: Option<VlanProtocol>,
    /// The VLAN of ports that say no other, and of the gateway; 0 for none [default: 1]
    #[arg(long, value_name = "VLAN")]
    vlan_default_pvid: Option<u16>,
    #[command(flatten)]
    mcast: Box<mcast::Mcast>,
}

impl Settings {
    fn asked(self) -> SetNetwork {
        let Self { ageing_time, group_fwd_mask, fdb_max_learned, .. } = self;
        self.mcast.put(SetNetwork {
            ageing_time,
            group_fwd_mask,
            fdb_max_learned,
            gateway_guard: self.gateway_guard.map(OnOff::is_on),
            vlan_filtering: self.vlan_filtering.map(OnOff::is_on),
            vlan_protocol: self.vlan_protocol,
            vlan_default_pvid: self.vlan_default_pvid,
            ..SetNetwork::default()
        })
    }
}

/// Reads the gateway's address, or `none`.
fn gateway(text: &str) -> Result<Option<IpAddr>, String> {
    match text {
        "none" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| format!("{text:?} is no address, and not `none`")),
    }
}

/// The gateway's place in a network of these subnets.
fn place(subnets: &[Subnet], gateways: &[Option<IpAddr>]) -> Gateway {
    let first = || {
        let v4 = subnets.iter().filter(|subnet| subnet.is_ipv4());
        v4.map(|subnet| subnet.first_host()).collect()
    };
    let own: Vec<IpAddr> = match gateways {
        [] => first(),
        said => said.iter().flatten().copied().collect(),
    };
    if own.is_empty() { Gateway::None } else { Gateway::At(own) }
}

/// Reads a VLAN protocol.
fn protocol(text: &str) -> Result<VlanProtocol, String> {
    text.parse().map_err(|why: topology::Invalid| why.to_string())
}

/// Reads a mask, as a number or with `0x`.
pub(crate) fn mask(text: &str) -> Result<u16, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|_| format!("{text:?} is no mask of 16 bits: 0x4000, for one, lets LLDP through"))
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
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
        Verb::Add { network, subnets, gateways, internal, routed, mtu, settings, which } => {
            let settings = settings.asked();
            let gateway = place(&subnets, &gateways);
            let mut made =
                topology::Network { subnets, gateway, internal, routed, mtu, ..Default::default() };
            made.set(&settings);
            let ask = AddNetwork { name: network, network: made };
            let client = which.client()?;
            let made = which.answer(client.add_network(&ask))?;
            by_hand::tell(steps, &which, |lab| {
                let mut lines = lab.add_network(&made.name, &own_addresses(&made), made.mtu);
                lines.extend(lab.set_network(&made.name, &settings));
                lines
            });
            let subnets = match made.subnets.as_slice() {
                [] => "no subnet".to_owned(),
                some => some.join(", "),
            };
            let gateway = match made.gateway {
                Some(own) => format!("gateway {own}"),
                None => "no gateway".into(),
            };
            say::line(&format!("network {}: {subnets}, {gateway}", made.name));
        }
        Verb::Remove { networks, which } => {
            let client = which.client()?;
            let code = ending::cannot(&which, &client, &networks)?;
            if code != 0 {
                return Ok(ExitCode::from(code));
            }
            by_hand::tell(steps, &which, |lab| lab.remove_networks(&networks));
            let mut code = 0;
            let mut seen = std::collections::HashSet::new();
            for network in networks.iter().filter(|name| seen.insert(*name)) {
                match which.answer(client.remove_network(network)) {
                    Ok(()) => say::line(&format!("network {network} is gone")),
                    Err(error) => {
                        say::error(&format!("{error:#}"));
                        code = code.max(exit::code(&error));
                    }
                }
            }
            return Ok(ExitCode::from(code));
        }
        Verb::Set { network, mtu, settings, which } => {
            let ask = SetNetwork { mtu, ..settings.asked() };
            if ask == SetNetwork::default() {
                return Err(Usage("say what to set: --help lists the settings".into()).into());
            }
            which.answer(which.client()?.set_network(&network, &ask))?;
            by_hand::tell(steps, &which, |lab| lab.set_network(&network, &ask));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The gateway's addresses in a network, each with its subnet's length.
fn own_addresses(network: &Network) -> Vec<String> {
    let own = network.gateway.iter().flat_map(|own| own.split(", "));
    own.map(|own| {
        let lies_in = |subnet: &Subnet| own.parse().is_ok_and(|own: IpAddr| subnet.contains(own));
        let mut subnets = network.subnets.iter().filter_map(|text| text.parse::<Subnet>().ok());
        let length = subnets.find(lies_in).map_or(32, |subnet| subnet.prefix());
        format!("{own}/{length}")
    })
    .collect()
}

/// The network that is to be looked at alone; None for all there are.
///
/// # Errors
/// Where there is none of that name.
pub(crate) fn only(
    which: &Which,
    client: &control::Client,
    asked: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(asked) = asked else { return Ok(None) };
    let all = which.answer(client.networks())?;
    if !all.iter().any(|network| network.name == asked) {
        let all: Vec<_> = all.into_iter().map(|network| network.name).collect();
        let line = format!("lab {} has no network {asked}; it has {}", which.name, all.join(", "));
        return Err(Usage(line).into());
    }
    // Where there is one alone, nothing names it: all is of it.
    Ok(Some(asked.to_owned()).filter(|_| all.len() > 1))
}

fn table(networks: &[Network]) -> Table {
    let mut table =
        Table::new(&["NETWORK", "SUBNETS", "GATEWAY", ">PORTS", ">LEARNED", "SETTINGS"]);
    for network in networks {
        let Network { mtu, ageing_time, group_fwd_mask, fdb_max_learned, .. } = network;
        let guard = if network.gateway_guard { "on" } else { "off" };
        let own: Vec<_> = network.gateway_vlans.iter().map(u16::to_string).collect();
        let vlans = match (network.vlan_filtering, own.as_slice()) {
            (false, _) => "off".to_owned(),
            (true, []) => network.vlan_protocol.clone(),
            (true, own) => format!("{} (gateway in {})", network.vlan_protocol, own.join(", ")),
        };
        let mut policy = String::new();
        if network.internal {
            policy.push_str(" internal");
        }
        for other in &network.routed {
            policy.push_str(&format!(" routed {other}"));
        }
        table.row([
            network.name.clone(),
            if network.subnets.is_empty() { "-".into() } else { network.subnets.join(", ") },
            network.gateway.clone().unwrap_or_else(|| "-".into()),
            network.ports.to_string(),
            network.fdb_n_learned.to_string(),
            format!(
                "mtu {mtu} ageing_time {ageing_time} group_fwd_mask {group_fwd_mask:#06x} fdb_max_learned \
                 {fdb_max_learned} gateway_guard {guard} vlan_filtering {vlans}{policy} {}",
                mcast::words(network)
            ),
        ]);
    }
    table
}

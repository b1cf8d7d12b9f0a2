//! `uswitch vlan`: which VLANs a port, or the gateway, is a member of.

use std::process::ExitCode;

use control::api::AddVlan;

use crate::by_hand;
use crate::door::Which;
use crate::exit::Usage;

/// Change which VLANs a port is a member of
///
/// Takes `uswitch network set lan --vlan-filtering on` first. `show vlan` tells what there is.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a port a member of a VLAN, or of several
    Add {
        #[command(flatten)]
        place: Place,
        /// Frames that come in without a tag belong to it
        #[arg(long)]
        pvid: bool,
        /// Its frames leave without a tag
        #[arg(long)]
        untagged: bool,
        #[command(flatten)]
        which: Which,
    },
    /// End a port's membership
    Del {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(clap::Args)]
struct Place {
    /// A node, its port in one network (NODE:NETWORK), a port of the switch, or `gateway`
    #[arg(value_name = "PORT|gateway", add = crate::complete::ports())]
    port: String,
    /// The VLAN, 1 to 4094, or the first and the last of several
    #[arg(value_name = "VID[-VID]", value_parser = range)]
    vlans: (u16, u16),
    /// The network of the gateway's leg, or of the node's port, where there are several [default: the
    /// first]
    #[arg(long, value_name = "NAME", add = crate::complete::networks())]
    network: Option<String>,
}

impl Place {
    /// The port as the lab is asked for it.
    fn port(&self) -> Result<String, Usage> {
        match &self.network {
            None => Ok(self.port.clone()),
            Some(_) if self.port.contains(':') => {
                Err(Usage(format!("{} names its network already: leave --network out", self.port)))
            }
            Some(network) => Ok(format!("{}:{network}", self.port)),
        }
    }
}

/// Reads `VID` or `VID-VID`.
pub(crate) fn range(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| match text.parse::<u16>() {
        Ok(vlan @ 1..=4094) => Ok(vlan),
        _ => Err(format!("{text:?} is no VLAN: they are numbered from 1 to 4094")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(format!("{text}: the smaller number comes first"));
    }
    Ok((first, last))
}

/// Reads a single VLAN.
pub(crate) fn one(text: &str) -> Result<u16, String> {
    match range(text)? {
        (first, last) if first == last => Ok(first),
        _ => Err(format!("{text}: one VLAN is wanted")),
    }
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Add { place, pvid, untagged, which } => {
            let (vlan, last) = place.vlans;
            let ask = AddVlan { vlan, vlan_end: Some(last), pvid, untagged };
            let port = place.port()?;
            which.answer(which.client()?.add_vlan(&port, &ask))?;
            by_hand::tell(steps, &which, |lab| vec![lab.add_vlan(&port, &ask)]);
        }
        Verb::Del { place, which } => {
            let (first, last) = place.vlans;
            let port = place.port()?;
            which.answer(which.client()?.del_vlan(&port, first, last))?;
            by_hand::tell(steps, &which, |lab| vec![lab.del_vlan(&port, first, last)]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `uswitch vlan`: which VLANs a port, or the gateway, is a member of.

use std::process::ExitCode;

use control::api::AddVlan;

use crate::door::Which;

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
    /// A node, a port of the switch, or `gateway`
    #[arg(value_name = "PORT|gateway")]
    port: String,
    /// The VLAN, 1 to 4094, or the first and the last of several
    #[arg(value_name = "VID[-VID]", value_parser = range)]
    vlans: (u16, u16),
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
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Add { place: Place { port, vlans: (vlan, last) }, pvid, untagged, which } => {
            let ask = AddVlan { vlan, vlan_end: Some(last), pvid, untagged };
            which.answer(which.client()?.add_vlan(&port, &ask))?;
        }
        Verb::Del { place: Place { port, vlans: (first, last) }, which } => {
            which.answer(which.client()?.del_vlan(&port, first, last))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `uswitch neigh`: neighbours that the switch answers for, at ports that suppress questions.

use std::process::ExitCode;

use control::api::Known;

use crate::door::{Which, json};
use crate::paint::Paint;
use crate::table::Table;
use crate::{by_hand, say};

/// Neighbours that questions are answered for, where a port suppresses them
///
/// With `uswitch port NODE --neigh-suppress on` the switch answers ARP requests and IPv6 neighbour
/// solicitations for who is behind that port, and does not send them there. It knows the lab's nodes
/// by itself.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Name a neighbour that the switch answers questions about
    Add {
        /// Its address, of IPv4 or IPv6
        address: String,
        /// Its hardware address
        mac: String,
        #[command(flatten)]
        which: Which,
    },
    /// Forget a neighbour that was added
    Del {
        /// Its address
        address: String,
        #[command(flatten)]
        which: Which,
    },
    /// Who is known
    Ls {
        /// JSON, on one line
        #[arg(short, long)]
        json: bool,
        #[command(flatten)]
        which: Which,
    },
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Add { address, mac, which } => {
            let ask = Known { address, mac: Some(mac), own: false };
            which.answer(which.client()?.set_known(&ask))?;
            by_hand::tell(steps, &which, |lab| lab.set_known(&ask));
        }
        Verb::Del { address, which } => {
            let ask = Known { address, mac: None, own: false };
            which.answer(which.client()?.set_known(&ask))?;
            by_hand::tell(steps, &which, |lab| lab.set_known(&ask));
        }
        Verb::Ls { json: as_json, which } => {
            let known = which.answer(which.client()?.known())?;
            if as_json {
                json(&known)?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut table = Table::new(&["ADDRESS", "MAC", "FROM"]);
            for row in known {
                let from = if row.own { "the lab" } else { "neigh add" };
                table.row([row.address, row.mac.unwrap_or_default(), from.into()]);
            }
            let (head, rows) = table.lines();
            say::line(&Paint::of_stdout().head(&head));
            rows.iter().for_each(|row| say::line(row));
        }
    }
    Ok(ExitCode::SUCCESS)
}

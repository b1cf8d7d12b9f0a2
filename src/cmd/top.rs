//! `uswitch top`: a lab as it lives: ports with their rates, addresses, NAT sessions, drops, events.
//!
//! ```text
//!   feed (threads) ── looks, events ──► model ── panes, header ──► view (live) or batch
//!                                         keys ──► ui ──────────────┘
//! ```
//!
//! Everything between feed and screen is pure and tested without a terminal.

mod batch;
mod feed;
mod header;
mod live;
mod model;
mod panes;
mod sample;
mod screen;
mod story;
mod table;
#[cfg(test)]
mod testing;
mod text;
mod ui;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use control::api::TopologyKind;
use lab::LabName;

use super::network;
use crate::door::{Which, ground};
use crate::exit::Usage;

/// Watch a lab: ports and their rates, addresses, NAT sessions, drops, events
///
/// Keys as in top: q quits, h helps, d changes the delay, < > and P N D sort. Exit code: 0; 1 when
/// the lab is not there or ends; 2 without a terminal (use -b).
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Seconds between two looks
    #[arg(short, value_name = "SECONDS", default_value = "1", value_parser = ui::delay)]
    delay: Duration,
    /// Print plain text, look after look: for files and other programs
    #[arg(short)]
    batch: bool,
    /// End after COUNT looks
    #[arg(short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only this network: its ports, addresses, events, and the sessions of its nodes
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
}

/// What is watched.
struct Watched<'a> {
    name: &'a LabName,
    socket: PathBuf,
    /// One of several networks.
    network: Option<String>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(why) = screen::missing().filter(|_| !args.batch) {
        return Err(Usage(why.to_string()).into());
    }
    let Which { name } = &args.which;
    let client = args.which.client()?;
    let kind = args.which.answer(client.topology())?.kind;
    let socket = ground().socket(name);
    if kind != TopologyKind::Switch {
        anyhow::bail!("lab {} is a {kind}, without a switch to watch", name);
    }
    let network = network::only(&args.which, &client, args.network.as_deref())?;
    let show = if args.batch { batch::print } else { live::watch };
    show(&Watched { name, socket, network }, args.delay, args.count)
}

/// The run loops' clock.
fn clock() -> Duration {
    Duration::from_nanos(sys::clock::now())
}

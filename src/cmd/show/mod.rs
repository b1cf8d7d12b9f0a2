//! `uswitch show`: what a running lab holds, as tables or as JSON, once or over and over.
//!
//! | file | what |
//! |---|---|
//! | `lab` | topology, counters |
//! | `bridge` | ports, fdb, flows |
//! | `brctl` | ports, fdb, in brctl's shape |
//! | `groups` | mdb |
//! | `hosts` | hosts |
//! | `names` | names |
//! | `router` | nat, published, neigh, routes |

mod brctl;
mod bridge;
mod groups;
mod hosts;
mod lab;
mod names;
mod router;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use control::Client;
use control::api::{Port, PortRole};

use crate::door::{Which, json};
use crate::escape::ESCAPE;
use crate::exit::Usage;
use crate::paint::Paint;
use crate::say;
use crate::table::Table;

/// Show what a running lab holds
///
/// JSON of ports and fdb has the field names of `ip -j -s link` and `bridge -j fdb show`, of neigh
/// and routes those of `ip -j neigh` and `ip -j route`; fields of our own stand behind them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to show
    #[arg(value_enum, default_value_t = What::Topology)]
    what: What,
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
    /// The topology as a file that `run` takes: YAML, or JSON with -j
    #[arg(long)]
    file: bool,
    /// Ports and fdb as `brctl show` and `brctl showmacs` would have them
    #[arg(long, conflicts_with_all = ["json", "file"])]
    brctl: bool,
    /// Again every SECS seconds, until Ctrl-C
    #[arg(long, value_name = "SECS", num_args = 0..=1, default_missing_value = "1",
          value_parser = clap::value_parser!(u64).range(1..=86400))]
    watch: Option<u64>,
    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Nodes, gateway, uplink
    Topology,
    /// The switch's ports: frames, bytes, rates, drops by reason
    Ports,
    /// The switch's addresses
    Fdb,
    /// The flows by which the kernel repeats what the switch has decided (`run --fast-path`)
    Flows,
    /// The ports' VLANs, where they are told apart
    Vlan,
    /// Who is a member of which group, where multicast is snooped
    Mdb,
    /// Tunnels to other hosts
    Tunnel,
    /// The hosts of a network that etcd or BGP knows (`run --join`), and whether that answers
    Hosts,
    /// The NAT: published ports and sessions
    Nat,
    /// The published ports alone
    Published,
    /// The gateway's neighbours
    Neigh,
    /// The gateway's routes
    Routes,
    /// The names of nodes and of the gateway, and what they stand for
    Names,
    /// All that is counted
    Counters,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    if args.file {
        return as_file(&args, &client);
    }
    let Some(seconds) = args.watch else {
        once(&args, &client, "")?;
        return Ok(ExitCode::SUCCESS);
    };
    // On a terminal each look takes the place of the last.
    let alone = std::io::stdout().is_terminal() && !args.json;
    let clear = if alone { format!("{ESCAPE}[H{ESCAPE}[2J") } else { String::new() };
    loop {
        once(&args, &client, &clear)?;
        if clear.is_empty() && !args.json {
            say::line("");
        }
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

/// The lab as a file that `run` takes.
fn as_file(args: &Args, client: &Client) -> anyhow::Result<ExitCode> {
    if !matches!(args.what, What::Topology) || args.watch.is_some() {
        return Err(Usage("--file goes with `show topology` alone".into()).into());
    }
    let spec = args.which.answer(client.spec())?;
    match args.json {
        true => json(&spec)?,
        false => say::bytes(topology::file::write(&spec).as_bytes()),
    }
    Ok(ExitCode::SUCCESS)
}

fn once(args: &Args, client: &Client, before: &str) -> anyhow::Result<()> {
    let text = match args.what {
        What::Ports | What::Fdb if args.brctl => as_brctl(args, client),
        _ if args.brctl => {
            Err(Usage("--brctl goes with `show ports` and `show fdb`".into()).into())
        }
        What::Topology => shown(args, client.topology(), lab::topology),
        What::Ports => shown(args, client.ports(), |ports, paint| bridge::ports(&ports, paint)),
        What::Fdb => shown(args, client.fdb(), |rows, paint| bridge::fdb(&rows, paint)),
        What::Flows => {
            shown(args, client.fast_flows(), |flows, paint| bridge::flows(&flows, paint))
        }
        What::Vlan => vlans(args, client),
        What::Mdb => mdb(args, client),
        What::Tunnel => shown(args, client.tunnels(), bridge::tunnels),
        What::Hosts => shown(args, client.hosts(), hosts::lines_of),
        What::Nat => nat(args, client),
        What::Published => {
            shown(args, client.published(), |list, paint| router::published(&list, paint))
        }
        What::Neigh => {
            shown(args, client.neighbours(), |list, paint| router::neighbours(&list, paint))
        }
        What::Routes => shown(args, client.routes(), |list, paint| router::routes(&list, paint)),
        What::Names => shown(args, client.names(), |list, paint| names::names(&list, paint)),
        What::Counters => shown(args, client.counters(), lab::counters),
    }?;
    if !text.is_empty() {
        say::part(&format!("{before}{}\n", text.join("\n")));
    }
    Ok(())
}

/// The lines of an answer; none where it went out as JSON.
fn shown<T: serde::Serialize>(
    args: &Args,
    asked: Result<T, control::ClientError>,
    lines: impl FnOnce(T, Paint) -> Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let answer = args.which.answer(asked)?;
    if args.json {
        json(&answer)?;
        return Ok(Vec::new());
    }
    Ok(lines(answer, Paint::of_stdout()))
}

fn as_brctl(args: &Args, client: &Client) -> anyhow::Result<Vec<String>> {
    let ports = args.which.answer(client.ports())?;
    let entries = args.which.answer(client.fdb())?;
    Ok(match args.what {
        What::Fdb => brctl::showmacs(&entries, &ports),
        _ => brctl::show(&ports, &entries),
    })
}

/// The ports' VLANs, and the gateway's: in the shape of `bridge -j vlan show`.
fn vlans(args: &Args, client: &Client) -> anyhow::Result<Vec<String>> {
    let ports = args.which.answer(client.ports())?;
    let networks = args.which.answer(client.networks())?;
    let rows = bridge::vlans(&ports, &networks);
    if args.json {
        json(&rows)?;
        return Ok(Vec::new());
    }
    if networks.iter().all(|network| !network.vlan_filtering) {
        return Ok(vec!["no network tells VLANs apart".into()]);
    }
    Ok(bridge::vlan_lines(&rows, Paint::of_stdout()))
}

/// In the shape of `bridge -d -s -j mdb show`, which is a list of one.
fn mdb(args: &Args, client: &Client) -> anyhow::Result<Vec<String>> {
    let mdb = args.which.answer(client.mdb())?;
    if args.json {
        json(&[mdb])?;
        return Ok(Vec::new());
    }
    Ok(groups::lines_of(&mdb, Paint::of_stdout()))
}

fn nat(args: &Args, client: &Client) -> anyhow::Result<Vec<String>> {
    let sessions = all_sessions(client);
    if args.json {
        return shown(args, sessions, |_, _| Vec::new());
    }
    let published = args.which.answer(client.published())?;
    shown(args, sessions, |sessions, paint| router::nat(&published, &sessions, paint))
}

fn all_sessions(client: &Client) -> Result<Vec<control::api::Session>, control::ClientError> {
    let mut sessions = Vec::new();
    let mut cursor = 0;
    loop {
        let page = client.sessions(cursor, control::api::PAGE_MAX)?;
        sessions.extend(page.items);
        match page.next {
            Some(next) => cursor = next,
            None => return Ok(sessions),
        }
    }
}

/// A table as lines, its head set off.
fn lines(table: &Table, paint: Paint) -> Vec<String> {
    let (head, rows) = table.lines();
    std::iter::once(paint.head(&head)).chain(rows).collect()
}

/// Whether ports belong to more than one network, or one to none.
pub(crate) fn several_networks<'a>(ports: impl Iterator<Item = &'a Port> + Clone) -> bool {
    let alone = |port: &Port| port.role == PortRole::Bridged && port.network.is_none();
    ports.clone().any(alone) || several(ports.map(|port| &port.network))
}

/// Whether rows belong to more than one network, so that it is worth saying which.
fn several<'a>(networks: impl Iterator<Item = &'a Option<String>>) -> bool {
    let mut named = networks.flatten();
    let first = named.next();
    named.any(|network| Some(network) != first)
}

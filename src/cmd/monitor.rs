//! `uswitch monitor`: what happens in a running lab, as it happens.

use std::process::ExitCode;

use control::api::{Event, EventKind, Session};

use super::network;
use crate::door::{Which, json};
use crate::onoff::OnOff;
use crate::paint::Paint;
use crate::{clock, say, units};

/// Tell what happens in a running lab, as it happens
///
/// Addresses learned, moved and aged, ports and links, NAT sessions, published ports, names asked
/// for, drops summed up each second. Where too much happens at once it says how many events are missing. Until
/// Ctrl-C; exit code 1 when the lab ends.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// JSON, one object a line; times are nanoseconds since 1970, UTC
    #[arg(short, long)]
    json: bool,
    /// Only what happens in this network, where the lab has several
    #[arg(long, value_name = "NAME", add = crate::complete::networks())]
    network: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let only = network::only(&args.which, &client, args.network.as_deref())?;
    let events = args.which.answer(client.events())?;
    let paint = Paint::of_stdout();
    if !args.json {
        let (lab, zone) = (&args.which.name, clock::zone_name());
        say::note(&format!("what happens in lab {lab}, until Ctrl-C; times are {zone}"));
    }
    for event in events {
        let event = event?;
        if !only.as_deref().is_none_or(|network| is_of(&event.kind, network)) {
            continue;
        }
        if args.json {
            json(&event)?;
        } else {
            say::line(&line(&event, paint));
        }
    }
    Err(args.which.ended())
}

/// Whether an event is of a network, or says that others are missing.
pub(crate) fn is_of(kind: &EventKind, network: &str) -> bool {
    matches!(kind, EventKind::Missed { .. }) || kind.network() == Some(network)
}

/// An event as a line: the time of day, a word, what it is about.
pub(crate) fn line(event: &Event, paint: Paint) -> String {
    let (word, what) = words(&event.kind);
    let word = format!("{word:<9}");
    let word = match event.kind {
        EventKind::Drops { .. }
        | EventKind::Missed { .. }
        | EventKind::RingRenewed { .. }
        | EventKind::LoopFound { .. }
        | EventKind::RegistryAlone { .. }
        | EventKind::NodeCutOff { .. }
        | EventKind::PortDown { .. } => paint.bad(&word),
        EventKind::PortUp { .. } | EventKind::PortAdded { .. } => paint.good(&word),
        _ => paint.head(&word),
    };
    // Of a port that moves the network is what is told.
    let network = event.kind.network();
    let network = network.filter(|_| !matches!(event.kind, EventKind::PortMoved { .. }));
    let of = network.map_or_else(String::new, |network| paint.dim(&format!("  [{network}]")));
    format!("{} {word} {what}{of}", paint.dim(&clock::millis(event.time)))
}

fn words(kind: &EventKind) -> (&'static str, String) {
    match kind {
        EventKind::Learned { mac, vlan, ifname, .. } => {
            ("learned", format!("{mac}{} at {ifname}", tag(*vlan)))
        }
        EventKind::Moved { mac, vlan, from, to, .. } => {
            ("moved", format!("{mac}{} from {from} to {to}", tag(*vlan)))
        }
        EventKind::LoopFound { mac, vlan, ifname, other, shut, .. } => {
            let how = match mac {
                Some(mac) => format!("{mac}{} moves to and fro", tag(*vlan)),
                None => "a probe came back".into(),
            };
            let shut = shut.as_ref().map_or_else(String::new, |port| format!("; {port} is shut"));
            ("loop", format!("between {ifname} and {other}: {how}{shut}"))
        }
        EventKind::Aged { count } => {
            ("aged", format!("{} not heard of", units::count(*count, "address", "addresses")))
        }
        EventKind::PortAdded { ifname, .. } => ("port", format!("{ifname} plugged in")),
        EventKind::PortRemoved { ifname, .. } => ("port", format!("{ifname} taken out")),
        EventKind::PortMoved { ifname, network: Some(network) } => {
            ("port", format!("{ifname} moved to network {network}"))
        }
        EventKind::PortMoved { ifname, network: None } => {
            ("port", format!("{ifname} taken out of all networks"))
        }
        EventKind::PortUp { ifname, .. } => ("up", ifname.clone()),
        EventKind::PortDown { ifname, .. } => ("down", ifname.clone()),
        EventKind::SessionOpened { session } => ("open", tuple(session)),
        EventKind::SessionClosed { session, reason } => ("close", closed(session, reason)),
        EventKind::Asked { name, record, ifname, outcome } => {
            ("name", format!("{name} {record} at {ifname}: {outcome}"))
        }
        EventKind::Drops { by, reason, count } => ("dropped", format!("{count} by {by}: {reason}")),
        EventKind::RingRenewed { ring, count } => (
            "ring",
            format!("the ring of the {ring} had stopped and was opened anew, {count} lost"),
        ),
        EventKind::Missed { count } => {
            ("missed", format!("{} not told", units::count(*count, "event is", "events are")))
        }
        EventKind::FdbFlushed { ifname, count } => {
            let count = units::count(*count, "address", "addresses");
            let at = ifname.as_ref().map_or_else(String::new, |port| format!(" at {port}"));
            ("flushed", format!("{count}{at}"))
        }
        EventKind::NatFlushed { count } => ("flushed", units::count(*count, "session", "sessions")),
        EventKind::HostCame { host, vtep } => ("host", format!("{host} came, at {vtep}")),
        EventKind::HostWent { host } => ("host", format!("{host} went")),
        EventKind::RegistryAlone { why } => {
            ("alone", format!("the registry does not answer: {why}"))
        }
        EventKind::RegistryBack => ("back", "the registry answers again".into()),
        EventKind::RowsRepaired { count } => {
            ("repaired", format!("{} of the tunnel", units::count(*count, "row", "rows")))
        }
        EventKind::NodeCutOff { node, why } => {
            ("cut off", format!("{node} from other hosts: {why}"))
        }
        EventKind::NodeRestored { node } => ("restored", format!("{node} has its own again")),
        EventKind::MtuChanged { from, to, .. } => ("mtu", format!("{to} bytes, no longer {from}")),
        EventKind::GatewaySet { forwarding, nat } => {
            ("gateway", format!("forwarding {}, NAT {nat}", OnOff::of(*forwarding)))
        }
        EventKind::Published { protocol, port, published: true } => {
            ("published", format!("{port}/{protocol}"))
        }
        EventKind::Published { protocol, port, published: false } => {
            ("withdrawn", format!("{port}/{protocol}"))
        }
    }
}

fn tag(vlan: u16) -> String {
    if vlan == 0 { String::new() } else { format!(" vlan {vlan}") }
}

fn tuple(session: &Session) -> String {
    let (protocol, [inside, outside, remote]) = (&session.protocol, session.ends());
    format!("{protocol} {inside} as {outside} with {remote}")
}

fn closed(session: &Session, reason: &str) -> String {
    let Session { packets_out, packets_in, bytes_out, bytes_in, .. } = session;
    format!(
        "{}: {reason} after {}, {packets_out} packets ({}) out, {packets_in} ({}) in",
        tuple(session),
        units::span(session.age),
        units::bytes(*bytes_out),
        units::bytes(*bytes_in)
    )
}

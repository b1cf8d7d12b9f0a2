//! Events in words: what, and of what. Pure.

use control::api::{EventKind, Session};

use super::table::Mood;
use super::text;
use crate::onoff::OnOff;

/// An event's name, the rest of it, and whether it is good news.
pub(super) fn words(event: &EventKind) -> (&'static str, String, Mood) {
    let at = |vlan: u16| if vlan == 0 { String::new() } else { format!(" vlan {vlan}") };
    match event {
        EventKind::Learned { mac, vlan, ifname, .. } => {
            ("learned", format!("{mac}{} at {ifname}", at(*vlan)), Mood::Plain)
        }
        EventKind::Moved { mac, vlan, from, to, .. } => {
            ("moved", format!("{mac}{} from {from} to {to}", at(*vlan)), Mood::Bad)
        }
        EventKind::LoopFound { mac, vlan, ifname, other, shut, .. } => {
            let who = mac.as_ref().map_or_else(String::new, |mac| format!(" {mac}{}", at(*vlan)));
            let shut = shut.as_ref().map_or_else(String::new, |port| format!(", {port} is shut"));
            ("loop", format!("between {ifname} and {other}{who}{shut}"), Mood::Bad)
        }
        EventKind::Aged { count } => {
            ("aged", text::counted(*count, "address", "addresses"), Mood::Dim)
        }
        EventKind::PortAdded { ifname, .. } => ("port added", ifname.clone(), Mood::Good),
        EventKind::PortRemoved { ifname, .. } => ("port removed", ifname.clone(), Mood::Bad),
        EventKind::PortMoved { ifname, network } => {
            let to = network.as_ref().map_or("no network", String::as_str);
            ("port moved", format!("{ifname} to {to}"), Mood::Plain)
        }
        EventKind::PortUp { ifname, .. } => ("port up", ifname.clone(), Mood::Good),
        EventKind::PortDown { ifname, .. } => ("port down", ifname.clone(), Mood::Bad),
        EventKind::SessionOpened { session } => ("session", opened(session), Mood::Plain),
        EventKind::SessionClosed { session, reason } => {
            ("session", format!("{} {reason}", opened(session)), Mood::Dim)
        }
        EventKind::Asked { name, record, ifname, outcome } => {
            ("name", format!("{name} {record} at {ifname}: {outcome}"), Mood::Plain)
        }
        EventKind::Drops { by, reason, count } => {
            let frames = text::counted(*count, "frame", "frames");
            ("dropped", format!("{frames} by the {by}: {reason}"), Mood::Bad)
        }
        EventKind::RingRenewed { ring, count } => {
            let frames = text::counted(*count, "frame", "frames");
            ("ring", format!("that of the {ring} opened anew: {frames} lost"), Mood::Bad)
        }
        EventKind::Missed { count } => {
            ("missed", text::counted(*count, "event", "events"), Mood::Bad)
        }
        EventKind::FdbFlushed { ifname, count } => {
            let count = text::counted(*count, "address", "addresses");
            let at = ifname.as_ref().map_or_else(String::new, |port| format!(" at {port}"));
            ("flushed", format!("{count}{at}"), Mood::Plain)
        }
        EventKind::NatFlushed { count } => {
            ("flushed", text::counted(*count, "NAT session", "NAT sessions"), Mood::Plain)
        }
        EventKind::HostCame { host, vtep } => {
            ("host came", format!("{host} at {vtep}"), Mood::Good)
        }
        EventKind::HostWent { host } => ("host went", host.clone(), Mood::Bad),
        EventKind::RegistryAlone { why } => ("no registry", why.clone(), Mood::Bad),
        EventKind::RegistryBack => ("registry back", String::new(), Mood::Good),
        EventKind::RowsRepaired { count } => {
            ("repaired", text::counted(*count, "row", "rows"), Mood::Bad)
        }
        EventKind::NodeCutOff { node, why } => ("cut off", format!("{node}: {why}"), Mood::Bad),
        EventKind::NodeRestored { node } => ("restored", node.clone(), Mood::Good),
        EventKind::MtuChanged { from, to, .. } => {
            ("mtu", format!("{to} bytes, no longer {from}"), Mood::Plain)
        }
        EventKind::GatewaySet { forwarding, nat } => {
            let on = OnOff::of(*forwarding);
            ("gateway", format!("forwarding {on}, NAT {nat}"), Mood::Plain)
        }
        EventKind::Published { protocol, port, published } => {
            let what = format!("{protocol} port {port}");
            (if *published { "published" } else { "withdrawn" }, what, Mood::Plain)
        }
    }
}

fn opened(session: &Session) -> String {
    let (protocol, [inside, outside, remote]) = (&session.protocol, session.ends());
    format!("{protocol} {inside} to {remote} as {outside}")
}

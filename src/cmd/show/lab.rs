//! The lab as a whole: its topology, its counters. Lines of text.

use std::collections::BTreeMap;

use control::api::{Counters, GatewayCounters, SwitchCounters, Topology};

use super::lines;
use crate::paint::Paint;
use crate::table::Table;
use crate::units;

pub(super) fn topology(lab: Topology, paint: Paint) -> Vec<String> {
    let nodes = match lab.nodes.len() {
        1 => "1 node".into(),
        count => format!("{count} nodes"),
    };
    let up = units::span(lab.uptime);
    let mut text = vec![
        format!("lab {}: {}, {nodes}, up {up}, process {}", lab.lab, lab.kind, lab.pid),
        String::new(),
    ];
    if let Some(fast) = lab.fast_path {
        let state = match (fast.runs, fast.why_not) {
            (true, _) => format!("the kernel has forwarded {} frames by itself", fast.packets),
            (false, Some(why)) => format!("not in use: {why}"),
            (false, None) => "not in use".into(),
        };
        text.insert(1, format!("fast path ({}): {state}", fast.asked));
    }
    let further = lab.nodes.iter().flat_map(|node| &node.further);
    let networks = lab.nodes.iter().map(|node| &node.network);
    // A port out of all networks is told apart too.
    let alone =
        |port: &Option<String>, network: &Option<String>| port.is_some() && network.is_none();
    let several = super::several(networks.chain(further.clone().map(|one| &one.network)))
        || lab.nodes.iter().any(|node| alone(&node.port, &node.network))
        || further.clone().any(|one| alone(&one.port, &one.network));
    let state = |up: bool| if up { "up" } else { "down" }.to_owned();
    let mut heads = vec!["NODE", "ADDRESS", "INTERFACE", "PORT", "STATE", "MAC"];
    if several {
        heads.insert(1, "NETWORK");
    }
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let all = |addresses: &[String]| match addresses {
        [] => "-".to_owned(),
        all => all.join(" "),
    };
    let mut table = Table::new(&heads);
    let mut row = |network: Option<String>, mut cells: Vec<String>| {
        if several {
            cells.insert(1, or(network));
        }
        table.row(cells);
    };
    for node in lab.nodes {
        let addresses = all(&node.addresses);
        let rest = [node.ifname, or(node.port), state(node.up), or(node.mac)];
        row(node.network, [node.name, addresses].into_iter().chain(rest).collect());
        for one in node.further {
            let addresses = all(&one.addresses);
            let rest = [one.ifname, or(one.port), state(one.up), one.mac];
            row(one.network, [String::new(), addresses].into_iter().chain(rest).collect());
        }
    }
    text.extend(lines(&table, paint));
    if !lab.links.is_empty() {
        text.push(String::new());
    }
    text.extend(lab.links.into_iter().map(|link| {
        let ([a, b], [from, to]) = (link.networks, link.ports);
        let state = if link.up { "" } else { ", down" };
        format!("{}    {a} to {b}, by {from} and {to}{state}", link.name)
    }));
    if let Some(gateway) = lab.gateway {
        text.push(String::new());
        let off = if gateway.forwarding { "" } else { "  (forwarding off)" };
        let (address, prefix, mac) = (gateway.address, gateway.prefix_len, gateway.mac);
        let all = match several {
            true => format!("; of each network: {} network ls", lab::called::program()),
            false => String::new(),
        };
        text.push(format!("gateway  {address}/{prefix}  {mac}{off}{all}"));
    }
    if let Some(uplink) = lab.uplink {
        let hop = uplink.next_hop.map_or_else(String::new, |hop| format!(" via {hop}"));
        let (name, address, prefix) = (uplink.name, uplink.address, uplink.prefix_len);
        text.push(match uplink.nat.as_str() {
            "none" => format!("uplink   {name}: {address}/{prefix}{hop}, no NAT"),
            nat => format!("uplink   {name}: masquerade behind {address}/{prefix}{hop}, {nat}"),
        });
        if !uplink.answers.is_empty() {
            let answers: Vec<_> = uplink.answers.iter().map(ToString::to_string).collect();
            text.push(format!("         {} answer", answers.join(" ")));
        }
    }
    if let Some(awaited) = lab.uplink_awaited {
        text.push(format!("uplink   {}, waited for: {}", awaited.name, awaited.why));
    }
    text.extend(lab.host_changes.into_iter().map(|change| format!("on the host: {change}")));
    text
}

pub(super) fn counters(counters: Counters, paint: Paint) -> Vec<String> {
    let mut text = Vec::new();
    if let Some(switch) = counters.switch {
        text.extend(of_switch(&switch, paint));
    }
    if let Some(gateway) = counters.gateway {
        text.extend(of_gateway(&gateway, paint));
    }
    if text.is_empty() {
        text.push("this topology has neither switch nor gateway: nothing is counted".into());
    }
    text
}

fn of_switch(c: &SwitchCounters, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["SWITCH", ">", ""]);
    figures(
        &mut table,
        &[
            ("received", c.received, "frames taken out of the rings"),
            ("forwarded", c.forwarded, "to one port"),
            ("flooded", c.flooded, "to several"),
            ("members", c.members, "to the members of a group"),
            ("local", c.local, "to the gateway"),
            ("uplink", c.uplink, "from the uplink, for the gateway"),
        ],
    );
    reasons(&mut table, "dropped", &c.drops);
    figures(
        &mut table,
        &[
            ("from gateway", c.station_to_bridge, "frames of the gateway to the nodes"),
            ("", c.station_to_uplink, "to the uplink"),
            ("", c.station_lost, "with nowhere to go"),
            ("send errors", c.send_errors, "frames the kernel refused"),
        ],
    );
    reasons(&mut table, "", &c.refused);
    figures(
        &mut table,
        &[
            ("ring drops", c.ring_drops, "frames that found the ring full, or stopped"),
            ("rings renewed", c.rings_renewed, "had stopped and were opened anew"),
            ("addresses", c.fdb_entries, "known now"),
            ("", c.fdb_limit, "may be known"),
            ("lost events", c.events_lost, "nobody fetched them in time"),
            ("workers", c.workers, "threads that forward"),
        ],
    );
    lines(&table, paint)
}

fn of_gateway(c: &GatewayCounters, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["GATEWAY", ">", ""]);
    figures(
        &mut table,
        &[
            ("received", c.lan_in, "frames from the LAN"),
            ("", c.uplink_in, "from the uplink"),
            ("forwarded", c.to_lan, "rewritten, to the LAN"),
            ("", c.to_uplink, "to the uplink"),
        ],
    );
    reasons(&mut table, "consumed", &c.consumed);
    reasons(&mut table, "dropped", &c.drops);
    figures(
        &mut table,
        &[
            ("own", c.extra, "frames of the gateway's own"),
            ("echo", c.echo_replies, "echo requests answered"),
            ("icmp errors", c.icmp_errors, "sent"),
            ("", c.icmp_limited, "held back, there had been too many"),
            ("", c.icmp_translated, "translated"),
            ("redirects", c.redirects, "hosts told that they took a detour"),
            ("sessions", c.nat.opened, "opened"),
            ("", c.nat.expired, "expired"),
            ("", c.nat.flushed, "flushed"),
            ("", c.nat.displaced, "gave way to others"),
            ("lost events", c.nat.events_lost, "nobody fetched them in time"),
        ],
    );
    let names = &c.names;
    figures(
        &mut table,
        &[
            ("names", names.answered, "queries answered"),
            ("", names.denied, "for names that there are not"),
            ("", names.refused, "refused, or not understood"),
            ("", names.forwarded, "passed on to the host's resolvers"),
            ("", names.repeated, "sent again meanwhile"),
            ("", names.crowded, "not passed on, too many were waiting"),
            ("", names.failed, "passed on, and nobody answered"),
            ("", names.malformed, "messages that were no query"),
        ],
    );
    for (protocol, usage) in &c.nat.usage {
        table.row([protocol.clone(), usage.sessions.to_string(), "sessions now".into()]);
        table.row([String::new(), usage.mappings.to_string(), "outside ports".into()]);
    }
    let mut text = vec![String::new()];
    text.extend(lines(&table, paint));
    text
}

fn figures(table: &mut Table, rows: &[(&str, u64, &str)]) {
    for (name, count, what) in rows {
        table.row([(*name).into(), count.to_string(), (*what).into()]);
    }
}

/// What has occurred, a row each; the group's name stands at the first.
fn reasons(table: &mut Table, group: &str, reasons: &BTreeMap<String, u64>) {
    let occurred = reasons.iter().filter(|(_, count)| **count > 0);
    for (row, (reason, count)) in occurred.enumerate() {
        let name = if row == 0 { group.into() } else { String::new() };
        table.row([name, count.to_string(), reason.clone()]);
    }
}

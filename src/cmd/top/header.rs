//! The four lines above the panes: which lab, what has passed, how fast, how full. Pure. In a
//! narrow terminal a line loses its last parts, not half a word.

use super::model::Model;
use super::{panes, text};

/// The lines, each as parts in the order of their weight.
pub(super) fn lines(model: &Model) -> [Vec<String>; 4] {
    [lab(model), frames(model), rates(model), tables(model)]
}

/// As many parts as fit; the first always.
pub(super) fn fit(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let longer = if line.is_empty() { part.clone() } else { format!("{line}, {part}") };
        if !line.is_empty() && longer.chars().count() > width {
            break;
        }
        line = longer;
    }
    line.chars().take(width).collect()
}

fn lab(model: &Model) -> Vec<String> {
    let topology = &model.now().topology;
    let nodes = u64::try_from(topology.nodes.len()).unwrap_or(u64::MAX);
    let mut parts = vec![
        format!("lab {}", topology.lab),
        format!("up {}", crate::units::span(topology.uptime)),
        text::counted(nodes, "node", "nodes"),
    ];
    if let Some(gateway) = &topology.gateway {
        parts.push(format!("gateway {}", gateway.address));
    }
    if let Some(uplink) = &topology.uplink {
        parts.push(format!("uplink {} as {}", uplink.name, uplink.address));
    }
    if let Some(awaited) = &topology.uplink_awaited {
        parts.push(format!("uplink {} waited for", awaited.name));
    }
    parts.push(format!("pid {}", topology.pid));
    parts
}

fn frames(model: &Model) -> Vec<String> {
    let Some(switch) = &model.now().counters.switch else { return vec!["no switch".into()] };
    // As the pane of drops has it, whoever dropped them.
    let dropped = model.drops().iter().map(|drop| drop.count).sum();
    let part = |count, what| format!("{} {what}", text::short(count));
    vec![
        format!("frames: {} in", text::short(switch.received)),
        part(dropped, "dropped"),
        part(switch.forwarded, "forwarded"),
        part(switch.flooded, "flooded"),
        part(switch.local, "to the gateway"),
        part(switch.uplink, "from the uplink"),
    ]
}

fn rates(model: &Model) -> Vec<String> {
    let total = model.total_rates().map(|rates| rates.rx);
    let shown = |rate: Option<u64>| rate.map_or_else(|| "-".into(), text::short);
    let drops = model.drops().iter().map(|drop| drop.rate).sum();
    // Nothing dropped is a rate that is known.
    let drops: Option<u64> = Option::filter(drops, |_| total.is_some());
    vec![
        format!("rates: {} bit/s in", shown(total.as_ref().map(|rate| rate.bits_per_second))),
        format!("{} frames/s", shown(total.as_ref().map(|rate| rate.packets_per_second))),
        format!("{} drops/s", shown(drops)),
    ]
}

fn tables(model: &Model) -> Vec<String> {
    let counters = &model.now().counters;
    let mut parts = Vec::new();
    if let Some(switch) = &counters.switch {
        let (known, limit) = (text::grouped(switch.fdb_entries), text::grouped(switch.fdb_limit));
        parts.push(format!("tables: {known} of {limit} MACs"));
    }
    if let Some(gateway) = &counters.gateway {
        let usage = gateway.nat.usage.iter().filter(|(_, usage)| usage.sessions > 0);
        let each: Vec<_> = usage
            .map(|(protocol, usage)| format!("{protocol} {}", text::grouped(usage.sessions)))
            .collect();
        let all = text::counted(panes::sessions(model), "NAT session", "NAT sessions");
        let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(" ")) };
        parts.push(format!("{all}{each}"));
    }
    if let Some(switch) = &counters.switch {
        parts.push(format!("{} lost by the ring", text::short(switch.ring_drops)));
    }
    parts
}

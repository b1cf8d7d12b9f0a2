//! A lab as a picture of a few lines, for terminals. Pure: lines of text.
//!
//! At most 80 columns wide and eight lines high, so that what is told below it stays on a screen.

use lab::address;
use lab::{LabConfig, Topology, Uplink};

/// Columns of one node, at least: its address with a space on each side.
const WIDTH: usize = 19;
/// Nodes drawn; of more, the first ones and the last.
const DRAWN: u32 = 4;

/// The picture of a lab.
pub(crate) fn of(config: &LabConfig) -> Vec<String> {
    match config.topology {
        Topology::Pair => pair(),
        Topology::Mesh => mesh(config.nodes),
        Topology::Switch => switch(config),
    }
}

fn pair() -> Vec<String> {
    vec![
        "  net1                                     net2".into(),
        "  veth1 10.100.0.1/16 ─────────────── veth2 10.100.0.2/16".into(),
    ]
}

fn mesh(nodes: u32) -> Vec<String> {
    let pairs = nodes * (nodes - 1) / 2;
    let each = nodes - 1;
    vec![
        format!(
            "  net1 … net{nodes}, each joined to each: {pairs} veth pairs, {each} interfaces a node"
        ),
        format!("  (a switch takes {nodes} pairs and one interface a node)"),
    ]
}

fn switch(config: &LabConfig) -> Vec<String> {
    let n = config.nodes;
    let columns: Vec<Option<u32>> = if n <= DRAWN {
        (1..=n).map(Some).collect()
    } else {
        vec![Some(1), Some(2), None, Some(n)]
    };
    let own = format!("uswitch, gateway {}/{}", address::GATEWAY, address::PREFIX);
    // The box is two columns wider than what is in it, and as wide as its text at least.
    let wide = WIDTH.max((own.len() + 2).div_ceil(columns.len()));
    let inner = wide * columns.len();
    let cells = |cell: &dyn Fn(u32) -> String, gap: &str| -> String {
        let one = |column: &Option<u32>| match column {
            Some(number) => format!("{:^wide$}", cell(*number)),
            None => format!("{gap:^wide$}"),
        };
        columns.iter().map(one).collect()
    };
    let above = |cell: &dyn Fn(u32) -> String, gap: &str| {
        format!("  {}", cells(cell, gap)).trim_end().to_owned()
    };
    let address = |number| {
        let address = address::of_node(number).map(|a| a.to_string()).unwrap_or_default();
        format!("{address}/{}", address::PREFIX)
    };
    let edge = cells(&|_| "┴".into(), "").replace(' ', "─");
    let ports = cells(&|number| format!("veth{number}"), "…");
    let mut floor = "─".repeat(inner);
    let below = beyond(&config.uplink);
    if below.is_some() {
        floor = format!("───┬{}", "─".repeat(inner - 4));
    }
    let mut lines = vec![
        above(&|number| format!("net{number}"), "…"),
        above(&address, ""),
        above(&|number| format!("vethpeer{number}"), ""),
        format!(" ┌{edge}┐"),
        format!(" │{ports}│"),
        format!(" │{own:^inner$}│"),
        format!(" └{floor}┘"),
    ];
    lines.extend(below.map(|text| format!("     {text}")));
    lines
}

/// What lies behind the gateway.
fn beyond(uplink: &Uplink) -> Option<String> {
    match uplink {
        Uplink::Sim => {
            let hosts = address::SIM_HOSTS.map(|host| host.to_string()).join(" ");
            Some(format!("as {}: inet (simulated) {hosts}", address::SIM_GATEWAY))
        }
        Uplink::Host(interface) => {
            let name = interface.as_deref().unwrap_or("the interface of the default route");
            Some(format!("as this host: {name}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_a_terminal_and_names_what_there_is() {
        for nodes in [1, 2, 3, 4, 5, 12, 400, 4095] {
            let lines = of(&LabConfig { nodes, ..LabConfig::default() });
            assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
            assert!(lines.len() <= 8, "{lines:#?}");
            let text = lines.join("\n");
            for word in [&format!("net{nodes}"), "10.100.0.10/16", "8.8.8.8", "10.100.0.1/16"] {
                assert!(text.contains(word), "no {word} in\n{text}");
            }
        }
        let alone = of(&LabConfig { uplink: Uplink::None, ..LabConfig::default() }).join("\n");
        assert!(!alone.contains("8.8.8.8"));
    }

    #[test]
    fn the_box_is_as_wide_as_what_is_in_it() {
        for nodes in [1, 2, 3, 4, 5, 4095] {
            let lines = of(&LabConfig { nodes, ..LabConfig::default() });
            let of_box = lines
                .iter()
                .filter(|line| line.starts_with([' ']) && line.contains(['│', '┐', '┘']));
            let widths: Vec<_> = of_box.map(|line| line.chars().count()).collect();
            assert!(widths.len() == 4 && widths.iter().all(|w| *w == widths[0]), "{lines:#?}");
        }
    }

    #[test]
    fn every_other_picture_fits_as_well() {
        for topology in [Topology::Pair, Topology::Mesh] {
            for nodes in [2, 3, 181] {
                let lines = of(&LabConfig { topology, nodes, ..LabConfig::default() });
                assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
            }
        }
        let long = Uplink::Host(Some("enp0s31f6.12345".into()));
        let lines = of(&LabConfig { uplink: long, ..LabConfig::default() });
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    }
}

//! A lab as a picture of a few lines, for terminals. Pure: lines of text.

use lab::address;
use lab::{LabConfig, Topology, Uplink};

/// Columns of one node.
const WIDTH: usize = 20;
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
    let row = |cell: &dyn Fn(u32) -> String, gap: &str| {
        let cells = columns.iter().map(|column| match column {
            Some(number) => format!("{:^WIDTH$}", cell(*number)),
            None => format!("{gap:^WIDTH$}"),
        });
        format!("  {}", cells.collect::<String>()).trim_end().to_owned()
    };
    let address = |number| {
        let address = address::of_node(number).map(|a| a.to_string()).unwrap_or_default();
        format!("{address}/{}", address::PREFIX)
    };
    let inner = WIDTH * columns.len() - 2;
    let mut edge: Vec<char> = "─".repeat(inner).chars().collect();
    for (place, column) in columns.iter().enumerate() {
        if column.is_some() {
            edge[place * WIDTH + WIDTH / 2 - 2] = '┴';
        }
    }
    let mut lines = vec![
        row(&|number| format!("net{number}"), "…"),
        row(&address, ""),
        row(&|number| format!("vethpeer{number}"), ""),
        row(&|_| "│".into(), ""),
        row(&|number| format!("veth{number}"), ""),
        format!("  ┌{}┐", edge.iter().collect::<String>()),
        format!("  │{:^inner$}│", "uswitch"),
        format!("  │{:^inner$}│", format!("gateway {}/{}", address::GATEWAY, address::PREFIX)),
    ];
    let mut floor: Vec<char> = "─".repeat(inner).chars().collect();
    if config.uplink != Uplink::None {
        floor[inner / 2] = '┬';
    }
    lines.push(format!("  └{}┘", floor.iter().collect::<String>()));
    if config.uplink == Uplink::Sim {
        let stem = " ".repeat(inner / 2 + 3);
        lines.push(format!("{stem}│ masquerade behind {}", address::SIM_GATEWAY));
        let width = (inner / 2 + 1) * 2;
        lines.push(format!("  {:^width$}", "inet (simulated)").trim_end().to_owned());
        let hosts = address::SIM_HOSTS.map(|host| host.to_string()).join(" ");
        lines.push(format!("  {hosts:^width$}").trim_end().to_owned());
    }
    if let Uplink::Host(interface) = &config.uplink {
        let stem = " ".repeat(inner / 2 + 3);
        lines.push(format!("{stem}│ masquerade behind this host's address"));
        let width = (inner / 2 + 1) * 2;
        let name = interface.as_deref().unwrap_or("the default route");
        lines.push(format!("  {name:^width$}").trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_a_terminal_and_names_what_there_is() {
        for nodes in [1, 2, 4, 5, 4095] {
            let lines = of(&LabConfig { nodes, ..LabConfig::default() });
            assert!(lines.iter().all(|line| line.chars().count() <= 84), "{lines:#?}");
            let text = lines.join("\n");
            for word in [&format!("net{nodes}"), "10.100.0.10/16", "8.8.8.8", "10.100.0.1/16"] {
                assert!(text.contains(word), "no {word} in\n{text}");
            }
        }
        let alone = of(&LabConfig { uplink: Uplink::None, ..LabConfig::default() }).join("\n");
        assert!(!alone.contains("8.8.8.8"));
    }
}

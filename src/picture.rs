//! A lab as a picture of a few lines, for terminals. Pure: lines of text.
//!
//! At most 80 columns wide and eight lines high, so that what is told below it stays on a screen; with fewer
//! nodes where the terminal is narrower, and in ASCII where the locale has no more.

use lab::{LabConfig, Topology, Uplink, address, station};
use topology::{Spec, shape};

use crate::canvas::Canvas;

/// Columns of one node, at least: its address with a space on each side.
const WIDTH: usize = 19;
/// Nodes drawn; of more, the first ones and the last.
const DRAWN: usize = 4;

/// The picture of a lab.
pub(crate) fn of(config: &LabConfig, canvas: Canvas) -> Vec<String> {
    let lines = match config.topology() {
        Topology::Pair => pair(),
        Topology::Mesh if is_mesh(&config.spec) => mesh(config.spec.nodes.len()),
        Topology::Mesh => wires(&config.spec),
        Topology::Switch => switch(&config.spec, canvas),
    };
    match canvas.ascii {
        true => lines.iter().map(|line| plain(line)).collect(),
        false => lines,
    }
}

/// A line in ASCII.
fn plain(line: &str) -> String {
    line.replace('─', "-")
        .replace('│', "|")
        .replace(['┌', '┐', '└', '┘', '┴', '┬'], "+")
        .replace('…', "...")
}

/// The nodes that are drawn, by their places; None stands for those between.
fn drawn(nodes: usize, columns: usize) -> Vec<Option<usize>> {
    match columns {
        columns if nodes <= columns => (0..nodes).map(Some).collect(),
        0 | 1 => vec![Some(0)],
        2 => vec![Some(0), None],
        3 => vec![Some(0), None, Some(nodes - 1)],
        _ => vec![Some(0), Some(1), None, Some(nodes - 1)],
    }
}

fn pair() -> Vec<String> {
    vec![
        "  net1                                     net2".into(),
        "  veth1 10.100.0.1/16 ─────────────── veth2 10.100.0.2/16".into(),
    ]
}

/// Whether it is the shape of that name, and not what a file says of its own.
pub(crate) fn is_mesh(spec: &Spec) -> bool {
    let nodes = u32::try_from(spec.nodes.len()).ok();
    let shape = nodes.and_then(|nodes| shape::mesh(nodes).ok());
    shape.is_some_and(|mesh| mesh.links == spec.links)
}

/// Nodes that are joined by links alone, as a file has them.
fn wires(spec: &Spec) -> Vec<String> {
    let names: Vec<_> = spec.nodes.keys().map(String::as_str).collect();
    let names = match names.as_slice() {
        [first, second, .., last] if names.len() > DRAWN => format!("{first}, {second} … {last}"),
        few => few.join(", "),
    };
    let links = spec.links.len();
    let links = format!("{links} {}", if links == 1 { "link" } else { "links" });
    vec![format!("  {names}: {links} from node to node, no switch")]
}

fn mesh(nodes: usize) -> Vec<String> {
    let pairs = nodes * (nodes - 1) / 2;
    let each = nodes - 1;
    vec![
        format!(
            "  net1 … net{nodes}, each joined to each: {pairs} veth pairs, {each} interfaces a node"
        ),
        format!("  (a switch takes {nodes} pairs and one interface a node)"),
    ]
}

fn switch(spec: &Spec, canvas: Canvas) -> Vec<String> {
    // The box begins at the second column.
    let fit = canvas.columns.saturating_sub(3) / WIDTH;
    let columns = drawn(spec.nodes.len(), fit.clamp(1, DRAWN));
    // As wide as it is drawn.
    let gap = if canvas.ascii { "..." } else { "…" };
    let own = match station::first_gateway(spec) {
        Some((gateway, prefix)) => format!("uswitch, gateway {gateway}/{prefix}"),
        None => "uswitch".to_owned(),
    };
    // The box is two columns wider than what is in it, and as wide as its text at least.
    let wide = WIDTH.max((own.len() + 2).div_ceil(columns.len()));
    let inner = wide * columns.len();
    let cells = |cell: &dyn Fn(usize) -> String, gap: &str| -> String {
        let one = |column: &Option<usize>| match column {
            Some(place) => format!("{:^wide$}", cell(*place)),
            None => format!("{gap:^wide$}"),
        };
        columns.iter().map(one).collect()
    };
    let above = |cell: &dyn Fn(usize) -> String, gap: &str| {
        format!("  {}", cells(cell, gap)).trim_end().to_owned()
    };
    let first = |place: usize| spec.nodes.get_index(place)?.1.networks.first();
    let address = |place| {
        let own = first(place).and_then(|at| Some((at, at.addresses.as_ref()?.first()?)));
        own.map_or_else(String::new, |(at, address)| {
            let network = spec.network(&at.network);
            let mut subnets = network.iter().flat_map(|network| network.all_subnets());
            let home = subnets.find(|subnet| subnet.contains(address.ip));
            home.map_or(*address, |subnet| subnet.at(address.ip)).to_string()
        })
    };
    let name =
        |place| spec.nodes.get_index(place).map(|(name, _)| name.clone()).unwrap_or_default();
    let interface = |place| first(place).and_then(|at| at.interface.clone()).unwrap_or_default();
    let edge = cells(&|_| "┴".into(), "").replace(' ', "─");
    let ports = cells(&|place| format!("veth{}", place + 1), gap);
    let mut floor = "─".repeat(inner);
    let below = beyond(&spec.uplink());
    if below.is_some() {
        floor = format!("───┬{}", "─".repeat(inner - 4));
    }
    let mut lines = vec![
        above(&name, gap),
        above(&address, ""),
        above(&interface, ""),
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_fits_a_terminal_and_names_what_there_is() {
        for nodes in [1, 2, 3, 4, 5, 12, 400, 4095] {
            let lines = of(&LabConfig::of(Topology::Switch, nodes).unwrap(), Canvas::default());
            assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
            assert!(lines.len() <= 8, "{lines:#?}");
            let text = lines.join("\n");
            for word in [&format!("net{nodes}"), "10.100.0.10/16", "8.8.8.8", "10.100.0.1/16"] {
                assert!(text.contains(word), "no {word} in\n{text}");
            }
        }
        let mut alone = LabConfig::of(Topology::Switch, 2).unwrap();
        alone.spec.uplink = Some(Uplink::None);
        let alone = of(&alone, Canvas::default()).join("\n");
        assert!(!alone.contains("8.8.8.8"));
    }

    #[test]
    fn the_box_is_as_wide_as_what_is_in_it() {
        for nodes in [1, 2, 3, 4, 5, 4095] {
            let lines = of(&LabConfig::of(Topology::Switch, nodes).unwrap(), Canvas::default());
            let of_box = lines
                .iter()
                .filter(|line| line.starts_with([' ']) && line.contains(['│', '┐', '┘']));
            let widths: Vec<_> = of_box.map(|line| line.chars().count()).collect();
            assert!(widths.len() == 4 && widths.iter().all(|w| *w == widths[0]), "{lines:#?}");
        }
    }

    #[test]
    fn a_narrow_terminal_and_one_without_boxes_have_a_picture_too() {
        for (columns, nodes) in [(72, 4), (60, 5), (60, 2), (45, 3), (38, 4095), (80, 400)] {
            for ascii in [false, true] {
                let config = LabConfig::of(Topology::Switch, nodes).unwrap();
                let lines = of(&config, Canvas { columns, ascii });
                let (below, of_box) = lines.split_last().unwrap();
                assert!(below.contains("8.8.8.8"), "{lines:#?}");
                assert!(of_box.iter().all(|l| l.chars().count() <= columns), "{lines:#?}");
                assert!(!ascii || lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
                let box_of = |line: &&String| line.contains(['│', '|', '┐', '┘']);
                let edges = of_box.iter().filter(box_of).map(|line| line.chars().count());
                let edges: Vec<_> = edges.collect();
                assert!(edges.iter().all(|edge| *edge == edges[0]), "{lines:#?}");
            }
        }
        let pair =
            of(&LabConfig::of(Topology::Pair, 2).unwrap(), Canvas { columns: 80, ascii: true });
        assert!(pair.iter().all(|line| line.is_ascii()), "{pair:#?}");
    }

    #[test]
    fn every_other_picture_fits_as_well() {
        for topology in [Topology::Pair, Topology::Mesh] {
            for nodes in [2, 3, 181] {
                let Ok(config) = LabConfig::of(topology, nodes) else { continue };
                let lines = of(&config, Canvas::default());
                assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
            }
        }
        let long = Uplink::Host(Some("enp0s31f6.12345".into()));
        let mut config = LabConfig::of(Topology::Switch, 2).unwrap();
        config.spec.uplink = Some(long);
        let lines = of(&config, Canvas::default());
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    }
}

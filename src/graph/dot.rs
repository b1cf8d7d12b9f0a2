//! As Graphviz's language (graphviz.org, "DOT Language").

use super::{Graph, Kind};

/// An undirected graph.
pub(crate) fn write(name: &str, graph: &Graph) -> String {
    let mut text = format!("graph {} {{\n    node [fontname=monospace]\n", quoted(name));
    for (place, item) in graph.items.iter().enumerate() {
        let shape = match item.kind {
            Kind::Node => "box",
            Kind::Network => "ellipse",
            Kind::Gateway => "hexagon",
            Kind::World => "doublecircle",
        };
        let label = quoted(&item.text.join("\n"));
        text.push_str(&format!("    n{place} [shape={shape}, label={label}]\n"));
    }
    for edge in &graph.edges {
        let [a, b] = edge.ends;
        let style = if edge.up { "solid" } else { "dashed" };
        let label = quoted(&edge.label);
        text.push_str(&format!("    n{a} -- n{b} [label={label}, style={style}]\n"));
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

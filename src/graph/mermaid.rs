//! As mermaid (mermaid.js.org, "Flowcharts").

use super::{Graph, Kind};

/// The lines of a flowchart.
pub(crate) fn write(graph: &Graph) -> String {
    let mut text = String::from("flowchart TD\n");
    for (place, item) in graph.items.iter().enumerate() {
        let label: Vec<_> = item.text.iter().map(|line| escaped(line)).collect();
        let label = label.join("<br>");
        let (open, close) = match item.kind {
            Kind::Node => ("[", "]"),
            Kind::Network => ("([", "])"),
            Kind::Gateway => ("{{", "}}"),
            Kind::World => ("((", "))"),
        };
        text.push_str(&format!("    n{place}{open}\"{label}\"{close}\n"));
    }
    for edge in &graph.edges {
        let [a, b] = edge.ends;
        let line = if edge.up { "---" } else { "-.-" };
        let label = if edge.label.is_empty() {
            String::new()
        } else {
            format!("|\"{}\"|", escaped(&edge.label))
        };
        text.push_str(&format!("    n{a} {line}{label} n{b}\n"));
    }
    text
}

/// As entities, which it reads within quotes.
fn escaped(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

//! As an image (SVG 1.1), drawn by rule, so that one lab has one picture: nodes in rows, the networks
//! below them, the gateway, the world; nodes joined by nothing but links stand on a circle.

use std::f64::consts::TAU;

use super::{Edge, Graph, Item, Kind};

/// Of a character of the text, and of a line, in the image's units.
const CHARACTER: f64 = 7.3;
const LINE: f64 = 16.0;
/// Between a box and its text, and from box to box.
const PAD: f64 = 10.0;
const GAP: f64 = 34.0;
/// From row to row of different kinds.
const FALL: f64 = 70.0;
/// Nodes of a row.
const ROW: usize = 6;

const STYLE: &str = "\
text{font:12px monospace;fill:#222}.name{font-weight:bold}.label{font-size:11px;fill:#555}\
rect{fill:#fff;stroke:#444}.network{fill:#e8f1fb}.gateway{fill:#fdf1dc}.world{fill:#e9f6ea}\
line{stroke:#777;stroke-width:1.5}.down{stroke-dasharray:4 4}\
@media(prefers-color-scheme:dark){text{fill:#eee}.label{fill:#bbb}rect{fill:#222;stroke:#bbb}\
.network{fill:#1c2c3c}.gateway{fill:#3c321c}.world{fill:#1f3222}line{stroke:#999}}";

/// Where a box stands: its middle, and how large it is.
#[derive(Clone, Copy, Default)]
struct Place {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The whole file.
pub(crate) fn write(name: &str, graph: &Graph) -> String {
    let mut places: Vec<Place> = graph.items.iter().map(size).collect();
    let (width, height) = arrange(graph, &mut places);
    let ends = graph.edges.iter().map(|edge| {
        let (x, _) = label_at(edge, &places);
        x + edge.label.chars().count() as f64 * CHARACTER
    });
    let width = ends.fold(width, f64::max);
    let name = escaped(name);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"lab {name}\">\n\
         <title>lab {name}</title>\n<style>{STYLE}</style>\n"
    );
    for edge in &graph.edges {
        text.push_str(&line(edge, &places));
    }
    for (item, place) in graph.items.iter().zip(&places) {
        text.push_str(&boxed(item, *place));
    }
    for edge in graph.edges.iter().filter(|edge| !edge.label.is_empty()) {
        text.push_str(&label(edge, &places));
    }
    text.push_str("</svg>\n");
    text
}

fn size(item: &Item) -> Place {
    let longest = item.text.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let width = longest as f64 * CHARACTER + 2.0 * PAD;
    Place { width, height: item.text.len() as f64 * LINE + PAD, ..Place::default() }
}

/// Gives each box its middle; how large the image is.
fn arrange(graph: &Graph, places: &mut [Place]) -> (f64, f64) {
    let of = |kind| -> Vec<usize> {
        (0..places.len()).filter(|place| graph.items[*place].kind == kind).collect()
    };
    let nodes = of(Kind::Node);
    let networks = of(Kind::Network);
    if networks.is_empty() && nodes.len() > 2 {
        return circle(&nodes, places);
    }
    let mut rows: Vec<(Vec<usize>, f64)> =
        nodes.chunks(ROW).map(|row| (row.to_vec(), GAP)).collect();
    for kind in [networks, of(Kind::Gateway), of(Kind::World)] {
        if !kind.is_empty() {
            if let Some(last) = rows.last_mut() {
                last.1 = FALL;
            }
            rows.push((kind, GAP));
        }
    }
    let wide = |row: &[usize]| {
        row.iter().map(|place| places[*place].width).sum::<f64>() + GAP * row.len() as f64
    };
    let wides: Vec<f64> = rows.iter().map(|(row, _)| wide(row)).collect();
    let width = wides.iter().copied().fold(0.0, f64::max);
    let mut y = GAP / 2.0;
    for ((row, below), wide) in rows.iter().zip(wides) {
        let height = row.iter().map(|place| places[*place].height).fold(0.0, f64::max);
        // What room is left is shared out between the boxes.
        let each = (width - wide) / row.len() as f64 + GAP;
        let mut x = 0.0;
        for place in row {
            let place = &mut places[*place];
            x += each / 2.0 + place.width / 2.0;
            (place.x, place.y) = (x, y + height / 2.0);
            x += each / 2.0 + place.width / 2.0;
        }
        y += height + below;
    }
    (width, y - GAP / 2.0)
}

fn circle(nodes: &[usize], places: &mut [Place]) -> (f64, f64) {
    let widest = nodes.iter().map(|place| places[*place].width).fold(0.0, f64::max);
    let highest = nodes.iter().map(|place| places[*place].height).fold(0.0, f64::max);
    let radius = (widest + GAP) * nodes.len() as f64 / TAU;
    let radius = radius.max(widest);
    let (x, y) = (radius + widest / 2.0 + GAP / 2.0, radius + highest / 2.0 + GAP / 2.0);
    for (turn, place) in nodes.iter().enumerate() {
        let angle = TAU * turn as f64 / nodes.len() as f64 - TAU / 4.0;
        let place = &mut places[*place];
        (place.x, place.y) = (x + radius * angle.cos(), y + radius * angle.sin());
    }
    (2.0 * x, 2.0 * y)
}

fn line(edge: &Edge, places: &[Place]) -> String {
    let [a, b] = edge.ends.map(|end| places[end]);
    let class = if edge.up { "" } else { " class=\"down\"" };
    let [ax, ay, bx, by] = [a.x, a.y, b.x, b.y];
    format!("<line{class} x1=\"{ax:.1}\" y1=\"{ay:.1}\" x2=\"{bx:.1}\" y2=\"{by:.1}\"/>\n")
}

fn boxed(item: &Item, place: Place) -> String {
    let class = match item.kind {
        Kind::Node => "node",
        Kind::Network => "network",
        Kind::Gateway => "gateway",
        Kind::World => "world",
    };
    let Place { x, y, width, height } = place;
    let round = if item.kind == Kind::Node { 3.0 } else { 12.0 };
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    let mut text = format!(
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"{round}\"/>\n"
    );
    for (number, words) in item.text.iter().enumerate() {
        let class = if number == 0 { " class=\"name\"" } else { "" };
        let y = top + PAD / 2.0 + LINE * (number as f64 + 0.75);
        let words = escaped(words);
        text.push_str(&format!(
            "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{words}</text>\n"
        ));
    }
    text
}

/// Nearer to the first end: lines that meet at a network do so at the second.
fn label_at(edge: &Edge, places: &[Place]) -> (f64, f64) {
    let [a, b] = edge.ends.map(|end| places[end]);
    let edge_of = a.y + a.height / 2.0 * (b.y - a.y).signum();
    let rest = (b.y - a.y).abs().max(1.0);
    let along = ((edge_of - a.y).abs() + 16.0) / rest;
    (a.x + (b.x - a.x) * along + 6.0, a.y + (b.y - a.y) * along + 4.0)
}

fn label(edge: &Edge, places: &[Place]) -> String {
    let (x, y) = label_at(edge, places);
    let words = escaped(&edge.label);
    format!("<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

use super::*;

fn drawing() -> Graph {
    let item =
        |kind, text: &[&str]| Item { kind, text: text.iter().map(|t| (*t).into()).collect() };
    Graph {
        items: vec![
            item(Kind::Node, &["net1", "10.100.0.10/16"]),
            item(Kind::Node, &["a\"b<c>", "10.100.0.20/16"]),
            item(Kind::Network, &["lan", "10.100.0.0/16"]),
            item(Kind::Gateway, &["gateway"]),
            item(Kind::World, &["internet (simulated)"]),
        ],
        edges: vec![
            Edge { ends: [0, 2], label: "veth1".into(), up: true },
            Edge { ends: [1, 2], label: "veth2".into(), up: false },
            Edge { ends: [2, 3], label: "10.100.0.1/16".into(), up: true },
            Edge { ends: [3, 4], label: "203.0.113.2".into(), up: true },
        ],
    }
}

#[test]
fn mermaid_has_a_line_an_item_and_an_edge() {
    assert_eq!(
        mermaid::write(&drawing()),
        "flowchart TD\n\
         \x20   n0[\"net1<br>10.100.0.10/16\"]\n\
         \x20   n1[\"a#quot;b#lt;c#gt;<br>10.100.0.20/16\"]\n\
         \x20   n2([\"lan<br>10.100.0.0/16\"])\n\
         \x20   n3{{\"gateway\"}}\n\
         \x20   n4((\"internet (simulated)\"))\n\
         \x20   n0 ---|\"veth1\"| n2\n\
         \x20   n1 -.-|\"veth2\"| n2\n\
         \x20   n2 ---|\"10.100.0.1/16\"| n3\n\
         \x20   n3 ---|\"203.0.113.2\"| n4\n"
    );
}

#[test]
fn dot_quotes_what_it_has_to() {
    let text = dot::write("lab", &drawing());
    assert!(text.starts_with("graph \"lab\" {\n"), "{text}");
    assert!(text.contains(r#"label="a\"b<c>\n10.100.0.20/16""#), "{text}");
    assert!(text.contains(r#"n1 -- n2 [label="veth2", style=dashed]"#), "{text}");
    assert!(text.ends_with("}\n"));
}

/// The number behind `name="` in a tag.
fn number(tag: &str, name: &str) -> f64 {
    let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn no_box_of_the_image_covers_another_or_leaves_it() {
    let mut many = drawing();
    let nodes: Vec<_> = (0..20).map(|n| many.item(Kind::Node, vec![format!("node{n}")])).collect();
    nodes.iter().for_each(|node| many.edge([*node, 2], "port", true));
    let mut ring = Graph::default();
    let nodes: Vec<_> = (0..9).map(|n| ring.item(Kind::Node, vec![format!("r{n}")])).collect();
    nodes.windows(2).for_each(|pair| ring.edge([pair[0], pair[1]], "", true));
    for graph in [drawing(), many, ring] {
        let text = svg::write("lab", &graph);
        let whole = text.lines().next().unwrap();
        let (width, height) = (number(whole, "width"), number(whole, "height"));
        let boxes: Vec<[f64; 4]> = text
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .map(|tag| {
                let [x, y, w, h] = ["x", "y", "width", "height"].map(|name| number(tag, name));
                [x, y, x + w, y + h]
            })
            .collect();
        assert_eq!(boxes.len(), graph.items.len());
        for (place, [left, top, right, bottom]) in boxes.iter().copied().enumerate() {
            assert!(left >= 0.0 && top >= 0.0 && right <= width && bottom <= height, "{text}");
            let covers = |other: &[f64; 4]| {
                left < other[2] && other[0] < right && top < other[3] && other[1] < bottom
            };
            assert!(!boxes[place + 1..].iter().any(covers), "box {place}:\n{text}");
        }
        assert_eq!(text.matches("<line").count(), graph.edges.len());
    }
}

#[test]
fn each_line_of_a_node_is_as_its_own_interface_is() {
    let further = |name: &str, network: Option<&str>, up: bool| {
        let port = network.map(|_| format!("us-{name}"));
        serde_json::json!({"ifname": name, "network": network, "port": port, "mac": "", "up": up})
    };
    let node = |name: &str, up: bool, further: &[serde_json::Value]| {
        serde_json::json!({"name": name, "namespace": name, "ifname": "eth0", "network": "lan",
            "port": format!("us-{name}"), "up": up, "further": further})
    };
    let lab = serde_json::json!({"lab": "x", "kind": "switch", "pid": 1, "uptime": 1, "host_changes": [], "nodes": [
        node("a", true, &[further("eth1", Some("dmz"), false), further("eth2", None, false)]),
        node("b", false, &[further("eth1", None, true)]),
    ]});
    let lab: Topology = serde_json::from_value(lab).unwrap();
    let links = r#"{"networks": {"lan": {}, "dmz": {}}, "nodes": {"a": {}, "b": {}},
        "links": [["a:eth2", "b:eth1"]]}"#;
    let spec: Spec = serde_json::from_str(links).unwrap();
    let network = |name: &str| Network { name: name.into(), ..Network::default() };
    let graph = Graph::of(&lab, &spec, &[network("lan"), network("dmz")], &[]);
    let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.label.as_str(), edge.up)).collect();
    assert_eq!(edges, [("us-a", true), ("us-eth1", false), ("us-b", false), ("", false)]);
}

//! `graph`: what is drawn is what runs.

use serde_json::Value;

use crate::lab;
use crate::support::{Sandbox, rooted, rootless};

/// What the drawing has, and what the lab says it has.
fn drawn(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run", "-p", "8080:net1:80"]);
    sandbox.uswitch(&["network", "add", "dmz", "--subnet", "10.2.0.0/24"]).ok();
    sandbox.uswitch(&["add", "web", "--network", "dmz", "--network", "lan"]).ok();
    let mermaid = sandbox.uswitch(&["graph"]).ok().out;
    let said = sandbox.uswitch(&["show", "-j"]).ok().out;
    let said: Value = serde_json::from_str(&said).unwrap();
    for node in said["nodes"].as_array().unwrap() {
        let name = node["name"].as_str().unwrap();
        let address = node["address"].as_str().unwrap();
        assert!(mermaid.contains(&format!("[\"{name}<br>{address}/")), "{name}: {mermaid}");
    }
    for part in ["([\"lan<br>", "([\"dmz<br>10.2.0.0/24\"])", "8080 to 10.100.0.10:80", "8.8.8.8"] {
        assert!(mermaid.contains(part), "{part}: {mermaid}");
    }
    // Two nodes with a line each, one with two, a line a gateway's leg, one to the world.
    assert_eq!(mermaid.matches("---").count(), 7, "{mermaid}");
    let dot = sandbox.uswitch(&["graph", "--dot"]).ok().out;
    assert_eq!(dot.matches(" -- ").count(), 7, "{dot}");
    let svg = sandbox.uswitch(&["graph", "--svg"]).ok().out;
    assert_eq!(svg.matches("<line").count(), 7, "{svg}");
    // Well-formed, as a parser of XML sees it.
    let parse = "import sys, xml.dom.minidom as m; m.parseString(sys.argv[1])";
    sandbox.tool("python3", &["-c", parse, &svg]);
}

#[test]
fn what_runs_is_drawn_as_root() {
    rooted(drawn);
}

#[test]
fn what_runs_is_drawn_as_an_ordinary_user() {
    rootless(drawn);
}

#[test]
fn a_mesh_is_its_links() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "mesh", "-n", "5"]);
        let mermaid = sandbox.uswitch(&["graph"]).ok().out;
        assert_eq!(mermaid.matches("---").count(), 10, "{mermaid}");
        assert!(!mermaid.contains("gateway"), "{mermaid}");
    });
}

//! Interface counters, as each node's own kernel keeps them.

use anyhow::{Context as _, Result};

use crate::topology::Node;

/// Frames received by the nodes' interfaces since they were made, in sum.
///
/// # Errors
/// Where an interface is missing.
pub fn received(nodes: &[Node]) -> Result<u64> {
    nodes.iter().map(received_by).sum()
}

fn received_by(node: &Node) -> Result<u64> {
    let interface = node.interface.clone();
    node.run(move || {
        let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
        let prefix = format!("{interface}:");
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&prefix));
        let field = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        field.with_context(|| format!("no counters for {interface}"))
    })
}

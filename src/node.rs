//! A node of a running lab, from the command's side: entering it, finding its address.

use std::fs::File;
use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use nix::sched::{CloneFlags, setns};

/// Moves the calling thread into the network namespace of a node.
///
/// # Errors
/// When there is no such node; the message lists those there are.
pub(crate) fn enter(_lab: &str, node: &str) -> anyhow::Result<()> {
    let netns = match File::open(format!("/run/netns/{node}")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
            let mut names: Vec<_> =
                names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            if names.is_empty() {
                bail!("unknown node {node}: no lab is running; start one with `uswitch run`");
            }
            bail!("unknown node {node}: there are {}", names.join(", "));
        }
        Err(error) => return Err(error).with_context(|| format!("opening namespace {node}")),
    };
    setns(netns, CloneFlags::CLONE_NEWNET).with_context(|| format!("entering namespace {node}"))
}

/// The address of a node.
///
/// # Errors
/// When there is no such node.
pub(crate) fn address(_lab: &str, node: &str) -> anyhow::Result<Ipv4Addr> {
    bail!("unknown node {node}")
}

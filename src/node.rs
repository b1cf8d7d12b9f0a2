//! A node of a running lab, from the command's side: entering it, finding its address.

use std::net::Ipv4Addr;

use lab::{Ground, LabName, join};

use crate::door::ground;

/// Moves the calling thread into the network namespace of a node; the process must have no other
/// thread yet.
///
/// # Errors
/// When there is no such node; the message lists those there are.
pub(crate) fn enter(lab: &LabName, node: &str) -> anyhow::Result<()> {
    Ok(join::find(&ground(), lab, node)?.enter()?)
}

/// The address of a node, or of the gateway or the simulated internet.
///
/// # Errors
/// When there is no such node.
pub(crate) fn address(lab: &LabName, node: &str) -> anyhow::Result<Ipv4Addr> {
    Ok(join::address(&ground(), lab, node)?)
}

/// The names of the nodes of a lab that runs.
pub(crate) fn names(lab: &LabName) -> Vec<String> {
    join::running(&Ground::find(), lab).map(|record| join::nodes(&record)).unwrap_or_default()
}

//! A destination: a number in any of the forms the C library reads, or a name of the lab's.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use lab::called::program;
use lab::join::home::serves;
use lab::{LabName, names};

use super::matrix;
use crate::exit::Usage;
use crate::{door, node};

/// The address meant by `dest`, for a ping from `from`.
///
/// # Errors
/// Where it is neither; the message lists the nodes there are.
pub(super) fn resolve(lab: &LabName, from: Option<&str>, dest: &str) -> anyhow::Result<Ipv4Addr> {
    if let Some(address) = names::number(dest) {
        return Ok(address);
    }
    if dest.parse::<Ipv6Addr>().is_ok() {
        return Err(Usage(format!("{dest}: this ping speaks IPv4 alone")).into());
    }
    if let Some(router) = (dest == names::ROUTER).then(|| matrix::router(lab)).flatten() {
        return Ok(router);
    }
    if let Some(address) = from.and_then(|from| node::nearer(lab, from, dest)) {
        return Ok(address);
    }
    match node::address(lab, from, dest) {
        Err(error) if matches!(error.downcast_ref(), Some(lab::Error::NoNode { .. })) => {
            if let Some(address) = node::beyond(lab, dest) {
                return Ok(address);
            }
            let outside = dest.contains('.');
            let beyond = if outside { ", and no name of the internet is looked up" } else { "" };
            let dest = lab::called::shown(dest);
            let said = format!("{dest} is neither an IPv4 address nor a node{beyond}");
            Err(error.context(said))
        }
        Err(error) if matches!(error.downcast_ref(), Some(lab::Error::Usage(_))) => Err(error),
        // No lab runs that it could be a node of.
        found => found.with_context(|| format!("{dest} is no IPv4 address")),
    }
}

/// What to type where this host has no way to `dest`, and a lab runs whose nodes may have one: those that
/// have a gateway before others.
pub(super) fn from_a_node(lab: &LabName, dest: &str) -> Option<String> {
    let nodes = node::names(lab);
    let places = node::places(lab).ok()?;
    let has_gateway = |node: &&String| places.meet(node, names::GATEWAY);
    let from = nodes.iter().find(has_gateway).or(nodes.first())?;
    let name = door::option(lab);
    Some(format!(
        "this host has no way there: `{} ping{name} {from} {dest}` pings it from {from}",
        program()
    ))
}

/// What to type where `dest` is the lab's and no node was named to ping it from: from one that reaches it
/// without a router before others.
pub(super) fn from_inside(lab: &LabName, dest: &str) -> Option<String> {
    // The host has a place of its own in a network of containers.
    if serves(&door::ground(), lab) {
        return None;
    }
    let nodes = node::names(lab);
    let places = node::places(lab).ok()?;
    let owner = names::number(dest).and_then(|address| places.owner(address));
    if places.address(None, dest).is_none() && owner.is_none() {
        return None;
    }
    let to = owner.unwrap_or(dest);
    let others = || nodes.iter().filter(|node| *node != to);
    let from = others().find(|node| places.meet(node, to)).or(others().next())?;
    let name = door::option(lab);
    Some(format!(
        "this host is not on the network of lab {lab}: `{} ping{name} {from} {dest}` pings it from \
         {from}",
        program()
    ))
}

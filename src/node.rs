//! A node of a running lab, from the command's side: entering it, finding its address.
//!
//! Nodes that the lab has made are in its record. Those of a lab that serves engines are the engines'
//! containers, which its process is asked for.

use std::net::{IpAddr, Ipv4Addr};

use control::Client;
use control::api::{Home, Node};
use lab::join::{self, Entrance, home};
use lab::journal::Known;
use lab::places::Places;
use lab::reach::Reach;
use lab::{Error, LabName};

use crate::door::{Which, found, ground};

/// The way into a node.
///
/// # Errors
/// When there is no such node; the message lists those there are.
pub(crate) fn find(lab: &LabName, node: &str) -> anyhow::Result<Entrance> {
    match join::find(&ground(), lab, node) {
        Err(missing @ Error::NoNode { .. }) => match Containers::of(lab)? {
            Some(containers) => containers.find(node),
            None => Err(missing.into()),
        },
        found => Ok(found?),
    }
}

/// Moves the calling thread into the network namespace of a node; the process must have no other
/// thread yet.
///
/// # Errors
/// When there is no such node; the message lists those there are.
pub(crate) fn enter(lab: &LabName, node: &str) -> anyhow::Result<()> {
    Ok(find(lab, node)?.enter()?)
}

/// The address by which `from` reaches a node, the gateway or the simulated internet; the first it has,
/// where nobody is named.
///
/// # Errors
/// When there is no such node.
pub(crate) fn address(lab: &LabName, from: Option<&str>, node: &str) -> anyhow::Result<Ipv4Addr> {
    let containers = Containers::of(lab)?;
    let places = places_with(lab, containers.as_ref())?;
    if let Some(address) = places.address(from, node) {
        return Ok(address);
    }
    // That there is no such node is said as where one is entered.
    match &containers {
        Some(containers) if !places.has(node) => drop(containers.node(node)?),
        _ => drop(join::find(&ground(), lab, node)?),
    }
    Err(Error::Usage(format!("node {node} of lab {lab} has no address of IPv4")).into())
}

/// The address of a node of another host, where the lab is in a network of several.
pub(crate) fn beyond(lab: &LabName, node: &str) -> Option<Ipv4Addr> {
    beyond_in(lab, node, |_| true)
}

/// The same of one in a network that `from` is in, where the node of this lab that is called so is in others.
pub(crate) fn nearer(lab: &LabName, from: &str, node: &str) -> Option<Ipv4Addr> {
    let places = places(lab).ok().filter(|all| all.has(node) && !all.meet(from, node))?;
    beyond_in(lab, node, |network| places.is_in(from, network))
}

fn beyond_in(lab: &LabName, node: &str, counts: impl Fn(&str) -> bool) -> Option<Ipv4Addr> {
    let networks = Which { name: lab.clone() }.client().ok()?.hosts().ok()?;
    let networks = networks.iter().filter(|of| counts(&of.network));
    let hosts = networks.flat_map(|network| &network.hosts);
    hosts.filter_map(|host| host.addresses.get(node)).flatten().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

/// Who has which address in a lab, its containers as well.
///
/// # Errors
/// When it does not run.
pub(crate) fn places(lab: &LabName) -> anyhow::Result<Places> {
    places_with(lab, Containers::of(lab)?.as_ref())
}

fn places_with(lab: &LabName, containers: Option<&Containers<'_>>) -> anyhow::Result<Places> {
    let theirs = containers.map(|containers| containers.beside(&own_names(lab)));
    let theirs = theirs.unwrap_or_default();
    Ok(Places::find(&ground(), lab, theirs.into_iter().flat_map(known).collect())?)
}

/// The names of the nodes of a lab that runs.
pub(crate) fn names(lab: &LabName) -> Vec<String> {
    match Containers::of(lab) {
        Ok(Some(containers)) => containers.names(),
        _ => own_names(lab),
    }
}

/// The names of those that it has made itself.
pub(crate) fn own_names(lab: &LabName) -> Vec<String> {
    join::running(found(), lab).map(|record| join::nodes(&record)).unwrap_or_default()
}

/// Who ought to reach whom in a lab, its containers as well.
///
/// # Errors
/// When it does not run, or a namespace cannot be had.
pub(crate) fn reach(lab: &LabName) -> anyhow::Result<Reach> {
    let Some(containers) = Containers::of(lab)? else { return Ok(Reach::find(&ground(), lab)?) };
    let entered = |node: &Node| {
        let entrance = containers.enter(node)?;
        Ok((node.name.clone(), entrance, known(node).collect()))
    };
    let theirs = containers.beside(&own_names(lab));
    let all: anyhow::Result<Vec<_>> = theirs.into_iter().map(entered).collect();
    Ok(Reach::find_with(&ground(), lab, all?)?)
}

/// The nodes of a lab that serves engines.
struct Containers<'l> {
    lab: &'l LabName,
    which: Which,
    client: Client,
    nodes: Vec<Node>,
}

impl<'l> Containers<'l> {
    /// None where a lab serves nobody.
    fn of(lab: &'l LabName) -> anyhow::Result<Option<Self>> {
        if !home::serves(&ground(), lab) {
            return Ok(None);
        }
        let which = Which { name: lab.clone() };
        let client = which.client()?;
        let nodes = which.answer(client.topology())?.nodes;
        Ok(Some(Self { lab, which, client, nodes }))
    }

    fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// Those that the lab has not made itself: these are in its record.
    fn beside(&self, own: &[String]) -> Vec<&Node> {
        self.nodes.iter().filter(|node| !own.contains(&node.name)).collect()
    }

    fn node(&self, name: &str) -> Result<&Node, Error> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.ok_or_else(|| join::no_such(self.lab, name, &self.names()))
    }

    fn find(&self, name: &str) -> anyhow::Result<Entrance> {
        self.enter(self.node(name)?)
    }

    fn enter(&self, node: &Node) -> anyhow::Result<Entrance> {
        let home: Home = self.which.answer(self.client.home(&node.name))?;
        Ok(home::by(&ground(), self.lab, &home)?)
    }
}

/// The addresses of IPv4 of a node, as a record has them.
fn known(node: &Node) -> impl Iterator<Item = Known> {
    let first = (node.address, node.prefix_len, node.network.clone());
    let further = node.further.iter();
    let all = further.map(|own| (own.address, own.prefix_len, own.network.clone()));
    std::iter::once(first).chain(all).filter_map(|(address, prefix_len, network)| {
        Some(Known { name: node.name.clone(), address: address?, prefix_len, network })
    })
}

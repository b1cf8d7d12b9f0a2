//! A node's cables, pulled and plugged in again while the lab runs.
//!
//! One to the switch is pulled at the switch: the node loses its carrier and keeps its routes, as a
//! host does whose cable is pulled. A link to another node has no such end: the node's own goes down and
//! keeps its addresses, and the routes that the kernel forgets with it are put back when it comes up.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use ::topology::CheckedRoute;
use ns::{NsId, Plan};

use crate::blueprint;
use crate::error::{Error, Result};
use crate::join;
use crate::lab::{Held, Lab, State};
use crate::node::Interface;
use crate::progress::Quiet;

/// Whether links of a namespace that go down keep their addresses of IPv6.
const KEEP: &str = "ipv6/conf/all/keep_addr_on_down";

impl Lab {
    /// Pulls a node's cables, or plugs them in: all of them, or the one in a network. A link between
    /// networks is pulled at both its ends, or at the one in a network. The switch knows when this returns.
    ///
    /// # Errors
    /// [`Error::NoNode`]; [`Error::Usage`] where it is not in that network, or has lost its interface
    /// there: the others are pulled all the same; what the kernel says.
    pub fn set_link(&self, name: &str, network: Option<&str>, up: bool) -> Result<()> {
        if self.set_joint(name, network, up)? {
            return Ok(());
        }
        let state = self.state();
        let Some(held) = state.nodes.iter().find(|held| held.node.is(name)) else {
            let names: Vec<_> = state.nodes.iter().map(|held| held.node.name.clone()).collect();
            return Err(join::no_such(&self.config().name, name, &names));
        };
        let meant = |of: Option<&str>| network.is_none() || of == network;
        let interfaces = &held.node.interfaces;
        if !interfaces.iter().any(|interface| meant(interface.network.as_deref())) {
            let name = network.unwrap_or_default();
            return Err(Error::Usage(format!("node {} is not in network {name}", held.node.name)));
        }
        let mut lost = None;
        for interface in interfaces.iter().filter(|i| meant(i.network.as_deref())) {
            match (&interface.port, &self.switch_ns) {
                (Some(port), Some(netns)) => ns::link::set_up(netns.as_fd(), port.index, up)?,
                _ if interface.network.is_none() => {
                    self.set_wire(&state, held, &interface.name, up)?
                }
                // Its port is gone with the other end.
                _ => lost = Some(lost_interface(&held.node.name, &interface.name)),
            }
        }
        drop(state);
        self.hear()?;
        lost.map_or(Ok(()), Err)
    }

    /// The links of nodes that lead to other nodes and are up, by the node and its interface: so is the
    /// other end. A namespace that cannot be looked into has none.
    pub fn wires_up(&self) -> BTreeSet<(String, String)> {
        let is_wire = |own: &Interface| own.port.is_none() && own.network.is_none();
        let home = |held: &Held| Some((held.node.name.clone(), held.home.descriptor().ok()?));
        let state = self.state();
        let wired = state.nodes.iter().filter(|held| held.node.interfaces.iter().any(is_wire));
        let homes: Vec<_> = wired.filter_map(home).collect();
        drop(state);
        let up = |(node, netns): &(String, OwnedFd)| {
            let links = ns::link::list(netns.as_fd()).unwrap_or_default().into_iter();
            let up = links.filter(|link| link.up && link.carrier);
            up.map(|link| (node.clone(), link.name)).collect::<Vec<_>>()
        };
        homes.iter().flat_map(up).collect()
    }

    fn set_wire(&self, state: &State, held: &Held, name: &str, up: bool) -> Result<()> {
        let home = held.home.descriptor()?;
        let netns = home.as_fd();
        let links = ns::link::list(netns)?;
        let Some(link) = links.iter().find(|link| link.name == name) else {
            return Err(lost_interface(&held.node.name, name));
        };
        let does = |what: &dyn Fn(&mut Plan, NsId)| -> Result<()> {
            let mut plan = Plan::new();
            let room = plan.existing(held.node.file.clone(), 0);
            what(&mut plan, room);
            ns::apply(&plan, &self.directory, &[netns], &mut Quiet)?;
            Ok(())
        };
        if !up {
            // Addresses of IPv6 the kernel takes off a link that goes down, unless it is told at that moment
            // to keep them. What the node's user does by hand afterwards is as it ever was.
            does(&|plan, room| plan.sysctl(room, KEEP, "1"))?;
            let done = ns::link::set_up(netns, link.index, false);
            does(&|plan, room| plan.sysctl(room, KEEP, "0"))?;
            return Ok(done?);
        }
        let checked = state.spec.checked_node(&held.node.name).filter(|_| !link.up);
        does(&|plan, room| {
            plan.up(room, link.index);
            if let Some(node) = &checked {
                let is = |route: &&CheckedRoute| node.interfaces[route.interface].name == name;
                for route in node.routes.iter().filter(is) {
                    blueprint::lead(plan, room, route, link.index);
                }
            }
        })
    }
}

fn lost_interface(node: &str, name: &str) -> Error {
    Error::Usage(format!("node {node} has lost its interface {name}"))
}

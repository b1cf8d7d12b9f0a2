//! Nodes that go while the lab runs and traffic flows. Called through the control socket, under the state's
//! lock; what cannot be undone is told, and the rest is undone all the same.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use ::topology::Link;
use switch::PortId;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::lab::{Lab, State};
use crate::node::Interface;
use crate::station::node;

impl Lab {
    /// Takes a node out: its ports, its veth pairs, its namespace's name, and all that the gateway has
    /// for it. The ports that were published for it are [withdrawn](Lab::take_withdrawn).
    ///
    /// # Errors
    /// [`Error::NoSwitch`], [`Error::NoNode`]; what could not be undone.
    pub fn remove_node(&self, name: &str) -> Result<()> {
        let lab = self.config().name.to_string();
        let Some(switch_ns) = &self.switch_ns else { return Err(Error::NoSwitch(lab)) };
        let mut state = self.state();
        let Some(place) = state.nodes.iter().position(|held| held.node.is(name)) else {
            let names: Vec<_> = state.nodes.iter().map(|held| held.node.name.clone()).collect();
            return Err(Error::NoNode { lab, node: name.into(), nodes: names.join(", ") });
        };
        if state.nodes[place].home.is_theirs() {
            return Err(Error::Usage(format!(
                "{name} is no node of the lab's own: its engine takes it out, `docker network \
                 disconnect` for one"
            )));
        }
        let held = state.nodes.remove(place);
        state.naming.removed(&held.node);
        let links = state.spec.take_out(&held.node.name);
        release(&state, &held.node.name);
        let mut outcomes: Vec<Result<()>> = Vec::new();
        for link in &links {
            outcomes.push(cut(&held.home, &held.node.name, link));
            state.cut_off(&held.node.name, link);
        }
        for port in held.node.ports() {
            let unplugged = self.with_switch(|switch| switch.remove_port(port.id));
            outcomes.push(unplugged.unwrap_or(Ok(())).map_err(Error::from));
        }
        // Before the next node can have its port's number, its address or its name.
        let own = held.node.interfaces.iter().filter_map(|i| i.ipv4());
        let addresses: Vec<Ipv4Addr> = own.map(|(address, _)| address).collect();
        let ports: Vec<PortId> = held.node.ports().map(|port| port.id).collect();
        let withdrawn = self.forget(&ports, &addresses);
        state.withdrawn.extend(withdrawn);
        for port in held.node.ports() {
            let deleted = ns::link::delete(switch_ns.as_fd(), port.index);
            outcomes.push(deleted.map_err(Error::from));
        }
        let removed = held.home.remove();
        if let Some(journal) = &mut state.journal
            && removed.is_ok()
            && let Err(error) = journal.strike(&held.node.file)
        {
            // The node is gone; the next line that can be written says so.
            tracing::warn!("{error}");
        }
        outcomes.into_iter().collect::<Result<()>>()?;
        removed
    }

    /// What was at these ports, and had these addresses, is gone: the gateway forgets it. Returns the
    /// ports that were published for it.
    pub(crate) fn forget(
        &self,
        ports: &[PortId],
        addresses: &[Ipv4Addr],
    ) -> Vec<gateway::Published> {
        let forgotten = self.with_gateway(|gateway| {
            let mut gone: Vec<_> =
                ports.iter().flat_map(|port| gateway.forget_node(node(*port))).collect();
            // Published while its port was gone already.
            let of_it = |one: &&gateway::Published| addresses.contains(&one.inside.address);
            let left: Vec<_> = gateway.published().iter().filter(of_it).copied().collect();
            for one in &left {
                gateway.unpublish(one.protocol, one.port);
            }
            gone.extend(left);
            gone
        });
        forgotten.unwrap_or_default()
    }

    /// A port's interface has vanished, and the node behind it: so does all the gateway has for it.
    pub(crate) fn node_vanished(&self, port: PortId) {
        let withdrawn = self.forget(&[port], &[]);
        self.state().withdrawn.extend(withdrawn);
    }
}

/// What a node had claimed is free for other hosts.
pub(crate) fn release(state: &State, node: &str) {
    for joined in &state.joined {
        joined.shared.wanted().remove(node);
        joined.look();
    }
}

/// Deletes a link at the end that a node has of it. Its namespace may live on, by a process in it.
fn cut(home: &Home, node: &str, link: &Link) -> Result<()> {
    let own = link.endpoints.iter().find(|end| end.node == node);
    let Some(interface) = own.and_then(|end| end.interface.as_deref()) else { return Ok(()) };
    let netns = home.descriptor()?;
    match ns::link::find(netns.as_fd(), interface)? {
        Some(index) => Ok(ns::link::delete(netns.as_fd(), index)?),
        None => Ok(()),
    }
}

impl State {
    /// Whoever was at the other end of a node's link has it no longer.
    fn cut_off(&mut self, gone: &str, link: &Link) {
        for end in link.endpoints.iter().filter(|end| end.node != gone) {
            let place = self.nodes.iter().position(|held| held.node.name == end.node);
            let Some(place) = place else { continue };
            let mut node = self.nodes[place].node.clone();
            let is = |own: &Interface| {
                own.port.is_none()
                    && own.network.is_none()
                    && Some(&own.name) == end.interface.as_ref()
            };
            node.interfaces.retain(|own| !is(own));
            self.note_changed(place, node);
        }
    }
}

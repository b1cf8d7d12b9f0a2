//! A port that is moved to another network, or out of all, while it runs: the cable of one node's
//! interface, pulled at one network and plugged in at another. Called through the control socket, under
//! the state's lock; what fails half-way is undone.
//!
//! The node is not asked: its interface keeps its name and its addresses, and its MTU becomes the new
//! network's.

use ::topology::{Attachment, Node as Asked};
use switch::core::Memberships;
use switch::{NetworkId, PortId};

use crate::called;
use crate::domain;
use crate::error::{Error, Result};
use crate::hosts::Joined;
use crate::known::known;
use crate::lab::{Held, Lab, State};
use crate::node::{Interface, Node};
use crate::port;

impl Lab {
    /// Moves a port to another network, or out of all. What the switch and the gateway knew of it in
    /// the network it leaves is forgotten: addresses, groups, VLANs, sessions. The ports that were
    /// published for it are [withdrawn](Lab::take_withdrawn). Its other settings stay.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::Usage`] where the node is in that network already; whatever the
    /// kernel or the switch refuses, and then nothing has changed.
    pub fn move_port(&self, port: PortId, to: Option<&str>) -> Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(name) = to.filter(|name| state.spec.network(name).is_none()) {
            return Err(self.no_network(state, name));
        }
        let is = |own: &Interface| own.port.as_ref().is_some_and(|plug| plug.id == port);
        let place = state
            .nodes
            .iter()
            .enumerate()
            .find_map(|(place, held)| Some((place, held.node.interfaces.iter().position(is)?)));
        if let Some(joint) = state.joints.iter().find(|joint| joint.beyond(port).is_some()) {
            return Err(Error::Usage(format!(
                "{} joins two networks, and its ends stay in them; `{} link {} down` pulls it",
                joint.name,
                called::program(),
                joint.name
            )));
        }
        if let Some(tunnel) = state.tunnels.iter().find(|tunnel| tunnel.port.id == port) {
            let (own, program, vni) = (&tunnel.port.name, called::program(), tunnel.vni);
            return Err(Error::Usage(format!(
                "{own} is a tunnel, which stays in its network: `{program} tunnel remove {vni}`, and `{program} \
                 tunnel add` with --network puts it into another"
            )));
        }
        let (place, at) = place.ok_or(switch::Error::NoPort(port))?;
        let before = state.nodes[place].node.clone();
        let interface = &before.interfaces[at];
        if interface.network.as_deref() == to {
            return Ok(());
        }
        let taken = |other: &&Interface| to.is_some() && other.network.as_deref() == to;
        if let Some(other) = before.interfaces.iter().find(taken) {
            return Err(Error::Usage(format!(
                "node {} is in network {} already, by {}: once is enough",
                before.name,
                to.unwrap_or_default(),
                other.name
            )));
        }
        let said = state.spec.nodes.get(&before.name).cloned();
        if let Some(asked) = state.spec.nodes.get_mut(&before.name) {
            // In the order of the node's interfaces: its first way out stays the first.
            let ahead = before.interfaces[..at].iter().filter(|own| own.network.is_some()).count();
            attach(asked, (interface, ahead), to);
        }
        if let Err(error) = self.replug((&*state, place, at), (port, to)) {
            if let Some(said) = said {
                state.spec.nodes.insert(before.name.clone(), said);
            }
            return Err(error);
        }
        if let Some(left) = &interface.network {
            state.spec.take_from(&before.name, left);
        }
        let addresses: Vec<_> = interface.ipv4().map(|(address, _)| address).into_iter().collect();
        let withdrawn = self.forget(&[port], &addresses);
        state.withdrawn.extend(withdrawn);
        let mut node = before.clone();
        node.interfaces[at].network = to.map(Into::into);
        state.note_changed(place, node);
        // What it has there is claimed, or given up, behind this: a conflict cuts it off.
        state.joined.iter().for_each(Joined::look);
        Ok(())
    }

    /// Has the switch and the link follow the spec, which knows of the move already.
    fn replug(
        &self,
        (state, place, at): (&State, usize, usize),
        (port, to): (PortId, Option<&str>),
    ) -> Result<()> {
        let State { spec, domains, .. } = state;
        let held = &state.nodes[place];
        let interface = &held.node.interfaces[at];
        let (network, vlans) = match to {
            Some(name) => {
                let settings = port::plugged(spec.storm);
                let (_, vlans) = domain::of_port(spec, &held.node.name, name, settings)?;
                (domains.get(name).map_or(NetworkId::NONE, |domain| domain.id), vlans)
            }
            None => (NetworkId::NONE, Memberships::default()),
        };
        let mtu_of = |name: &str| spec.mtu_of(name);
        let [was, mtu] = [interface.network.as_deref(), to].map(|name| name.map(mtu_of));
        let end = (held, interface);
        // A port that leaves all networks keeps the MTU it has.
        let follow = |mtu: Option<u32>| match mtu {
            Some(mtu) => self.set_link_mtu(end, mtu),
            None => Ok(()),
        };
        let changes = mtu.is_some() && was != mtu;
        if changes && let Err(error) = follow(mtu) {
            _ = follow(was);
            return Err(error);
        }
        let moved = self.with_switch(|switch| switch.move_port(port, network, &vlans));
        match moved {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                if changes && let Err(error) = follow(was) {
                    tracing::warn!("{error}");
                }
                Err(error.into())
            }
            None => Err(Error::NotRunning(self.config().name.to_string())),
        }
    }
}

impl State {
    /// A node has other interfaces than before, or in other networks.
    pub(crate) fn note_changed(&mut self, place: usize, node: Node) {
        let held: &mut Held = &mut self.nodes[place];
        self.naming.removed(&held.node);
        self.naming.added(&node);
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.know_anew(&node.file, known(&node))
        {
            // It works; only `ping NODE` by other processes will not know its address.
            tracing::warn!("{error}");
        }
        held.node = node;
    }
}

/// Puts an interface's place in a network into the spec, in the place of the one it had.
fn attach(node: &mut Asked, (interface, ahead): (&Interface, usize), to: Option<&str>) {
    let was = interface.network.as_deref();
    let at = node.networks.iter().position(|own| Some(own.network.as_str()) == was);
    let place = to.map(|network| Attachment {
        network: network.into(),
        addresses: Some(interface.addresses.clone()),
        mac: Some(interface.mac),
        interface: Some(interface.name.clone()),
    });
    match (at, place) {
        (Some(at), Some(place)) => node.networks[at] = place,
        (Some(at), None) => _ = node.networks.remove(at),
        (None, Some(place)) => node.networks.insert(ahead.min(node.networks.len()), place),
        (None, None) => {}
    }
}

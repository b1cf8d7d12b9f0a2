//! What the lab holds of its guests: their nodes, their places in the spec, their names.

use ::topology::{Attachment, SetPort};

use super::Guest;
use crate::home::Home;
use crate::lab::{Held, State};
use crate::node::{Interface, Node};

/// Those who ask for names find the node as it is now.
pub(super) fn call(state: &mut State, node: &str) {
    let Some(held) = state.nodes.iter().find(|held| held.node.name == node) else { return };
    state.naming.guest(&held.node);
}

/// The guest's node with this place in it, for what it is to claim.
pub(super) fn claimant(state: &State, guest: &Guest) -> Node {
    let interface = Interface {
        name: guest.interface.clone(),
        network: Some(guest.network.clone()),
        addresses: guest.addresses.clone(),
        mac: guest.mac,
        port: None,
        servers: Vec::new(),
        names: Vec::new(),
    };
    let name = guest.node.clone();
    let there = state.nodes.iter().find(|held| held.node.name == name);
    let mut node = there.map_or_else(
        || Node { number: 0, file: name.clone(), name, interfaces: Vec::new() },
        |held| held.node.clone(),
    );
    node.interfaces.push(interface);
    node
}

/// The spec has the place from now on.
pub(super) fn enter(state: &mut State, guest: &Guest) {
    let place = Attachment {
        addresses: Some(guest.addresses.clone()),
        mac: Some(guest.mac),
        interface: Some(guest.interface.clone()),
        ..Attachment::to(&guest.network)
    };
    let node = state.spec.nodes.entry(guest.node.clone()).or_default();
    node.networks.push(place);
    if guest.settings != SetPort::default() {
        let key = format!("{}:{}", guest.node, guest.network);
        state.spec.ports.insert(key, guest.settings.clone());
    }
}

pub(super) fn leave(state: &mut State, node: &str, network: &str) {
    state.spec.ports.shift_remove(&format!("{node}:{network}"));
    let Some(asked) = state.spec.nodes.get_mut(node) else { return };
    asked.networks.retain(|place| place.network != network);
    if asked.networks.is_empty() {
        state.spec.nodes.shift_remove(node);
    }
}

/// The node has one more interface; it is made where there is none.
pub(crate) fn settle(state: &mut State, name: &str, home: Home, interface: Interface) {
    match state.nodes.iter_mut().find(|held| held.node.name == name) {
        Some(held) => held.node.interfaces.push(interface),
        None => {
            let taken: Vec<u32> = state.nodes.iter().map(|held| held.node.number).collect();
            let number = (1..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
            let interfaces = vec![interface];
            let file = name.to_owned();
            let node = Node { number, name: file.clone(), file, interfaces };
            state.nodes.push(Held { node, home });
        }
    }
}

/// Interfaces of a node go, and the node with the last of them.
pub(crate) fn depart(state: &mut State, name: &str, gone: impl Fn(&Interface) -> bool) {
    let Some(held) = state.nodes.iter_mut().find(|held| held.node.name == name) else { return };
    let left: Vec<_> = held.node.interfaces.extract_if(.., |one| gone(one)).collect();
    let empty = held.node.interfaces.is_empty();
    for network in left.iter().filter_map(|interface| interface.network.as_deref()) {
        leave(state, name, network);
        // Whoever has its address next need not wait until the registry has heard of it.
        for joined in state.joined.iter().filter(|joined| joined.shared.network() == network) {
            joined.shared.wanted().remove(name);
            joined.look();
        }
    }
    if empty {
        state.nodes.retain(|held| held.node.name != name);
        state.naming.forget_guest(name);
    } else {
        call(state, name);
    }
}

//! Networks and guests that get another name while the lab runs, for their engine's names are known
//! later than they are. Called by `serve`, under the state's lock.

use switch::Switch;

use crate::config::check_served_name;
use crate::error::Result;
use crate::known::gateways;
use crate::lab::{Lab, State};

impl Lab {
    /// The network is called so from now on, where no other is and nothing else could be meant.
    /// Returns whether it is.
    pub fn rename_network(&self, before: &str, name: &str) -> bool {
        if before == name {
            return true;
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let unfit = check_served_name(name, &self.config().name).is_err();
        if unfit || state.spec.network(name).is_some() {
            return false;
        }
        let networks = &mut state.spec.networks;
        let Some((place, _, network)) = networks.shift_remove_full(before) else { return false };
        networks.shift_insert(place, name.into(), network);
        for network in networks.values_mut() {
            network.routed.iter_mut().filter(|to| *to == before).for_each(|to| *to = name.into());
        }
        let places = state.spec.nodes.values_mut().flat_map(|node| &mut node.networks);
        places
            .filter(|place| place.network == before)
            .for_each(|place| place.network = name.into());
        let (old, new) = (format!(":{before}"), format!(":{name}"));
        rekey(state, |key| Some(format!("{}{new}", key.strip_suffix(&old)?)));
        if let Some(domain) = state.domains.remove(before) {
            state.domains.insert(name.into(), domain);
        }
        let interfaces = state.nodes.iter_mut().flat_map(|held| &mut held.node.interfaces);
        let networks = interfaces.filter_map(|interface| interface.network.as_mut());
        networks.filter(|network| *network == before).for_each(|network| *network = name.into());
        state.naming.networks(&state.spec, &state.domains);
        for tunnel in state.tunnels.iter_mut().filter(|tunnel| tunnel.network == before) {
            tunnel.network = name.into();
        }
        for joined in state.joined.iter().filter(|joined| joined.shared.network() == before) {
            joined.shared.call_network(name);
            joined.look();
        }
        let known = gateways(&state.spec, name);
        if let Some(journal) = &mut state.journal
            && let Err(error) = journal.strike_network(before).and_then(|()| journal.know(known))
        {
            tracing::warn!("{error}");
        }
        self.with_switch(Switch::renamed);
        true
    }

    /// The node that has a container's place is called so from now on, where no other node is.
    /// Returns whether it is.
    ///
    /// # Errors
    /// [`Error::Claimed`] where the name is another host's in a network that it is in, and
    /// [`Error::Registry`] where that cannot be asked; it keeps the name it has.
    ///
    /// [`Error::Claimed`]: crate::Error::Claimed
    /// [`Error::Registry`]: crate::Error::Registry
    pub fn rename_guest(&self, port: &str, name: &str) -> Result<bool> {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((before, _)) = self.at(state, port) else { return Ok(false) };
        if before == name {
            return Ok(true);
        }
        // Other hosts know shorter ones alone.
        let shared = !state.joined.is_empty() && overlay::key::checked(name).is_err();
        let unfit = shared || check_served_name(name, &self.config().name).is_err();
        if unfit || state.nodes.iter().any(|held| held.node.is(name)) {
            return Ok(false);
        }
        let own = state.nodes.iter().find(|held| held.node.name == before);
        for joined in own.into_iter().flat_map(|own| state.joined.iter().map(move |j| (own, j))) {
            let (own, joined) = joined;
            joined.shared.rename(&own.node, name)?;
            joined.look();
        }
        for held in state.nodes.iter_mut().filter(|held| held.node.name == before) {
            (held.node.name, held.node.file) = (name.into(), name.into());
            state.naming.forget_guest(&before);
            state.naming.guest(&held.node);
        }
        if let Some(node) = state.spec.nodes.shift_remove(&before) {
            state.spec.nodes.insert(name.into(), node);
        }
        let (old, new) = (format!("{before}:"), format!("{name}:"));
        rekey(state, |key| Some(format!("{new}{}", key.strip_prefix(&old)?)));
        self.with_switch(Switch::renamed);
        Ok(true)
    }
}

/// Settings of ports that have another name now.
fn rekey(state: &mut State, name: impl Fn(&str) -> Option<String>) {
    let ports = &mut state.spec.ports;
    let renamed: Vec<_> = ports.keys().filter_map(|key| Some((key.clone(), name(key)?))).collect();
    for (before, name) in renamed {
        if let Some(settings) = ports.shift_remove(&before) {
            ports.insert(name, settings);
        }
    }
}

//! Networks that come and go while the lab runs. Called through the control socket; one change at a
//! time, under the state's lock. What fails half-way is undone.

use ::topology::{Network, Spec, check_node_name, shape};
use switch::NetworkId;

use crate::domain::{self, Domain};
use crate::error::{Error, Result};
use crate::host_port::Kept;
use crate::known::gateways;
use crate::lab::{Lab, State};

impl Lab {
    /// The networks and their numbers, in the order they came.
    #[must_use]
    pub fn networks(&self) -> Vec<(String, Domain)> {
        let state = self.state();
        let of = |name: &String| Some((name.clone(), state.domains.get(name)?.clone()));
        state.spec.networks.keys().filter_map(of).collect()
    }

    /// A network by its name; with None the only one there is, or the first.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], with those there are; [`Error::NoSwitch`].
    pub fn network(&self, name: Option<&str>) -> Result<(String, Domain)> {
        let state = self.state();
        let first = || state.spec.networks.keys().next().map(String::as_str);
        let lab = || self.config().name.to_string();
        // Where there is none at all, that is what is wrong, whichever was asked for.
        let first = first().ok_or_else(|| Error::NoSwitch(lab()))?;
        let name = name.unwrap_or(first);
        match state.domains.get(name) {
            Some(domain) => Ok((name.into(), domain.clone())),
            None => Err(self.no_network(&state, name)),
        }
    }

    /// That there is no such network.
    pub(crate) fn no_network(&self, state: &State, name: &str) -> Error {
        let all: Vec<_> = state.spec.networks.keys().map(String::as_str).collect();
        Error::NoNetwork {
            lab: self.config().name.to_string(),
            network: name.into(),
            networks: all.join(", "),
        }
    }

    /// The name of a network.
    #[must_use]
    pub fn network_name(&self, id: NetworkId) -> Option<String> {
        let state = self.state();
        let found = state.domains.iter().find(|(_, domain)| domain.id == id);
        found.map(|(name, _)| name.clone())
    }

    /// Makes one more network.
    ///
    /// # Errors
    /// [`Error::Usage`] for what cannot be, [`Error::NetworkExists`], [`Error::NoSwitch`]; whatever the
    /// switch or the gateway refuses, and then nothing has changed.
    pub fn add_network(&self, name: &str, network: Network) -> Result<()> {
        let lab = self.config().name.to_string();
        if self.switch_ns.is_none() {
            return Err(Error::NoSwitch(lab));
        }
        let mut guard = self.state();
        let state = &mut *guard;
        check_name(name)?;
        if state.spec.network(name).is_some() {
            return Err(Error::NetworkExists { lab, network: name.into() });
        }
        if let Some(other) = network.routed.iter().find(|other| state.spec.network(other).is_none())
        {
            return Err(self.no_network(state, other));
        }
        state.spec.networks.insert(name.into(), network);
        let before = |spec: &mut Spec| _ = spec.networks.shift_remove(name);
        let fits = check(&state.spec, name)
            .and_then(|()| check_added(&state.spec, &format!("network {name}"), before));
        let made = fits.and_then(|()| self.make_network(state, name));
        match made {
            Ok(domain) => {
                state.domains.insert(name.into(), domain);
                if let Err(error) = self.set_entries(state, name) {
                    tracing::warn!("{error}");
                }
                self.tell_neighbours(state, name);
                state.naming.networks(&state.spec, &state.domains);
                let known = gateways(&state.spec, name);
                if let Some(journal) = &mut state.journal
                    && let Err(error) = journal.know(known)
                {
                    tracing::warn!("{error}");
                }
                Ok(())
            }
            Err(error) => {
                state.spec.networks.shift_remove(name);
                state.domains.remove(name);
                Err(error)
            }
        }
    }

    /// Makes a network that the spec has already, first at the gateway, then in the switch.
    fn make_network(&self, state: &mut State, name: &str) -> Result<Domain> {
        let ended = || Error::NotRunning(self.config().name.to_string());
        let network = state.spec.network(name).ok_or_else(ended)?;
        let legs = domain::legs(&state.domains, network)?;
        // The switch gives the number; until then there is none.
        let (id, kept) = (NetworkId::FIRST, Kept::default());
        let draft = Domain { id, legs, host: None, kept, fitted: None, resized: None };
        state.domains.insert(name.into(), draft.clone());
        let told = domain::of_gateway(&state.spec, &state.domains, name);
        let undo = |ids: &[gateway::LegId]| {
            self.with_gateway(|gateway| {
                ids.iter().for_each(|id| _ = gateway.remove_leg(*id));
            });
        };
        let mut added = Vec::new();
        for (id, config) in told {
            let outcome = self.with_gateway(|gateway| gateway.add_leg(id, config));
            if let Some(Err(error)) = outcome {
                undo(&added);
                return Err(Error::Usage(format!("network {name}: {error}")));
            }
            added.push(id);
        }
        let config = domain::of_switch(&state.spec, &state.domains, name);
        let made = self.with_switch(|switch| {
            let id = switch.add_network(config)?;
            switch.sync()?;
            Ok(id)
        });
        match made
            .ok_or_else(ended)
            .and_then(|made: std::result::Result<_, switch::Error>| Ok(made?))
        {
            Ok(id) => Ok(Domain { id, ..draft }),
            Err(error) => {
                undo(&added);
                Err(error)
            }
        }
    }

    /// The legs of the networks that one is routed to know of it from now on.
    fn tell_neighbours(&self, state: &State, name: &str) {
        let others = state.spec.networks.keys();
        for other in others.filter(|other| *other != name && state.spec.routes_between(name, other))
        {
            for (id, config) in domain::of_gateway(&state.spec, &state.domains, other) {
                let told = self.with_gateway(|gateway| gateway.set_leg(id, config));
                if let Some(Err(error)) = told {
                    tracing::warn!("network {other}: {error}");
                }
            }
        }
    }

    /// Ends a network that no node is attached to.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::NetworkBusy`], [`Error::NoSwitch`]; what the switch refuses.
    pub fn remove_network(&self, name: &str) -> Result<()> {
        let lab = self.config().name.to_string();
        if self.switch_ns.is_none() {
            return Err(Error::NoSwitch(lab));
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(domain) = state.domains.get(name).cloned() else {
            return Err(self.no_network(state, name));
        };
        let nodes: Vec<&str> = state.spec.members(name).map(|(node, _)| node).collect();
        if !nodes.is_empty() {
            let nodes = few(&nodes);
            return Err(Error::NetworkBusy { lab, network: name.into(), nodes });
        }
        if let Some(joint) = state.joints.iter().find(|joint| joint.port(name).is_some()) {
            let (network, link) = (name.into(), joint.name.clone());
            return Err(Error::NetworkJoined { lab, network, link });
        }
        if let Some(tunnel) = state.tunnels.iter().find(|tunnel| tunnel.network == name) {
            return Err(Error::NetworkBeyond { network: name.into(), vni: tunnel.vni });
        }
        if let Some(removed) = self.with_switch(|switch| switch.remove_network(domain.id)) {
            removed?;
        }
        let neighbours: Vec<String> = state
            .spec
            .networks
            .keys()
            .filter(|other| *other != name && state.spec.routes_between(name, other))
            .cloned()
            .collect();
        state.spec.networks.shift_remove(name);
        state.domains.remove(name);
        for network in state.spec.networks.values_mut() {
            network.routed.retain(|other| other != name);
        }
        state.naming.networks(&state.spec, &state.domains);
        for (_, leg) in &domain.legs {
            let gone = self.with_gateway(|gateway| gateway.remove_leg(*leg));
            if let Some(Ok(withdrawn)) = gone {
                state.withdrawn.extend(withdrawn);
            }
        }
        for other in &neighbours {
            for (id, config) in domain::of_gateway(&state.spec, &state.domains, other) {
                let _ = self.with_gateway(|gateway| gateway.set_leg(id, config));
            }
        }
        if let Some(journal) = &mut state.journal
            && let Err(error) = journal.strike_network(name)
        {
            tracing::warn!("{error}");
        }
        Ok(())
    }

    /// What was set at the switch is what the spec says from now on.
    pub fn note_network(&self, name: &str, change: impl FnOnce(&mut Network)) {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(network) = state.spec.networks.get_mut(name) {
            change(network);
            state.naming.networks(&state.spec, &state.domains);
        }
    }
}

/// The first few names, and how many more there are.
#[must_use]
pub fn few(names: &[&str]) -> String {
    const NAMED: usize = 4;
    match names.len().checked_sub(NAMED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

/// Whether a network can be called so. `lan` is what the shapes call theirs.
fn check_name(name: &str) -> Result<()> {
    if name == shape::LAN {
        return Ok(());
    }
    Ok(check_node_name(name)?)
}

/// Says what cannot be since something was added, wherever a file would say it; what could not be before is
/// not its fault. `before` takes it out again.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check_added(spec: &Spec, added: &str, before: impl FnOnce(&mut Spec)) -> Result<()> {
    let Err(problems) = spec.check_growing() else { return Ok(()) };
    let mut without = spec.clone();
    before(&mut without);
    let old = without.check_growing().err().unwrap_or_default();
    // The last line, without a place, counts those that are not told.
    let mut new =
        problems.iter().filter(|problem| !problem.path.is_empty() && !old.contains(problem));
    new.next().map_or(Ok(()), |problem| Err(Error::Usage(format!("{added}: {problem}"))))
}

/// Says what of one network beside the others cannot be: what no file can say of it.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check(spec: &Spec, name: &str) -> Result<()> {
    let Err(problems) = spec.check() else { return Ok(()) };
    let mut own = problems.into_iter().filter(|problem| match problem.path.as_slice() {
        [of] => of == "networks",
        [of, which, ..] => of == "networks" && which == name,
        [] => false,
    });
    let text = own.next().map(|problem| problem.text);
    text.map_or(Ok(()), |text| Err(Error::Usage(format!("network {name}: {text}"))))
}

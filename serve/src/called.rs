//! What Docker calls networks, containers and their interfaces, in the lab and in what is kept of them. Told
//! by `names`, which asks for it; what cannot be called so keeps its number.

use std::collections::{BTreeSet, HashMap};
use std::sync::{MutexGuard, PoisonError};

use engine::Attach;
use engine::docker::Driver;
use tokio::sync::mpsc::UnboundedSender;

use crate::daemon::{Daemon, peer_of, port_of};
use crate::names::{Container, Inspected};
use crate::store::Place;

impl Daemon {
    /// Names are asked for by whoever hears there, beginning with those of all networks there are.
    pub(crate) fn name_by(&self, asker: UnboundedSender<String>) {
        for network in self.tables().networks.keys() {
            let _ = asker.send(network.clone());
        }
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = Some(asker);
    }

    pub(crate) fn ask_for_names(&self, network: &str) {
        if let Some(asker) = &*self.asker.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = asker.send(network.into());
        }
    }

    /// The networks that are not of plugins.
    pub(crate) fn of_docker(&self) -> Vec<String> {
        let tables = self.tables();
        let own = tables.networks.iter().filter(|(_, (kept, _))| !kept.network.passing);
        own.map(|(id, _)| id.clone()).collect()
    }

    /// Looks what dockerd has called the interfaces of a network in its containers, where that is not known.
    pub(crate) fn look_inside(&self, network: &str) {
        let unseen: Vec<Place> = {
            let tables = self.tables();
            let here = tables.places.values().filter(|place| place.attach.network == network);
            here.filter(|place| is_unseen(place)).cloned().collect()
        };
        for Place { attach: Attach { endpoint, .. }, sandbox, .. } in unseen {
            let port = port_of(&endpoint);
            let Some(Ok(sandbox)) = sandbox.map(std::fs::File::open) else { continue };
            let Ok(Some(name)) = self.lab.called_in(&port, &sandbox.into()) else { continue };
            // dockerd has it there, and is about to name it.
            if name == peer_of(&endpoint) {
                continue;
            }
            self.lab.call_interface(&port, &name);
            if let Err(why) = self.change(&endpoint, |place| place.interface = Some(name)) {
                tracing::warn!("endpoint {endpoint}: {why}");
            }
        }
    }

    /// Networks taken on from the disk that Docker has not been heard of yet.
    pub(crate) fn doubted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Docker knows of no such network: one of before has gone. Whether that was one.
    pub(crate) fn unknown(&self, network: &str) -> bool {
        let used = {
            let tables = self.tables();
            let mut places = tables.places.values();
            places.any(|place| place.attach.network == network && place.sandbox.is_some())
        };
        if used || !self.doubted().remove(network) {
            return false;
        }
        match self.delete_network(network) {
            Ok(()) => tracing::info!("network {network}: Docker has removed it meanwhile"),
            Err(why) => tracing::error!("network {network}, which Docker has removed: {why}"),
        }
        true
    }

    /// Whether a network, or a container in it, is called by its number yet.
    pub(crate) fn is_unnamed(&self, network: &str) -> bool {
        let tables = self.tables();
        let Some((kept, _)) = tables.networks.get(network) else { return false };
        let mut places = tables.places.values().filter(|place| place.attach.network == network);
        kept.name.is_none() || places.any(|place| place.sandbox.is_some() && place.name.is_none())
    }

    /// Whether it is known what all interfaces of a network are called in their containers.
    pub(crate) fn is_seen(&self, network: &str) -> bool {
        let tables = self.tables();
        let mut places = tables.places.values().filter(|place| place.attach.network == network);
        !places.any(is_unseen)
    }

    /// This is what Docker calls a network and its containers. A name that verbs would take for
    /// something else, or that another has, is not used.
    pub(crate) fn called(&self, network: &str, inspected: Inspected) {
        let Inspected { name, containers } = inspected;
        self.call_network(network, &name);
        let all: Vec<_> = containers.into_iter().flat_map(HashMap::into_values).collect();
        // Of two that have changed names each is about to give up what the other is to have.
        let later: Vec<_> = all.into_iter().filter(|own| !self.call_container(own)).collect();
        later.iter().for_each(|own| _ = self.call_container(own));
    }

    /// Whether a container that is here is called so now, or cannot be.
    fn call_container(&self, Container { name, endpoint }: &Container) -> bool {
        if !self.tables().places.contains_key(endpoint) {
            return true;
        }
        let port = port_of(endpoint);
        let (name, done) = match self.lab.rename_guest(&port, name) {
            Ok(done) => (name.clone(), done),
            Err(why @ lab::Error::Claimed(_)) => {
                let known = self.lab.node_at(&port).unwrap_or_default();
                tracing::warn!("container {name} is {known} here and on other hosts: {why}");
                (known, true)
            }
            // It is asked for again with the next change.
            Err(why) => {
                tracing::warn!("container {name} is not known by its name: {why}");
                return true;
            }
        };
        if let Err(why) = self.change(endpoint, |place| place.name = Some(name)) {
            tracing::warn!("endpoint {endpoint}: {why}");
        }
        done
    }

    fn call_network(&self, network: &str, name: &str) {
        let _names = self.naming.write().unwrap_or_else(PoisonError::into_inner);
        let writer = self.store.writer();
        let Some((mut kept, before)) = self.tables().networks.get(network).cloned() else { return };
        if kept.name.as_deref() == Some(name) {
            return;
        }
        // What was asked for by an option goes before what Docker says.
        let wanted = kept.network.options.name.as_deref().unwrap_or(name);
        let called = if self.lab.rename_network(&before, wanted) { wanted } else { &before };
        let called = called.to_owned();
        kept.name = Some(name.to_owned());
        if let Err(error) = writer.keep_network(&kept) {
            tracing::warn!("{error}");
        }
        self.tables().networks.insert(network.to_owned(), (kept, called));
    }
}

/// Whether dockerd has called its interface in a way that is not known.
fn is_unseen(place: &Place) -> bool {
    place.plugin.is_none() && place.sandbox.is_some() && place.interface.is_none()
}

//! Containers' places as they are kept: noted before they are made, forgotten with all that was made for
//! them. Called by whatever does what engines ask, and by whoever names containers.

use std::net::IpAddr;

use engine::Refusal;
use lab::Lab;

use crate::daemon::{Daemon, SHORT, beside_of, port_of, refusal, short};
use crate::lost::Lost;
use crate::store::{Place, Writer};

impl Daemon {
    pub(crate) fn place(&self, endpoint: &str) -> std::result::Result<Place, Refusal> {
        self.tables().places.get(endpoint).cloned().ok_or_else(|| {
            Refusal(format!(
                "uswitch knows of no endpoint {}: start the container again",
                short(endpoint, SHORT)
            ))
        })
    }

    pub(crate) fn keep(&self, place: Place) -> std::result::Result<(), Refusal> {
        self.keep_by(&self.store.writer(), place)
    }

    fn keep_by(&self, writer: &Writer<'_>, place: Place) -> std::result::Result<(), Refusal> {
        writer.keep_place(&place).map_err(|error| refusal(&error))?;
        self.tables().places.insert(place.attach.endpoint.clone(), place);
        Ok(())
    }

    /// Changes a place that is known; nothing where it is not.
    pub(crate) fn change(
        &self,
        endpoint: &str,
        change: impl FnOnce(&mut Place),
    ) -> std::result::Result<(), Refusal> {
        let writer = self.store.writer();
        let Ok(mut place) = self.place(endpoint) else { return Ok(()) };
        let before = place.clone();
        change(&mut place);
        if place == before { Ok(()) } else { self.keep_by(&writer, place) }
    }

    /// A place is no more, wherever its link is by now.
    pub(crate) fn forget(&self, endpoint: &str) -> std::result::Result<(), Refusal> {
        self.unlead(endpoint);
        self.unlimit(endpoint);
        let port = port_of(endpoint);
        self.lab.detach(&port).map_err(|error| refusal(&error))?;
        self.lab.forget_link(&port).map_err(|error| refusal(&error))?;
        let writer = self.store.writer();
        writer.forget_place(endpoint).map_err(|error| refusal(&error))?;
        let mut tables = self.tables();
        tables.places.remove(endpoint);
        tables.put_back.remove(endpoint);
        tables.waiting.remove(endpoint);
        Ok(())
    }

    /// Takes the device of a place's limits out of its container, which may live on, or be gone.
    pub(crate) fn unlimit(&self, endpoint: &str) {
        let Ok(place) = self.place(endpoint) else { return };
        let limited = place.plugin.is_some_and(|plugin| plugin.limited);
        let Some(sandbox) = place.sandbox.filter(|_| limited) else { return };
        let Ok(sandbox) = std::fs::File::open(sandbox) else { return };
        if let Err(error) = Lab::unlimit(&sandbox.into(), &beside_of(endpoint)) {
            tracing::debug!("endpoint {endpoint}: {error}");
        }
    }

    /// A place is no more, for its container has ended and no engine has told, or has lost its link for good; nor
    /// is its network, where that goes with its last container.
    pub(crate) fn end(&self, place: &Place) {
        let endpoint = &place.attach.endpoint;
        tracing::info!("endpoint {endpoint}: it has no container any more, and nobody has told");
        let gone = self.forget(endpoint);
        if let Err(why) = gone.and_then(|()| self.drop_if_empty(&place.attach.network)) {
            tracing::warn!("endpoint {endpoint}: {why}");
        }
    }

    /// A guest's port has vanished: its link is put back where its container lives, and else the place ends,
    /// unless it has a new link by now.
    pub(crate) fn vanished(&self, port: &str) {
        let endpoints: Vec<String> = self.tables().places.keys().cloned().collect();
        let mut endpoints = endpoints.into_iter();
        let Some(endpoint) = endpoints.find(|endpoint| port_of(endpoint) == port) else { return };
        let _turn = self.turns.of(&endpoint);
        // One of Docker's that has left has no namespace, and may join another.
        let Ok(place) = self.place(&endpoint) else { return };
        if place.sandbox.is_some() && self.lab.node_at(port).is_none() {
            match self.find_again(&place) {
                Lost::Gone => self.end(&place),
                Lost::Waits => return,
                Lost::PutBack => {
                    if let Some(name) = &place.name {
                        let _ = self.lab.rename_guest(port, name);
                    }
                    self.lead_outside(&place);
                    return;
                }
            }
            // Its container may live on, and have another network that its ports can lead by.
            if self.siblings(&place).iter().any(|own| self.lives(own)) {
                self.pass_on(&place);
            }
            self.answered();
        }
    }

    /// Places whose links could not be put back are tried again.
    pub(crate) fn look_again(&self) {
        let waiting = self.tables().waiting.clone();
        waiting.iter().for_each(|endpoint| self.vanished(&port_of(endpoint)));
    }

    /// Older places with an address of a new one give way: their containers died while nobody told us.
    ///
    /// # Errors
    /// [`Refusal`] where one lives, and then all of them stay: the switch leads frames for an address to
    /// one place, so that the older container would lose its network, and nobody would say why.
    pub(crate) fn make_way(&self, new: &Place) -> Result<(), Refusal> {
        let older: Vec<Place> = {
            let tables = self.tables();
            tables.places.values().filter(|old| shared(old, new).is_some()).cloned().collect()
        };
        if let Some(old) = older.iter().find(|old| self.lives(old)) {
            let what = shared(old, new).unwrap_or_default();
            let (_, network) = self.known(&old.attach.network)?;
            let who = old.name.clone().or_else(|| self.lab.node_at(&port_of(&old.attach.endpoint)));
            let who = who.unwrap_or_else(|| short(&old.attach.endpoint, SHORT).to_owned());
            return Err(Refusal(format!(
                "{what} is {who}'s in network {network}: give this container another, or stop {who} first"
            )));
        }
        older.iter().try_for_each(|old| self.forget(&old.attach.endpoint))
    }

    /// Whether a place's container is seen to be no more: its namespace lacks the far end of its link, or the
    /// link is gone for good. One that cannot be looked at may live.
    pub(crate) fn has_ended(&self, place: &Place) -> bool {
        let port = port_of(&place.attach.endpoint);
        match self.lab.node_at(&port).and_then(|node| self.lab.namespace(&node)) {
            Some(sandbox) => matches!(self.lab.called_in(&port, &sandbox), Ok(None)),
            None if self.waits(place) => false,
            None => self.lab.links().is_ok_and(|links| !links.contains(&port)),
        }
    }

    /// Whether a place's container is there still: its namespace has the far end of the place's link. An
    /// engine that is killed leaves the file of a namespace behind, and tells of no end.
    pub(crate) fn lives(&self, place: &Place) -> bool {
        let port = port_of(&place.attach.endpoint);
        let sandbox = self.lab.node_at(&port).and_then(|node| self.lab.namespace(&node));
        let seen = sandbox.map(|sandbox| self.lab.called_in(&port, &sandbox));
        seen.is_some_and(|seen| seen.is_ok_and(|name| name.is_some())) || self.waits(place)
    }
}

/// The address that two places of a network have in common, in words.
fn shared(old: &Place, new: &Place) -> Option<String> {
    if old.attach.network != new.attach.network || old.attach.endpoint == new.attach.endpoint {
        return None;
    }
    let has = |ip: &IpAddr| old.attach.addresses.iter().any(|address| address.ip == *ip);
    let mut own = new.attach.addresses.iter().map(|address| address.ip);
    own.find(has)
        .map(|ip| format!("address {ip}"))
        .or_else(|| (old.mac() == new.mac()).then(|| format!("hardware address {}", new.mac())))
}

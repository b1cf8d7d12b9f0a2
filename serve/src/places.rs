//! Containers' places as they are kept: noted before they are made, forgotten with all that was made for
//! them. Called by whatever does what engines ask, and by whoever names containers.

use std::net::IpAddr;

use engine::Refusal;
use lab::Lab;

use crate::daemon::{Daemon, SHORT, beside_of, port_of, refusal, short};
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
        self.tables().places.remove(endpoint);
        Ok(())
    }

    /// Takes the device of a place's limits out of its container, which may live on, or be gone.
    fn unlimit(&self, endpoint: &str) {
        let Ok(place) = self.place(endpoint) else { return };
        let limited = place.plugin.is_some_and(|plugin| plugin.limited);
        let Some(sandbox) = place.sandbox.filter(|_| limited) else { return };
        let Ok(sandbox) = std::fs::File::open(sandbox) else { return };
        if let Err(error) = Lab::unlimit(&sandbox.into(), &beside_of(endpoint)) {
            tracing::debug!("endpoint {endpoint}: {error}");
        }
    }

    /// Older places with an address of a new one: their containers died while nobody told us.
    pub(crate) fn stale(&self, new: &Place) -> Vec<String> {
        let same = |old: &Place| {
            let mut theirs = old.attach.addresses.iter().map(|address| address.ip);
            let address = |ip: IpAddr| new.attach.addresses.iter().any(|own| own.ip == ip);
            old.attach.network == new.attach.network
                && old.attach.endpoint != new.attach.endpoint
                && (theirs.any(address) || old.mac() == new.mac())
        };
        let tables = self.tables();
        tables.places.iter().filter(|(_, old)| same(old)).map(|(id, _)| id.clone()).collect()
    }
}

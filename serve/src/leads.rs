//! Ports of the host that lead to places: by sockets, and by the gateway for clients outside where the
//! container answers by it.

use std::fs::File;
use std::os::fd::OwnedFd;

use engine::Refusal;

use crate::daemon::{Daemon, port_of};
use crate::found::Found;
use crate::store::Place;

impl Daemon {
    /// Publishes the ports of a place, by these sockets of the host's where they are for one of them.
    pub(crate) fn lead(
        &self,
        place: &Place,
        given: Vec<(usize, OwnedFd)>,
    ) -> std::result::Result<(), Refusal> {
        let first = |v4: bool| {
            let own = place.attach.addresses.iter().map(|address| address.ip);
            own.into_iter().find(|ip| ip.is_ipv4() == v4)
        };
        let Some(to) = first(true).or_else(|| first(false)) else { return Ok(()) };
        let endpoint = &place.attach.endpoint;
        let all = !place.plugin.as_ref().is_some_and(|plugin| plugin.outside);
        let found = self.found_for(place);
        let asked = (place.attach.ports.as_slice(), found.as_slice());
        let published = self.publisher.publish(endpoint, (to, all), asked, given);
        self.lead_outside(place);
        let found = published?;
        for Found { ask, port } in &found {
            let (inside, protocol) = (ask.port, ask.protocol);
            tracing::info!("endpoint {endpoint}: {inside}/{protocol} is port {port} of the host");
        }
        match found.is_empty() {
            true => Ok(()),
            false => self.change(endpoint, |kept| kept.found = found),
        }
    }

    /// Tells the lab of the ports that lead to a place, which has a new link perhaps.
    pub(crate) fn lead_outside(&self, place: &Place) {
        let endpoint = &place.attach.endpoint;
        let led = self.publisher.leading(endpoint);
        let direct = !led.is_empty() && self.answers(place);
        self.lab.lead(&port_of(endpoint), led, direct);
    }

    /// Ports that are asked for are let go by whoever holds them and has ended, of which nobody has told:
    /// the kernel may be about to. A place for which something is done at this moment has not.
    pub(crate) fn free(&self, place: &Place) {
        let own = &place.attach.endpoint;
        for endpoint in self.publisher.holding(&place.attach.ports) {
            let Some(_turn) = (endpoint != *own).then(|| self.turns.try_of(&endpoint)).flatten()
            else {
                continue;
            };
            match self.place(&endpoint) {
                Ok(old) if self.has_ended(&old) => self.end(&old),
                Ok(_) => {}
                Err(_) => self.unlead(&endpoint),
            }
        }
    }

    /// What leads to a place that has ended meanwhile leads there no more.
    pub(crate) fn lead_no_dead(&self, endpoint: &str) {
        if self.place(endpoint).is_err() {
            self.unlead(endpoint);
        }
    }

    /// Withdraws the ports of a place.
    pub(crate) fn unlead(&self, endpoint: &str) {
        self.lab.lead(&port_of(endpoint), Vec::new(), false);
        self.publisher.withdraw(endpoint);
    }

    /// How good a way out a place is for its container: best where the container's default route leads,
    /// and never one of a network without a way out while there is another.
    pub(crate) fn way_of(&self, place: &Place) -> (bool, bool) {
        let sandbox = place.sandbox.as_ref().and_then(|sandbox| File::open(sandbox).ok());
        let port = port_of(&place.attach.endpoint);
        let default = sandbox.is_some_and(|own| self.lab.answers_by(&port, &own.into()));
        let known = self.known(&place.attach.network);
        (default, known.is_ok_and(|(network, _)| !network.internal && !network.options.no_uplink))
    }

    /// Whether a place's container answers clients outside by our gateway, so that it may see their
    /// addresses. Docker has us publish at the network of its default route alone.
    fn answers(&self, place: &Place) -> bool {
        let known = self.known(&place.attach.network);
        if known.is_ok_and(|(network, _)| network.options.sockets) {
            return false;
        }
        let Some(sandbox) = place.sandbox.as_ref().filter(|_| place.plugin.is_some()) else {
            return place.plugin.is_none();
        };
        let port = port_of(&place.attach.endpoint);
        File::open(sandbox).is_ok_and(|sandbox| self.lab.answers_by(&port, &sandbox.into()))
    }
}

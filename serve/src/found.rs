//! Ports of the host's that were found for those who asked for a range, or for any: kept with their places, so
//! that whoever serves next has the same. They go before others of the range where they are free, and where not
//! another is found, once all that are known are bound.

use engine::PortAsk;
use engine::docker::Published;
use serde::{Deserialize, Serialize};

use crate::daemon::Daemon;
use crate::store::Place;

/// A port that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// For whom.
    pub(crate) ask: PortAsk,
    /// The host's port.
    pub(crate) port: u16,
}

/// Whether several ports would do.
pub(crate) fn is_open(ask: &PortAsk) -> bool {
    ask.first.is_none() || ask.first != ask.last
}

/// The same where this port alone does.
pub(crate) fn exactly(ask: &PortAsk, port: u16) -> PortAsk {
    PortAsk { first: Some(port), last: Some(port), ..ask.clone() }
}

/// The port that was found for each of these, where one was: of two that are alike each has its own.
pub(crate) fn known(asked: &[PortAsk], found: &[Found]) -> Vec<Option<u16>> {
    let mut left: Vec<&Found> = found.iter().collect();
    let of = |ask: &PortAsk| {
        let at = left.iter().position(|own| own.ask == *ask)?;
        Some(left.remove(at).port)
    };
    asked.iter().map(of).collect()
}

impl Daemon {
    /// Binds the ports of all these places that are known, before any is looked for. Those of an engine that
    /// binds them outside are had here as far as they can be, and are not waited for.
    pub(crate) fn reserve(&self, places: &[Place]) {
        let ours = |place: &&Place| {
            place.published && !place.plugin.as_ref().is_some_and(|plugin| plugin.outside)
        };
        for place in places.iter().filter(ours) {
            let asked = &place.attach.ports;
            for (ask, port) in asked.iter().zip(known(asked, &place.found)) {
                if let Some(port) = port.or(ask.first.filter(|_| !is_open(ask))) {
                    self.publisher.reserve(exactly(ask, port));
                }
            }
        }
    }

    /// What was found for a place, and for others of its container, by which its ports have led before.
    pub(crate) fn found_for(&self, place: &Place) -> Vec<Found> {
        let tables = self.tables();
        let others = tables.places.values().filter(|other| is_beside(place, other));
        let all = place.found.iter().chain(others.flat_map(|other| &other.found));
        all.cloned().collect()
    }

    /// The ports of a place as they are, for Docker.
    pub(crate) fn published(&self, endpoint: &str) -> Vec<Published> {
        let led = self.publisher.leading(endpoint).into_iter();
        led.map(|led| {
            let (protocol, host, port) = (led.protocol, led.address, led.port);
            Published { protocol, inside: led.inside, host, port }
        })
        .collect()
    }
}

/// Whether two places are of one container.
fn is_beside(place: &Place, other: &Place) -> bool {
    let same = match (&place.plugin, &other.plugin) {
        (Some(own), Some(other)) => own.container == other.container,
        (None, None) => place.sandbox.is_some() && place.sandbox == other.sandbox,
        _ => false,
    };
    same && place.attach.endpoint != other.attach.endpoint
}

#[cfg(test)]
mod tests {
    use topology::Protocol;

    use super::*;

    #[test]
    fn each_has_the_port_that_was_found_for_it() {
        let ask = |first: Option<u16>, last: Option<u16>| PortAsk {
            protocol: Protocol::Tcp,
            port: 80,
            host: None,
            first,
            last,
        };
        let (range, any, one) =
            (ask(Some(8000), Some(8010)), ask(None, None), ask(Some(80), Some(80)));
        let found = |ask: &PortAsk, port| Found { ask: ask.clone(), port };
        let before = [found(&any, 40000), found(&range, 8003), found(&range, 8001)];
        let asked = [range.clone(), one.clone(), any.clone(), range.clone(), range.clone()];
        let wanted = [Some(8003), None, Some(40000), Some(8001), None];
        assert_eq!(known(&asked, &before), wanted);
        assert_eq!([&range, &any, &one].map(is_open), [true, true, false]);
        assert_eq!(exactly(&range, 8001), ask(Some(8001), Some(8001)));
    }
}

//! Links that are lost while their containers run: somebody has deleted one, or has let go of the switch's
//! namespace while nobody served. Each is put back from outside into its container's namespace, with its name
//! there, its addresses and its routes. What others have changed of it meanwhile is not known here, and lost.
//!
//! Whoever is root in a container may take its link away again and again: after some times it is left alone.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use engine::Refusal;
use lab::Lab;
use lab::guest::{self, Far, Limits};
use lab::served::network_at;

use crate::containers::{limits, route};
use crate::daemon::{Daemon, beside_of, port_of, refusal};
use crate::store::Place;

/// How often the link of a place is put back in the life of a server.
const TIMES: u32 = 16;

/// What became of a lost link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It is there again.
    PutBack,
    /// It could not be put back now; its container lives, and it is tried again.
    Waits,
    /// Its container is gone, or it has been lost too often.
    Gone,
}

/// The device and the number of a namespace's file: its own while it lives.
pub(crate) fn identity(netns: &impl AsFd) -> Option<(u64, u64)> {
    let found = nix::sys::stat::fstat(netns.as_fd()).ok()?;
    Some((found.st_dev, found.st_ino))
}

/// Whether any process is in a namespace.
fn is_inhabited(netns: &impl AsFd) -> bool {
    let Some(wanted) = identity(netns) else { return false };
    let Ok(all) = std::fs::read_dir("/proc") else { return false };
    let mut seen = all.flatten().filter_map(|process| {
        let of = nix::sys::stat::stat(&process.path().join("ns/net")).ok()?;
        Some((of.st_dev, of.st_ino))
    });
    seen.any(|other| other == wanted)
}

impl Daemon {
    /// The namespace of a place's container, where it can still be entered: it lives then, and no other has its
    /// path by now. A dockerd that is killed leaves the files of namespaces behind in which nobody is any more,
    /// and takes the links out of them when it comes back. Plugins are told of namespaces without processes, too.
    fn sandbox_of(&self, place: &Place) -> Option<OwnedFd> {
        let sandbox = network_at(Path::new(place.sandbox.as_ref()?)).ok()?;
        let known = place.netns.is_none_or(|own| identity(&sandbox) == Some(own));
        let lives = || place.plugin.is_some() || is_inhabited(&sandbox);
        (known && !self.lab.is_hosts(sandbox.as_fd()) && lives()).then_some(sandbox)
    }

    /// Whether the container of a place lives, as far as its namespace says.
    pub(crate) fn has_sandbox(&self, place: &Place) -> bool {
        self.sandbox_of(place).is_some()
    }

    /// Whether the link of a place is to be put back yet, and its container lives.
    pub(crate) fn waits(&self, place: &Place) -> bool {
        let is_lost = self.tables().waiting.contains(&place.attach.endpoint);
        is_lost && self.has_sandbox(place)
    }

    /// Puts the lost link of a place back.
    pub(crate) fn find_again(&self, place: &Place) -> Lost {
        let endpoint = &place.attach.endpoint;
        let Some(sandbox) = self.sandbox_of(place) else {
            self.tables().waiting.remove(endpoint);
            return Lost::Gone;
        };
        if self.tables().put_back.get(endpoint).is_some_and(|times| *times >= TIMES) {
            tracing::warn!("endpoint {endpoint}: its link is gone once more, and left so");
            return Lost::Gone;
        }
        let done = self.put_back(place, sandbox);
        let mut tables = self.tables();
        match done {
            Ok(()) => {
                *tables.put_back.entry(endpoint.clone()).or_default() += 1;
                tables.waiting.remove(endpoint);
                tracing::warn!("endpoint {endpoint}: its link was gone, and is put back");
                Lost::PutBack
            }
            Err(why) => {
                if tables.waiting.insert(endpoint.clone()) {
                    tracing::error!(
                        "endpoint {endpoint}: its link is gone and not put back, which is tried \
                         again: {why}"
                    );
                }
                Lost::Waits
            }
        }
    }

    fn put_back(&self, place: &Place, sandbox: OwnedFd) -> Result<(), Refusal> {
        let endpoint = &place.attach.endpoint;
        let told = place.plugin.as_ref().map(|plugin| &plugin.interface);
        if let Some(name) = told.or(place.interface.as_ref()) {
            let cleared = Lab::forget_end(&sandbox, name, place.mac());
            cleared.map_err(|error| refusal(&error))?;
        }
        let sandbox = Arc::new(sandbox);
        self.attach(place, Far::Goes(Arc::clone(&sandbox), self.routes_of(place)?))?;
        let Some(plugin) = &place.plugin else { return Ok(()) };
        let own = limits(plugin.received, plugin.sent);
        if own != Limits::default() {
            self.unlimit(endpoint);
            let (port, beside) = (port_of(endpoint), beside_of(endpoint));
            let limited = self.lab.limit(&port, &sandbox, &beside, &own);
            if let Err(why) = limited.map_err(|error| refusal(&error)) {
                tracing::error!("endpoint {endpoint} is held to no rates: {why}");
            }
        }
        Ok(())
    }

    /// The routes of a place's interface: as its plugin has told them. dockerd leads a container out by one of
    /// its networks, at which it has us publish ports, be they none.
    fn routes_of(&self, place: &Place) -> Result<Vec<guest::Route>, Refusal> {
        let told = place.plugin.as_ref().and_then(|plugin| plugin.routes.as_ref());
        if let Some(told) = told {
            return Ok(told.iter().map(route).collect());
        }
        let (network, _) = self.known(&place.attach.network)?;
        let by_another = !place.published && {
            let tables = self.tables();
            let mut places = tables.places.values();
            places.any(|other| other.sandbox == place.sandbox && other.published)
        };
        let own = if by_another { Vec::new() } else { network.ways_out(&place.attach.addresses) };
        Ok(own.iter().map(route).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_namespace_is_inhabited_while_somebody_is_in_it() {
        let own = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
        assert!(is_inhabited(&own));
        // No namespace at all.
        assert!(!is_inhabited(&std::fs::File::open("/dev/null").unwrap()));
    }
}

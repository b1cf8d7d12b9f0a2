//! The host's interface of a network stays as it was made: where somebody deletes it, moves it away, sets
//! it down or takes its addresses, it is mended and the log says so, for nobody answers for the gateway's
//! addresses otherwise. Called where changes of links and addresses are heard of.
//!
//! Who goes on doing that has it left as it is for a while (`patience`), and that is told too.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ns::own;
use ns::pair;
use switch::NetworkId;

use super::patience::{FIRST, Leave};
use super::{HOST, HostPort, prefixed};
use crate::domain::Domain;
use crate::error::Result;
use crate::lab::{Lab, State};
use crate::node::Interface;

/// Tries to make an interface again that somebody deletes, and the pause between two.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// What somebody has done to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Harm {
    /// It is in another namespace.
    Away,
    /// It is here, and down, or without these addresses.
    Here { name: String, down: bool, lost: Vec<(IpAddr, u8)> },
}

impl Lab {
    /// Looks at the host's interfaces, and mends them; in how long it is to be looked at one again that was
    /// left as it is.
    pub(super) fn mend_host(&self) -> Option<Duration> {
        let host = self.host_ns.as_ref()?;
        let away: Vec<_> = {
            let state = self.state();
            let due = |domain: &&Domain| domain.kept.waits(sys::clock::now()).is_none();
            let away = state.domains.values().filter(due);
            away.filter_map(|domain| Some((domain.id, domain.kept.away.clone()?))).collect()
        };
        away.iter().for_each(|(id, place)| self.host_gone(*id, place));
        let places = {
            let state = self.state();
            places(&state).cloned().collect::<Vec<_>>()
        };
        let seen = match Seen::look(host.as_fd()) {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!("the host's interfaces are not looked at: {error}");
                return Some(FIRST);
            }
        };
        // Nothing is amiss as a rule; what is, is looked at again behind the lock.
        let amiss = places.iter().filter(|place| seen.harm(place).is_some());
        amiss.for_each(|place| self.mend_one(host.as_fd(), place));
        let gone: BTreeSet<_> = places
            .iter()
            .filter(|place| seen.harm(place) == Some(Harm::Away))
            .filter_map(|place| place.network.as_ref())
            .collect();
        let (state, now) = (self.state(), sys::clock::now());
        let left = state.domains.iter().filter_map(|(network, domain)| {
            let here = places_in(&state, network).next().is_some() && !gone.contains(network);
            // One that is gone is about to be told of, and made again or left, by another thread, of which
            // nothing is heard here.
            domain.kept.waits(now).or((domain.kept.wanted && !here).then_some(FIRST))
        });
        left.min()
    }

    fn mend_one(&self, host: BorrowedFd<'_>, place: &Interface) {
        let Ok((near, _)) = self.grounds() else { return };
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(place) = places(state).find(|own| own.port == place.port).cloned() else {
            return;
        };
        let (Some(network), Some(plug)) = (&place.network, &place.port) else { return };
        let Some(harm) = Seen::look(host).ok().and_then(|seen| seen.harm(&place)) else {
            return;
        };
        if harm == Harm::Away {
            // Ours is told as deleted then, and made again.
            if let Err(error) = ns::link::delete(near, plug.index) {
                tracing::warn!("network {network}: {error}");
            }
            return;
        }
        let Harm::Here { name, down, lost } = harm else { return };
        let Some(domain) = state.domains.get_mut(network) else { return };
        match domain.kept.harmed(sys::clock::now()) {
            Leave::Mend => {}
            Leave::Told(pause) => return left(network, &name, pause),
            Leave::Silent => return,
        }
        let own = place.addresses.iter().map(prefixed).collect::<Vec<_>>();
        if let Err(error) = pair::furnish(host, &name, &own) {
            tracing::warn!("network {network}: {error}");
            return;
        }
        if down {
            tracing::warn!("network {network}: {name} was set down; it is up again");
        }
        // What a link of IPv6 loses by going down is no news of its own.
        for (address, prefix) in lost.iter().filter(|(address, _)| !down || address.is_ipv4()) {
            tracing::warn!(
                "network {network}: {name} had lost {address}/{prefix}; it has it again"
            );
        }
    }

    /// The host's interface of a network is gone: it is made again. While it is not, the gateway answers
    /// for its addresses itself.
    pub(crate) fn host_gone(&self, id: NetworkId, place: &HostPort) {
        let interface = &place.interface;
        let leave = {
            let mut state = self.state();
            let domain = state.domains.values_mut().find(|domain| domain.id == id);
            let Some(domain) = domain.filter(|domain| domain.kept.wanted) else { return };
            domain.kept.harmed(sys::clock::now())
        };
        match leave {
            Leave::Mend => {}
            Leave::Told(pause) => {
                left(&self.network_name(id).unwrap_or_default(), interface, pause);
                return self.host_stays_away(id, place);
            }
            Leave::Silent => return self.host_stays_away(id, place),
        }
        let mut tries = 0;
        loop {
            let network = self.network_name(id).unwrap_or_default();
            match self.attach_again(id, place) {
                Ok(true) => {
                    tracing::warn!(
                        "network {network}: {interface} was deleted or moved away; it is made again"
                    );
                    return;
                }
                // The network has gone meanwhile, or is going.
                Ok(false) => return,
                // It may have been deleted once more meanwhile.
                Err(_) if tries < TRIES => std::thread::sleep(PAUSE),
                Err(error) => {
                    tracing::warn!(
                        "network {network}: {interface} was deleted, and the host is not in it for now: {error}"
                    );
                    return self.host_stays_away(id, place);
                }
            }
            tries += 1;
        }
    }

    /// Makes the host's interface again where it is still wanted; false where it is not, or is there.
    fn attach_again(&self, id: NetworkId, place: &HostPort) -> Result<bool> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut all = state.domains.iter();
        let found = all.find(|(_, domain)| domain.id == id && domain.kept.wanted);
        let Some(network) = found.map(|(network, _)| network.clone()) else { return Ok(false) };
        if places_in(state, &network).next().is_some() {
            return Ok(false);
        }
        self.attach_host_in(state, &HostPort { network, ..place.clone() })?;
        drop(guard);
        self.host_attached()?;
        Ok(true)
    }

    fn host_stays_away(&self, id: NetworkId, place: &HostPort) {
        let mut state = self.state();
        let mut all = state.domains.iter_mut();
        let Some((network, domain)) = all.find(|(_, domain)| domain.id == id) else { return };
        let (network, now) = (network.clone(), sys::clock::now());
        domain.kept.away = Some(place.clone());
        if domain.kept.waits(now).is_none() {
            domain.kept.put_off(now);
        }
        if let Err(error) = self.tell_of_host(&mut state, &network, None) {
            tracing::warn!("network {network}: {error}");
        }
    }
}

fn left(network: &str, interface: &str, pause: Duration) {
    tracing::warn!(
        "network {network}: somebody takes {interface} away again and again; it is left as it is for {} s",
        pause.as_secs()
    );
}

/// The host's interfaces that have a port.
fn places(state: &State) -> impl Iterator<Item = &Interface> {
    let host = state.nodes.iter().filter(|held| held.node.name == HOST);
    host.flat_map(|held| &held.node.interfaces).filter(|own| own.port.is_some())
}

fn places_in<'s>(state: &'s State, network: &'s str) -> impl Iterator<Item = &'s Interface> {
    places(state).filter(move |own| own.network.as_deref() == Some(network))
}

/// Links and addresses of the host at one moment.
struct Seen {
    links: Vec<ns::Link>,
    addresses: Vec<(u32, IpAddr)>,
}

impl Seen {
    fn look(host: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self { links: ns::link::list(host)?, addresses: own::by_link(host)? })
    }

    /// What is amiss with an interface. One that was given another name is the same one.
    fn harm(&self, place: &Interface) -> Option<Harm> {
        let index = place.port.as_ref().map(|plug| plug.index);
        let is = |link: &&ns::Link| {
            link.peer == index && (link.name == place.name || link.mac == Some(place.mac.0))
        };
        let Some(link) = self.links.iter().find(is) else { return Some(Harm::Away) };
        let has = self.addresses.iter().filter(|(of, _)| *of == link.index);
        let has: BTreeSet<IpAddr> = has.map(|(_, address)| *address).collect();
        let own = place.addresses.iter().map(prefixed);
        let lost: Vec<_> = own.filter(|(address, _)| !has.contains(address)).collect();
        let amiss = !link.up || !lost.is_empty();
        amiss.then(|| Harm::Here { name: link.name.clone(), down: !link.up, lost })
    }
}

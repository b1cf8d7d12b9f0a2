//! The host's interface of a network stays as it was made: where somebody deletes it, moves it away, sets
//! it down or takes its addresses, it is mended and the log says so, for nobody answers for the gateway's
//! addresses otherwise. Called where changes of links and addresses are heard of.
//!
//! Who goes on doing that means it: after some mends it is left as it is for a while, and that is told too.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ns::own;
use ns::pair;
use switch::NetworkId;

use super::{HOST, HostPort, prefixed};
use crate::error::Result;
use crate::lab::{Lab, State};
use crate::node::Interface;

/// Mends of one interface in [`WITHIN`].
const MENDS: u32 = 10;
/// How long it is left as it is after that.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// Tries to make an interface again that somebody deletes, and the pause between two.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// What is kept of the host's place in a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The host is to have its place there, whether or not there is an interface at the moment.
    pub(super) wanted: bool,
    /// When mends began to be counted, and how many there were.
    since: u64,
    mends: u32,
}

impl Kept {
    /// Counts a mend at the time `now`.
    fn mend(&mut self, now: u64) -> Leave {
        if now.saturating_sub(self.since) >= u64::try_from(WITHIN.as_nanos()).unwrap_or(u64::MAX) {
            (self.since, self.mends) = (now, 0);
        }
        self.mends = self.mends.saturating_add(1);
        match self.mends {
            ..=MENDS => Leave::Mend,
            mends if mends == MENDS + 1 => Leave::Told,
            _ => Leave::Silent,
        }
    }
}

/// Whether an interface is mended once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// It is.
    Mend,
    /// It is left as it is, which is told.
    Told,
    /// Which was told already.
    Silent,
}

/// What somebody has done to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Harm {
    /// It is in another namespace.
    Away,
    /// It is here, and down, or without these addresses.
    Here { name: String, down: bool, lost: Vec<(IpAddr, u8)> },
}

impl Lab {
    /// Looks at the host's interfaces, and mends them; whether one was left as it is.
    pub(super) fn mend_host(&self) -> bool {
        let Some(host) = &self.host_ns else { return false };
        let places = {
            let state = self.state();
            places(&state).cloned().collect::<Vec<_>>()
        };
        let seen = match Seen::look(host.as_fd()) {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!("the host's interfaces are not looked at: {error}");
                return false;
            }
        };
        // Nothing is amiss as a rule; what is, is looked at again behind the lock.
        let amiss = places.iter().filter(|place| seen.harm(place).is_some());
        amiss.filter(|place| self.mend_one(host.as_fd(), place)).count() > 0
    }

    fn mend_one(&self, host: BorrowedFd<'_>, place: &Interface) -> bool {
        let Ok((near, _)) = self.grounds() else { return false };
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(place) = places(state).find(|own| own.port == place.port).cloned() else {
            return false;
        };
        let (Some(network), Some(plug)) = (&place.network, &place.port) else { return false };
        let Some(harm) = Seen::look(host).ok().and_then(|seen| seen.harm(&place)) else {
            return false;
        };
        if harm == Harm::Away {
            // Ours is told as deleted then, and made again.
            if let Err(error) = ns::link::delete(near, plug.index) {
                tracing::warn!("network {network}: {error}");
            }
            return false;
        }
        let Harm::Here { name, down, lost } = harm else { return false };
        let Some(domain) = state.domains.get_mut(network) else { return false };
        match domain.kept.mend(sys::clock::now()) {
            Leave::Mend => {}
            Leave::Told => {
                left(network, &name);
                return true;
            }
            Leave::Silent => return true,
        }
        let own = place.addresses.iter().map(prefixed).collect::<Vec<_>>();
        if let Err(error) = pair::furnish(host, &name, &own) {
            tracing::warn!("network {network}: {error}");
            return false;
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
        false
    }

    /// The host's interface of a network is gone: it is made again. Where it cannot be, the gateway answers
    /// for its addresses itself.
    pub(crate) fn host_gone(&self, id: NetworkId, place: &HostPort) {
        let interface = &place.interface;
        let leave = {
            let mut state = self.state();
            let domain = state.domains.values_mut().find(|domain| domain.id == id);
            let Some(domain) = domain.filter(|domain| domain.kept.wanted) else { return };
            domain.kept.mend(sys::clock::now())
        };
        if leave != Leave::Mend {
            left(&place.network, interface);
            return self.host_stays_away(id);
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
                        "network {network}: {interface} was deleted, and the host is not in it: {error}"
                    );
                    return self.host_stays_away(id);
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
        if places(state).any(|own| own.network.as_ref() == Some(&network)) {
            return Ok(false);
        }
        self.attach_host_in(state, &HostPort { network, ..place.clone() })?;
        drop(guard);
        self.host_attached()?;
        Ok(true)
    }

    fn host_stays_away(&self, id: NetworkId) {
        let mut state = self.state();
        let mut all = state.domains.iter();
        let Some((network, _)) = all.find(|(_, domain)| domain.id == id) else { return };
        let network = network.clone();
        if let Err(error) = self.tell_of_host(&mut state, &network, None) {
            tracing::warn!("network {network}: {error}");
        }
    }
}

fn left(network: &str, interface: &str) {
    tracing::warn!(
        "network {network}: somebody takes {interface} away again and again; it is left as it is for now"
    );
}

/// The host's interfaces that have a port.
fn places(state: &State) -> impl Iterator<Item = &Interface> {
    let host = state.nodes.iter().filter(|held| held.node.name == HOST);
    host.flat_map(|held| &held.node.interfaces).filter(|own| own.port.is_some())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_fought_with_for_long() {
        let mut kept = Kept::default();
        let start = 5_000_000_000_000;
        let mut at = |second: u64| kept.mend(start + second * 1_000_000_000);
        assert!((0..10).all(|second| at(second) == Leave::Mend));
        assert_eq!([at(11), at(12), at(59)], [Leave::Told, Leave::Silent, Leave::Silent]);
        assert_eq!([at(60), at(61)], [Leave::Mend, Leave::Mend]);
    }
}

//! Does what plugins of engines ask: containers that come with all that is to be known of them, their
//! network too, whose link goes straight into their namespace.
//!
//! A network of theirs is made with its first container and goes with the last. What fails half-way is
//! undone, so that the same call may come again.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use engine::plugin::{Answer, Ask, Expected, Join, Rate};
use engine::{Network, PortAsk, Refusal, Route};
use lab::guest::{self, Far, Limits, SeenRoute};

use crate::daemon::{Daemon, beside_of, port_of, refusal, short};
use crate::held::{self, Keepers};
use crate::lost::identity;
use crate::store::{Kept, Place, Plugin};

/// Digits of a container's number that stand for its name where it has none.
const DIGITS: usize = 12;
/// How often an engine's process is looked at that holds none of a container's ports, and how often one
/// that was started since.
const LOOKS: u32 = 100;
const FRESH: u32 = 5;

type Result<T> = std::result::Result<T, Refusal>;

impl Daemon {
    /// Answers a plugin; with the container's namespace beside what it asks, the plugin's own before
    /// that perhaps.
    pub(crate) fn plugin(&self, ask: Ask, mut fds: Vec<OwnedFd>) -> Answer {
        if self.is_elsewhere(&fds) {
            return Answer::Leaving;
        }
        let mut namespace =
            || fds.pop().ok_or_else(|| Refusal::new("no namespace came with the call"));
        let answered = match ask {
            _ if self.is_leaving() => return Answer::Leaving,
            Ask::Status => Ok(()),
            Ask::Attach(join) => {
                let _turn = self.turns.of(&join.attach.endpoint);
                let taken = namespace().and_then(|netns| self.take_in(*join, netns));
                return match taken {
                    Ok(mac) => Answer::Attached { mac },
                    // That was decided meanwhile.
                    Err(_) if self.is_leaving() => Answer::Leaving,
                    Err(why) => why.into(),
                };
            }
            Ask::Detach { endpoint } => {
                let _turn = self.turns.of(&endpoint);
                self.let_go(&endpoint)
            }
            Ask::Check(expected) => namespace().and_then(|netns| self.check(&expected, &netns)),
            Ask::Keep { network, endpoints } => self.keep_only(&network, &endpoints),
        };
        answered.map_or_else(Answer::from, |()| Answer::Done)
    }

    /// A container comes; says its hardware address.
    fn take_in(&self, join: Join, netns: OwnedFd) -> Result<String> {
        let Join { network, called, attach, container, sandbox, interface, routes, .. } = join;
        let (binds, outside) = (join.binds, join.outside);
        let limits = limits(join.received, join.sent);
        let endpoint = attach.endpoint.clone();
        if self.lab.is_hosts(netns.as_fd()) {
            let why = format!("{sandbox} is the host's network, and no container's");
            return Err(Refusal(why));
        }
        // Of an earlier life, whose end nobody told.
        self.forget(&endpoint)?;
        let name = attach.names.first().cloned();
        let place = Place {
            sandbox: Some(sandbox),
            netns: identity(&netns),
            published: !attach.ports.is_empty(),
            found: Vec::new(),
            name: Some(name.unwrap_or_else(|| short(&container, DIGITS).to_owned())),
            interface: None,
            plugin: Some(Plugin {
                container,
                interface,
                routes: Some(routes.clone()),
                limited: limits.received.is_some(),
                received: join.received,
                sent: join.sent,
                outside,
            }),
            attach,
        };
        let netns = Arc::new(netns);
        let far = Far::Goes(Arc::clone(&netns), routes.iter().map(route).collect());
        let made = self.settle(network, called, &place).and_then(|()| {
            self.attach(&place, far)?;
            // Another that asked for the same address at this moment may have it.
            self.place(&endpoint)?;
            if limits != Limits::default() {
                let limited =
                    self.lab.limit(&port_of(&endpoint), &netns, &beside_of(&endpoint), &limits);
                limited.map_err(|error| refusal(&error))?;
            }
            if let Some(name) = &place.name {
                let called = self.lab.rename_guest(&port_of(&endpoint), name);
                called.map_err(|error| refusal(&error))?;
            }
            if binds { Ok(()) } else { self.lead_again(&place) }
        });
        match made {
            Ok(()) => Ok(place.mac().to_string()),
            Err(why) => {
                if let Err(left) = self.let_go(&endpoint) {
                    tracing::error!("endpoint {endpoint} is left half-way: {left}");
                }
                Err(why)
            }
        }
    }

    /// Has the network of a place, and notes the place in it.
    fn settle(&self, network: Network, called: String, place: &Place) -> Result<()> {
        let _coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        self.stays()?;
        self.make_way(place)?;
        let known = self.tables().networks.get(&network.id).cloned();
        match known {
            Some((known, _)) if known.network.holds(&network) => {}
            Some(_) if self.is_used(&network.id) => {
                let subnets: Vec<_> =
                    network.pools.iter().map(|pool| pool.subnet.to_string()).collect();
                return Err(Refusal(format!(
                    "network {called} is not as it was: other containers are in it still, and this \
                     one asks for {} or other settings; stop them first",
                    subnets.join(", ")
                )));
            }
            known => {
                if known.is_some() {
                    self.end_network(&network.id)?;
                }
                let mut kept = Kept { network, name: Some(called), reached: None };
                let name = self.make_new(&mut kept)?;
                let id = kept.network.id.clone();
                let written = self.store.writer().keep_network(&kept);
                self.tables().networks.insert(id, (kept, name));
                written.map_err(|error| refusal(&error))?;
            }
        }
        self.keep(place.clone())
    }

    /// A container goes, and its network if it was the last there.
    pub(crate) fn let_go(&self, endpoint: &str) -> Result<()> {
        let place = self.tables().places.get(endpoint).cloned();
        self.forget(endpoint)?;
        let Some(place) = place else { return Ok(()) };
        self.pass_on(&place);
        self.drop_if_empty(&place.attach.network)
    }

    fn is_used(&self, network: &str) -> bool {
        self.tables().places.values().any(|place| place.attach.network == network)
    }

    /// A network that goes with its last container goes, if that has gone.
    pub(crate) fn drop_if_empty(&self, network: &str) -> Result<()> {
        let _coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.tables().networks.get(network).cloned();
        if known.is_none_or(|(known, _)| !known.network.passing) || self.is_used(network) {
            return Ok(());
        }
        self.end_network(network)?;
        self.store.writer().forget_network(network).map_err(|error| refusal(&error))
    }

    /// All places in a network go but these. One that cannot be let go keeps none of the others; the first
    /// such is told.
    fn keep_only(&self, network: &str, endpoints: &[String]) -> Result<()> {
        let gone: Vec<String> = {
            let tables = self.tables();
            let here = tables
                .places
                .iter()
                .filter(|(id, place)| place.attach.network == network && !endpoints.contains(id));
            here.map(|(id, _)| id.clone()).collect()
        };
        let all = gone.iter().map(|endpoint| {
            let _turn = self.turns.of(endpoint);
            self.let_go(endpoint)
        });
        all.fold(Ok(()), Result::and)
    }

    /// Other places of the same container.
    pub(crate) fn siblings(&self, place: &Place) -> Vec<Place> {
        let container = |place: &Place| place.plugin.as_ref().map(|own| own.container.clone());
        let Some(own) = container(place) else { return Vec::new() };
        let tables = self.tables();
        let others = tables.places.values().filter(|other| {
            other.attach.endpoint != place.attach.endpoint
                && container(other).as_ref() == Some(&own)
        });
        others.cloned().collect()
    }

    /// Publishes the ports of a container, of which its engine tells for each network: each port by one
    /// of the places that it was told for, by sockets that these processes hold for it where they do.
    /// What leads by the right place already stays as it is, with its connections.
    fn lead_of(&self, place: &Place, keepers: &[i32]) -> Result<()> {
        // Networks of one container are told of at once, and each look sees all of them.
        let _alone = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.siblings(place);
        all.push(place.clone());
        let ways: Vec<_> = all.iter().map(|own| self.way_of(own)).collect();
        let best = |ask: &PortAsk| {
            let have = (0..all.len()).filter(|at| all[*at].attach.ports.contains(ask));
            // Of two that are alike the one that leads already.
            have.max_by_key(|at| (ways[*at], self.publisher.has(&all[*at].attach.endpoint, ask)))
        };
        let chosen = all.iter().enumerate().map(|(at, own)| {
            let mut own = own.clone();
            own.attach.ports.retain(|ask| best(ask) == Some(at));
            own
        });
        let changed: Vec<_> = chosen
            .filter(|own| !self.publisher.is(&own.attach.endpoint, &own.attach.ports))
            .collect();
        // What one gives up is free before another takes it.
        changed.iter().for_each(|own| self.unlead(&own.attach.endpoint));
        let mut gaining = changed.iter().filter(|own| !own.attach.ports.is_empty());
        let led =
            gaining.try_for_each(|own| self.lead(own, held::find(&own.attach.ports, keepers)));
        changed.iter().for_each(|own| self.lead_no_dead(&own.attach.endpoint));
        led
    }

    /// Ports of a place that has gone are those of another of its container, where it has one.
    pub(crate) fn pass_on(&self, gone: &Place) {
        let Some(place) = self.siblings(gone).pop() else { return };
        if let Err(why) = self.lead_again(&place) {
            tracing::debug!("endpoint {}: {why}", place.attach.endpoint);
        }
    }

    /// Publishes ports of a place's container, by the sockets that its engine holds for them where it
    /// does.
    pub(crate) fn lead_again(&self, place: &Place) -> Result<()> {
        let siblings = self.siblings(place);
        match siblings.iter().chain([place]).all(|own| own.attach.ports.is_empty()) {
            true => Ok(()),
            false => {
                self.free(place);
                self.lead_by(place, &Keepers::look())
            }
        }
    }

    /// The same with the processes that were there a moment ago.
    pub(crate) fn lead_by(&self, place: &Place, keepers: &Keepers) -> Result<()> {
        let own = place.plugin.as_ref();
        self.lead_of(place, &own.map(|own| keepers.of(&own.container)).unwrap_or_default())
    }

    /// Publishes ports of a place by the sockets that its engine binds for them after it has had it
    /// taken in, if they are there; by sockets of ours where it runs and they are not. Processes that
    /// were there before may be of the container's earlier life, and about to end. True once there is
    /// nothing more to wait for.
    ///
    /// # Errors
    /// [`Refusal`] while a port cannot be had: the engine may be about to hand it over.
    pub(crate) fn lead_by_now(
        &self,
        endpoint: &str,
        before: &[i32],
        looks: &mut u32,
    ) -> Result<bool> {
        let Ok(place) = self.place(endpoint) else { return Ok(true) };
        let keepers = self.keepers(endpoint);
        let given = held::find(&place.attach.ports, &keepers);
        *looks += match keepers.iter().all(|pid| before.contains(pid)) {
            false => LOOKS / FRESH,
            true => u32::from(!keepers.is_empty()),
        };
        if given.is_empty() && *looks < LOOKS {
            return Ok(false);
        }
        self.free(&place);
        self.lead_of(&place, &keepers)?;
        if self.place(endpoint).is_err() {
            // It has gone while it was looked for.
            self.unlead(endpoint);
        }
        Ok(true)
    }

    /// The processes that hold the sockets of a place's container.
    pub(crate) fn keepers(&self, endpoint: &str) -> Vec<i32> {
        let plugin = self.place(endpoint).ok().and_then(|place| place.plugin);
        plugin.map(|own| held::keepers(&own.container)).unwrap_or_default()
    }

    /// Whether a place is as it was given.
    fn check(&self, expected: &Expected, netns: &OwnedFd) -> Result<()> {
        let Expected { endpoint, interface, mac, addresses, routes } = expected;
        self.place(endpoint)?;
        let seen = self.lab.look_at_guest(&port_of(endpoint), netns);
        let seen = seen.map_err(|error| refusal(&error))?;
        let wrong = |what: String| Err(Refusal(format!("the container's {interface} {what}")));
        let Some(seen) = seen else { return wrong("is gone".into()) };
        if !seen.up {
            return wrong("is down".into());
        }
        let own = seen.mac.map(|mac| wire::MacAddr(mac).to_string());
        if let Some(mac) = mac.as_ref().map(|mac| mac.to_ascii_lowercase())
            && own.as_ref() != Some(&mac)
        {
            let own = own.unwrap_or_else(|| "no".into());
            return wrong(format!("has {own} hardware address, and {mac} was told"));
        }
        for address in addresses {
            let here = |(ip, prefix): &(IpAddr, u8)| {
                *ip == address.ip && address.prefix.is_none_or(|told| told == *prefix)
            };
            if !seen.addresses.iter().any(here) {
                return wrong(format!("has no address {address}"));
            }
        }
        for Route { to, via, .. } in routes {
            // One that another network of the container's has led there before was not made: the first
            // one wins. Who leads to all the world may be anybody, as for the reference plugins.
            let leads = |own: &SeenRoute| {
                let by = via.is_none() || own.via == *via;
                own.to == (to.network(), to.prefix()) && (to.prefix() == 0 || !own.here || by)
            };
            if !seen.routes.iter().any(leads) {
                return wrong(format!("has no route to {to}"));
            }
        }
        Ok(())
    }
}

pub(crate) fn limits(received: Option<Rate>, sent: Option<Rate>) -> Limits {
    let own = |limit: Option<Rate>| limit.map(|Rate { rate, burst }| guest::Rate { rate, burst });
    Limits { received: own(received), sent: own(sent) }
}

pub(crate) fn route(route: &Route) -> guest::Route {
    let Route { to, via, metric, table, scope, mtu, advmss } = *route;
    guest::Route { to: (to.network(), to.prefix()), via, metric, table, scope, mtu, advmss }
}

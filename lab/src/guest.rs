//! Containers of an engine: nodes whose namespaces are the engine's. The lab gives each a link into a
//! network, whose far end waits in the host's namespace until the engine fetches it, or is put into the
//! container's at once and furnished there.
//!
//! Called by `serve` while frames pass; one change at a time, under the state's lock. What fails
//! half-way is undone. A link whose namespace has died is gone, and the place in the network with it.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use ::topology::{Address, SetPort};
use ns::pair::{self, Pair};
use switch::core::SourceGuard;
use switch::{PortId, PortSpec, Switch};
use wire::MacAddr;

pub use ns::guest::{Route, SeenRoute};
pub use ns::shape::{Limits, Rate};

use crate::domain;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::hosts::{self, Joined};
use crate::lab::{Held, Lab, State};
use crate::node::{Interface, Plug};
use crate::port;
use crate::uplink::Host;

mod held;

use held::{call, claimant, enter, leave};
pub(crate) use held::{depart, settle};

/// A container's place in a network.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The node it is a place of; made where there is none of this name.
    pub node: String,
    /// The container's namespace, where it is known.
    pub sandbox: Option<PathBuf>,
    /// The network.
    pub network: String,
    /// What the port is called, in the switch's namespace.
    pub port: String,
    /// Where the far end of its link goes.
    pub far: Far,
    /// What that is called in the container.
    pub interface: String,
    /// Its hardware address.
    pub mac: MacAddr,
    /// Its addresses, each with its prefix length.
    pub addresses: Vec<Address>,
    /// What its port is set to.
    pub settings: SetPort,
    /// It may speak by other addresses than its own, too.
    pub spoofs: bool,
    /// What the container is called in this network, where the lab's resolver is asked for it.
    pub names: Vec<String>,
    /// Who is asked for it what the lab does not know; empty for the host's resolvers.
    pub servers: Vec<IpAddr>,
}

/// Where the far end of a new link goes.
#[derive(Clone, Debug)]
pub enum Far {
    /// It waits under this name in the host's namespace, until somebody fetches it.
    Waits(String),
    /// It goes to the container's namespace, and has its addresses and these routes there.
    Goes(Arc<OwnedFd>, Vec<Route>),
}

/// What became of a guest that asked for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// It has a new link.
    Made,
    /// Its link was there, and is used on.
    Found,
}

impl Lab {
    /// Gives a container a place in a network, by the link that it has already where there is one: that
    /// came up long ago, and is seen to be by [`Lab::see_links`].
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::Usage`] in a lab that serves no engine; whatever the kernel or the
    /// switch refuses, and then nothing has changed.
    pub fn attach(&self, guest: &Guest) -> Result<Attached> {
        let (near, host) = self.grounds()?;
        let mut guard = self.state();
        let state = &mut *guard;
        if state.spec.network(&guest.network).is_none() {
            return Err(self.no_network(state, &guest.network));
        }
        if self.at(state, &guest.port).is_some() {
            return Ok(Attached::Found);
        }
        let mtu = state.spec.mtu_of(&guest.network);
        let found = ns::link::find(near, &guest.port)?;
        if found.is_none() {
            // One that runs has what it claimed, or the host's agent claims it anew.
            hosts::claim(&state.joined, &claimant(state, guest))?;
        }
        let index = match found {
            Some(index) => index,
            None => {
                let index = state.next_index;
                state.next_index += 1;
                let far = match &guest.far {
                    Far::Waits(name) => (host, name.as_str()),
                    Far::Goes(sandbox, _) => (sandbox.as_fd(), guest.interface.as_str()),
                };
                let near = (near, guest.port.as_str(), index);
                // What goes to the world leaves by an interface of the host's.
                let large =
                    state.spec.network(&guest.network).is_some_and(|network| network.internal);
                let (mac, tunnels) = (guest.mac.0, self.fast.finish);
                let made = pair::make(&Pair { near, far, mac, mtu, large, tunnels });
                made.inspect_err(|_| state.joined.iter().for_each(Joined::look))?;
                index
            }
        };
        enter(state, guest);
        let plugged = self.plug(state, guest, (index, mtu));
        let come_up = plugged.and_then(|id| {
            let up = furnish(guest, found.is_none())
                .and_then(|()| Ok(ns::link::set_up(near, index, true)?));
            // Known to the switch, and to nobody else.
            up.inspect_err(|_| _ = self.with_switch(|switch| switch.remove_port(id)))?;
            Ok(id)
        });
        let id = come_up.inspect_err(|_| {
            leave(state, &guest.node, &guest.network);
            state.joined.iter().for_each(Joined::look);
            if found.is_none() {
                let _ = ns::link::delete(near, index);
            }
        })?;
        let plug = Plug { id, name: guest.port.clone(), index };
        let interface = Interface {
            name: guest.interface.clone(),
            network: Some(guest.network.clone()),
            addresses: guest.addresses.clone(),
            mac: guest.mac,
            port: Some(plug),
            servers: guest.servers.clone(),
            names: guest.names.clone(),
        };
        let passed = match &guest.far {
            Far::Goes(sandbox, _) => Some(sandbox),
            Far::Waits(_) => None,
        };
        let home = Home::of_container(guest.sandbox.clone(), passed);
        settle(state, &guest.node, home, interface);
        call(state, &guest.node);
        let of_several = !state.joined.is_empty() || !state.tunnels.is_empty();
        state.joined.iter().for_each(Joined::look);
        drop(guard);
        if of_several {
            self.tell_known()?;
        }
        if found.is_none()
            && let Far::Goes(sandbox, _) = &guest.far
        {
            // What the container says first is to be heard, and answered.
            ns::guest::wait(sandbox.as_fd(), &guest.interface)?;
            self.list_links()?;
            ns::guest::announce(sandbox.as_fd(), &guest.interface, guest.mac.0)?;
        }
        Ok(if found.is_some() { Attached::Found } else { Attached::Made })
    }

    /// Looks which links are up.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn see_links(&self) -> Result<()> {
        self.list_links().map(drop)
    }

    /// The namespaces of the switch and of the host, where this lab serves engines.
    pub(crate) fn grounds(
        &self,
    ) -> Result<(std::os::fd::BorrowedFd<'_>, std::os::fd::BorrowedFd<'_>)> {
        let both = self.switch_ns.as_ref().zip(self.host_ns.as_ref());
        let (near, host) = both.ok_or_else(|| {
            Error::Usage(format!("lab {} serves no engine's containers", self.config().name))
        })?;
        Ok((near.as_fd(), host.as_fd()))
    }

    fn plug(&self, state: &State, guest: &Guest, (index, mtu): (u32, u32)) -> Result<PortId> {
        let State { spec, domains, .. } = state;
        let settings = port::plugged(self.config().spec.storm);
        let (settings, vlans) = domain::of_port(spec, &guest.node, &guest.network, settings)?;
        let network = domains.get(&guest.network).map(|domain| domain.id).unwrap_or_default();
        let own = || guest.addresses.iter().map(|address| address.ip);
        let guard = || Arc::new(SourceGuard::new(guest.mac, own()));
        let asked = PortSpec {
            sources: (!guest.spoofs).then(guard),
            settings,
            vlans,
            network,
            behind: Some(guest.mac),
            up: false,
            ..PortSpec::bridged(guest.port.clone(), index, mtu)
        };
        self.plug_in(asked)
    }

    /// Plugs a port in; when this returns every worker knows it.
    pub(crate) fn plug_in(&self, asked: PortSpec) -> Result<PortId> {
        let plugged = self.with_switch(|switch: &Switch| {
            let id = switch.add_port(asked)?;
            switch.sync()?;
            Ok(id)
        });
        plugged.ok_or_else(|| Error::NotRunning(self.config().name.to_string()))?
    }

    /// Where the port of this name is, among the nodes.
    pub(crate) fn at(&self, state: &State, port: &str) -> Option<(String, Interface)> {
        state.nodes.iter().find_map(|held| {
            let mut interfaces = held.node.interfaces.iter();
            let is = |one: &&Interface| one.port.as_ref().is_some_and(|plug| plug.name == port);
            Some((held.node.name.clone(), interfaces.find(is)?.clone()))
        })
    }

    /// Takes a container's place away, and with it all that the gateway has for it. Its link stays
    /// until [`Lab::forget_link`]; a place that is not there is no error.
    ///
    /// # Errors
    /// What the switch refuses.
    pub fn detach(&self, port: &str) -> Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((node, interface)) = self.at(state, port) else { return Ok(()) };
        depart(state, &node, |one| one.port == interface.port);
        let Some(plug) = interface.port else { return Ok(()) };
        let unplugged = self.with_switch(|switch| switch.remove_port(plug.id)).unwrap_or(Ok(()));
        let of_several = !state.joined.is_empty() || !state.tunnels.is_empty();
        drop(guard);
        self.node_vanished(plug.id);
        if of_several {
            self.tell_known()?;
        }
        match unplugged {
            Err(switch::Error::NoPort(_)) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Deletes the link of this name, with both its ends; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget_link(&self, port: &str) -> Result<()> {
        let (near, _) = self.grounds()?;
        match ns::link::find(near, port)? {
            Some(index) => Ok(ns::link::delete(near, index)?),
            None => Ok(()),
        }
    }

    /// Deletes a guest's own end in its namespace, whose other end is in a switch's namespace that somebody
    /// keeps though it is gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget_end(sandbox: &OwnedFd, interface: &str, mac: MacAddr) -> Result<()> {
        Ok(ns::link::delete_end(sandbox.as_fd(), interface, mac.0)?)
    }

    /// Whether the far end of a link waits under this name in the host's namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn waits(&self, name: &str) -> Result<bool> {
        let (_, host) = self.grounds()?;
        Ok(ns::link::find(host, name)?.is_some())
    }

    /// The names of all links in the switch's namespace, loopback apart.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn links(&self) -> Result<Vec<String>> {
        let (near, _) = self.grounds()?;
        let links = ns::link::list(near)?.into_iter();
        Ok(links.filter(|link| link.ethernet).map(|link| link.name).collect())
    }

    /// The link in the switch's namespace by which the kernel gets to a real uplink, while there is one:
    /// no node's, and nobody else's to delete.
    #[must_use]
    pub fn crossing(&self) -> Option<&'static str> {
        self.state().host.as_ref().and_then(Host::crossing)
    }

    /// The name of the node that has the place of this port.
    #[must_use]
    pub fn node_at(&self, port: &str) -> Option<String> {
        self.at(&self.state(), port).map(|(node, _)| node)
    }

    /// How many interfaces a node has; none where there is no such node.
    #[must_use]
    pub fn interfaces_of(&self, node: &str) -> usize {
        let state = self.state();
        let held = state.nodes.iter().find(|held| held.node.name == node);
        held.map_or(0, |held| held.node.interfaces.len())
    }

    /// A port's interface has vanished with its container's namespace: so has the place. The port's name;
    /// None where the node is the lab's own.
    pub(crate) fn guest_vanished(&self, state: &mut State, index: u32) -> Option<String> {
        let has = |held: &&Held| held.node.ports().any(|port| port.index == index);
        let held = state.nodes.iter().find(has).filter(|held| held.home.is_theirs())?;
        let port = held.node.ports().find(|port| port.index == index)?.name.clone();
        let node = held.node.name.clone();
        depart(state, &node, |one| one.port.as_ref().is_some_and(|port| port.index == index));
        Some(port)
    }
}

/// Has the far end of a new link that goes to its container furnished there.
fn furnish(guest: &Guest, new: bool) -> Result<()> {
    let Far::Goes(sandbox, routes) = &guest.far else { return Ok(()) };
    if !new {
        return Ok(());
    }
    let whole = |own: &Address| own.prefix.unwrap_or(if own.ip.is_ipv4() { 32 } else { 128 });
    let own: Vec<_> = guest.addresses.iter().map(|own| (own.ip, whole(own))).collect();
    Ok(ns::guest::furnish(sandbox.as_fd(), &guest.interface, &own, routes)?)
}

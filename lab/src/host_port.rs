//! The host's place in a network: an interface of the host with the gateway's addresses and its
//! hardware address, as the kernel's bridges have theirs. So the host reaches containers, and they
//! reach the host's services, with not one address rewritten.
//!
//! The gateway leaves to the host what is sent to one of its addresses, which a thread here follows;
//! it forwards everything else itself. In `show` the host is a node among the others.

mod kept;
mod patience;

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::topology::Address;
use nix::poll::PollTimeout;
use ns::own::{self, Changes};
use ns::pair::{self, Pair};
use switch::{NetworkId, PortSpec};

use crate::domain::{self, Hosted};
use crate::error::{Error, Result};
use crate::guest::{depart, settle};
use crate::home::Home;
use crate::lab::{Lab, State};
use crate::node::{Interface, Plug};
use crate::station;
use crate::watch::{Stop, Watch, Woken};

/// What the host is called among the nodes.
pub const HOST: &str = "the-host";

pub use patience::Kept;

/// A network's interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The network, where the gateway has a place.
    pub network: String,
    /// What the port is called, in the switch's namespace.
    pub port: String,
    /// What the interface is called.
    pub interface: String,
    /// Who asks for names at the gateway's addresses asks the lab's resolver, and not the host's.
    pub names: bool,
}

impl Lab {
    /// Gives the host a place in a network, by the interface that is there already where there is one.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::Usage`] where the gateway has no place there; whatever the kernel
    /// or the switch refuses, and then nothing has changed.
    pub fn attach_host(&self, asked: &HostPort) -> Result<()> {
        self.attach_host_in(&mut self.state(), asked)?;
        self.host_attached()
    }

    /// What there is to look at, once the host has a place.
    fn host_attached(&self) -> Result<()> {
        self.refresh_host();
        self.list_links()?;
        Ok(())
    }

    fn attach_host_in(&self, state: &mut State, asked: &HostPort) -> Result<()> {
        let (near, host) = self.grounds()?;
        let HostPort { network, port, interface, names } = asked;
        if state.spec.network(network).is_none() {
            return Err(self.no_network(state, network));
        }
        let Some(mac) = station::mac_in(&state.spec, network) else {
            return Err(Error::Usage(format!(
                "network {network}: the gateway has no address of IPv4 there for the host to have"
            )));
        };
        let addresses = state.spec.gateways(network);
        let mtu = state.spec.mtu_of(network);
        let mut found = ns::link::find(near, port)?;
        // Its other end was moved away while nobody looked.
        if let Some(index) = found
            && ns::link::find(host, interface)?.is_none()
        {
            ns::link::delete(near, index)?;
            found = None;
        }
        let index = match found {
            Some(index) => index,
            None => {
                // One of ours whose other end is in a switch's namespace that is gone, or kept by somebody.
                ns::link::delete_end(host, interface, mac.0)?;
                let index = state.next_index;
                state.next_index += 1;
                let near = (near, port.as_str(), index);
                let (far, tunnels) = ((host, interface.as_str()), self.fast.finish);
                pair::make(&Pair { near, far, mac: mac.0, mtu, large: true, tunnels })?;
                index
            }
        };
        let own: Vec<_> = addresses.iter().map(prefixed).collect();
        let id = state.domains.get(network).map(|domain| domain.id).unwrap_or_default();
        let bridged = PortSpec::bridged(port.clone(), index, mtu);
        let behind = Some(mac);
        let plugged = self.plug_in(PortSpec { network: id, behind, up: false, ..bridged });
        let come_up = plugged.and_then(|id| {
            self.tell_of_host(state, network, Some(Hosted { port: id, names: *names }))?;
            ns::link::set_up(near, index, true)?;
            pair::furnish(host, interface, &own)?;
            Ok(id)
        });
        let id = match come_up {
            Ok(id) => id,
            Err(error) => {
                let _ = ns::link::delete(near, index);
                let _ = self.tell_of_host(state, network, None);
                return Err(error);
            }
        };
        let place = Interface {
            name: interface.clone(),
            network: Some(network.clone()),
            addresses,
            mac,
            port: Some(Plug { id, name: port.clone(), index }),
            servers: Vec::new(),
            names: Vec::new(),
        };
        let own = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), host.as_raw_fd()));
        settle(state, HOST, Home::Theirs(Some(own)), place);
        if let Some(domain) = state.domains.get_mut(network) {
            (domain.kept.wanted, domain.kept.away) = (true, None);
        }
        Ok(())
    }

    /// The switch and the gateway hear whether the host has a place in a network, and where.
    fn tell_of_host(&self, state: &mut State, network: &str, host: Option<Hosted>) -> Result<()> {
        let Some(domain) = state.domains.get_mut(network) else { return Ok(()) };
        domain.host = host;
        let (id, legs) = (domain.id, domain.legs.clone());
        let config = domain::of_switch(&state.spec, &state.domains, network);
        let told = self.with_switch(|switch| {
            switch.set_network(id, config)?;
            switch.sync()
        });
        told.unwrap_or(Ok(()))?;
        for (_, leg) in legs {
            let told = self.with_gateway(|gateway| {
                gateway.set_hosted(leg, host.is_some())?;
                gateway.set_asked(leg, host.is_some_and(|host| host.names))
            });
            told.unwrap_or(Ok(())).map_err(|error| Error::Usage(error.to_string()))?;
        }
        Ok(())
    }

    /// Takes the host's place in a network away, and its interface; one that is not there is no error.
    ///
    /// # Errors
    /// What the switch or the kernel refuses.
    pub fn detach_host(&self, network: &str) -> Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        // From here on nobody makes it again.
        if let Some(domain) = state.domains.get_mut(network) {
            (domain.kept.wanted, domain.kept.away) = (false, None);
        }
        let here = |one: &Interface| one.network.as_deref() == Some(network);
        let held = state.nodes.iter().find(|held| held.node.name == HOST);
        let place = held.and_then(|held| held.node.interfaces.iter().find(|one| here(one)));
        let Some(plug) = place.and_then(|place| place.port.clone()) else { return Ok(()) };
        self.tell_of_host(state, network, None)?;
        depart(state, HOST, here);
        let unplugged = self.with_switch(|switch| switch.remove_port(plug.id));
        match unplugged.unwrap_or(Ok(())) {
            Ok(()) | Err(switch::Error::NoPort(_)) => {}
            Err(error) => return Err(error.into()),
        }
        drop(guard);
        self.forget_link(&plug.name)?;
        self.refresh_host();
        Ok(())
    }

    /// The host's place that a port is of, if it is one's.
    pub(crate) fn host_at(&self, state: &State, index: u32) -> Option<(NetworkId, HostPort)> {
        let held = state.nodes.iter().find(|held| held.node.name == HOST)?;
        let is = |plug: &Plug| plug.index == index;
        let place = held.node.interfaces.iter().find(|own| own.port.as_ref().is_some_and(is))?;
        let network = place.network.clone()?;
        let domain = state.domains.get(&network)?;
        let (id, names) = (domain.id, domain.host?.names);
        let port = place.port.as_ref()?.name.clone();
        Some((id, HostPort { network, port, interface: place.name.clone(), names }))
    }

    /// Tells the gateway which addresses the host has now.
    fn refresh_host(&self) {
        let Some(host) = &self.host_ns else { return };
        match own::addresses(host.as_fd()) {
            Ok(addresses) => {
                self.with_gateway(|gateway| gateway.set_host_addresses(addresses));
            }
            Err(error) => tracing::error!("the host's addresses are not followed: {error}"),
        }
    }

    /// Follows the host's addresses from now on, where this lab serves engines.
    pub(crate) fn follow_host(self: &Arc<Self>) -> Result<()> {
        let Some(host) = &self.host_ns else { return Ok(()) };
        let changes = Changes::new(host.as_fd())?;
        let lab = Arc::downgrade(self);
        let watch = Watch::start("host", move |stop| {
            if let Err(error) = follow(changes, &stop, &lab) {
                tracing::error!("the host's addresses are no longer followed: {error}");
            }
        })?;
        self.refresh_host();
        self.state().host_watches.addresses = Some(watch);
        Ok(())
    }
}

fn follow(
    mut changes: Changes,
    stop: &Stop,
    lab: &Weak<Lab>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut patience = PollTimeout::NONE;
    while stop.wait(changes.as_fd(), patience)? != Woken::Stop {
        changes.take()?;
        let Some(lab) = lab.upgrade() else { break };
        // An interface that was left as it is has its turn again. Rounded up: what is due then is due.
        let again = lab.mend_host().map(|left| left + Duration::from_millis(1));
        patience = again.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        lab.refresh_host();
    }
    Ok(())
}

/// An address with the length of its prefix.
fn prefixed(own: &Address) -> (IpAddr, u8) {
    (own.ip, own.prefix.unwrap_or(if own.ip.is_ipv4() { 32 } else { 128 }))
}

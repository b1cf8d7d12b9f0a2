//! The MTU of a network that runs: of its nodes' interfaces, of the switch's ends of their links, of
//! its ports and of the gateway's legs. Called through the control socket, under the state's lock.
//!
//! The kernel may refuse an interface, and one may be gone: then those before it get back what they
//! had.

use std::os::fd::AsFd;

use crate::domain;
use crate::error::{Error, Result};
use crate::lab::{Held, Lab, State};
use crate::network::check;
use crate::node::Interface;
use crate::tunnel::{Tunnel, exceeds};

/// A network's MTU has become another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    /// The network.
    pub network: String,
    /// What it was, in bytes.
    pub from: u32,
    /// What it is.
    pub to: u32,
}

impl Lab {
    /// The networks whose MTU is not what it was at the last call.
    #[must_use]
    pub fn take_resized(&self) -> Vec<Resized> {
        let mut guard = self.state();
        let State { domains, spec, .. } = &mut *guard;
        let resized = |(network, domain): (&String, &mut domain::Domain)| {
            let (from, to) = (domain.resized.take()?, spec.mtu_of(network));
            (from != to).then(|| Resized { network: network.clone(), from, to })
        };
        domains.iter_mut().filter_map(resized).collect()
    }

    /// Changes the MTU of a network, in bytes: it is what somebody has asked for, and stays so where a tunnel
    /// carries less later.
    ///
    /// # Errors
    /// [`Error::NoSwitch`], [`Error::NoNetwork`], [`Error::Usage`] for a number that cannot be, or is more than a
    /// tunnel of the network carries; whatever the kernel or the gateway refuses, and then nothing has
    /// changed.
    pub fn set_network_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        if self.switch_ns.is_none() {
            return Err(Error::NoSwitch(self.config().name.to_string()));
        }
        let mut guard = self.state();
        let here = |tunnel: &&Tunnel| tunnel.network == name && tunnel.fits < mtu;
        if let Some(tunnel) = guard.tunnels.iter().filter(here).min_by_key(|own| own.fits) {
            return Err(exceeds((name, mtu), (tunnel.local, tunnel.fits)));
        }
        self.change_mtu(&mut guard, name, mtu)?;
        if let Some(domain) = guard.domains.get_mut(name) {
            domain.fitted = None;
        }
        Ok(())
    }

    /// The same under the state's lock; whose choice it is stays as it was.
    pub(crate) fn change_mtu(&self, state: &mut State, name: &str, mtu: u32) -> Result<()> {
        let before = state.spec.mtu_of(name);
        let Some(network) = state.spec.networks.get_mut(name) else {
            return Err(self.no_network(state, name));
        };
        let said = network.mtu.replace(mtu);
        let set = check(&state.spec, name).and_then(|()| self.follow_mtu(state, name, before));
        if set.is_ok() {
            if let Some(domain) = state.domains.get_mut(name) {
                domain.resized.get_or_insert(before);
            }
        } else if let Some(network) = state.spec.networks.get_mut(name) {
            network.mtu = said;
        }
        set
    }

    /// Has all that belongs to a network take its MTU, which was `before`.
    fn follow_mtu(&self, state: &State, name: &str, before: u32) -> Result<()> {
        let mtu = state.spec.mtu_of(name);
        let mut done: Vec<(&Held, &Interface)> = Vec::new();
        let mut follow = || -> Result<()> {
            for held in &state.nodes {
                let here = |own: &&Interface| own.network.as_deref() == Some(name);
                for interface in held.node.interfaces.iter().filter(here) {
                    // Half of a link may follow before the other half cannot.
                    done.push((held, interface));
                    self.set_link_mtu((held, interface), mtu)?;
                }
            }
            self.follow_joints(state, name)?;
            for (id, config) in domain::of_gateway(&state.spec, &state.domains, name) {
                if let Some(Err(error)) = self.with_gateway(|gateway| gateway.set_leg(id, config)) {
                    return Err(Error::Usage(format!("network {name}: {error}")));
                }
            }
            Ok(())
        };
        let followed = follow();
        if followed.is_err() {
            for end in done {
                if let Err(error) = self.set_link_mtu(end, before) {
                    tracing::warn!("{error}");
                }
            }
        }
        followed
    }

    /// Sets the MTU of both ends of a node's link, and of its port.
    pub(crate) fn set_link_mtu(
        &self,
        (held, interface): (&Held, &Interface),
        mtu: u32,
    ) -> Result<()> {
        let (Some(port), Some(switch_ns)) = (&interface.port, &self.switch_ns) else {
            return Ok(());
        };
        ns::link::set_mtu(held.home.descriptor()?.as_fd(), &interface.name, mtu)?;
        ns::link::set_mtu(switch_ns.as_fd(), &port.name, mtu)?;
        // The watch of links would say so too, a little later.
        match self.with_switch(|switch| switch.set_mtu(port.id, mtu)) {
            Some(told) => Ok(told?),
            None => Ok(()),
        }
    }
}

//! What a running lab says of its real uplink, and how the watch reaches it.

use std::os::fd::AsFd;
use std::sync::Arc;

use switch::PortId;

use super::facts::{self, Facts};
use super::{Follow, Host, Prepared, rules};
use crate::error::{Error, Result};
use crate::lab::{Lab, State};
use crate::station;

impl Lab {
    /// The uplink's port.
    #[must_use]
    pub fn uplink_port(&self) -> Option<PortId> {
        let state = self.state();
        let host = || state.host.as_ref().and_then(Host::port);
        state.uplink.map(|(port, _)| port).or_else(host)
    }

    /// What is changed on the host and will be undone, a line each; empty without a real uplink.
    #[must_use]
    pub fn host_changes(&self) -> Vec<String> {
        self.state().host.as_ref().map(Host::changes).unwrap_or_default()
    }

    /// The host's interface that is shared, while there is one.
    #[must_use]
    pub fn uplink_interface(&self) -> Option<String> {
        self.state().host.as_ref().and_then(Host::interface).map(str::to_owned)
    }

    /// What the uplink waits for, while it has no interface: the one that was named, or `auto`; and why.
    #[must_use]
    pub fn uplink_awaited(&self) -> Option<(String, String)> {
        let state = self.state();
        let host = state.host.as_ref().filter(|host| host.interface().is_none())?;
        let asked = host.asked.as_deref();
        let view = ns::route::look(host.netns().as_fd()).map_err(Error::from);
        let inside = station::inside(&state.spec);
        let why = match view.and_then(|view| facts::choose(&view, asked, None, &inside)) {
            Err(Error::Uplink { why, .. }) => why,
            Err(error) => error.to_string(),
            Ok(found) => format!("{} is there, and not taken yet", found.name),
        };
        Some((asked.unwrap_or("auto").into(), why))
    }

    /// Why a port of the host's address cannot be published, where a socket of the host has it.
    ///
    /// # Errors
    /// What the kernel refuses to tell.
    pub fn host_socket(&self, protocol: &str, port: u16) -> Result<Option<String>> {
        self.state().host.as_ref().map_or(Ok(None), |host| host.in_the_way(protocol, port))
    }

    /// Sessions forgotten because the uplink's address went.
    #[must_use]
    pub fn uplink_forgotten(&self) -> u64 {
        self.state().host.as_ref().map_or(0, Host::forgotten)
    }

    /// Starts following the host, where the uplink is one of its interfaces.
    pub(crate) fn follow_uplink(self: &Arc<Self>) -> Result<()> {
        let mut state = self.state();
        let follow = state.host.as_ref().map(|host| Follow::watch(host, Arc::downgrade(self)));
        state.follow = follow.transpose()?;
        // Ports that rules may forward are those of containers.
        let netns = state.host.as_ref().filter(|_| self.config().served).map(Host::netns);
        match netns.map(|netns| rules::watch(netns, Arc::downgrade(self))).transpose() {
            Ok(watch) => state.host_watches.rules = watch,
            // A kernel without nfnetlink.
            Err(error) => tracing::warn!("rules that forward ports are not followed: {error}"),
        }
        Ok(())
    }

    /// Looks at the host again and follows what has changed.
    pub(crate) fn refresh_uplink(&self) {
        let mut state = self.state();
        let inside = station::inside(&state.spec);
        let State { host, next_index, .. } = &mut *state;
        let moved = host.as_mut().is_some_and(|host| host.refresh(self, &inside, next_index));
        if moved {
            self.lead_anew(&state);
        }
    }
}

impl Prepared {
    /// In words, for `run`.
    pub(crate) fn words(&self) -> String {
        let Some(Facts { name, address, .. }) = &self.facts else {
            return "whatever interface gets a default route".into();
        };
        match address.next_hop {
            Some(router) => format!("{} of {name}, by {router}", address.address),
            None => format!("{} of {name}, which has no default route", address.address),
        }
    }
}

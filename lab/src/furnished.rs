//! A container's end of its link, in the container's namespace: how it is seen there, whether the container
//! answers by it, what it is held to. Called by `serve`, with that namespace in hand.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use control::api::Home;

use crate::error::{Doing, Error, Result};
use crate::guest::Limits;
use crate::join;
use crate::join::home::beyond;
use crate::lab::Lab;
use crate::node::{Interface, Node};

impl Lab {
    /// Looks at the interface of a container's place, in the container; None where it is not there.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such place; when the kernel refuses.
    pub fn look_at_guest(&self, port: &str, sandbox: &OwnedFd) -> Result<Option<ns::guest::Seen>> {
        let place = self.at(&self.state(), port);
        let (_, interface) = place.ok_or_else(|| {
            Error::Usage(format!("lab {} has no place at port {port}", self.config().name))
        })?;
        Ok(ns::guest::look(sandbox.as_fd(), &interface.name)?)
    }

    /// What the far end of a place's link is called in this namespace; None where it is not there.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such place; when the kernel refuses.
    pub fn called_in(&self, port: &str, sandbox: &OwnedFd) -> Result<Option<String>> {
        let place = self.at(&self.state(), port);
        let (_, interface) = place.ok_or_else(|| {
            Error::Usage(format!("lab {} has no place at port {port}", self.config().name))
        })?;
        let index = interface.port.map(|plug| plug.index);
        let links = ns::link::list(sandbox.as_fd())?.into_iter();
        let ends = links.filter(|link| link.peer.is_some() && link.peer == index);
        // A pair of the container's own may lead to the same number in another namespace.
        let own = ends.max_by_key(|link| link.mac == Some(interface.mac.0));
        Ok(own.map(|link| link.name))
    }

    /// Where a node lives, for other processes. A container's namespace is told where the far end of one of
    /// the node's links is seen in it: an engine that is killed leaves files behind, and its numbers of
    /// processes become others'.
    ///
    /// # Errors
    /// [`Error::NoNode`]; where the namespace of a container is not known, or not had by what is known.
    pub fn home_of(&self, name: &str) -> Result<Home> {
        let state = self.state();
        let Some(held) = state.nodes.iter().find(|held| held.node.is(name)) else {
            let nodes: Vec<_> = state.nodes.iter().map(|held| held.node.name.clone()).collect();
            return Err(join::no_such(&self.config().name, name, &nodes));
        };
        let node = held.node.clone();
        let path = held.home.path().map(|path| path.to_string_lossy().into_owned());
        let (theirs, opened) = (held.home.is_theirs(), held.home.descriptor());
        drop(state);
        let why = |why: Error| match why {
            Error::Io { source, .. } => source,
            other => io::Error::other(other.to_string()),
        };
        let what = || beyond(&node.name, path.as_deref());
        let opened = opened.map_err(why).doing(what)?;
        if theirs && !is_in(&node, &opened).map_err(why).doing(what)? {
            return Err(io::Error::other("its link is not there")).doing(what);
        }
        let found = rustix::fs::fstat(&opened).doing(what)?;
        Ok(Home { node: node.name.clone(), path, device: found.st_dev, inode: found.st_ino })
    }

    /// The interface of a place is called so in its container from now on.
    pub fn call_interface(&self, port: &str, name: &str) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some((node, interface)) = self.at(state, port) else { return };
        let held = state.nodes.iter_mut().find(|held| held.node.name == node);
        let own = held.into_iter().flat_map(|held| &mut held.node.interfaces);
        own.filter(|own| **own == interface).for_each(|own| own.name = name.into());
        let asked = state.spec.nodes.get_mut(&node);
        let places = asked.into_iter().flat_map(|asked| &mut asked.networks);
        places
            .filter(|place| interface.network.as_ref() == Some(&place.network))
            .for_each(|place| place.interface = Some(name.into()));
    }

    /// Holds the interface of a container's place to these limits. What it receives is led through a
    /// device beside it, `beside`, which [`Lab::unlimit`] takes away.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such place; what the kernel refuses, as where it lacks the means.
    pub fn limit(
        &self,
        port: &str,
        sandbox: &OwnedFd,
        beside: &str,
        limits: &Limits,
    ) -> Result<()> {
        let state = self.state();
        let place = self.at(&state, port);
        let (_, interface) = place.ok_or_else(|| {
            Error::Usage(format!("lab {} has no place at port {port}", self.config().name))
        })?;
        let mtu = state.spec.mtu_of(interface.network.as_deref().unwrap_or_default());
        drop(state);
        Ok(ns::shape::limit(sandbox.as_fd(), (&interface.name, beside), limits, mtu)?)
    }

    /// Takes that device away, where it still is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unlimit(sandbox: &OwnedFd, beside: &str) -> Result<()> {
        Ok(ns::shape::unlimit(sandbox.as_fd(), beside)?)
    }

    /// Whether a container answers whoever asks it by its place here: its default route of IPv4 leads
    /// there. What cannot be looked at does not.
    #[must_use]
    pub fn answers_by(&self, port: &str, sandbox: &OwnedFd) -> bool {
        let Some((_, interface)) = self.at(&self.state(), port) else { return false };
        let Ok(view) = ns::route::look(sandbox.as_fd()) else { return false };
        let best = view.defaults.iter().min_by_key(|route| route.metric);
        let link = best.and_then(|best| view.links.iter().find(|link| link.index == best.index));
        link.is_some_and(|link| link.name == interface.name)
    }
}

/// Whether a namespace has the far end of one of a node's links. Another container may have one that leads
/// to the same number in another namespace: it has another hardware address.
fn is_in(node: &Node, sandbox: &OwnedFd) -> Result<bool> {
    let links = ns::link::list(sandbox.as_fd())?;
    let end = |own: &Interface| {
        let index = own.port.as_ref().map(|plug| plug.index);
        let is = |link: &ns::link::Link| link.peer.is_some() && link.peer == index;
        links.iter().any(|link| is(link) && link.mac == Some(own.mac.0))
    };
    Ok(node.interfaces.iter().any(end))
}

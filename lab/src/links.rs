//! What is heard of links in the switch's namespace: a port that goes down or up is told to the switch,
//! as are its address and its MTU; one that vanishes is unplugged. A thread listens, which holds the lab
//! weakly and ends when told; whoever changes a link by himself listens too before he goes on
//! ([`Lab::hear`]): the kernel tells while it changes.
//!
//! A port is plugged in before its link comes up for the first time, and what is heard of that link
//! until then is no news: only one that has been up can go down.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nix::poll::PollTimeout;
use ns::Link;
use ns::watch::{Event, Watcher};
use switch::PortId;
use wire::MacAddr;

use crate::error::{Doing, Result};
use crate::lab::Lab;
use crate::node::Interface;
use crate::watch::{Stop, Watch, Woken};

/// What is heard, by whom.
#[derive(Default)]
pub(crate) struct Heard {
    /// Held from when links are looked at until the switch has been told of all: whoever looks later tells
    /// later, so that no old look undoes what has been heard since. Taken before the state's lock.
    ears: Mutex<Ears>,
    /// Who is told which guests' ports vanish.
    vanished: Mutex<Option<Sender<String>>>,
}

#[derive(Default)]
struct Ears {
    watcher: Option<Watcher>,
    /// Heard, and not yet told.
    pending: VecDeque<Event>,
    /// The links that have been up.
    seen: BTreeSet<u32>,
}

impl Heard {
    fn ears(&self) -> MutexGuard<'_, Ears> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vanished(&self) -> MutexGuard<'_, Option<Sender<String>>> {
        self.vanished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running watch; dropping it ends the thread, and closes the socket in the namespace.
pub(crate) struct Links {
    lab: Weak<Lab>,
    _watch: Watch,
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Some(lab) = self.lab.upgrade() {
            lab.heard.ears().watcher = None;
        }
    }
}

impl Links {
    /// Starts watching on behalf of `lab`, where the links `up` have been up already.
    pub(crate) fn watch(watcher: Watcher, lab: &Arc<Lab>, up: BTreeSet<u32>) -> Result<Self> {
        let readable = watcher.as_fd().try_clone_to_owned();
        let readable = readable.doing(|| "watching the links of a namespace".into())?;
        *lab.heard.ears() = Ears { watcher: Some(watcher), pending: VecDeque::new(), seen: up };
        let (lab, own) = (Arc::downgrade(lab), Arc::downgrade(lab));
        let watch = Watch::start("links", move |stop| run(&readable, &stop, &own))?;
        Ok(Self { lab, _watch: watch })
    }
}

fn run(readable: &OwnedFd, stop: &Stop, lab: &Weak<Lab>) {
    loop {
        match stop.wait(readable.as_fd(), PollTimeout::NONE) {
            Ok(Woken::Ready | Woken::Late) => {}
            Ok(Woken::Stop) => return,
            Err(error) => return tracing::error!("links are no longer watched: {error}"),
        }
        let Some(lab) = lab.upgrade() else { return };
        if let Err(error) = lab.hear() {
            return tracing::error!("links are no longer watched: {error}");
        }
    }
}

impl Lab {
    /// Tells the switch of all that the kernel has told of links until now, in that order. Not to be called
    /// with the state's lock.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn hear(&self) -> Result<()> {
        let mut ears = self.heard.ears();
        if let Some(watcher) = &mut ears.watcher {
            let events = watcher.events()?;
            ears.pending.extend(events);
        }
        while let Some(event) = ears.pending.pop_front() {
            match event {
                Event::Changed(link) => {
                    if link.up && link.carrier {
                        ears.seen.insert(link.index);
                    }
                    if ears.seen.contains(&link.index) {
                        self.link_changed(&link);
                    }
                }
                Event::Gone(link) => {
                    ears.seen.remove(&link.index);
                    drop(ears);
                    self.link_gone(link.index);
                    ears = self.heard.ears();
                }
                Event::Lost => {
                    drop(ears);
                    let listed = self.list_links();
                    ears = self.heard.ears();
                    match listed {
                        Ok(up) => ears.seen.extend(up),
                        Err(error) => tracing::warn!("{error}"),
                    }
                }
            }
        }
        Ok(())
    }

    fn port_of(&self, index: u32) -> Option<PortId> {
        let state = self.state();
        let ports = state.nodes.iter().flat_map(|held| held.node.ports());
        ports
            .chain(state.tunnels.iter().map(|tunnel| &tunnel.port))
            .chain(state.joints.iter().flat_map(|joint| &joint.ports))
            .find(|port| port.index == index)
            .map(|port| port.id)
            .or_else(|| state.uplink.filter(|uplink| uplink.1 == index).map(|uplink| uplink.0))
    }

    fn link_changed(&self, link: &Link) {
        let (index, up) = (link.index, link.up && link.carrier);
        let Some(port) = self.port_of(index) else { return };
        let told = self.with_switch(|switch| {
            let Some((known, was)) = switch.port(port) else { return Ok(()) };
            let mac = link.mac.map(MacAddr);
            if (known.mac, known.mtu) != (mac, link.mtu) {
                switch.set_interface(port, mac, link.mtu)?;
            }
            if was == up { Ok(()) } else { switch.set_link(port, up) }
        });
        match told {
            // Unplugged since we looked.
            None | Some(Ok(()) | Err(switch::Error::NoPort(_))) => {}
            Some(Err(error)) => tracing::warn!("link {index}: {error}"),
        }
    }

    /// Has `to` hear the name of each guest's port from now on that vanishes with its container's
    /// namespace, once the place is gone.
    pub fn tell_vanished(&self, to: Sender<String>) {
        *self.heard.vanished() = Some(to);
    }

    fn link_gone(&self, index: u32) {
        let Some(port) = self.port_of(index) else { return };
        let mut state = self.state();
        if let Some(ports) = state.joint_gone(index) {
            drop(state);
            ports.into_iter().for_each(|port| self.unplug(port));
            return;
        }
        let host = self.host_at(&state, index);
        let guest = self.guest_vanished(&mut state, index);
        if guest.is_none() {
            let mut interfaces = state.nodes.iter_mut().flat_map(|held| &mut held.node.interfaces);
            let is = |interface: &&mut Interface| {
                interface.port.as_ref().is_some_and(|port| port.index == index)
            };
            tracing::warn!("port {}: its interface is gone", port.0);
            match interfaces.find(is) {
                Some(interface) => interface.port = None,
                None => match state.tunnels.iter().position(|t| t.port.index == index) {
                    Some(place) => drop(state.tunnels.remove(place)),
                    None => state.uplink = None,
                },
            }
        }
        drop(state);
        self.unplug(port);
        self.node_vanished(port);
        if let (Some(name), Some(to)) = (guest, &*self.heard.vanished()) {
            // Nobody listens any more where whoever serves has ended.
            let _ = to.send(name);
        }
        if let Some((id, place)) = host {
            self.host_gone(id, &place);
        }
    }

    fn unplug(&self, port: PortId) {
        match self.with_switch(|switch| switch.remove_port(port)) {
            None | Some(Ok(()) | Err(switch::Error::NoPort(_))) => {}
            Some(Err(error)) => tracing::warn!("port {}: {error}", port.0),
        }
    }

    /// Tells the switch of every link as it is now; the indices of those that are up.
    pub(crate) fn list_links(&self) -> Result<BTreeSet<u32>> {
        let mut all_up = BTreeSet::new();
        let Some(netns) = &self.switch_ns else { return Ok(all_up) };
        let _alone = self.heard.ears();
        for link in ns::link::list(netns.as_fd())? {
            let up = link.up && link.carrier;
            if up {
                all_up.insert(link.index);
            }
            self.link_changed(&link);
        }
        Ok(all_up)
    }
}

//! A thread that hears of links in the switch's namespace: a port that goes down or up is told to
//! the switch, one that vanishes is unplugged. It holds the lab weakly and ends when told.

use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::sync::Weak;
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ns::watch::{Event, Watcher};
use switch::PortId;

use crate::error::{Doing, Result};
use crate::lab::Lab;

/// The running watch; dropping it ends the thread.
pub(crate) struct Links {
    pipe: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Links {
    /// Starts watching on behalf of `lab`.
    pub(crate) fn watch(watcher: Watcher, lab: Weak<Lab>) -> Result<Self> {
        let (stop, pipe) = std::io::pipe().doing(|| "making a pipe".into())?;
        let thread = std::thread::Builder::new()
            .name("links".into())
            .spawn(move || run(watcher, stop, &lab))
            .doing(|| "starting a thread".into())?;
        Ok(Self { pipe: Some(pipe), thread: Some(thread) })
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn run(mut watcher: Watcher, mut stop: PipeReader, lab: &Weak<Lab>) {
    loop {
        let mut ready = [
            PollFd::new(watcher.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return tracing::error!("links are no longer watched: {error}"),
        }
        if ready[1].revents().is_some_and(|events| !events.is_empty()) {
            // Closed: the lab is being stopped.
            let _ = stop.read(&mut [0]);
            return;
        }
        let events = match watcher.events() {
            Ok(events) => events,
            Err(error) => return tracing::error!("links are no longer watched: {error}"),
        };
        let Some(lab) = lab.upgrade() else { return };
        for event in events {
            match event {
                Event::Changed(link) => lab.link_changed(link.index, link.up && link.carrier),
                Event::Gone(link) => lab.link_gone(link.index),
                Event::Lost => lab.list_links(),
            }
        }
    }
}

impl Lab {
    fn port_of(&self, index: u32) -> Option<PortId> {
        let state = self.state();
        let node = state.nodes.iter().find(|held| held.index == Some(index));
        node.and_then(|held| held.node.port.as_ref().map(|port| port.0))
            .or_else(|| state.uplink.filter(|uplink| uplink.1 == index).map(|uplink| uplink.0))
    }

    fn link_changed(&self, index: u32, up: bool) {
        let Some(port) = self.port_of(index) else { return };
        let told = self.with_switch(|switch| {
            let known = switch.ports().into_iter().find(|info| info.id == port).map(|info| info.up);
            if known == Some(up) { Ok(()) } else { switch.set_link(port, up) }
        });
        if let Some(Err(error)) = told {
            tracing::warn!("link {index}: {error}");
        }
    }

    fn link_gone(&self, index: u32) {
        let Some(port) = self.port_of(index) else { return };
        tracing::warn!("port {}: its interface is gone", port.0);
        let mut state = self.state();
        if let Some(held) = state.nodes.iter_mut().find(|held| held.index == Some(index)) {
            (held.index, held.node.port) = (None, None);
        } else {
            state.uplink = None;
        }
        drop(state);
        if let Some(Err(error)) = self.with_switch(|switch| switch.remove_port(port)) {
            tracing::warn!("port {}: {error}", port.0);
        }
    }

    /// Tells the switch of every link as it is now.
    pub(crate) fn list_links(&self) {
        let Some(netns) = &self.switch_ns else { return };
        match ns::link::list(netns.as_fd()) {
            Ok(links) => {
                for link in links {
                    self.link_changed(link.index, link.up && link.carrier);
                }
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

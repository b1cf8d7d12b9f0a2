//! An uplink's rings, where it lies in another namespace than the switch's.

use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use bpf::Lane;
use sys::packet::{PacketIo, RingConfig};

use super::config::Error;
use super::keeper::Recipe;
use super::ports::{Elsewhere, PortSpec};
use super::switch::Switch;

impl Switch {
    /// Rings of an uplink in another namespace, one a worker; none for a port of ours. Of a crew
    /// the first worker alone receives there.
    pub(super) fn foreign_links(
        &self,
        spec: &PortSpec,
    ) -> Result<Vec<Option<Box<PacketIo>>>, Error> {
        let Some(Elsewhere { netns, pass, crossing }) = &spec.netns else {
            return Ok(self.workers.iter().map(|_| None).collect());
        };
        let fast = self.fast.as_ref().zip(crossing.as_ref());
        let fast = fast.map(|(fast, crossing)| {
            fast.share(crossing);
            (Arc::clone(fast), Lane::Uplink)
        });
        // The group's number is the namespace's, so it is made from what is ours alone.
        let own = u16::try_from(std::process::id() & 0xffff).unwrap_or(0);
        let fanout = (self.workers.len() > 1 && self.crew.is_none()).then_some(own);
        // There others send too: their queueing is honoured.
        let (slots, ifindex) = (self.slots, spec.ifindex);
        let open = |number| {
            let bound = number == 0 || self.crew.is_none();
            let slots = if bound { slots } else { 0 };
            let config = RingConfig { slots, fanout, bound, ifindex, queued: true, marking: false };
            let open = || match &fast {
                Some((fast, lane)) => fast.open(*lane, config),
                None => PacketIo::filtered(config, pass),
            };
            let io = sys::netns::inside(netns.as_fd(), open).map_err(Error::Open)?;
            let (netns, pass) = (Arc::clone(netns), pass.clone());
            let recipe = Recipe { netns, config, pass, fast: fast.clone() };
            Ok((Some(Box::new(io)), recipe))
        };
        let opened = (0..self.workers.len()).map(open).collect::<Result<Vec<_>, Error>>()?;
        let (links, recipes) = opened.into_iter().unzip();
        self.keeper.recipes.lock().unwrap_or_else(PoisonError::into_inner).uplink = recipes;
        Ok(links)
    }
}

//! Takes on what an earlier process has left: networks from the disk, and the links that live on in
//! the switch's namespace, with which containers notice nothing.
//!
//! A place whose link has nobody at its far end any more is forgotten: its container ended while nobody
//! served. So is one whose link is gone, unless its container lives, into which it is put back, now or later. A link that no
//! place or network has is deleted. What cannot be taken on is told, and does not keep the rest.

use std::collections::HashSet;
use std::sync::Arc;

use lab::guest::Far;

use crate::daemon::{Daemon, host_port, peer_of, port_of};
use crate::error::Result;
use crate::held::Keepers;
use crate::lost::Lost;

/// The longest name of a node that other hosts take (`overlay::key`).
const SHARED: usize = 63;

impl Daemon {
    /// Takes on all that there is.
    ///
    /// # Errors
    /// Where the folders, or the links, cannot be looked at.
    pub(crate) fn resume(self: &Arc<Self>) -> Result<()> {
        let (networks, wrong) = self.store.networks()?;
        wrong.iter().for_each(|error| tracing::error!("{error}"));
        for kept in networks {
            let id = kept.network.id.clone();
            // Those of plugins go with their last container; and one that Docker has never named may be
            // another engine's than the one that is asked.
            if !kept.network.passing && kept.name.is_some() {
                self.doubted().insert(id.clone());
            }
            match self.make_network(&kept) {
                Ok(name) => {
                    self.tables().networks.insert(id, (kept, name));
                }
                Err(why) => tracing::error!("network {id}: {why}"),
            }
        }
        let links: HashSet<String> = self.lab.links()?.into_iter().collect();
        let (places, wrong) = self.store.places()?;
        wrong.iter().for_each(|error| tracing::error!("{error}"));
        let keepers = Keepers::look();
        self.reserve(&places);
        let mut here = Vec::new();
        for place in places {
            let endpoint = place.attach.endpoint.clone();
            let joined = place.sandbox.is_some();
            // dockerd gives an interface back before it says so, and says it to nobody then.
            let given = joined && self.lab.waits(&peer_of(&endpoint))?;
            let lost = joined && !links.contains(&port_of(&endpoint));
            if given || lost && !self.has_sandbox(&place) {
                self.store.writer().forget_place(&endpoint)?;
                continue;
            }
            // What is decided about one depends on the others: by which of its networks a container is led out.
            self.tables().places.insert(endpoint, place.clone());
            here.push((place, lost));
        }
        for (place, lost) in here {
            let endpoint = place.attach.endpoint.clone();
            if lost {
                match self.find_again(&place) {
                    // Its ports are held for it meanwhile.
                    Lost::PutBack | Lost::Waits => {}
                    Lost::Gone => {
                        self.tables().places.remove(&endpoint);
                        self.store.writer().forget_place(&endpoint)?;
                        continue;
                    }
                }
            }
            let resumed = match place.sandbox.is_some() && !lost {
                true => self.attach_by(&place, Far::Waits(peer_of(&endpoint))).map(drop),
                false => Ok(()),
            };
            let networks = self.tables().networks.get(&place.attach.network).cloned();
            let shared = networks.is_some_and(|(kept, _)| kept.reached.is_some());
            let fits = |name: &&String| !shared || name.len() <= SHARED;
            if let Some(name) = place.name.as_ref().filter(fits) {
                // Nothing is asked of other hosts before the networks reach them.
                let _ = self.lab.rename_guest(&port_of(&endpoint), name);
            }
            let led = if place.published { self.lead_by(&place, &keepers) } else { Ok(()) };
            if let Err(why) = resumed.and(led) {
                tracing::error!("endpoint {endpoint}: {why}");
            }
        }
        self.publisher.release();
        self.reach_again()?;
        // All of them came up long ago.
        self.lab.see_links()?;
        self.sweep(&links);
        let networks: Vec<String> = self.tables().networks.keys().cloned().collect();
        for network in networks {
            if let Err(why) = self.drop_if_empty(&network) {
                tracing::error!("network {network}: {why}");
            }
        }
        Ok(())
    }

    /// Deletes links that nobody has any more.
    fn sweep(&self, links: &HashSet<String>) {
        let known: HashSet<String> = {
            let tables = self.tables();
            let networks = tables.networks.values();
            let of_host = networks.map(|(kept, name)| host_port(kept, name).port);
            let of_places = tables.places.keys().map(|id| port_of(id));
            let of_tunnels = self.lab.tunnels().into_iter().map(|tunnel| tunnel.port.name);
            let of_uplink = self.lab.crossing().map(str::to_owned);
            of_host.chain(of_places).chain(of_tunnels).chain(of_uplink).collect()
        };
        for link in links.iter().filter(|link| !known.contains(*link)) {
            if let Err(error) = self.lab.forget_link(link) {
                tracing::warn!("link {link} is left over: {error}");
            }
        }
    }
}

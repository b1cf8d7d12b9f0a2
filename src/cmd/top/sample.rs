//! One look at a lab, over its control socket: the only IO of `top` beside the terminal. Called
//! from a thread of its own. Lists are cut at [`MOST`] entries: nobody reads more.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use control::api::{Counters, FdbEntry, PAGE_MAX, Page, Port, Session, Topology};
use control::{Client, ClientError};

/// The most entries of a list that are fetched for one look.
pub(super) const MOST: usize = 4 * PAGE_MAX;

/// Which of the long lists are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) fdb: bool,
    pub(super) sessions: bool,
}

/// The beginning of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    /// Whether there are more.
    pub(super) cut: bool,
}

/// A lab at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When, by a clock that only goes forward.
    pub(super) at: Duration,
    /// When, in nanoseconds since 1970: events are dated so.
    pub(super) wall: u64,
    pub(super) topology: Topology,
    pub(super) ports: Vec<Port>,
    pub(super) counters: Counters,
    /// None where it was not wanted.
    pub(super) fdb: Option<Listing<FdbEntry>>,
    /// None where it was not wanted.
    pub(super) sessions: Option<Listing<Session>>,
}

impl Sample {
    /// Looks, at one network alone where it is named.
    ///
    /// # Errors
    /// When the lab is gone or refuses.
    pub(super) fn fetch(
        client: &Client,
        want: Want,
        network: Option<&str>,
    ) -> Result<Self, ClientError> {
        let topology = client.topology()?;
        let ports = client.ports()?;
        let counters = client.counters()?;
        let at = Duration::from_nanos(sys::clock::now());
        let wall = wall();
        let fdb = want.fdb.then(|| listing(|cursor| client.fdb_page(cursor, PAGE_MAX)));
        // A lab without a gateway has no sessions to show.
        let sessions = (want.sessions && topology.gateway.is_some())
            .then(|| listing(|cursor| client.sessions(cursor, PAGE_MAX)));
        let (fdb, sessions) = (fdb.transpose()?, sessions.transpose()?);
        let mut sample = Self { at, wall, topology, ports, counters, fdb, sessions };
        if let Some(network) = network {
            sample.keep(network);
        }
        Ok(sample)
    }

    /// Leaves out what is of other networks. Counters are the whole switch's.
    pub(super) fn keep(&mut self, network: &str) {
        let here = |own: &Option<String>| own.as_deref() == Some(network);
        self.ports.retain(|port| here(&port.network));
        let fdb = self.fdb.iter_mut();
        fdb.for_each(|listing| listing.items.retain(|entry| here(&entry.network)));
        let places = self.topology.nodes.iter().flat_map(|node| {
            let further = node.further.iter().map(|own| (&own.network, own.address));
            std::iter::once((&node.network, node.address)).chain(further)
        });
        let own: HashSet<Ipv4Addr> =
            places.filter(|(of, _)| here(of)).filter_map(|(_, address)| address).collect();
        let sessions = self.sessions.iter_mut();
        sessions.for_each(|list| list.items.retain(|one| own.contains(one.inside.ip())));
    }
}

fn listing<T>(
    page: impl Fn(u64) -> Result<Page<T>, ClientError>,
) -> Result<Listing<T>, ClientError> {
    let mut items = Vec::new();
    let mut cursor = 0;
    loop {
        let page = page(cursor)?;
        items.extend(page.items);
        match page.next {
            Some(_) if items.len() >= MOST => return Ok(Listing { items, cut: true }),
            Some(next) => cursor = next,
            None => return Ok(Listing { items, cut: false }),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the wall clock, to say how long ago an event was")]
fn wall() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

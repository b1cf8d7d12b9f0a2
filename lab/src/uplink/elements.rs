//! What of the block is the NAT's at present, in the sets of an nftables table: what `ours` is where
//! no BPF program is to be had.
//!
//! Of protocols without ports nothing is told here: the filter of a ring beside such a table is written once
//! and knows no remotes. So there are none of them then.
//!
//! Told by the gateway before a session's first packet leaves, and each time a call into the kernel.
//! Kept here too, so that another table, at another interface or address, begins with all of it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::{Endpoint, Filter, IpProtocol, NatType, Protocol};
use ns::nft::{Key, Remote, Table};

/// Keys of one batch: their acknowledgements wait in the socket together.
const BATCH: usize = 64;

/// Who tells, and what is told, each so many times.
#[derive(Clone)]
pub(super) struct Elements(Arc<Mutex<State>>);

struct State {
    kind: NatType,
    told: HashMap<Key, u32>,
    table: Option<Table>,
    /// Changes the kernel has refused.
    refused: u64,
}

/// A table that is filled, as long as this lives.
pub(super) struct Filled(Elements);

impl Elements {
    pub(super) fn new(kind: NatType) -> Self {
        let told = HashMap::new();
        Self(Arc::new(Mutex::new(State { kind, told, table: None, refused: 0 })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of a remote end its keys have.
    pub(super) fn remote(&self) -> Remote {
        match self.state().kind.filter() {
            Filter::Independent => Remote::Nothing,
            Filter::Address => Remote::Address,
            Filter::AddressAndPort => Remote::AddressAndPort,
        }
    }

    /// Fills a table with all that is told, and with what is told from now on.
    pub(super) fn fill(&self, table: Table) -> io::Result<Filled> {
        let mut state = self.state();
        let keys: Vec<Key> = state.told.keys().copied().collect();
        keys.chunks(BATCH).try_for_each(|some| table.change(some, true))?;
        state.table = Some(table);
        Ok(Filled(self.clone()))
    }

    fn tell(&self, keys: &[Key], is: bool) {
        let mut state = self.state();
        let mut changed = Vec::new();
        for key in keys {
            let count = state.told.entry(*key).or_insert(0);
            *count = if is { *count + 1 } else { count.saturating_sub(1) };
            if *count == u32::from(is) {
                changed.push(*key);
            }
            if *count == 0 {
                state.told.remove(key);
            }
        }
        let Some(table) = state.table.as_ref().filter(|_| !changed.is_empty()) else { return };
        if let Err(error) = table.change(&changed, is) {
            if state.refused == 0 {
                tracing::warn!("what is the NAT's is not known to the host's kernel: {error}");
            }
            state.refused += 1;
        }
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.0.state().table = None;
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Elements")
            .field("kind", &state.kind)
            .field("told", &state.told.len())
            .finish()
    }
}

impl gateway::Ours for Elements {
    fn session(&mut self, protocol: Protocol, port: u16, remote: Endpoint, is: bool) {
        let (kind, number) = (self.state().kind, protocol.number());
        let first = match kind.filter() {
            Filter::Independent => Key::Port(number, port),
            Filter::Address => Key::Session(number, port, remote.address, 0),
            Filter::AddressAndPort => Key::Session(number, port, remote.address, remote.port),
        };
        if protocol == Protocol::Tcp && kind.endpoint_independent_mapping() {
            self.tell(&[first, Key::Opening(port)], is);
        } else {
            self.tell(&[first], is);
        }
    }

    fn published(&mut self, protocol: Protocol, port: u16, is: bool) {
        self.tell(&[Key::Port(protocol.number(), port)], is);
    }

    fn held(&mut self, protocol: Protocol, port: u16, is: bool) {
        match protocol {
            Protocol::Tcp => self.tell(&[Key::Opening(port)], is),
            _ => self.published(protocol, port, is),
        }
    }

    fn by_address(&mut self, _: IpProtocol, _: Ipv4Addr, _: bool) {}

    fn keeps_by_address(&self) -> bool {
        false
    }
}

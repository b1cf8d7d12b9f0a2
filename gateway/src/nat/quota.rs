//! How much of a table one inside host may hold, so that none can starve another.
//!
//! A host may open a session (or take a port) while it holds fewer than are still free. One busy
//! host alone gets half of the table, two get a third each, and there is always room for one
//! that has none (dynamic thresholds, Choudhury and Hahne 1998); `per_node` caps it further.
//! An entry lives while its host holds anything, so the table of hosts is bounded by the sessions.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::hash::Key;

/// What one inside host holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Sessions.
    pub(crate) sessions: u32,
    /// Outside ports.
    pub(crate) ports: u32,
}

/// What every inside host holds of one protocol.
#[derive(Debug)]
pub(crate) struct Quota {
    used: HashMap<u32, Usage, Key>,
    per_node: u32,
}

impl Quota {
    pub(crate) fn new(per_node: u32, key: Key) -> Self {
        Self { used: HashMap::with_hasher(key), per_node }
    }

    pub(crate) fn of(&self, host: Ipv4Addr) -> Usage {
        self.used.get(&host.into()).copied().unwrap_or_default()
    }

    /// True where a holder of `held` may take one more of `free`.
    pub(crate) fn allows(&self, held: u32, free: u32) -> bool {
        held < free.min(self.per_node)
    }

    pub(crate) fn add(&mut self, host: Ipv4Addr, sessions: u32, ports: u32) {
        let usage = self.used.entry(host.into()).or_default();
        usage.sessions += sessions;
        usage.ports += ports;
    }

    pub(crate) fn remove(&mut self, host: Ipv4Addr, sessions: u32, ports: u32) {
        if let Some(usage) = self.used.get_mut(&host.into()) {
            usage.sessions -= sessions;
            usage.ports -= ports;
            if *usage == Usage::default() {
                self.used.remove(&host.into());
            }
        }
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        crate::hash::bytes(&self.used)
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> Usage {
        self.used.values().fold(Usage::default(), |a, b| Usage {
            sessions: a.sessions + b.sessions,
            ports: a.ports + b.ports,
        })
    }

    pub(crate) fn clear(&mut self) {
        self.used.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_hosts_share_and_a_newcomer_always_finds_room() {
        let hosts = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        let mut quota = Quota::new(u32::MAX, Key::new(1, 1));
        let mut free = 999u32;
        for host in hosts.iter().cycle().take(5000) {
            if quota.allows(quota.of(*host).sessions, free) {
                quota.add(*host, 1, 0);
                free -= 1;
            }
        }
        assert_eq!(
            (quota.of(hosts[0]).sessions, quota.of(hosts[1]).sessions, free),
            (333, 333, 333)
        );
        assert!(quota.allows(quota.of(Ipv4Addr::new(10, 0, 0, 3)).sessions, free));
    }

    #[test]
    fn a_host_that_holds_nothing_leaves_no_trace() {
        let host = Ipv4Addr::LOCALHOST;
        let mut quota = Quota::new(1, Key::new(1, 1));
        assert!(quota.allows(0, 9) && !quota.allows(1, 9));
        quota.add(host, 1, 1);
        quota.remove(host, 1, 1);
        assert!(quota.used.is_empty());
    }
}

//! How much of a table one node, and one host of it, may hold, so that none can starve another.
//!
//! A node is known by the port its frames come in by, so that claiming addresses gains nothing. A
//! host (an address of a node) may open a session, or take a port, while it holds fewer than are
//! still free, a node of several hosts while it holds fewer than twice as many. One busy host alone
//! gets half of the table, two nodes get a third each, a node that claims all addresses there are
//! gets two thirds, and there is always room for a node that has none (dynamic thresholds, Choudhury
//! and Hahne 1998). `per_node` caps a node further. Who is at its limit displaces its own
//! ([`super::order`]). Hosts that hold nothing have no entry; nodes are as many as ports.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::order::Lists;
#[cfg(test)]
use super::order::{ALL, Wanted};
use crate::hash::Key;
use crate::node::Node;

/// What somebody holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Sessions.
    pub(crate) sessions: u32,
    /// Outside ports.
    pub(crate) ports: u32,
}

impl Usage {
    /// Holds so many less, and never less than nothing: who held ever so many by a mistake of ours would
    /// be refused all else.
    fn less(&mut self, sessions: u32, ports: u32) {
        debug_assert!(self.sessions >= sessions && self.ports >= ports, "{self:?}");
        self.sessions = self.sessions.saturating_sub(sessions);
        self.ports = self.ports.saturating_sub(ports);
    }
}

/// What a node holds, and which of it gives way.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    pub(crate) usage: Usage,
    pub(crate) lists: Lists,
}

/// What every node and every host holds of one protocol.
#[derive(Debug)]
pub(crate) struct Quota {
    nodes: Vec<Holding>,
    hosts: HashMap<(u16, u32), Usage, Key>,
    per_node: u32,
}

impl Quota {
    pub(crate) fn new(per_node: u32, key: Key) -> Self {
        Self { nodes: Vec::new(), hosts: HashMap::with_hasher(key), per_node }
    }

    /// What a node holds, and what of it one host does.
    pub(crate) fn of(&self, node: Node, host: Ipv4Addr) -> [Usage; 2] {
        let all = self.nodes.get(node.index()).map(|held| held.usage).unwrap_or_default();
        [all, self.hosts.get(&(node.0, host.into())).copied().unwrap_or_default()]
    }

    /// True where a node that holds `all`, `own` of it by one host, may take one more of `free`.
    /// Where nobody tells nodes apart, hosts alone count.
    pub(crate) fn allows(&self, node: Node, [all, own]: [u32; 2], free: u32) -> bool {
        let several = node == Node::NOBODY || all < free.saturating_mul(2) && all < self.per_node;
        own < free.min(self.per_node) && several
    }

    pub(crate) fn lists(&self, node: Node) -> Option<&Lists> {
        self.nodes.get(node.index()).map(|held| &held.lists)
    }

    /// The lists of a node that holds something.
    pub(crate) fn lists_mut(&mut self, node: Node) -> &mut Lists {
        &mut self.holding(node).lists
    }

    /// The node that holds most sessions among those for which `is` holds. Looks at all of them.
    pub(crate) fn most(&self, is: impl Fn(&Holding) -> bool) -> Option<(Node, u32)> {
        let nodes = (0..).map(Node).zip(&self.nodes).filter(|(_, held)| is(held));
        nodes.map(|(node, held)| (node, held.usage.sessions)).max_by_key(|(_, held)| *held)
    }

    pub(crate) fn add(&mut self, (node, host): (Node, Ipv4Addr), sessions: u32, ports: u32) {
        let of_host = self.hosts.entry((node.0, host.into())).or_default();
        of_host.sessions += sessions;
        of_host.ports += ports;
        let of_node = &mut self.holding(node).usage;
        of_node.sessions += sessions;
        of_node.ports += ports;
    }

    pub(crate) fn remove(&mut self, (node, host): (Node, Ipv4Addr), sessions: u32, ports: u32) {
        let key = (node.0, host.into());
        if let Some(usage) = self.hosts.get_mut(&key) {
            usage.less(sessions, ports);
            if *usage == Usage::default() {
                self.hosts.remove(&key);
            }
        }
        self.holding(node).usage.less(sessions, ports);
    }

    fn holding(&mut self, node: Node) -> &mut Holding {
        if self.nodes.len() <= node.index() {
            self.nodes.resize_with(node.index() + 1, Holding::default);
        }
        &mut self.nodes[node.index()]
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        crate::hash::bytes(&self.hosts) + self.nodes.len() * size_of::<Holding>()
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> Usage {
        let sum = |usages: &mut dyn Iterator<Item = Usage>| {
            usages.fold(Usage::default(), |a, b| Usage {
                sessions: a.sessions + b.sessions,
                ports: a.ports + b.ports,
            })
        };
        let by_host = sum(&mut self.hosts.values().copied());
        assert_eq!(by_host, sum(&mut self.nodes.iter().map(|held| held.usage)));
        by_host
    }

    #[cfg(test)]
    pub(crate) fn standing(&self) -> u32 {
        let all =
            |held: &Holding| ALL.iter().map(|s| held.lists.length(*s, Wanted::Place)).sum::<u32>();
        self.nodes.iter().map(all).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.hosts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever wants as much as it can get, in turn, until nobody gets more; what is left.
    fn fill(quota: &mut Quota, wanting: &[(u16, u8)], total: u32) -> u32 {
        let mut free = total;
        for (node, host) in wanting.iter().cycle().take(20_000) {
            let who = (Node(*node), Ipv4Addr::new(10, 0, 0, *host));
            let held = quota.of(who.0, who.1).map(|usage| usage.sessions);
            if quota.allows(who.0, held, free) {
                quota.add(who, 1, 0);
                free -= 1;
            }
        }
        free
    }

    fn held(quota: &Quota, node: u16) -> u32 {
        quota.of(Node(node), Ipv4Addr::UNSPECIFIED)[0].sessions
    }

    #[test]
    fn busy_hosts_share_and_a_newcomer_always_finds_room() {
        let mut quota = Quota::new(u32::MAX, Key::new(1, 1));
        let free = fill(&mut quota, &[(1, 1), (2, 2)], 999);
        assert_eq!((held(&quota, 1), held(&quota, 2), free), (333, 333, 333));
        assert!(quota.allows(Node(3), [0, 0], free));
    }

    #[test]
    fn a_node_that_claims_every_address_leaves_room_for_the_others() {
        let claimed: Vec<_> = (0..=255).map(|host| (1, host)).collect();
        let mut quota = Quota::new(u32::MAX, Key::new(1, 1));
        assert_eq!(fill(&mut quota, &claimed, 999), 333);
        let two: Vec<_> = claimed.iter().flat_map(|(_, host)| [(1, *host), (2, *host)]).collect();
        let mut quota = Quota::new(u32::MAX, Key::new(1, 1));
        assert_eq!(fill(&mut quota, &two, 1000), 200);
        assert_eq!((held(&quota, 1), held(&quota, 2)), (400, 400));
    }

    #[test]
    fn a_host_that_holds_nothing_leaves_no_trace() {
        let who = (Node(3), Ipv4Addr::LOCALHOST);
        let mut quota = Quota::new(1, Key::new(1, 1));
        assert!(quota.allows(who.0, [0, 0], 9) && !quota.allows(who.0, [1, 1], 9));
        quota.add(who, 1, 1);
        quota.remove(who, 1, 1);
        assert!(quota.hosts.is_empty());
    }
}

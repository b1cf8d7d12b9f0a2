//! A port for one session alone (symmetric): which, and who gives way for it.
//!
//! The same port serves a session towards each remote, so what is scarce are the ports towards one of
//! them, and nobody counts those: they are looked at. A node has its share of the first [`SAMPLE`] that
//! are tried, as it has of a table ([`super::quota`]); where none of [`super::ports::TRIES`] is left,
//! sessions towards the same remote give way in the order of all others ([`super::order`]), the node's
//! own before those of the node that has most of them.

use std::cmp::Reverse;

use wire::Timestamp;

use super::order::Standing;
use super::plan::{Displaced, may_go};
use super::realm::Realm;
use super::session::USED;
use crate::node::Node;
use crate::packet::Endpoint;
use crate::verdict::DropReason;

/// Ports that are looked at for how many of them a node has.
const SAMPLE: usize = 64;
/// A node that holds fewer sessions than this part of the ports has no more than its share of them.
const FEW: u32 = 4;
/// Nodes that are told apart where another's session gives way: the first that are met.
const OTHERS: usize = 8;

/// Who may have no more of the ports towards a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// The node may.
    Nobody,
    /// The node has its share of them.
    Node,
    /// Its host has, and not the node.
    Host,
    /// The node has some, and none is seen to be left.
    All,
}

/// What a node has of the ports that were looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    node: Node,
    sessions: u32,
    /// What of it gives way first.
    first: Option<Candidate>,
}

/// A session that gives way, after those of earlier standing and those that have not been used.
type Candidate = (Standing, bool, u32);

impl Realm {
    /// A port that no mapping has and no other session uses towards the remote, and who gives way for it:
    /// `displaced` if that is enough. Not the inside port: what a host learns of its port from one remote
    /// is to tell nothing about the next.
    pub(super) fn own_port(
        &self,
        node: Node,
        ends: (Endpoint, Endpoint),
        (displaced, paid): (Option<Displaced>, bool),
        now: Timestamp,
    ) -> Result<(u16, Option<Displaced>), DropReason> {
        let ports = &self.mappings.ports;
        let goes = |id| displaced.is_some_and(|gone| self.goes_with(gone, id));
        let ends_with = |port| displaced.is_some_and(|gone| self.ends_with(gone, port));
        let usable = |port| {
            let unused = self.known_in(port, ends.1, now).is_none_or(goes);
            unused && (ports.is_free(port) || ends_with(port))
        };
        let full = if paid { Full::Nobody } else { self.full(node, ends, now) };
        if full == Full::Nobody
            && let Some(port) = ports.tries(ends.0, salt(ends.1)).find(|port| usable(*port))
        {
            return Ok((port, displaced));
        }
        let victim = self.gives_its_port(node, ends, full == Full::Host, now);
        let id = match full {
            Full::Nobody | Full::All => {
                victim.or_else(|| self.crowds(node, ends, now)).ok_or(DropReason::PortsExhausted)?
            }
            Full::Node | Full::Host => victim.ok_or(DropReason::Quota)?,
        };
        // As the next search will find it, once that one has gone.
        let freed = self.table.get(id).outside_port;
        let free = |port| ports.is_free(port) && self.known_in(port, ends.1, now).is_none();
        let port = ports.tries(ends.0, salt(ends.1)).find(|port| free(*port) || *port == freed);
        Ok((port.unwrap_or(freed), Some(Displaced { id, whole: false })))
    }

    /// Whether a node, or the host of it, has its share of the ports towards a remote.
    fn full(&self, node: Node, (inside, remote): (Endpoint, Endpoint), now: Timestamp) -> Full {
        let ports = &self.mappings.ports;
        let [all, own] = self.quota.of(node, inside.address).map(|usage| usage.sessions);
        let most = if node == Node::NOBODY { own } else { all };
        if most < ports.most() / FEW {
            return Full::Nobody;
        }
        let (mut held, mut free) = ([0, 0], 0);
        for port in ports.tries(inside, salt(remote)).take(SAMPLE) {
            match self.known_in(port, remote, now).map(|id| self.table.get(id)) {
                Some(session) if session.node == node => {
                    held[0] += 1;
                    held[1] += u32::from(session.inside == u32::from(inside.address));
                }
                None if ports.is_free(port) => free += 1,
                _ => {}
            }
        }
        match free {
            _ if held[0] == 0 || self.quota.allows(node, held, free) => Full::Nobody,
            0 => Full::All,
            _ if held[1] >= free => Full::Host,
            _ => Full::Node,
        }
    }

    /// The sessions towards the remote on ports that are tried, of whomever, and no mapping has.
    fn beside(
        &self,
        (inside, remote): (Endpoint, Endpoint),
        now: Timestamp,
    ) -> impl Iterator<Item = u32> + '_ {
        let tries = self.mappings.ports.tries(inside, salt(remote));
        let tries = tries.filter(|port| self.mappings.ports.is_free(*port));
        tries.filter_map(move |port| self.known_in(port, remote, now))
    }

    /// What gives way, and after what else.
    fn candidate(&self, id: u32) -> Option<Candidate> {
        let session = self.table.get(id);
        session.standing().map(|standing| (standing, session.flags & USED != 0, id))
    }

    /// A session of the node's own that gives its port: where the host has too many, `own`, one of its
    /// own, or what has closed.
    fn gives_its_port(
        &self,
        node: Node,
        ends: (Endpoint, Endpoint),
        own: bool,
        now: Timestamp,
    ) -> Option<u32> {
        let may = |id: &u32| {
            let session = self.table.get(*id);
            session.node == node && (!own || may_go(session, ends.0.address))
        };
        let mut first: Option<Candidate> = None;
        for candidate in self.beside(ends, now).filter(may).filter_map(|id| self.candidate(id)) {
            if let (Standing::Closed, false, id) = candidate {
                return Some(id);
            }
            if first.is_none_or(|first| (candidate.0, candidate.1) < (first.0, first.1)) {
                first = Some(candidate);
            }
        }
        first.map(|(.., id)| id)
    }

    /// One of the node that has most of the ports, where that is more than this one has.
    fn crowds(&self, node: Node, ends: (Endpoint, Endpoint), now: Timestamp) -> Option<u32> {
        let (mut own, mut others) = (0, [Seen::default(); OTHERS]);
        for id in self.beside(ends, now) {
            let whose = self.table.get(id).node;
            if whose == node {
                own += 1;
                continue;
            }
            let known = |seen: &&mut Seen| seen.sessions == 0 || seen.node == whose;
            let Some(seen) = others.iter_mut().find(known) else { continue };
            seen.node = whose;
            seen.sessions += 1;
            let next = self.candidate(id).filter(|next| {
                seen.first.is_none_or(|first| (next.0, next.1) < (first.0, first.1))
            });
            seen.first = next.or(seen.first);
        }
        let more = others.iter().filter(|seen| seen.sessions > own && seen.first.is_some());
        let most = more.min_by_key(|seen| Reverse(seen.sessions))?;
        most.first.map(|(.., id)| id)
    }
}

/// What tells the ports tried towards one remote from those towards another.
fn salt(remote: Endpoint) -> u64 {
    u64::from(u32::from(remote.address)) << 16 | u64::from(remote.port)
}

//! What is forgotten at once: everything (a flush, a new uplink address), what belongs to a node
//! or to hosts that are gone, what others have left under an address.
//!
//! A node's number is the next node's, and so is its address: nothing of the one may meet the other.
//! Looks at every session of the tables; called when a network changes, not for packets.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use wire::{IpProtocol, Timestamp};

use super::Nat;
use super::publish::{Owner, Published};
use super::session::Session;
use super::snapshot::Closing;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};

/// Which sessions are to be forgotten: those that all of it holds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flushing {
    /// Of one of these nodes; None for all.
    pub nodes: Option<BTreeSet<Node>>,
    /// Of this protocol; None for all.
    pub protocol: Option<IpProtocol>,
}

impl Flushing {
    pub(super) fn is(&self, protocol: IpProtocol, session: &Session) -> bool {
        self.protocol.is_none_or(|own| own == protocol)
            && self.nodes.as_ref().is_none_or(|nodes| nodes.contains(&session.node))
    }
}

impl Nat {
    /// Forgets every session and dynamic mapping; ports published on `uplink` stay. Returns how
    /// many sessions.
    pub(crate) fn flush(&mut self, uplink: Option<Ipv4Addr>, now: Timestamp) -> u64 {
        self.take_back_all();
        let mut flushed = 0;
        for realm in &mut self.realms {
            flushed += u64::from(realm.table.live());
            for (id, session) in realm.table.from(0) {
                let rest = realm.table.rest(id);
                self.ours.flushed(realm.protocol, session.outside_port, session.remote(), now);
                self.events.closed(realm.protocol.into(), (session, rest), Closing::Flushed);
            }
            realm.clear();
        }
        flushed += u64::from(self.flush_by_address(now));
        for at in 0..self.published.len() {
            let (published, Owner { node, held, .. }) = (self.published[at], self.owners[at]);
            let here = published.address.is_none() || published.address == uplink;
            self.tell_published(at, here);
            if here {
                let realm = &mut self.realms[published.protocol as usize];
                realm.mappings.publish((node, published.inside), published.port, held);
            }
        }
        self.counters.flushed += flushed;
        self.counters.events_lost = self.events.lost();
        flushed
    }

    /// Forgets some sessions; published ports stay, and mappings that others use. Returns how many
    /// sessions. As after a flush of all, what comes of them still is ours for a while.
    pub(crate) fn flush_some(&mut self, which: &Flushing, now: Timestamp) -> u64 {
        let mut flushed = u64::from(self.flush_some_by_address(which, now));
        for protocol in Protocol::ALL {
            let all = self.realm(protocol).table.from(0);
            let those = all.filter(|(_, session)| which.is(protocol.into(), session));
            let those: Vec<_> = those.map(|(id, session)| (id, *session)).collect();
            for (id, session) in those {
                let (port, remote) = (session.outside_port, session.remote());
                // Told before the session's own word is taken back, so that it is never anybody else's.
                self.ours.session(protocol, port, remote, true);
                self.ours.flushed(protocol, port, remote, now);
                self.end(protocol, id, Closing::Flushed);
                flushed += 1;
            }
        }
        self.counters.events_lost = self.events.lost();
        flushed
    }

    /// A node is gone: its published ports are withdrawn, its sessions and mappings end. Returns
    /// what was published.
    pub(crate) fn forget_node(&mut self, node: Node) -> Vec<Published> {
        let owned = self.published.iter().zip(&self.owners).filter(|(_, owner)| owner.node == node);
        let gone: Vec<Published> = owned.map(|(published, _)| *published).collect();
        for published in &gone {
            self.unpublish(published.protocol, published.port);
        }
        self.end_all(|session| session.node == node);
        gone
    }

    /// Hosts are gone, or have nothing to do with the world any more: the same for them.
    pub(crate) fn forget_hosts(&mut self, are: impl Fn(Ipv4Addr) -> bool) -> Vec<Published> {
        let gone = self.published.iter().filter(|published| are(published.inside.address));
        let gone: Vec<Published> = gone.copied().collect();
        for published in &gone {
            self.unpublish(published.protocol, published.port);
        }
        self.end_all(|session| are(session.inside().address));
        gone
    }

    /// A node has this address: what others have opened under it ends.
    pub(crate) fn forget_others(&mut self, node: Node, address: Ipv4Addr) {
        let address = u32::from(address);
        self.end_all(|session| session.inside == address && session.node != node);
    }

    /// No node speaks UDP with these any more: what was opened there, from either side, ends.
    pub(crate) fn forget_remotes(&mut self, remotes: &BTreeSet<Endpoint>) {
        let table = &self.realm(Protocol::Udp).table;
        let to_them = table.from(0).filter(|(_, session)| remotes.contains(&session.remote()));
        let ids: Vec<u32> = to_them.map(|(id, _)| id).collect();
        for id in ids {
            self.end(Protocol::Udp, id, Closing::Flushed);
        }
    }

    fn end_all(&mut self, is: impl Fn(&Session) -> bool) {
        self.end_all_by_address(&is);
        for protocol in Protocol::ALL {
            let table = &self.realm(protocol).table;
            let ids: Vec<u32> =
                table.from(0).filter(|(_, session)| is(session)).map(|(id, _)| id).collect();
            for id in ids {
                self.end(protocol, id, Closing::Flushed);
            }
        }
    }
}

//! Published ports: an outside port that leads to an inside endpoint, whoever asks.
//!
//! The list is what was asked for, a port of a protocol once, and outlives a flush and a change of the
//! uplink's address; the realms hold the mappings made from it. One that is bound to an address waits
//! in the list without a mapping while the uplink has another, or none. Bounded by `Limits::published`.
//!
//! A withdrawn port is free to be published again, at once: what is left of its sessions is no
//! reason to refuse. For the same endpoint they go on; for another one, established connections keep
//! the port towards their remotes as a symmetric session does, and all others end, so that whoever
//! comes next is led to the new one.
//!
//! Whoever holds a port at the host's kernel, by a socket, may publish any, and goes before sessions that
//! the NAT has given the port to: those keep it towards their remotes. With the withdrawal all sessions
//! of such a port end, for it is the host's from then on.

use std::net::Ipv4Addr;

use super::Nat;
use super::session::{FROM_OUTSIDE, MAPPED, Session};
use super::snapshot::Closing;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};

/// One published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The uplink address it is bound to; None for whichever the uplink has.
    pub address: Option<Ipv4Addr>,
    /// The port on the outside.
    pub port: u16,
    /// Where it leads.
    pub inside: Endpoint,
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address}:")?;
        }
        write!(f, "{}/{} -> {}", self.port, self.protocol, self.inside)
    }
}

/// Whose a published port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The node's.
    pub(crate) node: Node,
    /// Somebody holds it at the host's kernel.
    pub(crate) held: bool,
    /// It has its mapping, and what comes there has been told to be ours: the port's address is the
    /// uplink's, or it has none.
    pub(crate) live: bool,
}

/// Why a port cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The port is published already.
    #[error("{0} port {1} is published already: withdraw it first, or choose another port")]
    Published(Protocol, u16),
    /// A running session uses the port.
    #[error("{0} port {1} is in use by a NAT session: flush the NAT first, or choose another port")]
    InUse(Protocol, u16),
    /// The number of published ports is bounded.
    #[error("{0} ports are published already, the most there may be: withdraw one first")]
    TooMany(usize),
    /// ICMP has no ports, and port 0 is none.
    #[error("only TCP and UDP ports from 1 to 65535 can be published")]
    NoPort,
    /// The address is not the uplink's.
    #[error("{0} is not the uplink's address: leave it out, or give the address the uplink has")]
    NotOurAddress(Ipv4Addr),
    /// The uplink's address is a host's too, and the port is the host's.
    #[error(
        "port {0} is the host's, whose address the uplink shares: publish one from {1} to {2}, \
         or share others with --uplink-ports"
    )]
    NotInBlock(u16, u16, u16),
    /// The inside endpoint is in no network.
    #[error("{0} is not in the LAN: publish a port of one of its hosts")]
    NotInside(Ipv4Addr),
    /// The inside endpoint is in an internal network.
    #[error(
        "{0} is in an internal network, which nobody outside reaches: publish a port of another host"
    )]
    Internal(Ipv4Addr),
}

impl Nat {
    /// Publishes a port of a node, which somebody may hold at the host's kernel: at once where it is for
    /// the address the uplink has, `here`, else from when the uplink has it.
    pub(crate) fn publish(
        &mut self,
        (node, held): (Node, bool),
        wanted: Published,
        here: bool,
    ) -> Result<(), PublishError> {
        let Published { protocol, port, inside, .. } = wanted;
        if protocol == Protocol::Icmp || port == 0 || inside.port == 0 {
            return Err(PublishError::NoPort);
        }
        if self.position(protocol, port).is_some() {
            return Err(PublishError::Published(protocol, port));
        }
        let mappings = &self.realm(protocol).mappings;
        let used = mappings.inside(port).is_some() && !mappings.is_withdrawn(port);
        if here && used && !held {
            return Err(PublishError::InUse(protocol, port));
        }
        if self.published.len() >= self.limits.published {
            return Err(PublishError::TooMany(self.published.len()));
        }
        if here {
            self.map_published((node, held), wanted);
        }
        self.published.push(wanted);
        self.owners.push(Owner { node, held, live: false });
        self.tell_published(self.published.len() - 1, here);
        Ok(())
    }

    /// Where in the list a port is.
    fn position(&self, protocol: Protocol, port: u16) -> Option<usize> {
        self.published.iter().position(|p| (p.protocol, p.port) == (protocol, port))
    }

    /// Makes the mapping of a published port, of what is left there of another one too.
    fn map_published(&mut self, (node, held): (Node, bool), wanted: Published) {
        let Published { protocol, port, inside, .. } = wanted;
        let mappings = &self.realm(protocol).mappings;
        let same = mappings.inside(port) == Some(inside) && mappings.node(port) == node;
        if !same {
            self.detach(protocol, port);
        }
        let realm = &mut self.realms[protocol as usize];
        if same {
            realm.mappings.publish_again(port, held);
            // It was withdrawn, or its host's own beside the rules, and is so no longer.
            realm.quota.remove((node, inside.address), 0, 1);
        } else {
            realm.mappings.publish((node, inside), port, held);
        }
        realm.arrange(port);
    }

    /// Tells that what comes to a published port is ours, or no longer.
    pub(super) fn tell_published(&mut self, at: usize, is: bool) {
        let (Published { protocol, port, .. }, owner) = (self.published[at], &mut self.owners[at]);
        if owner.live != is {
            owner.live = is;
            self.ours.published(protocol, port, (owner.held, is));
        }
    }

    /// Withdraws a published port; its running sessions go on, unless the port is the host's then.
    /// False where it was not published.
    pub(crate) fn unpublish(&mut self, protocol: Protocol, port: u16) -> bool {
        let Some(at) = self.position(protocol, port) else { return false };
        let Owner { held, live, .. } = self.owners[at];
        self.tell_published(at, false);
        self.published.remove(at);
        self.owners.remove(at);
        if !live {
            // Whatever is at the port by now is somebody else's.
            return true;
        }
        if held {
            self.end_mapped(protocol, port, |_| false);
        }
        let realm = &mut self.realms[protocol as usize];
        let owner = realm.mappings.inside(port).map(|end| (realm.mappings.node(port), end.address));
        if realm.mappings.withdraw(port)
            && let Some(owner) = owner
        {
            // From now on the port is its host's own.
            realm.quota.add(owner, 0, 1);
            realm.arrange(port);
        }
        true
    }

    /// Frees a port for another endpoint. Of one that was published what is established goes on; of one
    /// that the NAT has given to a session what the inside has opened.
    fn detach(&mut self, protocol: Protocol, port: u16) {
        let given = !self.realm(protocol).mappings.is_withdrawn(port);
        self.end_mapped(protocol, port, |session| {
            let established = protocol == Protocol::Tcp && session.standing().is_none();
            established || given && session.flags & FROM_OUTSIDE == 0
        });
    }

    /// Ends the sessions of a port's mapping, but for those that keep the port towards their remotes.
    fn end_mapped(&mut self, protocol: Protocol, port: u16, keeps: impl Fn(&Session) -> bool) {
        let realm = self.realm(protocol);
        let of_it = |s: &Session| s.flags & MAPPED != 0 && s.outside_port == port;
        let left: Vec<u32> =
            realm.table.from(0).filter(|(_, s)| of_it(s)).map(|(id, _)| id).collect();
        for id in left {
            let session = *self.realm(protocol).table.get(id);
            if !keeps(&session) {
                self.end(protocol, id, Closing::Flushed);
                continue;
            }
            self.realms[protocol as usize].set_apart(id);
        }
    }
}

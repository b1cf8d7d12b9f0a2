//! Which packets from outside are the NAT's, told to whoever shares the uplink's address with us.
//!
//! What is told of a session comes before its first packet leaves, and is taken back when the
//! session ends. After a flush it stays true for a while: connections go on with what the inside
//! sends next, and until then nobody else is to answer for them. Bounded by [`LATE`]; beyond that
//! the oldest is taken back early.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::time::Duration;

use wire::{IpProtocol, Timestamp};

use super::Nat;
use super::by_address::protocol_of;
use crate::packet::{Endpoint, Protocol};

/// How long a flushed session is waited for: that of one that opens (RFC 5382 REQ-5).
const PATIENCE: Duration = Duration::from_secs(240);
/// Flushed sessions that are waited for.
const LATE: usize = 65_536;

/// Keeps what is told, of TCP and UDP, and of protocols without ports. One session may be told twice, and
/// then is taken back twice.
pub trait Ours: Debug + Send {
    /// What `remote` sends to our `port` is the NAT's from now on, or no longer.
    fn session(&mut self, protocol: Protocol, port: u16, remote: Endpoint, is: bool);
    /// What anybody sends to our `port` is the NAT's from now on, or no longer.
    fn published(&mut self, protocol: Protocol, port: u16, is: bool);
    /// The same of a port that somebody holds at the kernel, which has connections there too: of TCP
    /// what opens a connection is the NAT's, of UDP all.
    fn held(&mut self, protocol: Protocol, port: u16, is: bool);
    /// What `remote` sends by a protocol without ports is the NAT's from now on, or no longer.
    fn by_address(&mut self, protocol: IpProtocol, remote: Ipv4Addr, is: bool);
    /// Whether that can be kept. Where it cannot, the NAT refuses such protocols.
    fn keeps_by_address(&self) -> bool {
        true
    }
}

/// A session that was flushed: its protocol, our port and the remote endpoint. Ports are 0 where there
/// are none.
type Flushed = (IpProtocol, u16, Endpoint);

/// Who is told, if anybody, and what is still to be taken back.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    to: Option<Box<dyn Ours>>,
    late: VecDeque<(Timestamp, Flushed)>,
}

impl Telling {
    /// From now on it is told to this one.
    pub(crate) fn begin(&mut self, to: Box<dyn Ours>) {
        self.to = Some(to);
        self.late.clear();
    }

    #[inline]
    pub(crate) fn session(&mut self, protocol: Protocol, port: u16, remote: Endpoint, is: bool) {
        if let Some(to) = self.to.as_mut().filter(|_| protocol != Protocol::Icmp) {
            to.session(protocol, port, remote, is);
        }
    }

    pub(crate) fn published(&mut self, protocol: Protocol, port: u16, (held, is): (bool, bool)) {
        match &mut self.to {
            Some(to) if held => to.held(protocol, port, is),
            Some(to) => to.published(protocol, port, is),
            None => {}
        }
    }

    pub(crate) fn by_address(&mut self, protocol: IpProtocol, remote: Ipv4Addr, is: bool) {
        if let Some(to) = &mut self.to {
            to.by_address(protocol, remote, is);
        }
    }

    /// A session has been flushed.
    pub(crate) fn flushed(
        &mut self,
        protocol: Protocol,
        port: u16,
        remote: Endpoint,
        now: Timestamp,
    ) {
        if protocol != Protocol::Icmp {
            self.wait_for((protocol.into(), port, remote), now);
        }
    }

    pub(crate) fn flushed_by_address(
        &mut self,
        protocol: IpProtocol,
        remote: Ipv4Addr,
        now: Timestamp,
    ) {
        self.wait_for((protocol, 0, Endpoint::new(remote, 0)), now);
    }

    fn wait_for(&mut self, flushed: Flushed, now: Timestamp) {
        if self.to.is_none() {
            return;
        }
        if self.late.len() >= LATE {
            self.take_back_first();
        }
        self.late.push_back((now + PATIENCE, flushed));
    }

    /// Takes back what has been waited for in vain; says when there is more.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        while self.late.front()?.0 <= now {
            self.take_back_first();
        }
        self.late.front().map(|(due, _)| *due)
    }

    /// Waits for nothing any more: the address is another.
    pub(crate) fn forget(&mut self) {
        while !self.late.is_empty() {
            self.take_back_first();
        }
    }

    fn take_back_first(&mut self) {
        if let Some((_, (protocol, port, remote))) = self.late.pop_front() {
            match Protocol::of(protocol) {
                Some(protocol) => self.session(protocol, port, remote, false),
                None => self.by_address(protocol, remote.address, false),
            }
        }
    }
}

impl Nat {
    /// Tells what is ours from now on, beginning with all that is at present.
    pub(crate) fn tell_ours(&mut self, to: Box<dyn Ours>) {
        self.by_address.on = to.keeps_by_address();
        self.ours.begin(to);
        for (published, owner) in self.published.iter().zip(&self.owners).filter(|(_, o)| o.live) {
            self.ours.published(published.protocol, published.port, (owner.held, true));
        }
        for realm in &self.realms {
            for (_, session) in realm.table.from(0) {
                let (port, remote) = (session.outside_port, session.remote());
                self.ours.session(realm.protocol, port, remote, true);
            }
        }
        for (_, session) in self.by_address.table.from(0) {
            self.ours.by_address(protocol_of(session), session.remote.into(), true);
        }
    }
}

#[cfg(test)]
mod tests;

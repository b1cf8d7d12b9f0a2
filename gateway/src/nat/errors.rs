//! ICMP errors through the NAT (RFC 5508 REQ-3 to REQ-6).
//!
//! An error quotes a packet in its translated form; whose it was is asked of the session table,
//! in the direction opposite to the quoted packet. Asking changes nothing: an error never
//! refreshes, opens or ends a session, so a forged one can do no more than reach a host that
//! really is speaking to the quoted endpoint.

use std::net::Ipv4Addr;

use wire::Timestamp;

use super::Nat;
use super::by_address::Talk;
use crate::node::Node;
use crate::packet::{Endpoint, Packet};

impl Nat {
    /// An error has come in about a packet that went out as `quoted`: who had sent it.
    pub(crate) fn error_in(
        &self,
        quoted: &Packet,
        uplink: Ipv4Addr,
        now: Timestamp,
    ) -> Option<(Node, Endpoint)> {
        if quoted.src != uplink {
            return None;
        }
        if let Some((protocol, _, remote)) = quoted.by_address() {
            let (node, inside) =
                self.by_address.inside(self.by_address.session(protocol, remote, now)?);
            return Some((node, Endpoint::new(inside, 0)));
        }
        let (protocol, src, dst) = quoted.flow()?;
        let realm = self.realm(protocol);
        let id = realm.known_in(src.port, dst, now)?;
        let session = realm.table.get(id);
        Some((session.node, session.inside()))
    }

    /// An error of a node goes out about a packet that came in as `quoted`: the outside port it had
    /// come to, 0 where there are no ports.
    pub(crate) fn error_out(&self, node: Node, quoted: &Packet, now: Timestamp) -> Option<u16> {
        if let Some((protocol, remote, inside)) = quoted.by_address() {
            let id = self.by_address.of(Talk { protocol, inside, remote }, now)?;
            return self.by_address.inside(id).0.may_be(node).then_some(0);
        }
        let (protocol, src, dst) = quoted.flow()?;
        let realm = self.realm(protocol);
        let id = realm.known_out(dst, src, now)?;
        let session = realm.table.get(id);
        session.node.may_be(node).then_some(session.outside_port)
    }
}

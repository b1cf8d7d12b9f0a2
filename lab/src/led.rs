//! Ports of the host that lead to containers by sockets of whoever serves engines: told here, so that
//! those who look see them, and that the NAT keeps off them.
//!
//! One that lies among the ports the NAT shares of the host's is published there too: what comes from
//! outside for it is the gateway's, with the client's own address.

use std::net::{IpAddr, SocketAddr};

use ::topology::{Protocol, Uplink};
use gateway::Endpoint;

use crate::lab::Lab;
use crate::station;

/// A port that leads somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Led {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The host's address; None for all it has.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub port: u16,
    /// Where it leads.
    pub inside: SocketAddr,
}

impl Lab {
    /// The ports that lead to the place of a container's port are these now, and no others.
    pub fn lead(&self, port: &str, led: Vec<Led>) {
        let mut guard = self.state();
        let owner = self.at(&guard, port).and_then(|(_, interface)| interface.port);
        let before = match led.is_empty() {
            true => guard.led.remove(port),
            false => guard.led.insert(port.to_owned(), led.clone()),
        };
        drop(guard);
        let shared = matches!(self.config().spec.uplink(), Uplink::Host(_));
        let asked = led.iter().filter_map(mapped).collect::<Vec<_>>();
        self.with_gateway(|gateway| {
            for old in before.iter().flatten().filter_map(mapped) {
                // One that the NAT refused is somebody else's there.
                if gateway.published().contains(&old) {
                    gateway.unpublish(old.protocol, old.port);
                }
            }
            for new in asked.into_iter().filter(|_| shared) {
                let owner = owner.as_ref().map_or(gateway::Node::NOBODY, |to| station::node(to.id));
                match gateway.publish_for(owner, new) {
                    // The host's, and its socket hears of all that comes.
                    Ok(())
                    | Err(
                        gateway::PublishError::NotInBlock(..)
                        | gateway::PublishError::NotOurAddress(_)
                        | gateway::PublishError::Internal(_),
                    ) => {}
                    Err(why) => tracing::warn!("from outside, port {}: {why}", new.port),
                }
            }
        });
    }

    /// All of them.
    #[must_use]
    pub fn led(&self) -> Vec<Led> {
        self.state().led.values().flatten().copied().collect()
    }
}

/// The same port as the NAT has them: of IPv4, on all addresses or on the uplink's.
fn mapped(led: &Led) -> Option<gateway::Published> {
    let address = match led.address {
        None => None,
        Some(IpAddr::V4(own)) if !own.is_loopback() => Some(own),
        Some(_) => return None,
    };
    let IpAddr::V4(inside) = led.inside.ip() else { return None };
    let protocol = match led.protocol {
        Protocol::Tcp => gateway::Protocol::Tcp,
        Protocol::Udp => gateway::Protocol::Udp,
        Protocol::Icmp => return None,
    };
    let inside = Endpoint::new(inside, led.inside.port());
    Some(gateway::Published { protocol, address, port: led.port, inside })
}

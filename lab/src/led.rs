//! Ports of the host that lead to containers by sockets of whoever serves engines: told here, so that
//! those who look see them, and that the NAT keeps off them.
//!
//! What comes from outside by the uplink for such a port is the gateway's, with the client's own address:
//! its frames are let into the ring and kept from the host's stack, where the socket goes on holding the
//! port and serves the host itself. Where the gateway cannot have a port (no BPF, a rule of the host's
//! that forwards it, another address than the uplink's) the socket serves the world too.

use std::net::{IpAddr, SocketAddr};

use ::topology::{Protocol, Uplink};
use gateway::{Endpoint, PublishError, Published};

use crate::lab::{Lab, State};
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

/// The ports of a container's place.
#[derive(Clone, Debug)]
pub(crate) struct Leads {
    ports: Vec<Led>,
    /// What comes from outside may be the gateway's: the container answers by it.
    direct: bool,
}

impl Lab {
    /// The ports that lead to the place of a container's port are these now, and no others. Where the
    /// container answers by our gateway whoever asks (`direct`), it sees the address of those outside.
    pub fn lead(&self, port: &str, ports: Vec<Led>, direct: bool) {
        let mut guard = self.state();
        let gone = match ports.is_empty() {
            true => guard.led.remove(port),
            false => guard.led.insert(port.to_owned(), Leads { ports, direct }),
        };
        self.unlead(gone.into_iter().collect());
        self.lead_outside(&guard, Some(port));
    }

    /// All of them.
    #[must_use]
    pub fn led(&self) -> Vec<Led> {
        self.state().led.values().flat_map(|leads| &leads.ports).copied().collect()
    }

    /// The uplink has another address, or other rules stand before it: what the gateway has of all
    /// these ports is chosen anew.
    pub(crate) fn lead_anew(&self, state: &State) {
        self.unlead(state.led.values().cloned().collect());
        self.lead_outside(state, None);
    }

    fn unlead(&self, gone: Vec<Leads>) {
        let gone: Vec<_> = gone.iter().flat_map(|leads| &leads.ports).filter_map(mapped).collect();
        if gone.is_empty() {
            return;
        }
        self.with_gateway(|gateway| {
            for old in gone {
                // One that the NAT refused is somebody else's there.
                if gateway.published().contains(&old) {
                    gateway.unpublish(old.protocol, old.port);
                }
            }
        });
    }

    /// Rules of the host's may be others: what the gateway has of all these ports is what it may have now. What
    /// was its already and is so still stays as it is, with its sessions.
    pub(crate) fn lead_by_rules(&self) {
        let state = self.state();
        if state.led.is_empty() {
            return;
        }
        let mut asked = self.asked_outside(&state, None);
        let theirs = state.host.as_ref().map(|host| host.yields(&mut asked)).unwrap_or_default();
        self.with_gateway(|gateway| {
            let before = gateway.published().to_vec();
            for (old, why) in theirs.into_iter().filter(|(old, _)| before.contains(old)) {
                // Where rules cannot be read it stays as it was.
                let Ok(why) = why else { continue };
                gateway.unpublish(old.protocol, old.port);
                tracing::warn!("from outside, a published port is the host's from now on: {why}");
            }
            for (owner, new) in asked.into_iter().filter(|(_, new)| !before.contains(new)) {
                if gateway.publish_held(owner, new).is_ok() {
                    let (protocol, port) = (new.protocol, new.port);
                    tracing::info!("from outside, port {port}/{protocol} is its container's again");
                }
            }
        });
    }

    /// Gives the gateway what it may have of one place's ports, or of all.
    fn lead_outside(&self, state: &State, only: Option<&str>) {
        let mut asked = self.asked_outside(state, only);
        let theirs = state.host.as_ref().map(|host| host.yields(&mut asked)).unwrap_or_default();
        for (Published { protocol, port, .. }, why) in theirs {
            match why {
                Ok(why) => tracing::warn!("from outside, a published port is the host's: {why}"),
                Err(error) => {
                    tracing::warn!("from outside, {protocol} port {port} is the host's: {error}");
                }
            }
        }
        self.with_gateway(|gateway| {
            for (owner, new) in asked {
                match gateway.publish_held(owner, new) {
                    // The host's, and its socket hears of all that comes.
                    Ok(()) | Err(PublishError::NotOurAddress(_) | PublishError::Internal(_)) => {}
                    Err(why) => tracing::warn!("from outside, port {}: {why}", new.port),
                }
            }
        });
    }

    /// What the gateway is to have of one place's ports, or of all, and for which node.
    fn asked_outside(&self, state: &State, only: Option<&str>) -> Vec<(gateway::Node, Published)> {
        if !matches!(self.config().spec.uplink(), Uplink::Host(_)) {
            return Vec::new();
        }
        let mut asked = Vec::new();
        for (place, leads) in &state.led {
            if !leads.direct || only.is_some_and(|only| only != place) {
                continue;
            }
            let owner = self.at(state, place).and_then(|(_, interface)| interface.port);
            let owner = owner.map_or(gateway::Node::NOBODY, |to| station::node(to.id));
            asked.extend(leads.ports.iter().filter_map(mapped).map(|new| (owner, new)));
        }
        asked
    }
}

/// The same port as the NAT has them: of IPv4, on all addresses or on the uplink's.
fn mapped(led: &Led) -> Option<Published> {
    let address = match led.address {
        None => None,
        // All addresses of IPv4 are all that the NAT knows.
        Some(IpAddr::V4(own)) if own.is_unspecified() => None,
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
    Some(Published { protocol, address, port: led.port, inside })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_nat_has_ports_of_all_addresses_of_ipv4_and_of_one() {
        let mapped = |address: Option<&str>| {
            let address = address.map(|text| text.parse().unwrap());
            let inside = "10.77.0.2:80".parse().unwrap();
            mapped(&Led { protocol: Protocol::Tcp, address, port: 8080, inside })
        };
        let own = |at| mapped(at).map(|published| published.address);
        for all in [None, Some("0.0.0.0")] {
            assert_eq!(own(all), Some(None), "{all:?}");
        }
        assert_eq!(own(Some("198.51.100.2")), Some(Some([198, 51, 100, 2].into())));
        for none in ["127.0.0.1", "::1", "::", "2001:db8::1"] {
            assert_eq!(own(Some(none)), None, "{none}");
        }
    }
}

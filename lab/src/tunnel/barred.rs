//! Where nodes send no datagram by the way out: to the remote ends of the lab's tunnels, at the tunnels'
//! UDP port. Behind the host's address it would be a frame of this host's to them, in whichever network
//! its sender wrote on it.
//!
//! Told to the gateway anew whenever a tunnel or a host comes or goes (`routed`). What other labs of this host have
//! joined is not known here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ::topology::Uplink;
use control::api::AddTunnel;
use gateway::Endpoint;

use super::PORT;
use crate::error::{Error, Result};
use crate::lab::{Lab, State};

impl Lab {
    /// Refuses a tunnel whose UDP port is the NAT's at an address that is shared with the host: a node that had
    /// it would have the other hosts' frames.
    pub(super) fn check_port(&self, ask: &AddTunnel) -> Result<()> {
        let state = self.state();
        let block = match state.spec.uplink() {
            Uplink::Host(_) if ask.local.is_ipv4() => state.spec.uplink_ports.range(),
            _ => return Ok(()),
        };
        let port = ask.port.unwrap_or(PORT);
        if !block.contains(&port) {
            return Ok(());
        }
        let (first, last) = (block.start(), block.end());
        Err(Error::Usage(format!(
            "UDP port {port} of the tunnel is among the nodes', {first}-{last} of the uplink: choose others by \
             --uplink-ports, or another port of the tunnel"
        )))
    }

    /// Has the gateway refuse what nodes send to remote ends of tunnels that there are now.
    pub(super) fn bar_ends(&self, state: &State) {
        let mut ends = BTreeSet::new();
        for tunnel in &state.tunnels {
            let joined = state.joined.iter().find(|joined| joined.shared.vni == tunnel.vni);
            let told = joined.map(|joined| joined.shared.status().members.clone());
            let told = told.iter().flatten().map(|member| member.vtep);
            let all = tunnel.remotes.iter().copied().chain(told).filter(|end| *end != tunnel.local);
            ends.extend(all.filter_map(|end| match end {
                IpAddr::V4(address) => Some(Endpoint::new(address, tunnel.udp_port)),
                // Nothing of IPv6 leaves by the gateway.
                IpAddr::V6(_) => None,
            }));
        }
        self.with_gateway(|gateway| gateway.bar(ends));
    }
}

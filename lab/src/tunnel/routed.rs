//! What the gateway is told of tunnels, for packets that it routes from one network into another: which ports are
//! tunnels, and who is behind them, where a registry has told.
//!
//! Told anew whenever a tunnel, a host, or a node of a host comes or goes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use gateway::{Far, Node};
use wire::MacAddr;

use crate::hosts::Joined;
use crate::lab::{Lab, State};
use crate::station;

impl Lab {
    /// Tells the gateway of the tunnels there are now, and of what is behind them.
    pub(crate) fn tell_gateway(&self, state: &State) {
        self.bar_ends(state);
        let all: Vec<_> = state
            .domains
            .iter()
            .map(|(name, domain)| (far(state, name), domain.legs.iter().map(|(_, leg)| *leg)))
            .collect();
        self.with_gateway(|gateway| {
            for (far, legs) in all {
                let far = Arc::new(far);
                legs.for_each(|leg| gateway.set_far(leg, &far));
            }
        });
    }
}

/// What is behind the tunnels of a network.
fn far(state: &State, network: &str) -> Far {
    let mut far = Far::default();
    for tunnel in state.tunnels.iter().filter(|tunnel| tunnel.network == network) {
        let node = station::node(tunnel.port.id);
        far.tunnels.insert(node);
        if let Some(joined) = state.joined.iter().find(|joined| joined.shared.vni == tunnel.vni) {
            far.known.extend(told(joined, node));
        }
    }
    if !far.known.is_empty() {
        // Whoever is here is here, also where another host says so too.
        let here = own(state, network);
        far.known.retain(|address, _| !here.contains(address));
    }
    far
}

/// Nodes of other hosts, by their addresses of IPv4.
fn told(joined: &Joined, node: Node) -> BTreeMap<Ipv4Addr, (MacAddr, Node)> {
    let mut known = BTreeMap::new();
    for remote in joined.shared.status().others.values() {
        // Which of several addresses is at which hardware address is not told.
        let [mac] = remote.macs[..] else { continue };
        let own = remote.ips.iter().filter_map(|ip| match ip {
            IpAddr::V4(own) => Some((*own, (mac, node))),
            IpAddr::V6(_) => None,
        });
        known.extend(own);
    }
    known
}

fn own(state: &State, network: &str) -> BTreeSet<Ipv4Addr> {
    let interfaces = state.nodes.iter().flat_map(|held| &held.node.interfaces);
    let own = interfaces.filter(|own| own.network.as_deref() == Some(network));
    let all = own.flat_map(|own| &own.addresses);
    all.filter_map(|address| match address.ip {
        IpAddr::V4(own) => Some(own),
        IpAddr::V6(_) => None,
    })
    .collect()
}

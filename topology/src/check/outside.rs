//! The uplink, and what is published on it: a port leads to an address that is reached from outside.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::{Check, few};
use crate::checked::CheckedNode;
use crate::internet::SIM_GATEWAY;
use crate::nat::{NAT_SESSIONS, NAT_SESSIONS_RANGE};
use crate::network::Network;
use crate::publish::{Protocol, Publish};
use crate::spec::Spec;
use crate::uplink::Uplink;

/// Why no port leads to a node.
pub const NOT_LED: &str = "has no address of IPv4 in a network that the gateway forwards to from outside, \
                           so no port can lead to it: attach it to one that is not internal and has a gateway";

impl Spec {
    /// Whether an address that a node has in a network is reached from outside: the gateway has one beside
    /// it, and the network is not internal.
    #[must_use]
    pub fn is_open(&self, (node, network): (&str, &str), ip: Ipv4Addr) -> bool {
        let Some(own) = self.network(network).filter(|own| !own.internal) else { return false };
        let pvid = self.pvid(node, network);
        let ip = IpAddr::V4(ip);
        let home = own.subnets_of(pvid).iter().find(|subnet| subnet.contains(ip));
        home.is_some_and(|home| own.gateways_of(pvid).iter().any(|own| home.contains(own.ip)))
    }
}

impl Check<'_> {
    pub(super) fn outside(&mut self) {
        let spec = self.spec;
        let sessions = spec.nat_sessions;
        if !NAT_SESSIONS_RANGE.contains(&sessions) {
            let (least, most) = NAT_SESSIONS_RANGE.into_inner();
            self.problem(["nat_sessions"], format!("{sessions}: from {least} to {most}"));
        }
        // What of the host's address is the NAT's is told apart for so many.
        if sessions > NAT_SESSIONS && matches!(spec.uplink(), Uplink::Host(_)) {
            let text =
                format!("{sessions}: {NAT_SESSIONS} at most where the host's address is shared");
            self.problem(["nat_sessions"], text);
        }
        let serves = |network: &Network| !network.internal && !network.all_gateways().is_empty();
        let served = spec.networks.values().any(serves);
        if let Some(uplink @ (Uplink::Sim | Uplink::Host(_))) = &spec.uplink
            && !served
            && !self.growing
        {
            self.problem(
                ["uplink"],
                format!(
                    "{uplink}: no network leads there; say gateway: true in one that is not internal"
                ),
            );
        }
        let mut led = HashMap::new();
        for (at, ask) in spec.publish.iter().enumerate() {
            self.published(&at.to_string(), ask, &mut led);
        }
    }

    fn published<'p>(
        &mut self,
        text: &str,
        ask: &'p Publish,
        led: &mut HashMap<(Protocol, u16), &'p Publish>,
    ) {
        let spec = self.spec;
        let path = ["publish", text];
        if ask.protocol == Protocol::Icmp {
            self.problem(path, "only tcp and udp have ports");
        }
        if ask.port == 0 || ask.node_port == 0 {
            self.problem(path, format!("{ask}: ports are numbered from 1 to 65535"));
        }
        let uplink = spec.uplink();
        if uplink == Uplink::None {
            self.problem(
                path,
                format!("{ask}: ports are published on the uplink, and this lab would have none"),
            );
        }
        if let Some(address) = ask.address.filter(|address| *address != SIM_GATEWAY)
            && uplink == Uplink::Sim
        {
            self.problem(
                path,
                format!("{address}: the uplink has {SIM_GATEWAY}; leave the address out"),
            );
        }
        if spec.node(&ask.node).is_none() {
            let all = few(spec.nodes.keys());
            self.problem(path, format!("there is no node {}: {all}", ask.node));
        }
        let other = *led.entry((ask.protocol, ask.port)).or_insert(ask);
        if !std::ptr::eq(other, ask) {
            let text = format!(
                "{}/{} twice: it leads to {}:{} already, choose another port for {}:{}",
                ask.port, ask.protocol, other.node, other.node_port, ask.node, ask.node_port
            );
            self.problem(path, text);
        }
    }

    /// Once everybody has addresses: each published port leads to one that is reached.
    pub(super) fn led(&mut self, nodes: &[CheckedNode]) {
        let spec = self.spec;
        for (at, ask) in spec.publish.iter().enumerate() {
            // In the order of the spec, as they were made.
            let at_spec = spec.nodes.get_index_of(&ask.node);
            let Some(node) = at_spec.and_then(|at| nodes.get(at)) else { continue };
            let in_networks = node.interfaces.iter().filter_map(|own| Some((own, own.network()?)));
            let mut own = in_networks.flat_map(|(own, network)| {
                own.addresses.iter().filter_map(move |(ip, _)| match ip {
                    IpAddr::V4(ip) => Some((network, *ip)),
                    IpAddr::V6(_) => None,
                })
            });
            if !own.any(|(network, ip)| spec.is_open((&ask.node, network), ip)) {
                let text = format!("{} {NOT_LED}", ask.node);
                self.problem(["publish", &at.to_string()], text);
            }
        }
    }
}

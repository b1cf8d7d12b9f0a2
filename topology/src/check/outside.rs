//! The uplink, and what is published on it.

use super::{Check, few};
use crate::internet::SIM_GATEWAY;
use crate::network::Network;
use crate::publish::{Protocol, Publish};
use crate::uplink::Uplink;

impl Check<'_> {
    pub(super) fn outside(&mut self) {
        let spec = self.spec;
        let serves = |network: &Network| !network.internal && !network.all_gateways().is_empty();
        let served = spec.networks.values().any(serves);
        if let Some(uplink @ (Uplink::Sim | Uplink::Host(_))) = &spec.uplink
            && !served
        {
            self.problem(
                ["uplink"],
                format!(
                    "{uplink}: no network leads there; say gateway: true in one that is not internal"
                ),
            );
        }
        for (at, ask) in spec.publish.iter().enumerate() {
            self.published(&at.to_string(), ask, at);
        }
    }

    fn published(&mut self, text: &str, ask: &Publish, at: usize) {
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
        match spec.node(&ask.node) {
            None => {
                let all = few(spec.nodes.keys());
                self.problem(path, format!("there is no node {}: {all}", ask.node));
            }
            Some(node) => {
                let leads = node.networks.iter().any(|place| {
                    let network = spec.network(&place.network);
                    network.is_some_and(|own| !own.internal && !own.all_gateways().is_empty())
                });
                if !leads && uplink != Uplink::None {
                    let text = format!(
                        "{} is in no network that the gateway forwards to from outside",
                        ask.node
                    );
                    self.problem(path, text);
                }
            }
        }
        let same = |other: &&Publish| (other.protocol, other.port) == (ask.protocol, ask.port);
        if let Some(other) = spec.publish[..at].iter().find(same) {
            let text = format!(
                "{}/{} twice: it leads to {}:{} already, choose another port for {}:{}",
                ask.port, ask.protocol, other.node, other.node_port, ask.node, ask.node_port
            );
            self.problem(path, text);
        }
    }
}

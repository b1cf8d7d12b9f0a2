//! A look at the lab as facts: a flat map from a key (`node/net1`, `port/veth1`, …) to a JSON value,
//! so that two looks differ by keys and a page is told those alone. Pure, but for the asking.
//!
//! Nothing in it changes by itself (ages, the time the lab has been up): an idle lab has no
//! differences.

use std::collections::BTreeMap;

use control::api::{
    Counters, FdbEntry, Interface, NatCounters, Network, Node, PAGE_MAX, Page, Port, Published,
    Rate, Spec, Topology, TopologyKind,
};
use control::{Client, ClientError};
use serde::Serialize;
use serde_json::{Value, json};

/// What is known of a lab.
pub(crate) type Facts = BTreeMap<String, Value>;

/// From one look to the next.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Change<'a> {
    /// New, or another value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) set: BTreeMap<&'a str, &'a Value>,
    /// No longer there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) del: Vec<&'a str>,
}

/// What makes `before` into `after`.
pub(crate) fn change<'a>(before: &'a Facts, after: &'a Facts) -> Change<'a> {
    let differs = |(key, value): &(&String, &Value)| before.get(*key) != Some(*value);
    let set = after.iter().filter(differs).map(|(key, value)| (key.as_str(), value)).collect();
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    Change { set, del: gone.map(String::as_str).collect() }
}

/// A lab at one moment, as its door tells.
pub(crate) struct Look {
    topology: Topology,
    spec: Spec,
    networks: Vec<Network>,
    ports: Vec<Port>,
    counters: Counters,
    published: Vec<Published>,
    fdb: Page<FdbEntry>,
}

impl Look {
    /// Looks.
    ///
    /// # Errors
    /// Where the lab is gone or does not answer.
    pub(crate) fn fetch(client: &Client) -> Result<Self, ClientError> {
        let topology = client.topology()?;
        let spec = client.spec()?;
        let counters = client.counters()?;
        let (mut networks, mut ports, mut published) = (Vec::new(), Vec::new(), Vec::new());
        let mut fdb = Page { items: Vec::new(), next: None };
        if topology.kind == TopologyKind::Switch {
            networks = client.networks()?;
            ports = client.ports()?;
            // The beginning of a long table: nobody reads more.
            fdb = client.fdb_page(0, PAGE_MAX)?;
        }
        if topology.uplink.is_some() {
            published = client.published()?;
        }
        Ok(Self { topology, spec, networks, ports, counters, published, fdb })
    }

    /// The process that ran the lab then, and for how many seconds it had.
    pub(crate) fn process(&self) -> (u32, u64) {
        (self.topology.pid, self.topology.uptime)
    }

    /// The facts; `since` is when the lab started, in seconds since 1970.
    pub(crate) fn facts(&self, since: u64) -> Facts {
        let Topology { lab, kind, pid, gateway, uplink, .. } = &self.topology;
        let mut facts = Facts::new();
        let value = json!({
            "name": lab, "kind": kind, "pid": pid, "since": since, "running": true,
            "fdb_cut": self.fdb.next.is_some(),
        });
        facts.insert("lab".into(), value);
        let mut put = |key: String, value: Value| facts.insert(key, value);
        for (number, node) in self.topology.nodes.iter().enumerate() {
            put(format!("node/{}", node.name), of_node(number, node));
        }
        for (number, network) in self.networks.iter().enumerate() {
            let Network { subnets, gateway, internal, routed, vlan_filtering, .. } = network;
            let value = json!({
                "n": number, "subnets": subnets, "gateway": gateway, "internal": internal,
                "routed": routed, "vlans": vlan_filtering,
            });
            put(format!("network/{}", network.name), value);
        }
        for port in &self.ports {
            put(format!("port/{}", port.ifname), of_port(port));
        }
        for (number, link) in self.spec.links.iter().enumerate() {
            let ends = link.endpoints.each_ref().map(|end| &end.node);
            put(format!("link/{number}"), json!({ "n": number, "ends": ends }));
        }
        for entry in &self.fdb.items {
            let FdbEntry { mac, ifname, node, network, vlan, flags, state, .. } = entry;
            let (within, tag) = (network.as_deref().unwrap_or(""), vlan.unwrap_or(0));
            let value = json!({
                "mac": mac, "port": ifname, "node": node, "network": network, "vlan": vlan,
                "state": state, "flags": flags,
            });
            put(format!("fdb/{within}/{mac}/{tag}"), value);
        }
        if let Some(counted) = &self.counters.switch {
            // What it decides to drop is counted at the port a frame came in by.
            let mut drops = counted.refused.clone();
            if counted.ring_drops > 0 {
                drops.insert("ring-full".into(), counted.ring_drops);
            }
            let value = json!({
                "drops": drops, "workers": counted.workers,
                "fdb_entries": counted.fdb_entries, "fdb_limit": counted.fdb_limit,
            });
            put("switch".into(), value);
        }
        if let Some(awaited) = &self.topology.uplink_awaited {
            let text = format!("{}, waited for: {}", awaited.name, awaited.why);
            put("way".into(), json!({ "text": text }));
        }
        if let Some(host) = gateway {
            let counted = self.counters.gateway.as_ref();
            let value = json!({
                "address": host.address, "prefix_len": host.prefix_len, "mac": host.mac,
                "forwarding": host.forwarding,
                "nat": uplink.as_ref().map(|uplink| &uplink.nat),
                "sessions": counted.map(|counted| sessions(&counted.nat)),
                "drops": counted.map(|counted| &counted.drops),
                "published": self.published.iter().map(published).collect::<Vec<_>>(),
            });
            put("gateway".into(), value);
        }
        if let Some(uplink) = uplink {
            let control::api::Uplink { name, address, prefix_len, next_hop, answers, .. } = uplink;
            let value = json!({
                "name": name, "address": address, "prefix_len": prefix_len, "next_hop": next_hop,
                "answers": answers,
            });
            put("uplink".into(), value);
        }
        facts
    }
}

fn of_node(number: usize, node: &Node) -> Value {
    let own = json!({
        "ifname": node.ifname, "port": node.port, "network": node.network, "mac": node.mac,
        "addresses": addresses(&node.addresses, node.address, node.prefix_len),
    });
    let further = node.further.iter().map(|own| {
        let Interface { ifname, port, network, mac, addresses: all, address, prefix_len, .. } = own;
        let addresses = addresses(all, *address, *prefix_len);
        json!({
            "ifname": ifname, "port": port, "network": network, "mac": mac, "addresses": addresses,
        })
    });
    let interfaces: Vec<Value> = std::iter::once(own).chain(further).collect();
    json!({ "n": number, "up": node.up, "interfaces": interfaces })
}

fn addresses(all: &[String], one: Option<std::net::Ipv4Addr>, prefix: u8) -> Vec<String> {
    if all.is_empty() {
        return one.map(|address| format!("{address}/{prefix}")).into_iter().collect();
    }
    all.to_vec()
}

fn of_port(port: &Port) -> Value {
    let rates = port.rates.clone().unwrap_or_default();
    let Rate { packets_per_second: rx_pps, bits_per_second: rx_bps } = rates.rx;
    let Rate { packets_per_second: tx_pps, bits_per_second: tx_bps } = rates.tx;
    json!({
        "n": port.ifindex, "node": port.node, "network": port.network, "role": port.role,
        "state": port.operstate, "drops": port.drops,
        "rx": { "pps": rx_pps, "bps": rx_bps, "packets": port.stats64.rx.packets },
        "tx": { "pps": tx_pps, "bps": tx_bps, "packets": port.stats64.tx.packets },
    })
}

fn sessions(nat: &NatCounters) -> BTreeMap<&str, u64> {
    nat.usage.iter().map(|(protocol, usage)| (protocol.as_str(), usage.sessions)).collect()
}

fn published(port: &Published) -> String {
    format!("{} {} to {}", port.protocol, port.port, port.inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some() -> impl Strategy<Value = Facts> {
        proptest::collection::btree_map("[a-d]", (0..3u8).prop_map(Value::from), 0..4)
    }

    proptest! {
        #[test]
        fn a_change_leads_from_one_look_to_the_next(before in some(), after in some()) {
            let change = change(&before, &after);
            let mut page = before.clone();
            for (key, value) in &change.set {
                prop_assert_ne!(before.get(*key), Some(*value));
                page.insert((*key).into(), (*value).clone());
            }
            for key in &change.del {
                prop_assert!(page.remove(*key).is_some());
            }
            prop_assert_eq!(page, after);
        }
    }

    #[test]
    fn what_stays_is_not_told() {
        let facts = Facts::from([("node/net1".into(), json!({ "n": 0 }))]);
        assert_eq!(serde_json::to_string(&change(&facts, &facts)).unwrap(), "{}");
    }
}

//! The counters as OpenMetrics text, for Prometheus; `classic` makes its older format of it.
//!
//! Names follow Prometheus' conventions: base units, `_total` for what only grows. Labels are
//! ports, nodes, reasons, protocols: bounded sets; never an address or a flow. Made afresh from a
//! snapshot at each scrape, so that the data path knows nothing of it.

pub(crate) mod classic;

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::Door;
use crate::api::{
    Counters, GatewayCounters, Hosts, NamesCounters, Port, SwitchCounters, Topology, Tunnel,
};

/// What the text is called in HTTP.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// A lab's counters as OpenMetrics text.
#[must_use]
pub fn openmetrics(door: &dyn Door) -> String {
    let mut families = Families::default();
    families.lab(&door.topology());
    let (ports, Counters { switch, gateway }) = door.ports_counted();
    families.ports(&ports);
    if let Some(switch) = switch {
        families.switch(&switch);
    }
    if let Some(gateway) = gateway {
        families.gateway(&gateway);
    }
    families.tunnels(&door.tunnels().unwrap_or_default());
    families.hosts(&door.hosts().unwrap_or_default());
    let mut registry = Registry::with_prefix("uswitch");
    registry.register_collector(Box::new(families));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    samples: Vec<(Labels, u64)>,
}

#[derive(Debug, Default)]
struct Families(Vec<Family>);

impl Families {
    fn add(
        &mut self,
        kind: MetricType,
        name: &'static str,
        help: &'static str,
        samples: Vec<(Labels, u64)>,
    ) {
        let unit = match name.rsplit_once('_') {
            Some((_, "bytes")) => Some(Unit::Bytes),
            Some((_, "seconds")) => Some(Unit::Seconds),
            _ => None,
        };
        if !samples.is_empty() {
            self.0.push(Family { name, help, unit, kind, samples });
        }
    }

    fn counter(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) {
        self.add(MetricType::Counter, name, help, samples);
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) {
        self.add(MetricType::Gauge, name, help, samples);
    }

    fn lab(&mut self, lab: &Topology) {
        let build = vec![("lab", lab.lab.clone()), ("version", env!("CARGO_PKG_VERSION").into())];
        self.gauge("lab_info", "The lab and the program that runs it", vec![(build, 1)]);
        self.gauge("uptime_seconds", "Time since the lab started", one(lab.uptime));
        self.gauge("nodes", "Nodes of the lab", one(lab.nodes.len() as u64));
    }

    fn tunnels(&mut self, tunnels: &[Tunnel]) {
        let each = |count: fn(&Tunnel) -> u64| -> Vec<(Labels, u64)> {
            tunnels.iter().map(|of| (vec![("port", of.ifname.clone())], count(of))).collect()
        };
        let open = "Whether packets of others than members are let in, unseen";
        self.gauge("tunnel_open", open, each(|of| u64::from(of.senders == "open")));
        self.counter(
            "tunnel_foreign_packets",
            "Packets for the tunnel that came from no member, or by no way to it, and were dropped",
            each(|of| of.foreign),
        );
    }

    fn hosts(&mut self, networks: &[Hosts]) {
        let each = |count: fn(&Hosts) -> u64| -> Vec<(Labels, u64)> {
            let labels = |of: &Hosts| vec![("network", of.name.clone())];
            networks.iter().map(|of| (labels(of), count(of))).collect()
        };
        self.gauge(
            "hosts",
            "Hosts of the network, this one included",
            each(|of| of.hosts.len() as u64),
        );
        let up = "Whether the registry of hosts answers";
        self.gauge("hosts_registry_up", up, each(|of| u64::from(of.alone.is_none())));
        self.gauge("hosts_rows", "Addresses of other hosts' nodes", each(|of| of.rows));
        self.gauge(
            "hosts_cut_off_nodes",
            "Nodes that are cut off from other hosts",
            each(|of| of.cut_off.len() as u64),
        );
        let repairs = "Rows of the tunnel that had to be set again";
        self.counter("hosts_repaired_rows", repairs, each(|of| of.repairs));
        self.counter(
            "hosts_lost_leases",
            "Leases of this host that were lost",
            each(|of| of.leases_lost),
        );
    }

    fn ports(&mut self, ports: &[Port]) {
        let mut networks = ports.iter().filter_map(|port| port.network.as_ref());
        let first = networks.next();
        // Said where there is more than one.
        let several = networks.any(|network| Some(network) != first);
        let name = |port: &Port| {
            let node = port.node.clone().unwrap_or_default();
            let mut labels = vec![("port", port.ifname.clone()), ("node", node)];
            if several {
                labels.push(("network", port.network.clone().unwrap_or_default()));
            }
            labels
        };
        let each = |count: fn(&Port) -> u64| -> Vec<(Labels, u64)> {
            ports.iter().map(|port| (name(port), count(port))).collect()
        };
        self.gauge(
            "port_up",
            "Whether the port's link is up",
            each(|p| u64::from(p.operstate == "UP")),
        );
        let received = "Bytes of frames that came in from the node";
        self.counter("port_receive_bytes", received, each(|p| p.stats64.rx.bytes));
        let received = "Frames that came in from the node";
        self.counter("port_receive_frames", received, each(|p| p.stats64.rx.packets));
        let sent = "Bytes of frames sent to the node";
        self.counter("port_transmit_bytes", sent, each(|p| p.stats64.tx.bytes));
        let sent = "Frames sent to the node";
        self.counter("port_transmit_frames", sent, each(|p| p.stats64.tx.packets));
        let refused = "Frames for the node that the kernel refused";
        self.counter("port_transmit_errors", refused, each(|p| p.stats64.tx.errors));
        let moved = "Addresses that were at another port before";
        self.counter("port_moved_addresses", moved, each(|p| p.fdb_n_moved));
        self.counter("port_loops", "Loops seen at the port", each(|p| p.loops));
        let drops = ports.iter().flat_map(|port| {
            port.drops.iter().map(move |(reason, count)| {
                let mut labels = name(port);
                labels.push(("reason", reason.clone()));
                (labels, *count)
            })
        });
        let dropped = "Frames from the node that went nowhere, by reason";
        self.counter("port_dropped_frames", dropped, drops.collect());
    }

    fn switch(&mut self, c: &SwitchCounters) {
        let verdicts = [
            ("forwarded", c.forwarded),
            ("flooded", c.flooded),
            ("members", c.members),
            ("local", c.local),
            ("uplink", c.uplink),
        ];
        self.counter("switch_received_frames", "Frames taken out of the rings", one(c.received));
        let help = "Frames by what the switch decided, besides dropping them";
        self.counter("switch_verdict_frames", help, by("verdict", verdicts));
        let help = "Frames the switch dropped, by reason";
        self.counter("switch_dropped_frames", help, map("reason", &c.drops));
        let help = "Frames the kernel refused to take, by reason";
        self.counter("switch_send_errors", help, map("reason", &c.refused));
        let help = "Frames that reached the rings, dropped ones included";
        self.counter("switch_ring_frames", help, one(c.ring_packets));
        let help = "Frames the kernel dropped because a ring was full, or had stopped";
        self.counter("switch_ring_dropped_frames", help, one(c.ring_drops));
        let help = "Rings that had stopped and were opened anew";
        self.counter("switch_renewed_rings", help, one(c.rings_renewed));
        self.counter("switch_lost_events", "Events nobody fetched in time", one(c.events_lost));
        self.gauge("switch_fdb_entries", "Addresses known now", one(c.fdb_entries));
        self.gauge("switch_fdb_limit", "Addresses that may be known", one(c.fdb_limit));
        self.gauge("switch_workers", "Worker threads that forward at present", one(c.workers));
    }

    fn gateway(&mut self, c: &GatewayCounters) {
        let entered = by("side", [("lan", c.lan_in), ("uplink", c.uplink_in)]);
        self.counter("gateway_received_frames", "Frames that entered the gateway", entered);
        let left = by("side", [("lan", c.to_lan), ("uplink", c.to_uplink)]);
        self.counter("gateway_forwarded_frames", "Frames that left, rewritten", left);
        let help = "Frames kept or answered, by what became of them";
        self.counter("gateway_consumed_frames", help, map("fate", &c.consumed));
        let help = "Frames the gateway dropped, by reason";
        self.counter("gateway_dropped_frames", help, map("reason", &c.drops));
        self.counter("gateway_extra_frames", "Frames of the gateway's own", one(c.extra));
        self.counter("gateway_icmp_errors", "ICMP errors sent", one(c.icmp_errors));
        let help = "ICMP errors held back because there had been too many";
        self.counter("gateway_icmp_limited", help, one(c.icmp_limited));
        let help = "ICMP errors translated, both ways";
        self.counter("gateway_icmp_translated", help, one(c.icmp_translated));
        let help = "Hosts told by an ICMP redirect that they took a detour";
        self.counter("gateway_redirects", help, one(c.redirects));
        self.counter("gateway_echo_replies", "Echo requests answered", one(c.echo_replies));
        self.counter("nat_opened_sessions", "NAT sessions opened", one(c.nat.opened));
        let closed = [
            ("expired", c.nat.expired),
            ("flushed", c.nat.flushed),
            ("displaced", c.nat.displaced),
        ];
        self.counter("nat_closed_sessions", "NAT sessions ended", by("reason", closed));
        let usage = |count: fn(&crate::api::NatUsage) -> u64| {
            let each = c.nat.usage.iter();
            each.map(|(name, u)| (vec![("protocol", name.clone())], count(u))).collect()
        };
        self.gauge("nat_sessions", "NAT sessions now", usage(|u| u.sessions));
        self.gauge("nat_mappings", "Outside ports in use now", usage(|u| u.mappings));
        self.names(&c.names);
    }

    fn names(&mut self, c: &NamesCounters) {
        let outcomes = [
            ("answered", c.answered),
            ("denied", c.denied),
            ("refused", c.refused),
            ("forwarded", c.forwarded),
            ("repeated", c.repeated),
            ("crowded", c.crowded),
        ];
        let help = "Queries for names, by what became of them";
        self.counter("names_queries", help, by("outcome", outcomes));
        let help = "Forwarded queries that nobody answered";
        self.counter("names_failed_queries", help, one(c.failed));
        let help = "Messages to the resolver that were no query";
        self.counter("names_malformed_messages", help, one(c.malformed));
        self.counter("names_opened_connections", "TCP connections opened", one(c.streams));
        let help = "TCP connections that gave way to others";
        self.counter("names_displaced_connections", help, one(c.displaced));
        self.gauge("names_connections", "TCP connections now", one(c.connections));
        let help = "Queries that wait for the host's resolvers now";
        self.gauge("names_waiting_queries", help, one(c.waiting));
    }
}

fn one(value: u64) -> Vec<(Labels, u64)> {
    vec![(Vec::new(), value)]
}

fn by<const N: usize>(label: &'static str, values: [(&str, u64); N]) -> Vec<(Labels, u64)> {
    values.into_iter().map(|(name, value)| (vec![(label, name.into())], value)).collect()
}

fn map(label: &'static str, values: &BTreeMap<String, u64>) -> Vec<(Labels, u64)> {
    values.iter().map(|(name, value)| (vec![(label, name.clone())], *value)).collect()
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            // The encoder appends the unit to the name.
            let unit = family.unit.as_ref();
            let name = unit.map_or(family.name, |unit| {
                family.name.trim_end_matches(unit.as_str()).trim_end_matches('_')
            });
            let mut metric = encoder.encode_descriptor(name, family.help, unit, family.kind)?;
            for (labels, value) in &family.samples {
                let mut sample = metric.encode_family(labels)?;
                match family.kind {
                    MetricType::Counter => {
                        sample.encode_counter::<NoLabelSet, u64, u64>(value, None)?;
                    }
                    _ => sample.encode_gauge(&i64::try_from(*value).unwrap_or(i64::MAX))?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryLab;

    #[test]
    fn the_text_follows_the_conventions() {
        let text = openmetrics(&MemoryLab::with_nodes(2));
        let mut types = BTreeMap::new();
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
            {
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
                assert!(name.starts_with("uswitch_") && !name.ends_with("_total"), "{name}");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let family = name.strip_suffix("_total").unwrap_or(name);
                let kind = types.get(family).unwrap_or_else(|| panic!("{line}: no TYPE"));
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(!line.contains("02:00:"), "an address as a label: {line}");
            }
        }
        assert_eq!(types["uswitch_port_receive_bytes"], "counter");
        assert!(
            text.contains("uswitch_port_receive_bytes_total{port=\"veth1\",node=\"net1\"} 100\n")
        );
        assert!(text.contains("# UNIT uswitch_uptime_seconds seconds\n"));
        assert!(text.contains("uswitch_switch_dropped_frames_total{reason=\"runt\"} 3\n"));
        assert!(text.ends_with("# EOF\n"));
    }
}

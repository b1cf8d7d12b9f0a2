//! The steps of set-up as the lines of shell that would do the same by hand, for `-v` and
//! `--dry-run`. Pure: made from the plan that is carried out.
//!
//! The switch and the gateway are this program's own; their lines are those of the kernel's bridge,
//! router and NAT in their place, so that the whole is a script that leads to the same network. The
//! switch's namespace has no name in a lab; in the script it is called `switch`.

use std::net::IpAddr;

use ::topology::{Checked, Protocol, Publish, Spec, Uplink};
use ns::{Plan, script};

use crate::blueprint::{Blueprint, NodePlan, UPLINK_PORT, blueprint, connect, furnish, plug, room};
use crate::config::LabConfig;
use crate::node::Plug;
use crate::station;

mod router;
pub mod rows;
mod said;
pub mod settings;
#[cfg(test)]
mod tests;

/// The bridge, as the walkthrough calls it.
const BRIDGE: &str = "br00";

/// What the switch's namespace is called in the lines.
#[must_use]
pub fn switch_of(prefix: &str) -> String {
    format!("{prefix}switch")
}

/// All lines of a lab, in order.
#[must_use]
pub fn all(config: &LabConfig, checked: &Checked) -> Vec<String> {
    let config = LabConfig { steps: true, spec: checked.spelled_out(), ..config.clone() };
    let print = blueprint(&config, checked, None);
    let mut lines = planned(&config, &print.plan);
    let links = lines.split_off(print.plan.first_part());
    lines.extend(of_switch(&config, &print));
    lines.extend(links);
    lines.extend(of_gateway(&config, &print));
    lines
}

/// The lines of the switch and its ports, where they are asked for: before the links come up.
pub(crate) fn of_switch(config: &LabConfig, print: &Blueprint) -> Vec<String> {
    if !config.steps || print.switch.is_none() {
        return Vec::new();
    }
    switched(config, print)
}

/// The lines of the gateway and what is published from the start, where they are asked for.
pub(crate) fn of_gateway(config: &LabConfig, print: &Blueprint) -> Vec<String> {
    if !config.steps || print.switch.is_none() {
        return Vec::new();
    }
    let switch = switch_of(&config.prefix());
    let mut lines = router::lines(&switch, &config.spec);
    lines.extend(said::tunnels(&switch, &config.spec));
    lines.push(awaited(&switch));
    lines.extend(config.spec.publish.iter().filter_map(|ask| published(config, ask)));
    lines
}

/// The lines of the plan: a line for each of its steps.
pub(crate) fn planned(config: &LabConfig, plan: &Plan) -> Vec<String> {
    script::lines(plan, &switch_of(&config.prefix()))
}

/// The bridge of the network at this place, from 0.
#[must_use]
pub fn bridge(place: usize) -> String {
    if place == 0 { BRIDGE.into() } else { format!("br{place:02}") }
}

fn switched(config: &LabConfig, print: &Blueprint) -> Vec<String> {
    let (switch, spec) = (switch_of(&config.prefix()), &config.spec);
    let mut lines =
        vec!["# the switch: uswitch forwards by itself; the kernel's bridge in its place".into()];
    for (place, (name, network)) in spec.networks.iter().enumerate() {
        let bridge = bridge(place);
        let mac = station::mac_in(spec, name).map(|mac| format!(" address {mac}"));
        let mac = mac.unwrap_or_default();
        lines.push(format!("ip -n {switch} link add {bridge}{mac} type bridge"));
        lines.extend(said::network(&switch, &bridge, network));
        lines.push(format!("ip -n {switch} link set {bridge} mtu {} up", spec.mtu_of(name)));
        let interfaces = print.nodes.iter().flat_map(|node| &node.interfaces);
        let here = interfaces.filter(|interface| interface.network.as_ref() == Some(name));
        let ports = here.filter_map(|interface| interface.port.as_ref());
        let join = |port: &Plug| format!("ip -n {switch} link set {} master {bridge}", port.name);
        lines.extend(ports.map(join));
        let ends = print.joints.iter().filter_map(|joint| joint.port(name));
        lines.extend(ends.map(join));
        lines.extend(said::ports(&switch, place, spec, print));
    }
    lines
}

/// The kernel looks at the carriers of new links once a second, and sends nothing by a port before: the
/// first ping would wait for that. Bounded, for a link may be down on purpose.
fn awaited(switch: &str) -> String {
    let waits = format!("ip -n {switch} link | grep -q NO-CARRIER || break; sleep 0.1");
    format!("for look in $(seq 20); do {waits}; done")
}

/// The line of a port published from the start.
fn published(config: &LabConfig, ask: &Publish) -> Option<String> {
    let places = &config.spec.node(&ask.node)?.networks;
    let inside = places.iter().find_map(|place| {
        let own = place.addresses.iter().flatten().filter_map(|address| match address.ip {
            IpAddr::V4(inside) => Some(inside),
            IpAddr::V6(_) => None,
        });
        let mut open = own.filter(|ip| config.spec.is_open((&ask.node, &place.network), *ip));
        open.next()
    })?;
    (config.spec.uplink() == Uplink::Sim).then(|| publish(&config.prefix(), ask, inside.into()))
}

/// The line of a published port, which leads to `inside`.
#[must_use]
pub fn publish(prefix: &str, ask: &Publish, inside: IpAddr) -> String {
    let Publish { protocol, port, node_port, .. } = ask;
    format!(
        "ip netns exec {} nft add rule ip nat prerouting iifname {UPLINK_PORT} {protocol} dport \
         {port} dnat to {inside}:{node_port}",
        switch_of(prefix)
    )
}

/// The line that withdraws one: nft deletes a rule by its handle.
#[must_use]
pub fn unpublish(prefix: &str, protocol: Protocol, port: u16) -> String {
    let inside = format!("ip netns exec {}", switch_of(prefix));
    format!(
        "{inside} nft delete rule ip nat prerouting handle $({inside} nft -a list chain ip nat \
         prerouting | sed -n 's/.* {protocol} dport {port} .*# handle //p')"
    )
}

/// Instead of a line, where the NAT shares an interface with this host.
pub const SHARED: &str =
    "# the NAT shares an interface with this host, which no command of the kernel's tools does";

/// A node of a running lab, as its lines are told.
#[derive(Clone, Debug)]
pub struct Added<'a> {
    /// What the names of the lab's namespaces begin with.
    pub prefix: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its number: that of its interfaces.
    pub number: u32,
    /// The lab's networks, and the node.
    pub spec: &'a Spec,
}

/// The lines of a node that is plugged in.
#[must_use]
pub fn add(node: &Added<'_>) -> Vec<String> {
    let mut plan = Plan::new();
    // Names are what the lines tell of the switch's end; its index there the kernel may choose.
    let switch = plan.existing("the switch's namespace", node.number + 1);
    let ns = room(&mut plan, &format!("{}{}", node.prefix, node.name));
    let mut planned = NodePlan::of(node.number, node.name, ns);
    if let Some(checked) = node.spec.checked_node(node.name) {
        plug(&mut plan, switch, &mut planned, &checked);
        furnish(&mut plan, &planned, &checked.routes);
    }
    let ports: Vec<&Plug> = planned.interfaces.iter().filter_map(|i| i.port.as_ref()).collect();
    connect(&mut plan, switch, ports.iter().map(|port| port.index).collect());
    let switch = switch_of(node.prefix);
    let mut lines = script::lines(&plan, &switch);
    let links = lines.split_off(plan.first_part());
    for (interface, port) in planned.interfaces.iter().zip(ports) {
        let network = interface.network.as_deref().unwrap_or_default();
        let bridge = bridge(node.spec.networks.get_index_of(network).unwrap_or(0));
        lines.push(format!("ip -n {switch} link set {} master {bridge}", port.name));
    }
    lines.extend(links);
    lines
}

/// The lines of a node that is taken out.
#[must_use]
pub fn remove(prefix: &str, namespace: &str, ports: &[&str]) -> Vec<String> {
    let switch = switch_of(prefix);
    let mut lines: Vec<_> =
        ports.iter().map(|port| format!("ip -n {switch} link del {port}")).collect();
    lines.push(format!("ip netns del {namespace}"));
    lines
}

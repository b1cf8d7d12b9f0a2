//! The steps of set-up as the lines of shell that would do the same by hand, for `-v` and
//! `--dry-run`. Pure: made from the plan that is carried out.
//!
//! The switch and the gateway are this program's own; their lines are those of the kernel's bridge,
//! router and NAT in their place, so that the whole is a script that leads to the same network. The
//! switch's namespace has no name in a lab; in the script it is called `switch`.

use std::net::Ipv4Addr;

use control::api::Publish;
use ns::{Plan, script};

use crate::address::{self, PREFIX};
use crate::config::{LabConfig, Uplink};
use crate::topology::{Blueprint, UPLINK_PORT, blueprint, connect, furnish, plug, room};

#[cfg(test)]
mod tests;

/// The bridge, as the walkthrough calls it.
const BRIDGE: &str = "br00";

/// What the switch's namespace is called in the lines.
fn switch_of(prefix: &str) -> String {
    format!("{prefix}switch")
}

/// All lines of a lab, in order.
#[must_use]
pub fn all(config: &LabConfig) -> Vec<String> {
    let config = LabConfig { steps: true, ..config.clone() };
    let print = blueprint(&config);
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
    let ports = print.nodes.iter().filter_map(|node| Some(node.port.as_ref()?.name.as_str()));
    switched(config, &ports.collect::<Vec<_>>())
}

/// The lines of the gateway and what is published from the start, where they are asked for.
pub(crate) fn of_gateway(config: &LabConfig, print: &Blueprint) -> Vec<String> {
    if !config.steps || print.switch.is_none() {
        return Vec::new();
    }
    let mut lines = routed(config);
    lines.extend(config.publish.iter().filter_map(|ask| published(config, ask)));
    lines
}

/// The lines of the plan: a line for each of its steps.
pub(crate) fn planned(config: &LabConfig, plan: &Plan) -> Vec<String> {
    script::lines(plan, &switch_of(&config.prefix()))
}

fn switched(config: &LabConfig, ports: &[&str]) -> Vec<String> {
    let switch = switch_of(&config.prefix());
    let mac = address::mac(address::GATEWAY);
    let mut lines = vec![
        "# the switch: uswitch forwards by itself; the kernel's bridge in its place".into(),
        format!("ip -n {switch} link add {BRIDGE} address {mac} type bridge"),
        format!("ip -n {switch} link set {BRIDGE} mtu {} up", config.mtu),
    ];
    lines
        .extend(ports.iter().map(|port| format!("ip -n {switch} link set {port} master {BRIDGE}")));
    lines
}

fn routed(config: &LabConfig) -> Vec<String> {
    let switch = switch_of(&config.prefix());
    let gateway = address::GATEWAY;
    let mut lines = vec![
        "# the gateway: uswitch routes by itself; the kernel's router in its place".into(),
        format!("ip -n {switch} addr add {gateway}/{PREFIX} brd + dev {BRIDGE}"),
        format!("ip netns exec {switch} sysctl -qw net.ipv4.conf.all.arp_ignore=0"),
    ];
    match &config.uplink {
        Uplink::Sim => lines.extend(masquerade(&switch)),
        Uplink::Host(interface) => {
            let name = interface.as_deref().unwrap_or("the default route's interface");
            lines.push(format!(
                "# the NAT shares {name} with this host, which no command of the kernel's tools does"
            ));
        }
        Uplink::None => {}
    }
    lines
}

/// The way out to the simulated internet.
fn masquerade(switch: &str) -> Vec<String> {
    let (own, length) = (address::SIM_GATEWAY, address::SIM_PREFIX);
    let mac = address::mac(own);
    let inside = format!("ip netns exec {switch}");
    vec![
        format!("ip -n {switch} link set {UPLINK_PORT} address {mac}"),
        format!("ip -n {switch} addr add {own}/{length} brd + dev {UPLINK_PORT}"),
        format!("ip -n {switch} route add default via {} dev {UPLINK_PORT}", address::SIM_ROUTER),
        format!("{inside} sysctl -qw net.ipv4.ip_forward=1"),
        format!("{inside} nft add table ip nat"),
        format!(
            "{inside} nft add chain ip nat postrouting \
             '{{ type nat hook postrouting priority srcnat; }}'"
        ),
        format!("{inside} nft add rule ip nat postrouting oifname {UPLINK_PORT} masquerade"),
        format!(
            "{inside} nft add chain ip nat prerouting \
             '{{ type nat hook prerouting priority dstnat; }}'"
        ),
    ]
}

/// The line of a port published from the start.
fn published(config: &LabConfig, ask: &Publish) -> Option<String> {
    let number = ask.node.strip_prefix("net")?.parse().ok()?;
    let inside = address::of_node(number)?;
    (config.uplink == Uplink::Sim).then(|| publish(&config.prefix(), ask, inside))
}

/// The line of a published port, which leads to `inside`.
#[must_use]
pub fn publish(prefix: &str, ask: &Publish, inside: Ipv4Addr) -> String {
    let Publish { protocol, port, node_port, .. } = ask;
    format!(
        "ip netns exec {} nft add rule ip nat prerouting iifname {UPLINK_PORT} {protocol} dport \
         {port} dnat to {inside}:{node_port}",
        switch_of(prefix)
    )
}

/// A node of a running lab, as its lines are told.
#[derive(Clone, Debug)]
pub struct Added<'a> {
    /// What the names of the lab's namespaces begin with.
    pub prefix: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its number: that of its interfaces.
    pub number: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// The lab's.
    pub mtu: u32,
}

/// The lines of a node that is plugged in.
#[must_use]
pub fn add(node: &Added<'_>) -> Vec<String> {
    let mut plan = Plan::new();
    // Names are what the lines tell of the switch's end; its index there the kernel may choose.
    let switch = plan.existing("the switch's namespace", node.number + 1);
    let ns = room(&mut plan, &format!("{}{}", node.prefix, node.name));
    let (planned, peer) =
        plug(&mut plan, (switch, ns), node.number, (node.name, node.address), node.mtu);
    furnish(&mut plan, &planned, peer);
    connect(&mut plan, switch, &planned.port);
    let switch = switch_of(node.prefix);
    let mut lines = script::lines(&plan, &switch);
    let links = lines.split_off(plan.first_part());
    if let Some(port) = &planned.port {
        lines.push(format!("ip -n {switch} link set {} master {BRIDGE}", port.name));
    }
    lines.extend(links);
    lines
}

/// The lines of a node that is taken out.
#[must_use]
pub fn remove(prefix: &str, namespace: &str, port: &str) -> Vec<String> {
    vec![
        format!("ip -n {} link del {port}", switch_of(prefix)),
        format!("ip netns del {namespace}"),
    ]
}

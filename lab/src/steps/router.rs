//! The gateway as the lines of the kernel's router and NAT: its legs, whom it forwards between, the way out.

use ::topology::{NatType, Network, Spec, Uplink};

use super::{bridge, said};
use crate::address;
use crate::blueprint::UPLINK_PORT;

/// All of it, but what is published.
pub(super) fn lines(switch: &str, spec: &Spec) -> Vec<String> {
    let mut lines = vec![
        "# the gateway: uswitch routes by itself; the kernel's router in its place".to_owned(),
    ];
    for (place, network) in spec.networks.values().enumerate() {
        let bridge = bridge(place);
        if !network.filters_vlans() || network.default_pvid().is_some() {
            let own = network.gateways().into_iter().filter(|address| address.ip.is_ipv4());
            let add = |own| format!("ip -n {switch} addr add {own} brd + dev {bridge}");
            lines.extend(own.map(add));
        }
        for vlan in network.vlans.keys().filter(|_| network.filters_vlans()) {
            let own: Vec<_> = network.gateways_of(Some(*vlan));
            let own: Vec<_> = own.into_iter().filter(|address| address.ip.is_ipv4()).collect();
            if !own.is_empty() {
                lines.extend(said::leg(switch, &bridge, network, (*vlan, &own)));
            }
        }
    }
    lines.push(format!("ip netns exec {switch} sysctl -qw net.ipv4.conf.all.arp_ignore=0"));
    match spec.uplink() {
        Uplink::Sim => lines.extend(masquerade(switch)),
        Uplink::Host(interface) => {
            let name = interface.as_deref().unwrap_or("the default route's interface");
            lines.push(format!(
                "# the NAT shares {name} with this host, which no command of the kernel's tools does"
            ));
        }
        Uplink::None => {}
    }
    if spec.uplink() != Uplink::Sim && spec.has_gateway() {
        lines.push(format!("ip netns exec {switch} sysctl -qw net.ipv4.ip_forward=1"));
    }
    if spec.uplink() != Uplink::None && spec.nat != NatType::default() {
        lines.push(format!("# nat {}: the kernel's NAT has nothing like it", spec.nat));
    }
    lines.extend(forwarded(switch, spec));
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

/// Whom the gateway forwards between, where that is not everybody: the kernel's router forwards between all
/// of its interfaces. The legs of one network's VLANs reach each other as little as strangers do.
fn forwarded(switch: &str, spec: &Spec) -> Vec<String> {
    let legs: Vec<_> = spec.networks.iter().enumerate().flat_map(legs).collect();
    let out = spec.uplink() == Uplink::Sim;
    if legs.len() < 2 && !legs.iter().any(|leg| leg.internal) {
        return Vec::new();
    }
    let inside = format!("ip netns exec {switch} nft add");
    let mut lines = vec![
        format!("{inside} table ip filter"),
        format!(
            "{inside} chain ip filter forward '{{ type filter hook forward priority filter; \
             policy drop; }}'"
        ),
        format!("{inside} rule ip filter forward ct state established,related accept"),
    ];
    let mut rule = |words: String| {
        lines.push(format!("{inside} rule ip filter forward {words} accept"));
    };
    for from in &legs {
        let is_reached = |to: &&Leg<'_>| match from.network == to.network {
            true => from.device == to.device,
            false => spec.routes_between(from.network, to.network),
        };
        for to in legs.iter().filter(is_reached) {
            rule(format!("iifname {} oifname {}", from.device, to.device));
        }
        if out && !from.internal {
            rule(format!("iifname {} oifname {UPLINK_PORT}", from.device));
        }
    }
    if out {
        rule(format!("iifname {UPLINK_PORT} ct status dnat"));
    }
    lines
}

/// A place of the gateway's.
struct Leg<'a> {
    network: &'a str,
    device: String,
    internal: bool,
}

/// Those in a network: its own, and one a VLAN.
fn legs<'a>((place, (name, own)): (usize, (&'a String, &'a Network))) -> Vec<Leg<'a>> {
    let bridge = bridge(place);
    let leg = |device| Leg { network: name, device, internal: own.internal };
    let has_own = !own.gateways().is_empty();
    let has_own = has_own && (!own.filters_vlans() || own.default_pvid().is_some());
    let vlans = own
        .vlans
        .iter()
        .filter(|(vlan, _)| own.filters_vlans() && !own.gateways_of(Some(**vlan)).is_empty());
    let of_vlans = vlans.map(|(vlan, _)| format!("{bridge}.{vlan}"));
    has_own.then(|| bridge.clone()).into_iter().chain(of_vlans).map(leg).collect()
}

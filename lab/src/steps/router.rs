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
/// of its interfaces.
fn forwarded(switch: &str, spec: &Spec) -> Vec<String> {
    let served = |(_, (_, own)): &(usize, (&String, &Network))| !own.all_gateways().is_empty();
    let legs: Vec<_> = spec.networks.iter().enumerate().filter(served).collect();
    let out = spec.uplink() == Uplink::Sim;
    if legs.len() < 2 && !legs.iter().any(|(_, (_, own))| own.internal) {
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
    // The network's own leg and those of its VLANs.
    let names = |place: usize, own: &Network| {
        let bridge = bridge(place);
        let vlans = own.vlans.keys().filter(|_| own.filters_vlans());
        let of_vlans = vlans.map(|vlan| format!(", {bridge}.{vlan}"));
        format!("{{ {bridge}{} }}", of_vlans.collect::<String>())
    };
    let rule = |words: String| format!("{inside} rule ip filter forward '{words} accept'");
    for (place, (name, own)) in &legs {
        let from = names(*place, own);
        let to = legs.iter().filter(|(_, (to, _))| spec.routes_between(name, to));
        let to = to.map(|(place, (_, own))| names(*place, own));
        lines.extend(to.map(|to| rule(format!("iifname {from} oifname {to}"))));
        if out && !own.internal {
            lines.push(rule(format!("iifname {from} oifname {UPLINK_PORT}")));
        }
    }
    if out {
        lines.push(rule(format!("iifname {UPLINK_PORT} ct status dnat")));
    }
    lines
}

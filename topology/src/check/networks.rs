//! Networks: their names, their subnets, the gateway's places, and what bridges are set to.

use std::net::Ipv4Addr;

use super::{Check, few, mac_of};
use crate::cidr::{Address, Subnet};
use crate::internet::{SIM_HOSTS, SIM_PREFIX, SIM_ROUTER};
use crate::lab_name;
use crate::names;
use crate::network::{Gateway, Network};
use crate::shape;
use crate::spec::{MAX_NETWORKS, MAX_SUBNETS, MAX_SUBNETS_EACH};
use crate::uplink::Uplink;
use crate::vlan::LAST;

/// Subnets in which no host lives: this host, loopback, groups and beyond (RFC 6890).
pub(super) const NO_HOSTS: [(Ipv4Addr, u8, &str); 3] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "addresses of this host"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback addresses"),
    (Ipv4Addr::new(224, 0, 0, 0), 3, "groups and reserved addresses"),
];

impl Check<'_> {
    pub(super) fn networks(&mut self) {
        let spec = self.spec;
        if spec.networks.len() > MAX_NETWORKS {
            let count = spec.networks.len();
            self.problem(
                ["networks"],
                format!("{count} are too many: a lab has up to {MAX_NETWORKS} networks"),
            );
            return;
        }
        if self.too_many() {
            return;
        }
        self.mtu(&["mtu"], spec.mtu(), false);
        // First, for what else is wrong of such subnets follows from it.
        self.overlaps();
        for (name, network) in &spec.networks {
            self.network_name(name);
            self.subnets(name, network);
            self.legs(name, network);
            self.routed(name, network);
            self.bridge(name, network);
            self.entries(name, network);
            let ipv6 = network.has_ipv6() || spec.members(name).any(|(_, place)| place.has_ipv6());
            match network.mtu {
                Some(mtu) => self.mtu(&["networks", name, "mtu"], mtu, ipv6),
                None if ipv6 => self.mtu(&["mtu"], spec.mtu(), true),
                None => {}
            }
        }
    }

    /// Says whose lists are longer than any lab's are; then nothing else is said of networks.
    fn too_many(&mut self) -> bool {
        let (spec, before) = (self.spec, self.problems.len());
        let mut subnets = 0;
        for (name, network) in &spec.networks {
            let path = ["networks", name].map(String::from).to_vec();
            let own = (&network.subnets, &network.gateway, path);
            let of_vlans = network.vlans.iter().map(|(vlan, own)| {
                let path = ["networks", name, "vlans", &vlan.to_string()].map(String::from);
                (&own.subnets, &own.gateway, path.to_vec())
            });
            for (list, gateway, path) in std::iter::once(own).chain(of_vlans) {
                subnets += list.len();
                let gateways = if let Gateway::At(all) = gateway { all.len() } else { 0 };
                for (key, count) in [("subnets", list.len()), ("gateway", gateways)] {
                    if count > MAX_SUBNETS_EACH {
                        let path = path.iter().map(String::as_str).chain([key]);
                        self.problem(path, format!("{count} of them: up to {MAX_SUBNETS_EACH}"));
                    }
                }
            }
            let routed = network.routed.len();
            if routed > MAX_NETWORKS {
                let text = format!("{routed} of them: a lab has up to {MAX_NETWORKS} networks");
                self.problem(["networks", name, "routed"], text);
            }
        }
        if subnets > MAX_SUBNETS {
            let text = format!("{subnets} subnets: a lab has up to {MAX_SUBNETS}");
            self.problem(["networks"], text);
        }
        self.problems.len() > before
    }

    fn network_name(&mut self, name: &str) {
        let taken = names::taken(name).filter(|_| name != shape::LAN);
        let why = lab_name::shaped(name).err().map(|why| why.to_string());
        let why = why.or_else(|| taken.map(|why| format!("{name:?} is no name: {why}")));
        let why = why.or_else(|| {
            let node = self.spec.nodes.contains_key(name);
            node.then(|| format!("{name} is a node's name too: call one of them something else"))
        });
        if let Some(why) = why {
            self.problem(["networks", name], why);
        }
    }

    fn subnets(&mut self, name: &str, network: &Network) {
        for (at, subnet) in network.subnets.iter().enumerate() {
            self.subnet(&["networks", name, "subnets", &at.to_string()], *subnet);
        }
        for (vlan, own) in &network.vlans {
            for (at, subnet) in own.subnets.iter().enumerate() {
                let (vlan, at) = (vlan.to_string(), at.to_string());
                self.subnet(&["networks", name, "vlans", &vlan, "subnets", &at], *subnet);
            }
        }
    }

    fn subnet(&mut self, path: &[&str], subnet: Subnet) {
        let of = |address, prefix| Subnet::v4(address, prefix);
        for (address, prefix, what) in NO_HOSTS {
            if subnet.overlaps(of(address, prefix)) {
                self.problem(path, format!("{subnet} has {what}: no host can have them"));
                return;
            }
        }
        let fixed = [("fe80::/10", "link-local addresses"), ("ff00::/8", "groups")];
        for (text, what) in fixed {
            if text.parse().is_ok_and(|special: Subnet| subnet.overlaps(special)) {
                self.problem(
                    path,
                    format!("{subnet} has {what}: fd00:1::/64, for one, is a subnet"),
                );
                return;
            }
        }
        if self.spec.uplink() == Uplink::Sim {
            let hosts = SIM_HOSTS.iter().map(|host| of(*host, 32));
            let mut all = hosts.chain([of(SIM_ROUTER, SIM_PREFIX)]);
            if let Some(other) = all.find(|other| subnet.overlaps(*other)) {
                self.problem(
                    path,
                    format!("{subnet} overlaps {other}, which the simulated internet has: choose another, or uplink: none"),
                );
            }
        }
    }

    /// No address lies in two subnets, whosever they are.
    fn overlaps(&mut self) {
        let mut all: Vec<(Subnet, String, Vec<String>)> = Vec::new();
        for (name, network) in &self.spec.networks {
            let path = |rest: &[String]| [&["networks".into(), name.clone()], rest].concat();
            for (at, subnet) in network.subnets.iter().enumerate() {
                let place = path(&["subnets".into(), at.to_string()]);
                all.push((*subnet, format!("network {name}"), place));
            }
            for (vlan, own) in &network.vlans {
                for (at, subnet) in own.subnets.iter().enumerate() {
                    let place =
                        path(&["vlans".into(), vlan.to_string(), "subnets".into(), at.to_string()]);
                    all.push((*subnet, format!("VLAN {vlan} of network {name}"), place));
                }
            }
        }
        for (at, (subnet, _, path)) in all.iter().enumerate() {
            if let Some((other, owner, _)) = all[..at].iter().find(|(o, ..)| o.overlaps(*subnet)) {
                self.problem(
                    path,
                    format!("{subnet} overlaps {other} of {owner}: choose subnets that do not"),
                );
            }
        }
    }

    /// The gateway's places.
    fn legs(&mut self, name: &str, network: &Network) {
        self.leg(&["networks", name, "gateway"], &network.gateway, &network.subnets);
        for (vlan, own) in &network.vlans {
            let text = vlan.to_string();
            if !(1..=LAST).contains(vlan) {
                self.problem(
                    ["networks", name, "vlans", &text],
                    format!("{vlan} is no VLAN: they are numbered from 1 to {LAST}"),
                );
            }
            self.leg(&["networks", name, "vlans", &text, "gateway"], &own.gateway, &own.subnets);
            if !network.subnets.is_empty() && network.default_pvid() == Some(*vlan) {
                self.problem(
                    ["networks", name, "vlans", &text],
                    format!(
                        "the network's own subnets are VLAN {vlan}'s: say them here alone, or there"
                    ),
                );
            }
        }
        if !network.vlans.is_empty() && !network.filters_vlans() {
            self.problem(
                ["networks", name, "vlans"],
                "VLANs are not told apart here: say vlan_filtering: true",
            );
        }
        let who = format!("the gateway of {name}");
        for (at, address) in network.all_gateways().into_iter().enumerate() {
            self.own_address(&["networks", name, "gateway"], address.ip, who.clone());
            if let Some(mac) = mac_of(address.ip).filter(|_| at == 0) {
                self.owners.macs.insert(mac, who.clone());
            }
        }
    }

    fn leg(&mut self, path: &[&str], gateway: &Gateway, subnets: &[Subnet]) {
        match gateway {
            Gateway::None | Gateway::First => {}
            Gateway::At(own) => {
                for (at, ip) in own.iter().enumerate() {
                    let home = subnets.iter().find(|subnet| subnet.contains(*ip));
                    let Some(home) = home else {
                        let all = subnets.iter().map(ToString::to_string).collect::<Vec<_>>();
                        let all = few(all.iter());
                        self.problem(path, format!("{ip} is in no subnet of it ({all})"));
                        continue;
                    };
                    if !home.is_host(*ip) {
                        let first = home.first_host();
                        self.problem(
                            path,
                            format!("{ip} is no host's address in {home}: {first}, for one, is"),
                        );
                    }
                    if let Some(other) = own[..at].iter().find(|other| home.contains(**other)) {
                        self.problem(
                            path,
                            format!("{ip} and {other} are in one subnet, {home}: one is enough"),
                        );
                    }
                }
            }
        }
    }

    fn routed(&mut self, name: &str, network: &Network) {
        for (at, to) in network.routed.iter().enumerate() {
            let at = at.to_string();
            let path = ["networks", name, "routed", &at];
            let Some(other) = self.spec.network(to) else {
                let all = few(self.spec.networks.keys());
                self.problem(path, format!("there is no network {to}: {all}"));
                continue;
            };
            if to == name {
                self.problem(
                    path,
                    format!("{name} reaches itself without a router: name another network"),
                );
            }
            for (whose, legs) in [(name, network), (to.as_str(), other)] {
                if legs.all_gateways().is_empty() {
                    self.problem(
                        path,
                        format!("the gateway routes, and has no address in {whose}: say gateway: true there"),
                    );
                }
            }
        }
    }

    /// What the bridge is set to.
    fn bridge(&mut self, name: &str, network: &Network) {
        for (key, text) in network.wrong() {
            self.problem(["networks", name, key], text);
        }
    }

    /// Says why nobody can have an address on a network, or on a link where there is none.
    pub(super) fn placed(&mut self, path: &[&str], address: Address, subnets: &[Subnet]) {
        if let Err(why) = address.among(subnets) {
            self.problem(path, why);
        } else if !subnets.iter().any(|own| own.contains(address.ip)) {
            let alone = Subnet::of(address.ip, if address.ip.is_ipv4() { 32 } else { 128 });
            alone.into_iter().for_each(|alone| self.subnet(path, alone));
        }
    }
}

//! What nobody chose: addresses, hardware addresses, names of interfaces. Given out in the order of
//! the spec, after all that was chosen. And one node by itself, of a lab where all is chosen.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use wire::MacAddr;

use super::{Check, mac_of, routes};
use crate::checked::{CheckedInterface, CheckedNode, Place};
use crate::cidr::{Address, Subnet};
use crate::node::{Attachment, Node};
use crate::shape;
use crate::spec::Spec;

/// Second bytes of hardware addresses that do not follow from an address of IPv4: at ports, at links.
const AT_PORT: u8 = 1;
const AT_LINK: u8 = 0x40;

/// What is left of a subnet.
type Left = Box<dyn Iterator<Item = IpAddr>>;

impl Spec {
    /// A node of a lab that has nothing left to choose ([`Checked::spelled_out`](crate::Checked)), as the
    /// check of all would have it: for one that comes, or is looked at, while the lab runs. Routes that
    /// lead nowhere any more are left out.
    #[must_use]
    pub fn checked_node(&self, name: &str) -> Option<CheckedNode> {
        let (at, name, node) = self.nodes.get_full(name)?;
        let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let mut check = Check::of(self);
        let ends = ends(self).remove(name.as_str()).unwrap_or_default();
        let mut node = check.place((number, name, node), &ends, &mut HashMap::new());
        (node.routes, _) = routes::of(self, &node, |name| chosen(self, name));
        Some(node)
    }
}

/// The addresses that were chosen for a node.
fn chosen(spec: &Spec, name: &str) -> Option<Vec<IpAddr>> {
    let places = spec.node(name)?.networks.iter().flat_map(|place| &place.addresses);
    let ends = spec.ends(name).flat_map(|(_, end)| &end.addresses);
    Some(places.flatten().chain(ends).map(|address| address.ip).collect())
}

/// The ends of links by node, in the order of the links: the place of the link, and which end.
fn ends(spec: &Spec) -> HashMap<&str, Vec<(usize, usize)>> {
    let mut ends: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (link, both) in spec.links.iter().enumerate() {
        for (end, own) in both.endpoints.iter().enumerate() {
            ends.entry(own.node.as_str()).or_default().push((link, end));
        }
    }
    ends
}

impl Check<'_> {
    pub(super) fn places(&mut self) -> Vec<CheckedNode> {
        let mut left = HashMap::new();
        let mut ends = ends(self.spec);
        let mut nodes = Vec::with_capacity(self.spec.nodes.len());
        for (number, (name, node)) in (1..).zip(&self.spec.nodes) {
            let ends = ends.remove(name.as_str()).unwrap_or_default();
            nodes.push(self.place((number, name, node), &ends, &mut left));
        }
        nodes
    }

    /// A node without its routes.
    fn place(
        &mut self,
        (number, name, node): (u32, &str, &Node),
        ends: &[(usize, usize)],
        left: &mut HashMap<Subnet, Left>,
    ) -> CheckedNode {
        let chosen = |(link, end): &(usize, usize)| {
            self.spec.links[*link].endpoints[*end].interface.as_deref()
        };
        let mut names = Names::of(node, ends.iter().filter_map(chosen));
        let mut interfaces = Vec::new();
        for place in &node.networks {
            interfaces.push(self.at_port((number, name), place, left, &mut names));
        }
        for end in ends {
            interfaces.push(self.at_link(name, *end, &mut names));
        }
        let (name, kind, exec) = (name.to_owned(), node.kind, node.exec.clone());
        CheckedNode { number, name, kind, interfaces, routes: Vec::new(), exec }
    }

    fn at_port(
        &mut self,
        (number, name): (u32, &str),
        place: &Attachment,
        left: &mut HashMap<Subnet, Left>,
        names: &mut Names,
    ) -> CheckedInterface {
        let spec = self.spec;
        let subnets = spec
            .network(&place.network)
            .map(|network| network.subnets_of(spec.pvid(name, &place.network)).to_vec());
        let subnets = subnets.unwrap_or_default();
        let addresses = match &place.addresses {
            Some(chosen) => chosen.iter().map(|own| with_prefix(*own, &subnets)).collect(),
            None => self.given(name, &place.network, &subnets, left),
        };
        let network = spec.networks.get_index_of(&place.network).unwrap_or_default();
        let further = [low(network), low(number as usize)];
        let mac = place.mac.unwrap_or_else(|| self.mac(name, &addresses, AT_PORT, further));
        CheckedInterface {
            name: names.take(place.interface.as_deref()),
            place: Place::Port {
                network: place.network.clone(),
                settings: Box::new(spec.port(name, &place.network)),
            },
            addresses,
            mac,
            mtu: spec.mtu_of(&place.network),
        }
    }

    /// The next free address of each family, of the first subnet of it.
    fn given(
        &mut self,
        name: &str,
        network: &str,
        subnets: &[Subnet],
        left: &mut HashMap<Subnet, Left>,
    ) -> Vec<(IpAddr, u8)> {
        let of_family = |ipv4| subnets.iter().find(|subnet| subnet.is_ipv4() == ipv4).copied();
        let mut given = Vec::new();
        for subnet in [of_family(true), of_family(false)].into_iter().flatten() {
            let taken = &self.owners.addresses;
            let rest = left.entry(subnet).or_insert_with(|| order(subnet));
            match rest.find(|ip| !taken.contains_key(ip)) {
                Some(ip) => {
                    self.owners.addresses.insert(ip, name.to_owned());
                    given.push((ip, subnet.prefix()));
                }
                None => {
                    let text = format!("no address is left in {subnet}: a larger subnet has more");
                    self.problem(["nodes", name, "networks", network], text);
                }
            }
        }
        given
    }

    fn at_link(
        &mut self,
        name: &str,
        (link, end): (usize, usize),
        names: &mut Names,
    ) -> CheckedInterface {
        let spec = self.spec;
        let own = &spec.links[link].endpoints[end];
        let addresses: Vec<_> = own.addresses.iter().map(|own| with_prefix(*own, &[])).collect();
        let further = [low(link), low(end)];
        let mac = own.mac.unwrap_or_else(|| self.mac(name, &addresses, AT_LINK, further));
        CheckedInterface {
            name: names.take(own.interface.as_deref()),
            place: Place::Link { link, end },
            addresses,
            mac,
            mtu: spec.links[link].mtu.unwrap_or(spec.mtu()),
        }
    }

    /// A hardware address that nobody has: that of the first address of IPv4, or one of its place.
    fn mac(&mut self, name: &str, addresses: &[(IpAddr, u8)], kind: u8, at: [u16; 2]) -> MacAddr {
        let [[a, b], [c, d]] = at.map(u16::to_be_bytes);
        let own = addresses.iter().find_map(|(ip, _)| mac_of(*ip));
        let by_place =
            (0..u8::MAX).map(|turn| MacAddr([2, kind.wrapping_add(turn).max(1), a, b, c, d]));
        let free = |mac: &MacAddr| !self.owners.macs.contains_key(mac);
        let mac =
            own.into_iter().chain(by_place).find(free).unwrap_or(MacAddr([2, kind, a, b, c, d]));
        self.owners.macs.insert(mac, name.to_owned());
        mac
    }
}

fn low(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The order in which a subnet's addresses are given out; no more than a lab has nodes.
fn order(subnet: Subnet) -> Left {
    match shape::order(subnet) {
        Some(order) => Box::new(order),
        None => Box::new(subnet.host_addresses()),
    }
}

/// An address with the prefix length it says, or that of the subnet it lies in.
fn with_prefix(address: Address, subnets: &[Subnet]) -> (IpAddr, u8) {
    let home = subnets.iter().find(|subnet| subnet.contains(address.ip));
    let alone = if address.ip.is_ipv4() { 32 } else { 128 };
    (address.ip, address.prefix.or(home.map(|home| home.prefix())).unwrap_or(alone))
}

/// The names of a node's interfaces.
struct Names {
    taken: HashSet<String>,
    next: usize,
}

impl Names {
    fn of<'a>(node: &'a Node, links: impl Iterator<Item = &'a str>) -> Self {
        let own = node.networks.iter().filter_map(|place| place.interface.as_deref());
        Self { taken: own.chain(links).map(str::to_owned).collect(), next: 0 }
    }

    /// The one that was chosen, or the next `ethN`.
    fn take(&mut self, chosen: Option<&str>) -> String {
        if let Some(chosen) = chosen {
            return chosen.to_owned();
        }
        loop {
            let name = format!("eth{}", self.next);
            self.next += 1;
            if !self.taken.contains(&name) {
                return name;
            }
        }
    }
}

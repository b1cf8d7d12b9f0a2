//! Nodes that come while the lab runs and traffic flows. Called through the control socket;
//! one change at a time, under the state's lock. What fails half-way is undone.

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;

use ::topology::{Attachment, Node as Asked, Spec, StormLimits, Subnet, shape};
use ns::Plan;
use wire::MacAddr;

use crate::blueprint::{NodePlan, connect, furnish, interface_name, macs, plug, room};
use crate::called;
use crate::config::{MAX_NODES, check_node_of};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::hosts;
use crate::known::known;
use crate::lab::{Held, Lab, State};
use crate::leave::release;
use crate::network::check_added;
use crate::node::{Node, running};
use crate::plug::bridged;
use crate::port;
use crate::progress::Recorder;

/// How often a node that another host keeps from its number is given another.
const TRIES: usize = 16;

/// A node to plug in.
#[derive(Clone, Debug, Default)]
pub struct AddNode {
    /// Its name; None for the next free `netN`.
    pub name: Option<String>,
    /// Its places in networks; none for one in the first network.
    pub places: Vec<Attachment>,
    /// What each of its ports may have flooded; None for as much as the lab's other nodes.
    pub storm: Option<StormLimits>,
    /// Only says what it would be.
    pub dry_run: bool,
}

impl Lab {
    /// Plugs a new node in: the lowest number that is free, `netN` unless it is given a name, and
    /// that number's address in the shapes' network, the next free one in others, unless it is given
    /// one.
    ///
    /// # Errors
    /// [`Error::NoSwitch`], [`Error::NodeExists`], [`Error::AddressTaken`], [`Error::Usage`] for a
    /// name, a network or an address that cannot be or a lab that is full; whatever the kernel
    /// refuses, and then nothing has changed.
    pub fn add_node(&self, ask: &AddNode) -> Result<Node> {
        let lab = self.config().name.to_string();
        if self.switch_ns.is_none() {
            return Err(Error::NoSwitch(lab));
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let mut refused = (HashSet::new(), String::new());
        loop {
            let tried = self.add(state, ask, &refused.0);
            match tried {
                // Another host was faster: what was chosen here is chosen anew, what was asked for is not.
                Err((Error::Claimed(line), Some(number)))
                    if line != refused.1 && refused.0.len() < TRIES =>
                {
                    refused.0.insert(number);
                    refused.1 = line;
                }
                tried => return tried.map_err(|(error, _)| error),
            }
        }
    }

    /// With a number that is not among `refused`; the number where it fails by something of its own.
    fn add(
        &self,
        state: &mut State,
        ask: &AddNode,
        refused: &HashSet<u32>,
    ) -> std::result::Result<Node, (Error, Option<u32>)> {
        let none = |error: Error| (error, None);
        let (number, name, file) = self.enter(state, ask, refused).map_err(none)?;
        let added = self.make(state, (number, &name, &file), ask);
        if added.is_err() || ask.dry_run {
            state.spec.nodes.shift_remove(&name);
        }
        if added.is_err() {
            release(state, &name);
        }
        for network in state.tunnels.iter().map(|tunnel| tunnel.network.clone()) {
            self.fit_gso(state, &network);
        }
        added.map_err(|error| (error, Some(number)))
    }

    /// Enters a node into the lab's spec: its number, its name, its namespace's.
    fn enter(
        &self,
        state: &mut State,
        ask: &AddNode,
        refused: &HashSet<u32>,
    ) -> Result<(u32, String, String)> {
        let lab = self.config().name.to_string();
        let mut places = ask.places.clone();
        if places.is_empty() {
            let (first, _) = state.spec.networks.first().ok_or_else(|| {
                let program = called::program();
                let make = format!("`{program} network add NAME` makes one");
                Error::Usage(format!("lab {lab} has no network any more: {make}"))
            })?;
            places.push(Attachment::to(first));
        }
        for (at, place) in places.iter().enumerate() {
            if state.spec.network(&place.network).is_none() {
                return Err(self.no_network(state, &place.network));
            }
            if places[..at].iter().any(|other| other.network == place.network) {
                return Err(Error::Usage(format!(
                    "network {} twice: a node is in a network once, with several addresses perhaps",
                    place.network
                )));
            }
        }
        let ports = state.nodes.iter().map(|held| held.node.ports().count()).sum::<usize>();
        let ports = ports + 2 * state.joints.len();
        if ports + places.len() > MAX_NODES as usize {
            return Err(Error::Usage(format!("lab {lab} has all the {MAX_NODES} nodes it can")));
        }
        let number = self.number(state, ask.name.is_none(), &places, refused)?;
        let name = ask.name.clone().unwrap_or_else(|| shape::name(number));
        check_node_of(&name, &self.config().name)?;
        let file = format!("{}{name}", self.config().prefix());
        // Verbs find a node by its name and by its namespace's; who looks a name up, by any case of it.
        let alike = |held: &Held| held.node.name.eq_ignore_ascii_case(&name);
        let meant = |held: &Held| held.node.is(&name) || held.node.is(&file) || alike(held);
        if state.nodes.iter().any(meant) {
            return Err(Error::NodeExists { lab, node: name });
        }
        for place in &places {
            self.check_place(state, &name, place)?;
        }
        let others = hosts::beyond(&state.joined);
        // A port out of all networks keeps its addresses, and the spec knows of none.
        let here = state.nodes.iter().flat_map(|held| &held.node.interfaces);
        let here = here.flat_map(|own| own.addresses.iter().map(|address| &address.ip));
        let others = others.iter().flat_map(|(_, other)| &other.ips).chain(here).copied().collect();
        for (at, place) in places.iter_mut().enumerate() {
            place.interface.get_or_insert_with(|| interface_name(number, at));
            if place.addresses.is_none() {
                place.addresses =
                    Some(addresses((&state.spec, &others), (&name, &place.network), number)?);
            }
            let own = place.addresses.as_deref().unwrap_or_default();
            place.mac.get_or_insert_with(|| free_mac(&state.nodes, own, (number, at)));
        }
        state.spec.nodes.insert(name.clone(), Asked::on(places));
        let before = |spec: &mut Spec| _ = spec.nodes.shift_remove(&name);
        if let Err(error) = check_added(&state.spec, &format!("node {name}"), before) {
            state.spec.nodes.shift_remove(&name);
            return Err(error);
        }
        Ok((number, name, file))
    }

    /// Makes a node that the lab's spec has already.
    fn make(
        &self,
        state: &mut State,
        (number, name, file): (u32, &str, &str),
        ask: &AddNode,
    ) -> Result<Node> {
        let lab = self.config().name.to_string();
        let Some(switch_ns) = &self.switch_ns else { return Err(Error::NoSwitch(lab)) };
        let State { spec, domains, journal, joined, .. } = state;
        let Some(journal) = journal else { return Err(Error::NotRunning(lab)) };
        let gone = || Error::NotRunning(lab.clone());
        let checked = spec.checked_node(name).ok_or_else(gone)?;
        let mut plan = Plan::new();
        plan.tunnels(self.fast.finish);
        let switch = plan.existing("the switch's namespace", state.next_index);
        let ns = room(&mut plan, file);
        let mut planned = NodePlan::of(number, name, ns);
        plug(&mut plan, switch, &mut planned, &checked);
        furnish(&mut plan, &planned, &checked.routes);
        let ports: Vec<u32> =
            running(self.config(), &planned, &[]).ports().map(|p| p.index).collect();
        let count = u32::try_from(ports.len()).unwrap_or(u32::MAX);
        connect(&mut plan, switch, ports);
        if ask.dry_run {
            return Ok(running(self.config(), &planned, &[]));
        }
        hosts::claim(joined, &running(self.config(), &planned, &[]))?;
        let mut recorder = Recorder {
            journal,
            stop: &AtomicBool::new(false),
            tell: &mut |_| {},
            lines: Vec::new().into_iter(),
        };
        let mut applied = ns::apply(&plan, &self.directory, &[switch_ns.as_fd()], &mut recorder)?;
        state.next_index += count;
        let settings = port::plugged(ask.storm.unwrap_or(self.config().spec.storm));
        let plugged = self.with_switch(|switch| {
            let mut ids = Vec::new();
            // Before its link is up, every worker knows the port.
            let mut come_up = || -> Result<()> {
                for interface in &planned.interfaces {
                    let of_node = (name, interface);
                    ids.push(bridged(switch, (spec, domains), of_node, settings)?);
                }
                switch.sync()?;
                applied.finish(&plan, &self.directory, &mut recorder)?;
                ids.iter().flatten().try_for_each(|id| Ok(switch.set_link(*id, true)?))
            };
            match come_up() {
                Ok(()) => Ok(ids),
                Err(error) => {
                    ids.into_iter().flatten().for_each(|id| _ = switch.remove_port(id));
                    Err(error)
                }
            }
        });
        let ids = plugged.ok_or(Error::NotRunning(lab.clone()))??;
        let Some(netns) = applied.take(ns) else { return Err(Error::NotRunning(lab)) };
        let node = running(self.config(), &planned, &ids);
        if let Err(error) = journal.know(known(&node)) {
            // It works; only `ping NODE` by other processes will not know its address.
            tracing::warn!("{error}");
        }
        state.naming.added(&node);
        state.nodes.push(Held { node: node.clone(), home: Home::Own(netns) });
        // Now its ports are known, and with them its VLANs.
        state.joined.iter().for_each(hosts::Joined::look);
        Ok(node)
    }

    /// The lowest number that is free with its interfaces' names and, where that counts, its name and
    /// its address in the shapes' network.
    fn number(
        &self,
        state: &State,
        named: bool,
        places: &[Attachment],
        refused: &HashSet<u32>,
    ) -> Result<u32> {
        let counts = |place: &Attachment| {
            place.addresses.is_none() && has_shapes_subnet(&state.spec, &place.network)
        };
        let by_number = places.iter().any(counts);
        let nodes = || state.nodes.iter().map(|held| &held.node);
        // What other hosts of the network have claimed is taken too.
        let others = hosts::beyond(&state.joined);
        let numbers: HashSet<u32> = nodes().map(|node| node.number).collect();
        let names = nodes().map(|node| node.name.as_str());
        let names: HashSet<&str> =
            names.chain(others.iter().map(|(name, _)| name.as_str())).collect();
        let own = nodes().flat_map(|node| &node.interfaces).flat_map(|own| &own.addresses);
        let own = own.map(|address| address.ip);
        let addresses: HashSet<IpAddr> =
            own.chain(others.iter().flat_map(|(_, other)| &other.ips).copied()).collect();
        let free = |number: &u32| {
            let address = shape::address::of_node(*number).filter(|_| by_number);
            let meets = address.is_some_and(|address| addresses.contains(&address.into()));
            let is_called = || names.contains(shape::name(*number).as_str());
            let is_taken = numbers.contains(number) || refused.contains(number);
            !(is_taken || meets || named && is_called())
        };
        (1..=MAX_NODES.min(shape::address::LAST)).find(free).ok_or_else(|| {
            let lab = &self.config().name;
            Error::Usage(format!("lab {lab} has all the {MAX_NODES} nodes it can"))
        })
    }

    /// Says why a node cannot have this place.
    fn check_place(&self, state: &State, name: &str, place: &Attachment) -> Result<()> {
        let subnets = subnets(&state.spec, (name, &place.network));
        for address in place.addresses.iter().flatten() {
            self.check_free(state, address.ip)?;
            address.among(subnets)?;
        }
        Ok(())
    }

    /// Says whose an address is already.
    fn check_free(&self, state: &State, asked: IpAddr) -> Result<()> {
        let lab = self.config().name.to_string();
        let held = state.nodes.iter().find(|held| held.node.interface(asked).is_some());
        let is_gateway = || {
            let mut all = state.spec.networks.values().flat_map(::topology::Network::all_gateways);
            all.any(|gateway| gateway.ip == asked)
        };
        let owner = match held {
            Some(held) => held.node.name.clone(),
            None if is_gateway() => "the gateway".into(),
            None => return Ok(()),
        };
        Err(Error::AddressTaken { lab, address: asked, owner })
    }
}

/// A hardware address that no node of the lab has: another one may have been given what follows from these
/// addresses, and has moved, or what follows from this place by the rule of files.
fn free_mac(nodes: &[Held], own: &[::topology::Address], at: (u32, usize)) -> MacAddr {
    let interfaces = || nodes.iter().flat_map(|held| &held.node.interfaces);
    let free = |mac: &MacAddr| interfaces().all(|interface| interface.mac != *mac);
    let mut all = macs(own, at);
    all.find(free).unwrap_or(MacAddr::ZERO)
}

/// Whether a network has the shapes' subnet, in which addresses go by numbers.
fn has_shapes_subnet(spec: &Spec, network: &str) -> bool {
    let own = spec.network(network);
    own.is_some_and(|own| own.subnets_of(own.default_pvid()).contains(&shape::subnet()))
}

/// The subnets in which a node has addresses in a network: of the VLAN that its port is in.
fn subnets<'s>(spec: &'s Spec, (node, network): (&str, &str)) -> &'s [Subnet] {
    let own = spec.network(network);
    own.map(|own| own.subnets_of(spec.pvid(node, network))).unwrap_or_default()
}

/// The addresses of node `number` in a network: one of each family that it has subnets of.
fn addresses(
    (spec, others): (&Spec, &HashSet<IpAddr>),
    (node, network): (&str, &str),
    number: u32,
) -> Result<Vec<::topology::Address>> {
    let subnets = subnets(spec, (node, network));
    let families = [true, false].map(|v4| subnets.iter().find(|subnet| subnet.is_ipv4() == v4));
    let mut all = Vec::new();
    for subnet in families.into_iter().flatten() {
        let by_number = || shape::address::of_node(number).map(IpAddr::V4);
        let free = match *subnet == shape::subnet() {
            true => by_number(),
            false => spec.next_free(*subnet, others),
        };
        let free = free.ok_or_else(|| {
            Error::Usage(format!("network {network} has no free address in {subnet}"))
        })?;
        all.push(free.into());
    }
    Ok(all)
}

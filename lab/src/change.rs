//! Nodes that come and go while the lab runs and traffic flows. Called through the control socket;
//! one change at a time, under the state's lock.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;

use control::api::AddNode;
use ns::Plan;
use switch::{PortId, PortRole};

use crate::address;
use crate::config::{MAX_NODES, check_node_name};
use crate::error::{Error, Result};
use crate::lab::{Held, Lab, Node, known, running};
use crate::plug::add_port;
use crate::port;
use crate::progress::Recorder;
use crate::station::node;
use crate::topology::{connect, furnish, plug, room};

impl Lab {
    /// Plugs a new node in: the lowest number that is free, `netN` unless it is given a name, and
    /// that number's address unless it is given one.
    ///
    /// # Errors
    /// [`Error::NoSwitch`], [`Error::NodeExists`], [`Error::AddressTaken`], [`Error::Usage`] for a
    /// name or an address that cannot be or a lab that is full; whatever the kernel refuses, and
    /// then nothing has changed.
    pub fn add_node(&self, ask: &AddNode) -> Result<Node> {
        let (name, address) = (ask.name.as_deref(), ask.address);
        let settings = port::plugged(ask.storm.unwrap_or(self.config().storm));
        let lab = self.config().name.to_string();
        let Some(switch_ns) = &self.switch_ns else { return Err(Error::NoSwitch(lab)) };
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(address) = address {
            self.check_address(&state.nodes, address)?;
        }
        let mut number = 1;
        // A number is free with its interfaces' names, and with its address where that counts.
        while state.nodes.iter().any(|held| {
            let meets = address.is_none() && has(held, address::of_node(number));
            let called = name.is_none() && held.node.name == format!("net{number}");
            held.node.number == number || meets || called
        }) {
            number += 1;
        }
        if number > MAX_NODES.min(address::LAST) {
            return Err(Error::Usage(format!("lab {lab} has all the {MAX_NODES} nodes it can")));
        }
        let name = name.map_or_else(|| format!("net{number}"), str::to_owned);
        check_node_name(&name)?;
        let file = format!("{}{name}", self.config().prefix());
        // Verbs find a node by its name and by its namespace's.
        let meant = |held: &Held| {
            let of_it = [&held.node.name, &held.node.file];
            of_it.contains(&&name) || of_it.contains(&&file)
        };
        if state.nodes.iter().any(meant) {
            return Err(Error::NodeExists { lab, node: name });
        }
        let Some(journal) = &mut state.journal else { return Err(Error::NotRunning(lab)) };

        let mut plan = Plan::new();
        let switch = plan.existing("the switch's namespace", state.next_index);
        let ns = room(&mut plan, &file);
        let address = address.or(address::of_node(number)).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let (node, peer) =
            plug(&mut plan, (switch, ns), number, (&name, address), self.config().mtu);
        furnish(&mut plan, &node, peer);
        connect(&mut plan, switch, &node.port);
        if ask.dry_run {
            let mut foreseen = running(self.config(), &node);
            foreseen.port = node.port.map(|port| (PortId::LOCAL, port.name));
            return Ok(foreseen);
        }
        let mut recorder = Recorder {
            journal,
            stop: &AtomicBool::new(false),
            tell: &mut |_| {},
            lines: Vec::new().into_iter(),
        };
        let mut applied = ns::apply(&plan, &self.directory, &[switch_ns.as_fd()], &mut recorder)?;
        state.next_index += 1;
        let Some(port) = &node.port else { return Err(Error::NoSwitch(lab)) };
        let id = self
            .with_switch(|switch| {
                let role = PortRole::Bridged;
                let id = add_port(switch, port, role, self.config().mtu, settings)?;
                // Before its link is up, every worker knows the port.
                let mut come_up = || -> Result<()> {
                    switch.sync()?;
                    applied.finish(&plan, &self.directory, &mut recorder)?;
                    Ok(switch.set_link(id, true)?)
                };
                come_up().inspect_err(|_| _ = switch.remove_port(id))?;
                Ok::<_, Error>(id)
            })
            .ok_or(Error::NotRunning(lab.clone()))??;
        let Some(netns) = applied.take(ns) else { return Err(Error::NotRunning(lab)) };
        let mut node_now = running(self.config(), &node);
        if let Err(error) = journal.know(known(&node_now)) {
            // It works; only `ping NODE` by other processes will not know its address.
            tracing::warn!("{error}");
        }
        node_now.port = Some((id, port.name.clone()));
        state.nodes.push(Held { node: node_now.clone(), netns, index: Some(port.index) });
        Ok(node_now)
    }

    /// Says why a node cannot have `asked`.
    fn check_address(&self, nodes: &[Held], asked: Ipv4Addr) -> Result<()> {
        let lab = self.config().name.to_string();
        if !address::is_host(asked) {
            return Err(Error::Usage(format!(
                "{asked} is no host's address in {}/{}",
                address::NETWORK,
                address::PREFIX
            )));
        }
        let owner = match nodes.iter().find(|held| has(held, Some(asked))) {
            Some(held) => held.node.name.clone(),
            None if asked == address::GATEWAY => "the gateway".into(),
            None => return Ok(()),
        };
        Err(Error::AddressTaken { lab, address: asked, owner })
    }

    /// Takes a node out: its port, its veth pair, its namespace's name, and all that the gateway has
    /// for it. The ports that were published for it are [withdrawn](Lab::take_withdrawn).
    ///
    /// # Errors
    /// [`Error::NoSwitch`], [`Error::NoNode`]; what could not be undone.
    pub fn remove_node(&self, name: &str) -> Result<()> {
        let lab = self.config().name.to_string();
        let Some(switch_ns) = &self.switch_ns else { return Err(Error::NoSwitch(lab)) };
        let mut state = self.state();
        let found = |held: &Held| held.node.name == name || held.node.file == name;
        let Some(place) = state.nodes.iter().position(found) else {
            let names: Vec<_> = state.nodes.iter().map(|held| held.node.name.clone()).collect();
            return Err(Error::NoNode { lab, node: name.into(), nodes: names.join(", ") });
        };
        let held = state.nodes.remove(place);
        let port = held.node.port.as_ref().map(|(port, _)| *port);
        let unplugged = port.map_or(Ok(()), |port| {
            self.with_switch(|switch| switch.remove_port(port)).unwrap_or(Ok(()))
        });
        // Before the next node can have its port's number, its address or its name.
        let address = held.node.interfaces.first().map(|interface| interface.address);
        state.withdrawn.extend(self.forget(port, address));
        let deleted = held.index.map_or(Ok(()), |index| ns::link::delete(switch_ns.as_fd(), index));
        let removed = held.netns.remove();
        if let Some(journal) = &mut state.journal
            && removed.is_ok()
            && let Err(error) = journal.strike(&held.node.file)
        {
            // The node is gone; the next line that can be written says so.
            tracing::warn!("{error}");
        }
        unplugged?;
        deleted?;
        Ok(removed?)
    }

    /// What was at a port, and had an address, is gone: the gateway forgets it. Returns the ports
    /// that were published for it.
    fn forget(&self, port: Option<PortId>, address: Option<Ipv4Addr>) -> Vec<gateway::Published> {
        let forgotten = self.with_gateway(|gateway| {
            let mut gone = port.map_or_else(Vec::new, |port| gateway.forget_node(node(port)));
            // Published while its port was gone already.
            let of_it = |one: &&gateway::Published| Some(one.inside.address) == address;
            let left: Vec<_> = gateway.published().iter().filter(of_it).copied().collect();
            for one in &left {
                gateway.unpublish(one.protocol, one.port);
            }
            gone.extend(left);
            gone
        });
        forgotten.unwrap_or_default()
    }

    /// A port's interface has vanished, and the node behind it: so does all the gateway has for it.
    pub(crate) fn node_vanished(&self, port: PortId) {
        let withdrawn = self.forget(Some(port), None);
        self.state().withdrawn.extend(withdrawn);
    }
}

fn has(held: &Held, address: Option<Ipv4Addr>) -> bool {
    held.node.interfaces.iter().any(|interface| Some(interface.address) == address)
}

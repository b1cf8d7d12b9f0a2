//! Ports of a lab, plugged into its switch. Called by `lab` and `change` while the links of the ports
//! are still down: a node has no carrier before every worker knows its port, so that the first frame
//! it sends is forwarded and counted like any other. Where one cannot be plugged in, the lab or the
//! node is not made.

use ::topology::Spec;
use switch::{PortId, PortRole, PortSettings, PortSpec, Switch};
use wire::MacAddr;

use crate::blueprint::Blueprint;
use crate::domain::{self, Domains};
use crate::error::Result;
use crate::joint;
use crate::node::{Interface, Plug};
use crate::port;

/// The ports of a lab, with their interfaces.
#[derive(Default)]
pub(crate) struct Plugged {
    /// The number of each node's interface's port, node by node.
    pub(crate) nodes: Vec<Vec<Option<PortId>>>,
    /// Those of the ends of links between networks.
    pub(crate) joints: Vec<[PortId; 2]>,
    /// Those of them that are held until it is known whether they close a loop.
    pub(crate) held: Vec<PortId>,
    /// That of the simulated uplink, and its interface's index.
    pub(crate) uplink: Option<(PortId, u32)>,
    /// The next interface index in the switch's namespace.
    pub(crate) next_index: u32,
}

impl Plugged {
    /// Plugs in all ports of a blueprint. When this returns every worker knows them.
    ///
    /// # Errors
    /// What the switch says.
    pub(crate) fn all(
        switch: &Switch,
        (spec, domains): (&Spec, &Domains),
        print: &Blueprint,
    ) -> Result<Self> {
        let mut plugged = Self { next_index: ns::plan::LOOPBACK + 1, ..Self::default() };
        for node in &print.nodes {
            let mut ids = Vec::with_capacity(node.interfaces.len());
            for interface in &node.interfaces {
                if let Some(port) = &interface.port {
                    plugged.next_index = plugged.next_index.max(port.index + 1);
                }
                let settings = port::plugged(spec.storm);
                ids.push(bridged(switch, (spec, domains), (&node.name, interface), settings)?);
            }
            plugged.nodes.push(ids);
        }
        for joint in &print.joints {
            for port in &joint.ports {
                plugged.next_index = plugged.next_index.max(port.index + 1);
            }
            let ports = joint::plugged(switch, (spec, domains), joint)?;
            plugged.held.extend(joint::held(switch, ports));
            plugged.joints.push(ports);
        }
        if let Some(port) = &print.uplink {
            let behind = Some(crate::address::mac(crate::address::SIM_ROUTER));
            let spec = PortSpec { role: PortRole::Routed, behind, ..down(port, spec.mtu()) };
            plugged.uplink = Some((switch.add_port(spec)?, port.index));
            plugged.next_index = plugged.next_index.max(port.index + 1);
        }
        switch.sync()?;
        Ok(plugged)
    }

    /// The links are up. Those that look for loops are tried out, one after the other: who closes a ring
    /// of those before is shut. Says which are, in words.
    ///
    /// # Errors
    /// What the switch says.
    pub(crate) fn up(&self, switch: &Switch) -> Result<Option<String>> {
        let nodes = self.nodes.iter().flatten().flatten().copied();
        let joints = self.joints.iter().flatten().copied();
        for port in nodes.chain(joints).chain(self.uplink.map(|(port, _)| port)) {
            switch.set_link(port, true)?;
        }
        switch.sync()?;
        let mut closes = false;
        for port in &self.held {
            closes |= switch.try_out(*port)?;
        }
        let shut = switch.shut_ports();
        let names = switch.ports().into_iter().filter(|info| shut.contains_key(&info.id));
        let names: Vec<String> = names.map(|info| info.spec.name).collect();
        Ok(closes.then(|| format!("shut for the ring that it closes: {}", names.join(", "))))
    }
}

/// Plugs in the port of an interface, whose link is still down; workers hear of it a little later
/// ([`Switch::sync`]). None for the end of a link to another node.
pub(crate) fn bridged(
    switch: &Switch,
    (spec, domains): (&Spec, &Domains),
    (node, interface): (&str, &Interface),
    settings: PortSettings,
) -> Result<Option<PortId>> {
    let (Some(port), Some(network)) = (&interface.port, &interface.network) else {
        return Ok(None);
    };
    let place = Place { node, network, behind: Some(interface.mac) };
    let mtu = spec.mtu_of(network);
    bridge_port(switch, (spec, domains), (port, mtu), place, settings).map(Some)
}

/// Where a port is: whose, in which network.
pub(crate) struct Place<'a> {
    pub(crate) node: &'a str,
    pub(crate) network: &'a str,
    /// The one host at the other end, where that is known.
    pub(crate) behind: Option<MacAddr>,
}

/// Plugs in a port of this MTU, whose link is still down.
pub(crate) fn bridge_port(
    switch: &Switch,
    (spec, domains): (&Spec, &Domains),
    (port, mtu): (&Plug, u32),
    Place { node, network, behind }: Place<'_>,
    settings: PortSettings,
) -> Result<PortId> {
    let (settings, vlans) = domain::of_port(spec, node, network, settings)?;
    let network = domains.get(network).map(|domain| domain.id).unwrap_or_default();
    Ok(switch.add_port(PortSpec { settings, vlans, network, behind, ..down(port, mtu) })?)
}

fn down(port: &Plug, mtu: u32) -> PortSpec {
    PortSpec { up: false, ..PortSpec::bridged(port.name.clone(), port.index, mtu) }
}

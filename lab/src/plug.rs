//! Ports of a lab, plugged into its switch. Called by `lab` and `change` while the links of the ports
//! are still down: a node has no carrier before every worker knows its port, so that the first frame
//! it sends is forwarded and counted like any other. Where one cannot be plugged in, the lab or the
//! node is not made.

use switch::{PortId, PortRole, PortSettings, PortSpec, Switch};

use crate::config::LabConfig;
use crate::error::Result;
use crate::port;
use crate::topology::{Blueprint, PortPlan};

/// The ports of a lab, with their interfaces.
#[derive(Default)]
pub(crate) struct Plugged {
    /// The port of each node, and its interface's name.
    pub(crate) nodes: Vec<Option<(PortId, String)>>,
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
    pub(crate) fn all(switch: &Switch, config: &LabConfig, print: &Blueprint) -> Result<Self> {
        let mut plugged = Self { next_index: ns::plan::LOOPBACK + 1, ..Self::default() };
        for node in &print.nodes {
            let settings = port::plugged(config.storm);
            let mut one = None;
            if let Some(port) = &node.port {
                plugged.next_index = plugged.next_index.max(port.index + 1);
                let id = add_port(switch, port, PortRole::Bridged, config.mtu, settings)?;
                one = Some((id, port.name.clone()));
            }
            plugged.nodes.push(one);
        }
        if let Some(port) = &print.uplink {
            let settings = PortSettings::default();
            let id = add_port(switch, port, PortRole::Routed, config.mtu, settings)?;
            plugged.uplink = Some((id, port.index));
            plugged.next_index = plugged.next_index.max(port.index + 1);
        }
        switch.sync()?;
        Ok(plugged)
    }

    /// The links are up.
    ///
    /// # Errors
    /// What the switch says.
    pub(crate) fn up(&self, switch: &Switch) -> Result<()> {
        let nodes = self.nodes.iter().flatten().map(|(port, _)| *port);
        for port in nodes.chain(self.uplink.map(|(port, _)| port)) {
            switch.set_link(port, true)?;
        }
        Ok(switch.sync()?)
    }
}

/// Plugs in one port whose link is still down; workers hear of it a little later ([`Switch::sync`]).
pub(crate) fn add_port(
    switch: &Switch,
    port: &PortPlan,
    role: PortRole,
    mtu: u32,
    settings: PortSettings,
) -> Result<PortId> {
    let name = port.name.clone();
    let spec = PortSpec::bridged(name, port.index, mtu);
    Ok(switch.add_port(PortSpec { role, settings, up: false, ..spec })?)
}

//! What a lab is asked to be, checked before anything is made.

use std::fmt;

pub use ::topology::{LabName, MAX_NAME, MAX_NODES, Uplink, check_node_name};
use ::topology::{Publish, StormLimits};
use gateway::NatType;
use serde::{Deserialize, Serialize};

use crate::address;
use crate::error::{Error, Result};
use crate::names;
use crate::uplink::PortBlock;

/// Most threads of a switch: each has a ring of its own, of 8 MiB.
pub const MAX_WORKERS: usize = 16;
/// Longest prefix of namespaces.
const MAX_PREFIX: usize = 64;

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// What joins the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// Two nodes on one veth pair.
    Pair,
    /// A veth pair between every two nodes.
    Mesh,
    /// All nodes on the switch, the gateway behind it.
    #[default]
    Switch,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pair => "pair",
            Self::Mesh => "mesh",
            Self::Switch => "switch",
        })
    }
}

/// A lab to be.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// Its name.
    pub name: LabName,
    /// What the names of its namespaces begin with; None is nothing for the lab `uswitch`, and
    /// `NAME-` for others.
    pub prefix: Option<String>,
    /// What joins the nodes.
    pub topology: Topology,
    /// How many.
    pub nodes: u32,
    /// What lies behind the gateway.
    pub uplink: Uplink,
    /// The ports the NAT has for its own on an interface of the host.
    pub uplink_ports: PortBlock,
    /// The largest packet of every link.
    pub mtu: u32,
    /// How the NAT maps and filters.
    pub nat: NatType,
    /// Ports of the uplink that lead to nodes, from the start.
    pub publish: Vec<Publish>,
    /// What each node may have flooded.
    pub storm: StormLimits,
    /// Threads of the switch that forward; None: as many as forward most.
    pub workers: Option<usize>,
    /// Lets idle cores halt while frames flow.
    pub power_save: bool,
    /// Tells each step as the line of shell that would do the same.
    pub steps: bool,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            name: LabName::default(),
            prefix: None,
            topology: Topology::default(),
            nodes: 2,
            uplink: Uplink::default(),
            uplink_ports: PortBlock::default(),
            mtu: 1500,
            nat: NatType::default(),
            publish: Vec::new(),
            storm: StormLimits::default(),
            workers: None,
            power_save: false,
            steps: false,
        }
    }
}

impl LabConfig {
    /// Says what cannot be.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        let usage = |text: String| Err(Error::Usage(text));
        let n = self.nodes;
        if n == 0 {
            return usage("-n 0: a lab has at least one node".into());
        }
        match self.topology {
            Topology::Pair if n != 2 => return usage(format!("-n {n}: a pair has two nodes")),
            Topology::Mesh if n < 2 => return usage(format!("-n {n}: a mesh has two or more")),
            Topology::Mesh if n > address::LARGEST_MESH => {
                return usage(format!(
                    "-n {n}: a mesh of {n} takes {} subnets of four addresses, and the pool \
                     10.100.0.0/16 has {}: at most -n {}",
                    u64::from(n) * u64::from(n - 1) / 2,
                    address::MESH_SUBNETS,
                    address::LARGEST_MESH,
                ));
            }
            Topology::Switch if n > MAX_NODES => {
                return usage(format!("-n {n}: the switch has ports for {MAX_NODES} nodes"));
            }
            _ => {}
        }
        if let (Uplink::Host(name), Topology::Pair | Topology::Mesh) = (&self.uplink, self.topology)
        {
            return usage(format!(
                "--uplink {}: a {} has no gateway; only the topology `switch` has one",
                name.as_deref().unwrap_or("auto"),
                self.topology
            ));
        }
        if let Some(n) = self.workers.filter(|n| !(1..=MAX_WORKERS).contains(n)) {
            return usage(format!("--workers {n}: 1 to {MAX_WORKERS}"));
        }
        let switched = [
            ("--storm", !self.storm.is_none()),
            ("--workers", self.workers.is_some()),
            ("--power-save", self.power_save),
        ];
        for (option, _) in switched.iter().filter(|(_, asked)| *asked) {
            if self.topology != Topology::Switch {
                let topology = self.topology;
                return usage(format!("{option} is the switch's, and a {topology} has none"));
            }
        }
        for (place, ask) in self.publish.iter().enumerate() {
            self.validate_publish(ask)?;
            let same = |other: &&Publish| (other.protocol, other.port) == (ask.protocol, ask.port);
            if let Some(other) = self.publish[..place].iter().find(same) {
                return usage(format!(
                    "-p {}/{} twice: it leads to {}:{} already, choose another port for {}:{}",
                    ask.port, ask.protocol, other.node, other.node_port, ask.node, ask.node_port
                ));
            }
        }
        let prefix = self.prefix();
        if prefix.len() > MAX_PREFIX || prefix.starts_with('.') || !prefix.chars().all(plain) {
            return usage(format!(
                "--prefix {prefix:?}: up to {MAX_PREFIX} letters, digits, '-', '_' and '.', not \
                 beginning with '.'"
            ));
        }
        if let Some(why) = names::taken(&format!("{prefix}net1")) {
            return usage(format!("--prefix {prefix:?}: {prefix}net1 cannot be a node, for {why}"));
        }
        if !(68..=65535).contains(&self.mtu) {
            return usage(format!("--mtu {}: IPv4 takes 68 to 65535", self.mtu));
        }
        Ok(())
    }

    fn validate_publish(&self, ask: &Publish) -> Result<()> {
        let Publish { port, node, .. } = ask;
        if self.topology != Topology::Switch || self.uplink == Uplink::None {
            return Err(Error::Usage(format!(
                "-p {port}: ports are published on the uplink, and this lab would have none"
            )));
        }
        if let Some(address) = ask.address.filter(|address| *address != address::SIM_GATEWAY)
            && self.uplink == Uplink::Sim
        {
            return Err(Error::Usage(format!(
                "-p {address}:{port}: the uplink has {}; leave the address out",
                address::SIM_GATEWAY
            )));
        }
        let number = node.strip_prefix("net").and_then(|number| number.parse::<u32>().ok());
        let is_none =
            |number| number == 0 || number > self.nodes || *node != format!("net{number}");
        if number.is_none_or(is_none) {
            let nodes = self.nodes;
            return Err(Error::Usage(format!(
                "-p {port}: there is no node {node}; the lab will have net1 to net{nodes}"
            )));
        }
        Ok(())
    }

    /// What the names of its namespaces begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        match &self.prefix {
            Some(prefix) => prefix.clone(),
            None if self.name == LabName::default() => String::new(),
            None => format!("{}-", self.name),
        }
    }
}

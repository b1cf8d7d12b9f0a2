//! What a lab is asked to be, checked before anything is made.

use std::fmt;

use ::topology::{Checked, Publish, Spec, shape};
pub use ::topology::{
    LabName, MAX_NAME, MAX_NODES, Uplink, check_node_name, check_node_of, check_served_name,
};
use serde::{Deserialize, Serialize};

use crate::address;
use crate::error::{Error, Result};
use crate::fast::FastPath;
use crate::names;

/// Most threads of a switch: each has a ring of its own, of 8 MiB.
pub const MAX_WORKERS: usize = 16;
/// What the lab is called that serves container engines.
pub const SERVED: &str = "serve";
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

impl Topology {
    /// What joins the nodes of a lab.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        match spec.is_switched() {
            true => Self::Switch,
            false if spec.links == shape::pair().links => Self::Pair,
            false => Self::Mesh,
        }
    }

    /// The lab of this shape with so many nodes.
    ///
    /// # Errors
    /// [`Error::Usage`] for a number of nodes that it cannot have.
    pub fn spec(self, nodes: u32) -> Result<Spec> {
        match (self, nodes) {
            (_, 0) => Err(Error::Usage("-n 0: a lab has at least one node".into())),
            (Self::Pair, 2) => Ok(shape::pair()),
            (Self::Pair, n) => Err(Error::Usage(format!("-n {n}: a pair has two nodes"))),
            (Self::Mesh, n) => Ok(shape::mesh(n)?),
            (Self::Switch, n) => Ok(shape::switch(n)?),
        }
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
    /// What it consists of.
    pub spec: Spec,
    /// Threads of the switch that forward; None: as many as forward most.
    pub workers: Option<usize>,
    /// Lets idle cores halt while frames flow.
    pub power_save: bool,
    /// Tells each step as the line of shell that would do the same.
    pub steps: bool,
    /// Its networks and nodes come while it runs, from container engines; the switch's namespace
    /// outlives the process.
    pub served: bool,
}

impl LabConfig {
    /// The lab `uswitch` of this shape with so many nodes, all else as by default.
    ///
    /// # Errors
    /// [`Error::Usage`] for a number of nodes that it cannot have.
    pub fn of(topology: Topology, nodes: u32) -> Result<Self> {
        Ok(Self {
            name: LabName::default(),
            prefix: None,
            spec: topology.spec(nodes)?,
            workers: None,
            power_save: false,
            steps: false,
            served: false,
        })
    }

    /// What joins the nodes.
    #[must_use]
    pub fn topology(&self) -> Topology {
        if self.served { Topology::Switch } else { Topology::of(&self.spec) }
    }

    /// Whether it has a switch.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.served || self.spec.is_switched()
    }

    /// What the lab will be.
    ///
    /// # Errors
    /// [`Error::Usage`] for what cannot be.
    pub fn check(&self) -> Result<Checked> {
        let usage = |text: String| Err(Error::Usage(text));
        let (spec, topology) = (&self.spec, self.topology());
        if spec.nodes.is_empty() && spec.networks.is_empty() && !self.served {
            return usage("a lab has at least one node, or a network".into());
        }
        self.validate_names()?;
        if let (Uplink::Host(name), false) = (spec.uplink(), self.is_switched()) {
            return usage(format!(
                "--uplink {}: a {topology} has no gateway; only the topology `switch` has one",
                name.as_deref().unwrap_or("auto"),
            ));
        }
        if let Some(n) = self.workers.filter(|n| !(1..=MAX_WORKERS).contains(n)) {
            return usage(format!("--workers {n}: 1 to {MAX_WORKERS}"));
        }
        let switched = [
            ("--storm", !spec.storm.is_none()),
            ("--workers", self.workers.is_some()),
            ("--fast-path on", spec.fast_path == FastPath::On),
            ("--power-save", self.power_save),
        ];
        for (option, _) in switched.iter().filter(|(_, asked)| *asked) {
            if !self.is_switched() {
                return usage(format!("{option} is the switch's, and a {topology} has none"));
            }
        }
        if let Some(n) = self.workers.filter(|n| *n > 1 && spec.fast_path == FastPath::On) {
            return usage(format!(
                "--workers {n}: with --fast-path on one worker decides and the kernel repeats; \
                 leave one of the two out"
            ));
        }
        for (place, ask) in spec.publish.iter().enumerate() {
            self.validate_publish(ask)?;
            let same = |other: &&Publish| (other.protocol, other.port) == (ask.protocol, ask.port);
            if let Some(other) = spec.publish[..place].iter().find(same) {
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
        if !(68..=65535).contains(&spec.mtu()) {
            return usage(format!("--mtu {}: IPv4 takes 68 to 65535", spec.mtu()));
        }
        // Last, for what was asked for by an option is told in its words.
        let checked = if self.served { spec.check_growing() } else { spec.check() };
        checked.map_err(|problems| {
            let first = problems.first().map(ToString::to_string);
            Error::Usage(first.unwrap_or_default())
        })
    }

    fn validate_names(&self) -> Result<()> {
        // `serve --clean` would take it for its own.
        if self.name.as_str().eq_ignore_ascii_case(SERVED) && !self.served {
            let said = "the lab that serves container engines is called so: choose another name";
            return Err(Error::Usage(format!("--name {}: {said}", self.name)));
        }
        let mut names = self.spec.nodes.keys();
        Ok(names.try_for_each(|name| check_node_of(name, &self.name))?)
    }

    fn validate_publish(&self, ask: &Publish) -> Result<()> {
        let Publish { port, node, .. } = ask;
        let uplink = self.spec.uplink();
        if !self.spec.is_switched() || uplink == Uplink::None {
            return Err(Error::Usage(format!(
                "-p {port}: ports are published on the uplink, and this lab would have none"
            )));
        }
        if let Some(address) = ask.address.filter(|address| *address != address::SIM_GATEWAY)
            && uplink == Uplink::Sim
        {
            return Err(Error::Usage(format!(
                "-p {address}:{port}: the uplink has {}; leave the address out",
                address::SIM_GATEWAY
            )));
        }
        if self.spec.node(node).is_none() {
            let names: Vec<_> = self.spec.nodes.keys().map(String::as_str).collect();
            let all = match names.as_slice() {
                [first, .., last] => format!("{first} to {last}"),
                few => few.join(""),
            };
            return Err(Error::Usage(format!(
                "-p {port}: there is no node {node}; the lab will have {all}"
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

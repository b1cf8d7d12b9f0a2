//! uswitch itself: the real binary, built by the same cargo command with the bench profile,
//! started as a person would start it (`uswitch run`), with nothing tuned.
//!
//! It makes the namespaces, veths and addresses by itself, checks them with pings, and says that it
//! is ready; the load then enters the namespaces by name.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Forwarder, Lab, Shape, start, until};
use crate::topology::{self, Node};
use crate::world;

/// One build of it: this commit's, or another to compare with (`--also NAME=PATH`).
pub struct Uswitch {
    name: String,
    binary: String,
    how: How,
}

/// What it is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Plain,
    /// `--fast-path on`.
    Fast,
    /// Nothing between the two nodes but the cable: the limit of all others.
    Pair,
}

impl Uswitch {
    /// The binary that was built with the benchmark.
    pub fn built() -> Self {
        Self::other("uswitch", env!("CARGO_BIN_EXE_uswitch"))
    }

    /// The same, with what it has decided repeated by the kernel.
    pub fn fast() -> Self {
        Self { how: How::Fast, ..Self::other("uswitch-fast", env!("CARGO_BIN_EXE_uswitch")) }
    }

    /// Two nodes on one veth pair, with the links that a switch's nodes have.
    pub fn pair() -> Self {
        Self { how: How::Pair, ..Self::other("pair", env!("CARGO_BIN_EXE_uswitch")) }
    }

    pub fn other(name: &str, binary: &str) -> Self {
        Self { name: name.into(), binary: binary.into(), how: How::Plain }
    }
}

impl Forwarder for Uswitch {
    fn name(&self) -> &str {
        &self.name
    }

    fn absent(&self) -> Option<String> {
        let is_root = nix::unistd::geteuid().is_root();
        (self.how == How::Fast && !is_root).then(|| "it takes root".into())
    }

    fn version(&self) -> String {
        world::output(&self.binary, &["--version"]).unwrap_or_default().trim().to_owned()
    }

    fn settings(&self) -> &'static str {
        match self.how {
            How::Plain => "`uswitch run`, defaults",
            How::Fast => "`uswitch run --fast-path on`",
            How::Pair => "`uswitch run pair`: a veth pair from node to node, and nothing between",
        }
    }

    fn fits(&self, shape: Shape) -> bool {
        self.how != How::Pair || shape == Shape::Lan(2)
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let mut lab = Lab::default();
        lab.graceful = true;
        lab.captures = Some(self.binary.clone());
        let (count, uplink) = match shape {
            Shape::Lan(count) => (count, "none"),
            Shape::Networks(_) => (NODES, "none"),
            Shape::Nat | Shape::Million => (2, "sim"),
        };
        let number = count.to_string();
        let mut args = vec!["run", "--json"];
        if self.how == How::Pair {
            args.push("pair");
        } else if let Shape::Networks(networks) = shape {
            std::fs::write(FILE, file(networks)).context(FILE)?;
            args.push(FILE);
        } else {
            args.extend(["-n", &number, "--uplink", uplink]);
        }
        if shape == Shape::Million {
            args.extend(["--nat-sessions", "1048576"]);
        }
        if self.how == How::Fast {
            // Another build may not know the word.
            args.extend(["--fast-path", "on"]);
        }
        let args = args.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let said_before = super::log().len();
        lab.forwarders.push(start(None, &self.binary, &args)?);
        until(Duration::from_secs(60), || {
            lab.alive()?;
            let log = super::log();
            let said = log.get(said_before..).unwrap_or_default();
            said.contains("\"ready\"").then_some(()).context("the lab is not ready yet")
        })?;
        lab.nodes = match shape {
            Shape::Networks(_) => (1..=NODES).map(in_first).collect::<Result<_>>()?,
            Shape::Nat | Shape::Million => topology::nodes(1)?,
            Shape::Lan(_) if self.how == How::Pair => end_to_end()?,
            Shape::Lan(count) => topology::nodes(count)?,
        };
        if matches!(shape, Shape::Nat | Shape::Million) {
            lab.nodes.push(inet()?);
        }
        Ok(lab)
    }
}

/// Nodes in each of many networks.
const NODES: usize = 16;
/// The most ports a switch has.
const PORTS: usize = 4095;
/// Where the lab to be is written down; the benchmark has a /run of its own.
const FILE: &str = "/run/networks.yaml";

/// Networks `lan0`, `lan1` and so on, and the nodes that are in each.
fn file(networks: usize) -> String {
    let mut text = "uplink: none\nnetworks:\n".to_owned();
    for network in 0..networks {
        text += &match network {
            0 => "  lan0: {subnets: [10.100.0.0/16]}\n".to_owned(),
            _ => format!("  lan{network}: {{subnets: [10.101.{network}.0/24]}}\n"),
        };
    }
    text += "nodes:\n";
    for node in 1..=NODES {
        let left = PORTS.min(networks * NODES) - networks * (node - 1);
        let here: Vec<_> = (0..networks.min(left)).map(|network| format!("lan{network}")).collect();
        text += &format!("  net{node}: {{networks: [{}]}}\n", here.join(", "));
    }
    text
}

/// The two nodes of a pair.
fn end_to_end() -> Result<Vec<Node>> {
    let node = |n: u8| Node::open(&format!("net{n}"), &format!("veth{n}"), [10, 100, 0, n].into());
    Ok(vec![node(1)?, node(2)?])
}

/// A node of these, by its place in the first network.
fn in_first(number: usize) -> Result<Node> {
    Node::open(&format!("net{number}"), "eth0", topology::address_of(number))
}

/// The simulated internet: 8.8.8.8 on its loopback, whatever its interface is called.
fn inet() -> Result<Node> {
    let node = Node::open("inet", "", [8, 8, 8, 8].into())?;
    let interface = node.run(|| {
        let mut all = nix::ifaddrs::getifaddrs()?;
        let found = all.find(|i| {
            let address = i.address.as_ref().and_then(|a| a.as_sockaddr_in().map(|a| a.ip()));
            address == Some([203, 0, 113, 1].into())
        });
        Ok(found.context("inet has no 203.0.113.1 yet")?.interface_name)
    })?;
    Node::open("inet", &interface, [8, 8, 8, 8].into())
}

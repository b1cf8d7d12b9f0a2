//! uswitch itself: the real binary, built by the same cargo command with the bench profile,
//! started as a person would start it (`uswitch run`), with nothing tuned.
//!
//! It makes the namespaces, veths and addresses by itself; the load then enters them by name.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Forwarder, Lab, Shape, start, until};
use crate::topology::{self, Node};
use crate::world;

pub struct Uswitch;

const BINARY: &str = env!("CARGO_BIN_EXE_uswitch");

impl Forwarder for Uswitch {
    fn name(&self) -> &'static str {
        "uswitch"
    }

    fn absent(&self) -> Option<String> {
        let help = world::output(BINARY, &["run", "--help"]).unwrap_or_default();
        let ready = help.contains("--uplink");
        (!ready).then(|| format!("{BINARY} has no `run --uplink`"))
    }

    fn version(&self) -> String {
        world::output(BINARY, &["--version"]).unwrap_or_default().trim().to_owned()
    }

    fn settings(&self) -> &'static str {
        "`uswitch run`, defaults"
    }

    fn fits(&self, _: Shape) -> bool {
        true
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let mut lab = Lab::default();
        lab.graceful = true;
        let (count, uplink) = match shape {
            Shape::Lan(count) => (count, "none"),
            Shape::Nat => (2, "sim"),
        };
        let number = count.to_string();
        let args = ["run", "-n", &number, "--uplink", uplink].map(String::from);
        lab.forwarders.push(start(None, BINARY, &args)?);
        until(Duration::from_secs(60), || {
            lab.alive()?;
            ready(count, shape)
        })?;
        lab.nodes = topology::nodes(if shape == Shape::Nat { 1 } else { count })?;
        if shape == Shape::Nat {
            lab.nodes.push(inet()?);
        }
        Ok(lab)
    }
}

/// The lab stands when the door opens: that comes last.
fn ready(count: usize, shape: Shape) -> Result<()> {
    let last = topology::nodes(count)?;
    last.last().context("no nodes")?.mac()?;
    if shape == Shape::Nat {
        inet()?;
    }
    world::tool(BINARY, &["show"])
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

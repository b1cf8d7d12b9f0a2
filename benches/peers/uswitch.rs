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
    /// With `--fast-path on`.
    fast: bool,
}

impl Uswitch {
    /// The binary that was built with the benchmark.
    pub fn built() -> Self {
        Self::other("uswitch", env!("CARGO_BIN_EXE_uswitch"))
    }

    /// The same, with what it has decided repeated by the kernel.
    pub fn fast() -> Self {
        Self { fast: true, ..Self::other("uswitch-fast", env!("CARGO_BIN_EXE_uswitch")) }
    }

    pub fn other(name: &str, binary: &str) -> Self {
        Self { name: name.into(), binary: binary.into(), fast: false }
    }
}

impl Forwarder for Uswitch {
    fn name(&self) -> &str {
        &self.name
    }

    fn absent(&self) -> Option<String> {
        let is_root = nix::unistd::geteuid().is_root();
        (self.fast && !is_root).then(|| "it takes root".into())
    }

    fn version(&self) -> String {
        world::output(&self.binary, &["--version"]).unwrap_or_default().trim().to_owned()
    }

    fn settings(&self) -> &'static str {
        if self.fast { "`uswitch run --fast-path on`" } else { "`uswitch run`, defaults" }
    }

    fn fits(&self, _: Shape) -> bool {
        true
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let mut lab = Lab::default();
        lab.graceful = true;
        lab.captures = Some(self.binary.clone());
        let (count, uplink) = match shape {
            Shape::Lan(count) => (count, "none"),
            Shape::Nat => (2, "sim"),
        };
        let number = count.to_string();
        let fast = if self.fast { "on" } else { "off" };
        let asked = ["run", "--json", "-n", &number, "--uplink", uplink, "--fast-path", fast];
        // Another build may not know the word.
        let said = if self.fast { asked.len() } else { asked.len() - 2 };
        let args = asked[..said].iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        let said_before = super::log().len();
        lab.forwarders.push(start(None, &self.binary, &args)?);
        until(Duration::from_secs(60), || {
            lab.alive()?;
            let log = super::log();
            let said = log.get(said_before..).unwrap_or_default();
            said.contains("\"ready\"").then_some(()).context("the lab is not ready yet")
        })?;
        lab.nodes = topology::nodes(if shape == Shape::Nat { 1 } else { count })?;
        if shape == Shape::Nat {
            lab.nodes.push(inet()?);
        }
        Ok(lab)
    }
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

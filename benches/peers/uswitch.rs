//! uswitch itself: the real binary, built by the same cargo command with the bench profile,
//! started as a person would start it (`uswitch run`), with nothing tuned.
//!
//! It makes the namespaces, veths and addresses by itself; the load then enters them by name.

use std::os::fd::AsFd as _;
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
        None
    }

    fn version(&self) -> String {
        world::output(BINARY, &["--version"]).unwrap_or_default().trim().to_owned()
    }

    fn settings(&self) -> &'static str {
        if has_run() { "`uswitch run`, defaults" } else { "the switch crate alone, defaults" }
    }

    fn fits(&self, shape: Shape) -> bool {
        has_run() || matches!(shape, Shape::Lan(_))
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        if !has_run() {
            return start_crate(shape);
        }
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

fn has_run() -> bool {
    world::output(BINARY, &["run", "--help"]).is_ok_and(|help| help.contains("--uplink"))
}

/// Set for a benchmark that is to be the switch: the number of ports.
const SERVE: &str = "USWITCH_BENCH_SERVE";

fn start_crate(shape: Shape) -> Result<Lab> {
    let Shape::Lan(count) = shape else { anyhow::bail!("the switch crate has no router") };
    let mut lab = Lab::default();
    topology::build(count, true)?;
    let fabric = Node::open(topology::FABRIC, "lo", [127, 0, 0, 1].into())?;
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    let serve = vec![format!("{SERVE}={count}"), program];
    lab.forwarders.push(start(Some(&fabric), "env", &serve)?);
    topology::configure(count)?;
    lab.nodes = topology::nodes(count)?;
    Ok(lab)
}

/// Where the environment says so, is the switch of the namespace it was started in, for ever.
///
/// # Errors
/// What the switch says.
pub fn serve() -> Result<()> {
    let Ok(count) = std::env::var(SERVE) else { return Ok(()) };
    let netns = std::fs::File::open("/proc/self/ns/net")?;
    let switch = switch::Switch::start(switch::Config::default(), netns.as_fd(), None)?;
    for i in 1..=count.parse::<usize>()? {
        let name = format!("veth{i}");
        let ifindex = nix::net::if_::if_nametoindex(name.as_str())?;
        let (role, settings) = (switch::PortRole::Bridged, switch::PortSettings::default());
        switch.add_port(switch::PortSpec {
            name,
            ifindex,
            role,
            mtu: 1500,
            settings,
            netns: None,
        })?;
    }
    loop {
        std::thread::park();
    }
}

//! The VDE switch: one process, one Unix datagram socket a port, and a `vde_plug2tap` in each
//! node that joins a tap device there to the switch. It knows no offloads.
//!
//! The plugs move the frames as much as the switch does, so their CPU and memory are its own.

use std::time::Duration;

use anyhow::Result;

use super::{Forwarder, Lab, Shape, start, until};
use crate::topology::{self, Node, address_of};
use crate::world;

pub struct Vde;

const SOCKET: &str = "/run/vde.ctl";

impl Forwarder for Vde {
    fn name(&self) -> &str {
        "vde"
    }

    fn absent(&self) -> Option<String> {
        if !std::path::Path::new("/dev/net/tun").exists() {
            return Some("/dev/net/tun is missing".into());
        }
        let missing = ["vde_switch", "vde_plug2tap"].into_iter().find(|p| !world::installed(p));
        missing.map(|p| format!("{p} is not installed (apt-get install vde2)"))
    }

    fn version(&self) -> String {
        // vde_switch answers --version with exit code 0 on some releases and 1 on others.
        let said = std::process::Command::new("vde_switch").arg("--version").output();
        let said = said.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        said.unwrap_or_default().lines().next().unwrap_or("VDE").trim().to_owned()
    }

    fn settings(&self) -> &'static str {
        "vde_switch, a tap and vde_plug2tap for each node"
    }

    fn fits(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Lan(count) if count <= 64)
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let Shape::Lan(count) = shape else { anyhow::bail!("VDE has no router") };
        let mut lab = Lab::default();
        let _ = std::fs::remove_dir_all(SOCKET);
        topology::build(count, false)?;
        let ports = (count + 1).to_string();
        let switch = ["-s", SOCKET, "-n", &ports].map(String::from);
        lab.forwarders.push(start(None, "vde_switch", &switch)?);
        until(Duration::from_secs(5), || Ok(std::fs::metadata(SOCKET).map(|_| ())?))?;
        for i in 1..=count {
            let name = format!("vethpeer{i}");
            let node = Node::open(&format!("net{i}"), &name, address_of(i))?;
            let plug = ["-s", SOCKET, &name].map(String::from);
            lab.forwarders.push(start(Some(&node), "vde_plug2tap", &plug)?);
            until(Duration::from_secs(5), || node.mac())?;
        }
        topology::configure(count)?;
        lab.nodes = topology::nodes(count)?;
        Ok(lab)
    }
}

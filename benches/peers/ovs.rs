//! Open vSwitch with its userspace datapath (`datapath_type=netdev`) on the veths, and
//! `userspace-tso-enable=true`, without which it refuses GSO frames and is ten times slower.
//!
//! Its database and logs live in this world's /run. TSO must be set before vswitchd starts.

use std::time::Duration;

use anyhow::Result;

use super::{Forwarder, Lab, Shape, start, until};
use crate::topology::{self, FABRIC, Node};
use crate::world;

pub struct Ovs;

/// Where OVS programs keep their sockets, database and logs.
pub const FOLDERS: [(&str, &str); 3] =
    [("OVS_RUNDIR", "/run/ovs"), ("OVS_DBDIR", "/run/ovs"), ("OVS_LOGDIR", "/run/ovs")];
const DATABASE: &str = "/run/ovs/conf.db";
const SOCKET: &str = "unix:/run/ovs/db.sock";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

impl Forwarder for Ovs {
    fn name(&self) -> &str {
        "ovs"
    }

    fn absent(&self) -> Option<String> {
        let programs = ["ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ovsdb-tool"];
        let missing = programs.iter().find(|p| !world::installed(p));
        missing.map(|p| format!("{p} is not installed (apt-get install openvswitch-switch)"))
    }

    fn version(&self) -> String {
        let said = world::output("ovs-vswitchd", &["--version"]).unwrap_or_default();
        said.lines().next().unwrap_or_default().replace("ovs-vswitchd (Open vSwitch)", "OVS")
    }

    fn settings(&self) -> &'static str {
        "datapath_type=netdev, userspace-tso-enable=true"
    }

    fn fits(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Lan(_))
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let Shape::Lan(count) = shape else { anyhow::bail!("OVS is measured on a LAN only") };
        let mut lab = Lab::default();
        let _ = std::fs::remove_dir_all("/run/ovs");
        std::fs::create_dir_all("/run/ovs")?;
        topology::build(count, true)?;
        let fabric = Node::open(FABRIC, "lo", [127, 0, 0, 1].into())?;
        world::tool("ovsdb-tool", &["create", DATABASE, SCHEMA])?;
        let database = ["/run/ovs/conf.db", "--remote=punix:/run/ovs/db.sock", "-vconsole:off"];
        lab.helpers.push(start(None, "ovsdb-server", &database.map(String::from))?);
        until(Duration::from_secs(5), || vsctl(&["--no-wait", "init"]))?;
        vsctl(&[
            "--no-wait",
            "set",
            "Open_vSwitch",
            ".",
            "other_config:userspace-tso-enable=true",
        ])?;
        let daemon = [SOCKET, "-vconsole:warn", "-vfile:off", "-vsyslog:off"].map(String::from);
        lab.forwarders.push(start(Some(&fabric), "ovs-vswitchd", &daemon)?);
        let mut plug: Vec<String> = "add-br br0 -- set bridge br0 datapath_type=netdev"
            .split(' ')
            .map(String::from)
            .collect();
        for i in 1..=count {
            plug.extend(["--", "add-port", "br0"].map(String::from));
            plug.push(format!("veth{i}"));
        }
        vsctl(&plug.iter().map(String::as_str).collect::<Vec<_>>())?;
        topology::configure(count)?;
        lab.nodes = topology::nodes(count)?;
        Ok(lab)
    }
}

fn vsctl(args: &[&str]) -> Result<()> {
    let database = format!("--db={SOCKET}");
    let mut all = vec![database.as_str(), "--timeout=60"];
    all.extend(args);
    world::tool("ovs-vsctl", &all)
}

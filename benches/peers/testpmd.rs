//! DPDK's testpmd in io mode between two `net_af_packet` ports: not a switch (what enters one port
//! leaves by the other, unseen), but the fastest thing DPDK has to say about veths.
//!
//! The driver carries no offload flags, so the nodes must do without offloads or TCP does not
//! connect at all. It polls: one core is always busy.

use anyhow::Result;

use super::{Forwarder, Lab, Shape, start};
use crate::topology::{self, FABRIC, Node};
use crate::world;

pub struct Testpmd;

impl Forwarder for Testpmd {
    fn name(&self) -> &str {
        "testpmd"
    }

    fn absent(&self) -> Option<String> {
        let missing = ["dpdk-testpmd", "ethtool"].into_iter().find(|p| !world::installed(p));
        missing.map(|p| format!("{p} is not installed (apt-get install dpdk-dev ethtool)"))
    }

    fn version(&self) -> String {
        let said = std::process::Command::new("dpdk-testpmd").arg("-v").output();
        let said = said.map(|o| {
            let both = [o.stdout, o.stderr].concat();
            String::from_utf8_lossy(&both).into_owned()
        });
        let version = said.unwrap_or_default();
        let version = version.lines().find_map(|l| l.split("RTE Version: ").nth(1));
        version.unwrap_or("DPDK").trim_matches('\'').to_owned()
    }

    fn settings(&self) -> &'static str {
        "net_af_packet with qdisc_bypass, io forwarding, one polling core, node offloads off"
    }

    fn fits(&self, shape: Shape) -> bool {
        shape == Shape::Lan(2)
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let Shape::Lan(count) = shape else { anyhow::bail!("testpmd has no router") };
        let mut lab = Lab::default();
        topology::build(count, true)?;
        topology::configure(count)?;
        lab.nodes = topology::nodes(count)?;
        for node in &lab.nodes {
            let interface = node.interface.clone();
            node.run(move || {
                world::tool("ethtool", &["-K", &interface, "tx", "off", "tso", "off", "gso", "off"])
            })?;
        }
        let mut args: Vec<String> =
            "-l 0,1 --no-huge --no-pci -m 256".split(' ').map(String::from).collect();
        for i in 1..=count {
            args.push(format!(
                "--vdev=net_af_packet{i},iface=veth{i},qdisc_bypass=1,framecnt=1024,blocksz=65536"
            ));
        }
        args.extend(
            "-- --forward-mode=io --auto-start --nb-cores=1 --burst=64 --total-num-mbufs=16384"
                .split(' ')
                .map(String::from),
        );
        let fabric = Node::open(FABRIC, "lo", [127, 0, 0, 1].into())?;
        lab.forwarders.push(start(Some(&fabric), "dpdk-testpmd", &args)?);
        Ok(lab)
    }
}

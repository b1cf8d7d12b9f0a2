//! The yardstick: the kernel's bridge, and for NAT the kernel's forwarding with an nft masquerade.
//!
//! Defaults of a Docker-like set-up: no STP, no VLAN filtering, no netfilter on the bridge. And the
//! same once more with links that take GSO frames as large as uswitch's.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::{Forwarder, Lab, Shape, gso};
use crate::topology::{self, FABRIC, Node, ip_batch};
use crate::world;

pub struct Linux {
    /// GSO frames of 192 KiB instead of the default 64 KiB.
    pub big: bool,
}

impl Forwarder for Linux {
    fn name(&self) -> &str {
        if self.big { "linux-bridge-192k" } else { "linux-bridge" }
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn version(&self) -> String {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!("Linux {}", release.trim())
    }

    fn settings(&self) -> &'static str {
        if self.big {
            "the same, with gso_ipv4_max_size 196608 on every link"
        } else {
            "kernel bridge; NAT rows: ip_forward and one nft masquerade rule"
        }
    }

    fn fits(&self, shape: Shape) -> bool {
        // Where no TCP runs, it is the same bridge.
        match shape {
            Shape::Networks(_) | Shape::Million => false,
            _ => !self.big || matches!(shape, Shape::Lan(2) | Shape::Nat),
        }
    }

    fn start(&self, shape: Shape) -> Result<Lab> {
        let mut lab = Lab::default();
        let count = if let Shape::Lan(count) = shape { count } else { 1 };
        topology::build(count, true)?;
        let mut batch = String::from("link add br0 type bridge\nlink set br0 up\n");
        for i in 1..=count {
            batch += &format!("link set veth{i} master br0\n");
        }
        ip_batch(Some(FABRIC), &batch)?;
        topology::configure(count)?;
        lab.nodes = topology::nodes(count)?;
        if shape == Shape::Nat {
            lab.nodes.push(gateway()?);
        }
        if self.big {
            gso::widen(&Node::open(FABRIC, "lo", Ipv4Addr::LOCALHOST)?)?;
            lab.nodes.iter().try_for_each(gso::widen)?;
        }
        Ok(lab)
    }
}

/// The gateway on the bridge, the uplink, and the world beyond; returns the node `inet`.
fn gateway() -> Result<Node> {
    ip_batch(
        None,
        &format!(
            "netns add inet\nlink add uplink netns {FABRIC} type veth peer name vethinet netns inet\n"
        ),
    )?;
    ip_batch(
        Some(FABRIC),
        "addr add 10.100.0.1/16 dev br0\naddr add 203.0.113.2/24 dev uplink\n\
         link set uplink up\nlink set lo up\nroute add default via 203.0.113.1\n",
    )?;
    ip_batch(
        Some("inet"),
        "addr add 203.0.113.1/24 dev vethinet\naddr add 8.8.8.8/32 dev lo\n\
         link set lo up\nlink set vethinet up\n",
    )?;
    ip_batch(Some("net1"), "route add default via 10.100.0.1\n")?;
    let fabric = Node::open(FABRIC, "br0", [10, 100, 0, 1].into())?;
    fabric.run(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        world::tool(
            "nft",
            &["add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; \
               add rule ip nat post oifname \"uplink\" masquerade"],
        )
    })?;
    Node::open("inet", "vethinet", [8, 8, 8, 8].into())
}

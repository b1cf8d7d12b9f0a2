//! Other hosts: what is joined, and the tunnels to it.

use std::collections::BTreeSet;

use super::{Check, few};
use crate::join::{Join, Tunnel, is_host};

/// The largest number of a network outside, 24 bits.
const LARGEST: u32 = (1 << 24) - 1;

impl Check<'_> {
    pub(super) fn hosts(&mut self) {
        let spec = self.spec;
        let mut numbers = BTreeSet::new();
        if let Some(join) = &spec.join {
            self.network_of(&["join"], join.network());
            if let Join::Named(tunnel) = join {
                self.tunnel(&["join"], tunnel);
                numbers.insert((tunnel.vni, tunnel.port));
            }
        }
        for (at, tunnel) in spec.tunnels.iter().enumerate() {
            let at = at.to_string();
            let path = ["tunnels", &at];
            self.network_of(&path, tunnel.network.as_deref());
            self.tunnel(&path, tunnel);
            if !numbers.insert((tunnel.vni, tunnel.port)) {
                let text = format!("VNI {} twice: each tunnel has a number of its own", tunnel.vni);
                self.problem(path, text);
            }
        }
    }

    fn network_of(&mut self, path: &[&str], name: Option<&str>) {
        let spec = self.spec;
        match name {
            None if spec.networks.is_empty() => {
                self.problem(path, "there is no network for it: a tunnel is a port of one");
            }
            Some(name) if spec.network(name).is_none() => {
                let all = few(spec.networks.keys());
                self.problem(path, format!("there is no network {name}: {all}"));
            }
            _ => {}
        }
    }

    fn tunnel(&mut self, path: &[&str], tunnel: &Tunnel) {
        if !(1..=LARGEST).contains(&tunnel.vni) {
            let text = format!("VNI {}: they are numbered from 1 to {LARGEST}", tunnel.vni);
            self.problem(path, text);
        }
        if tunnel.port == Some(0) {
            self.problem(path, "port 0 is none: VXLAN has 4789");
        }
        if tunnel.remotes.is_empty() {
            self.problem(path, "a tunnel leads somewhere: name another host in remotes");
        }
        if let Some((one, other)) = tunnel.mixed() {
            let text =
                format!("{one} and {other}: the ends of a tunnel are all of IPv4 or all of IPv6");
            self.problem(path, text);
        }
        let mut seen = BTreeSet::new();
        for remote in &tunnel.remotes {
            if !is_host(*remote) {
                self.problem(path, format!("{remote} is no host's address"));
            } else if Some(*remote) == tunnel.local {
                self.problem(path, format!("{remote} is this host's own end, and no remote one"));
            } else if !seen.insert(remote) {
                self.problem(path, format!("remote end {remote} twice"));
            }
        }
    }
}

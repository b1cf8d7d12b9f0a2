//! A running lab's spec without what contradicts itself there: what verbs have made of the lab and no file
//! can say. So whatever was done to a lab, what is written of it is a file that `run` takes.

use std::net::IpAddr;

use super::Problem;
use crate::network::Network;
use crate::spec::Spec;

/// Rounds at most: what is left out may leave something else without what it needs.
const ROUNDS: usize = 8;

impl Spec {
    /// The same without what the check refuses of it, as far as it can be left out.
    #[must_use]
    pub fn without_contradictions(mut self) -> Self {
        for _ in 0..ROUNDS {
            let Err(problems) = self.check() else { break };
            // From the end, for the places of what stands before it to stay.
            let left = problems.iter().rev().filter(|problem| self.leave_out(problem)).count();
            if left == 0 {
                break;
            }
        }
        self
    }

    /// Leaves one thing out; false where a lab is not the same without.
    fn leave_out(&mut self, problem: &Problem) -> bool {
        let path: Vec<&str> = problem.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["uplink"] => self.uplink.take().is_some(),
            ["links", at, ..] => cut(&mut self.links, at),
            ["publish", at, ..] => cut(&mut self.publish, at),
            ["neigh", ip, ..] => {
                ip.parse().is_ok_and(|ip: IpAddr| self.neigh.shift_remove(&ip).is_some())
            }
            ["ports", key, ..] => self.ports.shift_remove(*key).is_some(),
            ["nodes", name, "routes", at] => {
                self.nodes.get_mut(*name).is_some_and(|node| cut(&mut node.routes, at))
            }
            ["networks", name, rest @ ..] => {
                self.networks.get_mut(*name).is_some_and(|network| of_network(network, rest))
            }
            _ => false,
        }
    }
}

fn of_network(network: &mut Network, path: &[&str]) -> bool {
    match path {
        ["fdb", at, ..] => cut(&mut network.fdb, at),
        ["mdb", at, ..] => cut(&mut network.mdb, at),
        ["routed", at, ..] => cut(&mut network.routed, at),
        ["vlans"] => !std::mem::take(&mut network.vlans).is_empty(),
        ["vlan_default_pvid"] => network.vlan_default_pvid.take().is_some(),
        ["vlan_protocol"] => network.vlan_protocol.take().is_some(),
        _ => false,
    }
}

fn cut<T>(list: &mut Vec<T>, at: &str) -> bool {
    let at = at.parse().ok().filter(|at| *at < list.len());
    at.map(|at: usize| list.remove(at)).is_some()
}

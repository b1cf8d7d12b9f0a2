//! A plan as lines of shell that would do the same by hand: one line a step, in the steps' order.
//! Pure text; nothing is started.
//!
//! A namespace that only a descriptor holds has no name to give to `ip`; the caller lends it one.
//! What the lines leave out is what only our own switch wants of a link: how large a GSO frame may be,
//! and which offloads are off.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use crate::plan::{End, LOOPBACK, NsId, Plan, Room, Step};

#[cfg(test)]
mod tests;

/// The lines of `plan`; `unnamed` is what its namespaces without a name are called.
#[must_use]
pub fn lines(plan: &Plan, unnamed: &str) -> Vec<String> {
    let mut script = Script { plan, unnamed, links: BTreeMap::new() };
    plan.steps().iter().map(|step| script.line(step)).collect()
}

struct Script<'a> {
    plan: &'a Plan,
    unnamed: &'a str,
    /// What the interfaces made so far are called.
    links: BTreeMap<(NsId, u32), &'a str>,
}

impl<'a> Script<'a> {
    fn room(&self, ns: NsId) -> &'a str {
        match &self.plan.namespaces()[ns.0] {
            Room::Named(name) => name,
            Room::Anonymous | Room::Existing(_) => self.unnamed,
        }
    }

    fn link(&self, ns: NsId, index: u32) -> &'a str {
        if index == LOOPBACK { "lo" } else { self.links.get(&(ns, index)).copied().unwrap_or("?") }
    }

    fn line(&mut self, step: &'a Step) -> String {
        let room = self.room(step.ns());
        match step {
            Step::Namespace(_) => format!("ip netns add {room}"),
            Step::Sysctl { key, value, .. } => {
                format!("ip netns exec {room} sysctl -qew net.{}={value}", key.replace('/', "."))
            }
            Step::Veth { a, b, mtu } => {
                for end in [a, b] {
                    self.links.insert((end.ns, end.index), &end.name);
                }
                let there = self.room(b.ns);
                let [own, peer] = [self.given(a, *mtu), self.given(b, *mtu)];
                format!(
                    "ip -n {room} link add {}{own} type veth peer name {} netns {there}{peer}",
                    a.name, b.name
                )
            }
            Step::Up { ns, index } => {
                format!("ip -n {room} link set {} up", self.link(*ns, *index))
            }
            Step::Address { ns, index, address, prefix } => {
                let broadcast = match address {
                    IpAddr::V4(_) if *prefix < 31 => " brd +",
                    IpAddr::V4(_) => "",
                    IpAddr::V6(_) => " nodad",
                };
                let link = self.link(*ns, *index);
                format!("ip -n {room} addr add {address}/{prefix}{broadcast} dev {link}")
            }
            Step::Route { ns, to, via, index } => {
                let to = to.map_or("default".into(), |(to, prefix)| format!("{to}/{prefix}"));
                let link = self.link(*ns, *index);
                format!("ip -n {room} route add {to} via {via} dev {link} proto static")
            }
        }
    }

    /// What an end is given. In a namespace that is there already its index is the kernel's choice.
    fn given(&self, end: &End, mtu: u32) -> String {
        let mut text = String::new();
        if !matches!(self.plan.namespaces()[end.ns.0], Room::Existing(_)) {
            let _ = write!(text, " index {}", end.index);
        }
        let _ = write!(text, " mtu {mtu}");
        if let Some([a, b, c, d, e, f]) = end.mac {
            let _ = write!(text, " address {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        }
        text
    }
}

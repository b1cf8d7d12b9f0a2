//! What a lab, a node or a namespace may be called: nothing that a verb, `ping` or a filter takes
//! for something else. Pure.
//!
//! `capture icmp` would be a filter and a node at once, `ping net1 1` goes to 0.0.0.1, `gateway` and
//! `internet` are columns of `ping --all`. The filter's words are the filter's own list.

use std::net::Ipv4Addr;

use crate::joint::LINK;

#[cfg(test)]
mod tests;

/// The gateway, as `run` and `ping` call it.
pub const GATEWAY: &str = "gateway";
/// The first host of the simulated internet, as `run` and `ping` call it.
pub const INTERNET: &str = "internet";
/// The namespace of the simulated internet; the outside, to `explain`.
pub const INET: &str = "inet";
/// The next hop of a real uplink.
pub const ROUTER: &str = "router";

/// Words that mean something already.
const OURS: &[(&str, &str)] = &[
    (GATEWAY, "the lab's router is called so"),
    (INTERNET, "what lies behind the gateway is called so"),
    (INET, "the simulated internet is called so"),
    (ROUTER, "the router behind a real uplink is called so"),
    ("uplink", "the gateway's way out is called so"),
    ("lan", "the nodes' network is called so"),
    ("switch", "what joins the nodes is called so"),
    ("pair", "a topology is called so"),
    ("mesh", "a topology is called so"),
    ("localhost", "every host calls itself so"),
    ("lo", "an interface is called so"),
    ("all", "it stands for every one"),
    ("any", "it stands for every one"),
    ("none", "it stands for no one"),
    ("auto", "it stands for a choice"),
    ("sim", "an uplink is called so"),
    ("help", "it asks for help"),
];

/// Interfaces are called so, with a number behind it.
const INTERFACE: &str = "veth";
/// Ports of tunnels are called so, with the VXLAN's number behind it.
const TUNNEL: &str = "vxlan";

/// Why nothing can be called `name`; None where it can.
#[must_use]
pub fn taken(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if let Some((_, why)) = OURS.iter().find(|(word, _)| *word == lower) {
        return Some((*why).into());
    }
    if number(&lower).is_some() || !lower.contains(|c: char| c.is_ascii_alphabetic()) {
        return Some("it reads as a number or an address: a name has a letter".into());
    }
    if lower.starts_with(INTERFACE) {
        return Some(format!("names that begin with {INTERFACE} are those of interfaces"));
    }
    for (word, whose) in [(TUNNEL, "a tunnel's port"), (LINK, "a link between networks")] {
        let digits = lower.strip_prefix(word).unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(format!("{whose} is called so"));
        }
    }
    observe::filter::is_word(&lower).then(|| "it is a word of the filter language".into())
}

/// Whether `name` lies in the domain of a lab, which is called like the lab: a node's name there is
/// the node's own already.
pub(crate) fn is_within(name: &str, lab: &str) -> bool {
    let (name, lab) = (name.to_ascii_lowercase(), lab.to_ascii_lowercase());
    name.strip_suffix(&lab).is_some_and(|before| before.ends_with('.'))
}

/// An address as inet_aton(3) reads it: one to four parts, decimal, octal or hex, of which the last
/// fills what is left.
#[must_use]
pub fn number(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, before) = parts.split_last()?;
    if before.len() > 3 || before.iter().any(|part| *part > 255) {
        return None;
    }
    let bits = 8 * (4 - before.len());
    if u64::from(*last) >> bits != 0 {
        return None;
    }
    let head = before.iter().fold(0, |so_far: u32, part| so_far << 8 | part);
    let head = if before.is_empty() { 0 } else { head << bits };
    Some(Ipv4Addr::from(head | last))
}

fn part(text: &str) -> Option<u32> {
    let plain = |digits: &str, radix| {
        let clean = digits.chars().all(|c| c.is_digit(radix));
        (clean && !digits.is_empty()).then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => plain(hex, 16),
        None if text.len() > 1 && text.starts_with('0') => plain(text, 8),
        None => plain(text, 10),
    }
}

//! What contradicts itself in a lab to be, all of it at once: each with its place in the file, in one
//! line, with the mend. Nothing is made before this has nothing to say.
//!
//! | file | looks at |
//! |---|---|
//! | `entries` | addresses and group members set by hand |
//! | `networks` | names, subnets, the gateway's places, settings |
//! | `nodes` | names, attachments, what was chosen for them |
//! | `links`, `ports` | wires; settings and VLANs of ports |
//! | `outside` | uplink and published ports |
//! | `hosts` | other hosts, and tunnels to them |
//! | `places` | gives addresses, hardware addresses and interfaces to whoever has none |
//! | `routes` | routes, once everybody has addresses |
//! | `without` | what of a running lab contradicts itself, left out |

#[cfg(test)]
mod attacked;
mod entries;
mod hosts;
mod links;
mod networks;
mod nodes;
mod outside;
mod places;
mod ports;
mod routes;
#[cfg(test)]
mod tests;
mod without;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use wire::MacAddr;

pub use outside::NOT_LED;

use crate::checked::Checked;
use crate::spec::Spec;

/// More problems than these are not told one by one.
const MOST: usize = 50;

/// What contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its place in the spec: keys, and the numbers of list items from 0.
    pub path: Vec<String>,
    /// What it is, and the mend; one line.
    pub text: String,
}

impl Problem {
    /// The place as a person writes it: `nodes.h1.networks.lan`, `links[0]`.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = String::new();
        for part in &self.path {
            let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if number && !place.is_empty() {
                place.push_str(&format!("[{part}]"));
            } else {
                let dot = if place.is_empty() { "" } else { "." };
                place.push_str(&format!("{dot}{part}"));
            }
        }
        place
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_slice() {
            [] => f.write_str(&self.text),
            _ => write!(f, "{}: {}", self.place(), self.text),
        }
    }
}

impl Spec {
    /// Says all that contradicts itself, or what the lab will be.
    ///
    /// # Errors
    /// The problems, in the order of the spec; at most some fifty.
    pub fn check(&self) -> Result<Checked, Vec<Problem>> {
        Check::of(self).all()
    }

    /// The same of a lab whose networks and nodes come while it runs: there may be none yet.
    ///
    /// # Errors
    /// As [`Spec::check`].
    pub fn check_growing(&self) -> Result<Checked, Vec<Problem>> {
        Check { growing: true, ..Check::of(self) }.all()
    }
}

/// A check as it goes on.
struct Check<'a> {
    spec: &'a Spec,
    problems: Vec<Problem>,
    owners: Owners,
    /// Whether what is missing may still come.
    growing: bool,
}

/// Who has what, in words.
#[derive(Default)]
struct Owners {
    addresses: HashMap<IpAddr, String>,
    macs: HashMap<MacAddr, String>,
}

impl<'a> Check<'a> {
    fn of(spec: &'a Spec) -> Self {
        Self { spec, problems: Vec::new(), owners: Owners::default(), growing: false }
    }

    fn all(mut self) -> Result<Checked, Vec<Problem>> {
        self.networks();
        self.nodes();
        self.links();
        self.ports();
        self.outside();
        self.hosts();
        self.neighbours();
        if self.problems.is_empty() {
            let mut nodes = self.places();
            self.routes(&mut nodes);
            self.led(&nodes);
            if self.problems.is_empty() {
                let (spec, uplink) = (self.spec.clone(), self.spec.uplink());
                return Ok(Checked { spec, nodes, uplink });
            }
        }
        let mut problems = self.problems;
        if problems.len() > MOST {
            let further = problems.len() - MOST;
            problems.truncate(MOST);
            problems.push(Problem { path: Vec::new(), text: format!("and {further} more") });
        }
        Err(problems)
    }

    /// Tells a problem at a place.
    fn problem<P: fmt::Display>(
        &mut self,
        path: impl IntoIterator<Item = P>,
        text: impl fmt::Display,
    ) {
        let path = path.into_iter().map(|part| part.to_string()).collect();
        self.problems.push(Problem { path, text: text.to_string() });
    }

    /// Notes whose an address is; says so where it is another's.
    fn own_address(&mut self, path: &[&str], ip: IpAddr, owner: String) {
        match self.owners.addresses.get(&ip) {
            Some(other) => {
                let text = format!("{ip} is {other}'s already: choose another");
                self.problem(path, text);
            }
            None => {
                self.owners.addresses.insert(ip, owner);
            }
        }
    }

    /// Notes whose a hardware address is; says so where it is another's, or no host's.
    fn own_mac(&mut self, path: &[&str], mac: MacAddr, owner: String) {
        if mac.is_group() || mac == MacAddr::ZERO {
            self.problem(
                path,
                format!("{mac} is no address of one host: 02:00:00:00:00:01, for one, is"),
            );
            return;
        }
        match self.owners.macs.get(&mac) {
            Some(other) => {
                let text = format!("{mac} is {other}'s already: choose another, or none");
                self.problem(path, text);
            }
            None => {
                self.owners.macs.insert(mac, owner);
            }
        }
    }

    /// Says what is wrong with the largest packet of a link.
    fn mtu(&mut self, path: &[&str], mtu: u32, ipv6: bool) {
        match mtu {
            0..=67 | 65_536.. => self.problem(path, format!("{mtu}: IPv4 takes 68 to 65535")),
            68..=1279 if ipv6 => {
                let text = format!("{mtu}: IPv6 takes 1280 at least (RFC 8200)");
                let is = |told: &Problem| told.path == path && told.text == text;
                // The lab's is told once, whoever has addresses of IPv6.
                if !self.problems.iter().any(is) {
                    self.problem(path, text);
                }
            }
            _ => {}
        }
    }
}

/// A few names for a message.
fn few<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    match names.as_slice() {
        [] => "none".into(),
        [first, second, third, .., last] if names.len() > 5 => {
            format!("{first}, {second}, {third} … {last}")
        }
        all => all.join(", "),
    }
}

/// The hardware address that goes with an address of IPv4: locally administered, and readable.
#[must_use]
pub fn mac_of(ip: IpAddr) -> Option<MacAddr> {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            Some(MacAddr([2, 0, a, b, c, d]))
        }
        IpAddr::V6(_) => None,
    }
}

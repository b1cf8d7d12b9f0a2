//! A network as an engine asks for it: its subnets and the gateway's addresses, which the engine has
//! chosen, and options that are ours. Kept on disk as it is.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use topology::{Address, Gateway, SetPort, StormLimits, Subnet};

use crate::{Joins, PortAsk, Refusal};

/// What our own options begin with. One that is not known is an error; those of other drivers are
/// passed over, for compose files carry them along.
pub(crate) const OURS: &str = "uswitch.";
/// What other drivers call the largest packet.
pub(crate) const MTU: [&str; 2] = ["com.docker.network.driver.mtu", "mtu"];
/// Options of Docker's bridge without which containers would be open to others who are not meant to have
/// them: whether containers reach each other, and the host's address of ports that name none.
pub(crate) const ICC: &str = "com.docker.network.bridge.enable_icc";
pub(crate) const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// The smallest MTU that IPv4 takes (RFC 791), and the largest packet there is.
const MTUS: std::ops::RangeInclusive<u32> = 68..=65535;

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The engine's number for it.
    pub id: String,
    /// Its subnets, each with the gateway's address in it, if it has one there.
    pub pools: Vec<Pool>,
    /// Its containers have no way out.
    #[serde(default)]
    pub internal: bool,
    /// Our resolver answers its containers at the gateway's addresses.
    #[serde(default)]
    pub names: bool,
    /// It goes with the last container: its engine tells all of it with each.
    #[serde(default)]
    pub passing: bool,
    /// What else was said.
    #[serde(default)]
    pub options: Options,
}

/// A subnet of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: Subnet,
    /// The gateway's address in it.
    pub gateway: Option<Address>,
}

/// What can be said of a network with `-o`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Its name, where it is to have another than the engine's.
    pub name: Option<String>,
    /// The largest packet, in bytes.
    pub mtu: Option<u32>,
    /// It has a gateway and no way out.
    pub no_uplink: bool,
    /// Containers reach the gateway and not each other.
    pub isolate: bool,
    /// Most frames a second of each kind that a container may have flooded.
    pub storm: Option<u32>,
    /// Containers may speak by other addresses than their own.
    pub spoof: bool,
    /// Published ports are sockets of the host's for clients outside too, behind the host's firewall.
    pub sockets: bool,
    /// The host's address at which ports are published that name none; None for all of them.
    pub host: Option<Ipv4Addr>,
    /// The network of several hosts that it is to be in; None where it is for the server to say.
    pub join: Option<Joins>,
}

impl Options {
    /// Reads options as the user wrote them.
    ///
    /// # Errors
    /// [`Refusal`] for one of ours that is not known, or whose value makes no sense.
    pub fn read<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let (mut isolate, mut icc) = (None, true);
        for (key, value) in all {
            let refuse = |wanted: &str| Refusal(format!("option {key}={value}: {wanted}"));
            if MTU.contains(&key) {
                let mtu = value.parse().ok().filter(|mtu| *mtu == 0 || MTUS.contains(mtu));
                let mtu = mtu.ok_or_else(|| refuse("a number from 68 to 65535"))?;
                // Zero is whatever is usual, for other drivers too.
                options.mtu = Some(mtu).filter(|mtu| *mtu != 0);
                continue;
            }
            match key {
                ICC => icc = word(value).ok_or_else(|| refuse("true, or false"))?,
                BINDING => {
                    let host: Option<Ipv4Addr> = value.parse().ok();
                    let host = host.ok_or_else(|| refuse("an address of IPv4 of the host's"))?;
                    options.host = Some(host).filter(|host| !host.is_unspecified());
                }
                _ => {}
            }
            let Some(own) = key.strip_prefix(OURS) else { continue };
            match own {
                "name" => options.name = Some(value.to_owned()),
                "uplink" => {
                    options.no_uplink = match value {
                        "none" => true,
                        "auto" => false,
                        _ => return Err(refuse("auto, or none")),
                    }
                }
                "spoof" => {
                    options.spoof = match value {
                        "allow" => true,
                        "deny" => false,
                        _ => return Err(refuse("allow, or deny")),
                    }
                }
                "publish" => {
                    options.sockets = match value {
                        "socket" => true,
                        "direct" => false,
                        _ => return Err(refuse("direct, or socket")),
                    }
                }
                "isolate" => {
                    isolate = Some(value.parse().map_err(|_| refuse("true, or false"))?);
                }
                "join" => {
                    // A URL may have a password in it, which is not said again.
                    let refuse = |Refusal(why)| Refusal(format!("option {key}: {why}"));
                    options.join = Some(value.parse().map_err(refuse)?);
                }
                "storm" => {
                    let limit = value.parse().map_err(|_| refuse("frames a second, a number"))?;
                    options.storm = Some(limit);
                }
                _ => {
                    let known = "uswitch.name, uswitch.uplink, uswitch.isolate, uswitch.storm, \
                                 uswitch.spoof, uswitch.publish, uswitch.join";
                    return Err(refuse(&format!("there is no such option; there are {known}")));
                }
            }
        }
        options.isolate = isolate.unwrap_or(!icc);
        Ok(options)
    }

    /// The same where whoever starts the plugin says at which address a port is published.
    pub(crate) fn of_plugin(self) -> Result<Self, Refusal> {
        match self.host {
            None => Ok(self),
            Some(host) => Err(Refusal(format!(
                "option {BINDING}={host}: of Docker's networks alone: say the address with each port"
            ))),
        }
    }

    /// Ports that name no address of the host's are published at that of the network, where it has one.
    pub fn bind(&self, ports: &mut [PortAsk]) {
        let Some(host) = self.host else { return };
        ports.iter_mut().for_each(|ask| _ = ask.host.get_or_insert(host.into()));
    }
}

/// What Docker takes for yes and for no (`strconv.ParseBool`).
fn word(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Refuses options of ours that were said of a container's place, for which the engine has options too.
pub(crate) fn of_network<'a>(
    engine: &str,
    keys: impl IntoIterator<Item = &'a String>,
) -> Result<(), Refusal> {
    match keys.into_iter().find(|key| key.starts_with(OURS)) {
        None => Ok(()),
        Some(key) => Err(Refusal(format!(
            "option {key}: it is a network's ({engine} network create -o), not a container's"
        ))),
    }
}

impl Network {
    /// The network as a lab takes it.
    ///
    /// # Errors
    /// [`Refusal`] where it has no subnet of IPv4, in which the gateway would have its place.
    pub fn to_topology(&self) -> Result<topology::Network, Refusal> {
        let gateways: Vec<_> =
            self.pools.iter().filter_map(|pool| pool.gateway).map(|own| own.ip).collect();
        if !gateways.iter().any(IpAddr::is_ipv4) {
            return Err(Refusal::new(
                "each network of uswitch needs a subnet of IPv4 with a gateway's address, beside those \
                 of IPv6: this one has none",
            ));
        }
        Ok(topology::Network {
            subnets: self.pools.iter().map(|pool| pool.subnet).collect(),
            gateway: Gateway::At(gateways),
            internal: self.internal || self.options.no_uplink,
            isolated: self.options.isolate,
            mtu: self.options.mtu,
            ..topology::Network::default()
        })
    }

    /// Whether a container of `other` has its place in this one: all is the same but for subnets that
    /// the container has no address in.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        let same = |pools: Vec<Pool>| Self { pools, ..self.clone() };
        other.pools.iter().all(|pool| self.pools.contains(pool))
            && same(other.pools.clone()) == *other
    }

    /// What its ports are set to.
    #[must_use]
    pub fn port_settings(&self) -> SetPort {
        let each = self.options.storm;
        let storm = each.map(|_| StormLimits { broadcast: each, multicast: each, unknown: each });
        let isolated = self.options.isolate.then_some(true);
        SetPort { isolated, storm, ..SetPort::default() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn options_of_ours_are_known_or_refused_and_others_passed_over() {
        let read = Options::read([
            ("com.docker.network.driver.mtu", "1400"),
            ("com.docker.network.bridge.name", "br7"),
            ("foo", "bar"),
            ("uswitch.name", "lab"),
            ("uswitch.uplink", "none"),
            ("uswitch.isolate", "true"),
            ("uswitch.storm", "100"),
            ("uswitch.spoof", "allow"),
            ("uswitch.publish", "socket"),
            ("uswitch.join", "etcd://10.9.0.1/prod"),
        ]);
        let options = read.unwrap();
        let name = Some("lab".into());
        let wanted = Options {
            name,
            mtu: Some(1400),
            no_uplink: true,
            isolate: true,
            storm: Some(100),
            spoof: true,
            sockets: true,
            host: None,
            join: Some("etcd://10.9.0.1/prod".parse().unwrap()),
        };
        assert_eq!(options, wanted);
        for (key, value, word) in [
            ("uswitch.uplnk", "none", "no such option"),
            ("uswitch.uplink", "eth0", "auto, or none"),
            ("uswitch.isolate", "yes", "true, or false"),
            ("uswitch.storm", "-1", "a number"),
            ("uswitch.spoof", "yes", "allow, or deny"),
            ("uswitch.publish", "host", "direct, or socket"),
            ("uswitch.join", "etcd://10.9.0.1", "/NET is missing"),
            ("uswitch.join", "etcd://root:x@10.9.0.1/prod", "a password stands in no URL"),
            (ICC, "no", "true, or false"),
            (BINDING, "::1", "an address of IPv4"),
            ("mtu", "67", "68 to 65535"),
            ("mtu", "many", "68 to 65535"),
        ] {
            let Refusal(words) = Options::read([(key, value)]).unwrap_err();
            assert!(words.contains(word) && words.contains(key), "{words}");
            assert!(!words.contains("root:x"), "{words}");
        }
    }

    #[test]
    fn what_keeps_others_out_of_dockers_bridge_keeps_them_out() {
        let shut = Options::read([(ICC, "0"), (BINDING, "127.0.0.1")]).unwrap();
        assert!(shut.clone().of_plugin().is_err_and(|Refusal(said)| said.contains(BINDING)));
        let host = [127, 0, 0, 1].into();
        assert_eq!(shut, Options { isolate: true, host: Some(host), ..Options::default() });
        let open = Options::read([(ICC, "True"), (BINDING, "0.0.0.0")]);
        assert_eq!(open, Ok(Options::default()));
        // What is said in our own words counts.
        let ours = Options::read([("uswitch.isolate", "false"), (ICC, "false")]);
        assert_eq!(ours, Ok(Options::default()));
        let ask = |host: Option<&str>| PortAsk {
            protocol: topology::Protocol::Tcp,
            port: 80,
            host: host.map(|text| text.parse().unwrap()),
            first: None,
            last: None,
        };
        let mut ports = [ask(None), ask(Some("::")), ask(Some("10.0.0.1"))];
        shut.bind(&mut ports);
        assert_eq!(ports, [ask(Some("127.0.0.1")), ask(Some("::")), ask(Some("10.0.0.1"))]);
        Options::default().bind(&mut ports);
        assert_eq!(ports[0], ask(Some("127.0.0.1")));
    }

    #[test]
    fn an_mtu_of_zero_is_the_usual_one() {
        for key in ["com.docker.network.driver.mtu", "mtu"] {
            assert_eq!(Options::read([(key, "0")]), Ok(Options::default()), "{key}");
        }
    }

    #[test]
    fn a_network_without_ipv4_is_refused() {
        let pool = Pool { subnet: "fd00::/64".parse().unwrap(), gateway: "fd00::1".parse().ok() };
        let network = Network {
            id: "n".into(),
            pools: vec![pool],
            internal: false,
            names: false,
            passing: false,
            options: Options::default(),
        };
        let Refusal(why) = network.to_topology().unwrap_err();
        assert!(why.contains("IPv4") && !why.contains("--subnet"), "{why}");
    }
}

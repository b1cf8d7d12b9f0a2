//! A driver of netavark's, podman's own network program, as a plugin meets it: words on the command line,
//! JSON on standard input and output. As recorded of podman 5.4 and 5.8 (`tests.rs`); the types are those
//! of <https://github.com/containers/netavark/blob/main/src/network/types.rs>.
//!
//! podman gives out addresses itself, once it knows a network's subnets; it tells all of a network with
//! each container, and of its end nobody.

mod create;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::json;
use topology::{Address, Protocol, Subnet};

use crate::attach::hardware;
use crate::network::{Pool, of_network};
use crate::plugin::{Ask, Join, is_name, number};
use crate::{Attach, Network, Options, PortAsk, Refusal, Route};
pub use create::{create, subnets};

/// The version of netavark's interface for plugins.
const INTERFACE: &str = "1.0.0";
/// What default routes of netavark's have, so that those of several networks are in an order.
const METRIC: u32 = 100;
type Result<T> = std::result::Result<T, Refusal>;

/// A network, as podman tells of it.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    name: String,
    id: String,
    #[serde(default)]
    subnets: Option<Vec<Pooled>>,
    #[serde(default)]
    routes: Option<Vec<Way>>,
    #[serde(default)]
    ipv6_enabled: bool,
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    dns_enabled: bool,
    #[serde(default)]
    network_dns_servers: Option<Vec<IpAddr>>,
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Pooled {
    subnet: String,
    #[serde(default)]
    gateway: Option<IpAddr>,
}

#[derive(Clone, Debug, Deserialize)]
struct Way {
    destination: String,
    #[serde(default)]
    gateway: Option<IpAddr>,
    #[serde(default)]
    metric: Option<u32>,
}

/// A container that comes or goes.
#[derive(Clone, Debug, Deserialize)]
struct Coming {
    container_id: String,
    #[serde(default)]
    container_name: String,
    #[serde(default)]
    port_mappings: Option<Vec<Port>>,
    network: Told,
    network_options: Place,
}

#[derive(Clone, Debug, Deserialize)]
struct Place {
    #[serde(default)]
    aliases: Option<Vec<String>>,
    interface_name: String,
    #[serde(default)]
    static_ips: Option<Vec<IpAddr>>,
    #[serde(default)]
    static_mac: Option<String>,
    /// Of newer ones: what was said of this container's place alone.
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Port {
    container_port: u16,
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: u16,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    range: u16,
}

fn read<T: serde::de::DeserializeOwned>(stdin: &[u8]) -> Result<T> {
    serde_json::from_slice(stdin)
        .map_err(|why| Refusal(format!("what podman says is not understood: {why}")))
}

/// An error as podman reads it.
#[must_use]
pub fn error(why: &str) -> String {
    json!({ "error": why }).to_string()
}

/// The answer to `info`.
#[must_use]
pub fn info(version: &str) -> String {
    json!({ "version": version, "api_version": INTERFACE }).to_string()
}

impl Told {
    fn id(&self) -> String {
        number(&["netavark", &self.id])
    }

    fn pools(&self) -> Result<Vec<Pool>> {
        let pool = |told: &Pooled| {
            let subnet: Option<Subnet> =
                told.subnet.parse::<Address>().ok().and_then(Address::subnet);
            let subnet =
                subnet.ok_or_else(|| Refusal(format!("{:?} is no subnet", told.subnet)))?;
            let gateway = told.gateway.unwrap_or_else(|| subnet.first_host());
            match subnet.contains(gateway) {
                true => Ok(Pool { subnet, gateway: Some(subnet.at(gateway)) }),
                false => Err(Refusal(format!("the gateway {gateway} is not in {subnet}"))),
            }
        };
        self.subnets.iter().flatten().map(pool).collect()
    }

    fn option(&self, key: &str) -> Option<&str> {
        self.options.as_ref()?.get(key).map(String::as_str)
    }

    fn network(&self) -> Result<Network> {
        let options = self.options.iter().flatten();
        let options = options.map(|(key, value)| (key.as_str(), value.as_str()));
        Ok(Network {
            id: self.id(),
            pools: self.pools()?,
            internal: self.internal,
            names: self.dns_enabled,
            passing: true,
            options: Options::read(options)?.of_plugin()?,
        })
    }

    /// The way out, and what was asked for beside.
    fn routes(&self) -> Result<Vec<Route>> {
        let metric = match self.option("metric") {
            // Behind networks that lead out, in whichever order they come.
            None if self.network()?.options.no_uplink => 2 * METRIC,
            None => METRIC,
            Some(text) => {
                text.parse().map_err(|_| Refusal(format!("option metric={text}: a number")))?
            }
        };
        let own = self.option("no_default_route").is_some_and(|word| word == "true" || word == "1");
        let mut routes = Vec::new();
        for pool in self.pools()?.into_iter().filter(|_| !self.internal && !own) {
            let any = match pool.subnet.is_ipv4() {
                true => Subnet::of(Ipv4Addr::UNSPECIFIED.into(), 0),
                false => Subnet::of(std::net::Ipv6Addr::UNSPECIFIED.into(), 0),
            };
            let via = pool.gateway.map(|gateway| gateway.ip);
            let route = any.map(|any| Route { metric: Some(metric), ..Route::new(any, via) });
            routes.extend(route);
        }
        for way in self.routes.iter().flatten() {
            let to: Option<Subnet> =
                way.destination.parse::<Address>().ok().and_then(Address::subnet);
            let to = to
                .ok_or_else(|| Refusal(format!("{:?} is no place for a route", way.destination)))?;
            routes
                .push(Route { metric: way.metric.or(Some(metric)), ..Route::new(to, way.gateway) });
        }
        Ok(routes)
    }
}

impl Port {
    fn asks(&self) -> Result<Vec<PortAsk>> {
        let host = Some(self.host_ip.as_str()).filter(|text| !text.is_empty());
        let host = host.map(|text| {
            text.parse().map_err(|_| Refusal(format!("{text:?} is no address of the host")))
        });
        let host: Option<IpAddr> = host.transpose()?;
        let each = |protocol: Protocol| {
            let ports = (0..self.range.max(1)).map(move |step| {
                let port = self.container_port.checked_add(step).filter(|port| *port != 0)?;
                let first = match self.host_port {
                    0 => None,
                    first => Some(first.checked_add(step)?),
                };
                Some(PortAsk { protocol, port, host, first, last: first })
            });
            ports.collect::<Option<Vec<_>>>().ok_or_else(|| {
                let (port, range) = (self.container_port, self.range);
                Refusal(format!("ports from {port} or {} on, {range} of them", self.host_port))
            })
        };
        let mut all = Vec::new();
        for name in self.protocol.split(',') {
            all.extend(match name {
                "" | "tcp" => each(Protocol::Tcp)?,
                "udp" => each(Protocol::Udp)?,
                other => {
                    let port = self.container_port;
                    let why = format!("port {port}: TCP and UDP can be published, and not {other}");
                    return Err(Refusal(why));
                }
            });
        }
        Ok(all)
    }
}

/// A container that comes or goes, as podman told of it.
#[derive(Clone, Debug)]
pub struct Call(Coming);

impl Call {
    /// Reads `setup` and `teardown`.
    ///
    /// # Errors
    /// [`Refusal`] for what is not understood.
    pub fn read(stdin: &[u8]) -> Result<Self> {
        read(stdin).map(Self)
    }

    /// The place that is meant.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let Coming { container_id, network, network_options, .. } = &self.0;
        number(&["netavark", &network.id, container_id, &network_options.interface_name])
    }

    /// What the container's interface is called.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.0.network_options.interface_name
    }

    /// `teardown`, for `serve`.
    #[must_use]
    pub fn detach(&self) -> Ask {
        Ask::Detach { endpoint: self.endpoint() }
    }

    /// `setup`, for `serve`, of the container whose namespace is found at `netns`.
    ///
    /// # Errors
    /// [`Refusal`] for what cannot be meant.
    pub fn join(&self, netns: &str) -> Result<Join> {
        let Coming { container_id, container_name, port_mappings, network: told, network_options } =
            &self.0;
        of_network("podman", network_options.options.iter().flatten().map(|(key, _)| key))?;
        let network = told.network()?;
        network.to_topology()?;
        let mut addresses = Vec::new();
        for ip in network_options.static_ips.iter().flatten() {
            let pool = network.pools.iter().find(|pool| pool.subnet.contains(*ip));
            let pool = pool.ok_or_else(|| {
                Refusal(format!("address {ip} is in no subnet of network {}", told.name))
            })?;
            if pool.gateway.is_some_and(|gateway| gateway.ip == *ip) {
                return Err(Refusal(format!("address {ip} is the gateway's")));
            }
            addresses.push(pool.subnet.at(*ip));
        }
        if addresses.is_empty() {
            return Err(Refusal(format!("podman gives no address in network {}", told.name)));
        }
        let mac = match network_options.static_mac.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(hardware(text)?),
        };
        mac.map_or(Ok(()), |mac| network.takes(mac))?;
        let mut names: Vec<String> = Vec::new();
        let aliases = network_options.aliases.iter().flatten();
        for name in [container_name].into_iter().chain(aliases) {
            if is_name(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut ports = Vec::new();
        for port in port_mappings.iter().flatten() {
            ports.extend(port.asks()?);
        }
        let endpoint = self.endpoint();
        let servers = told.network_dns_servers.clone().unwrap_or_default();
        let id = network.id.clone();
        let attach = Attach { network: id, endpoint, mac, addresses, ports, names, servers };
        Ok(Join {
            network,
            called: told.name.clone(),
            attach,
            container: container_id.clone(),
            sandbox: netns.to_owned(),
            interface: interface(&network_options.interface_name)?.to_owned(),
            routes: told.routes()?,
            binds: false,
            outside: false,
            received: None,
            sent: None,
        })
    }

    /// What podman is told of `setup`: the interface, and that names are asked for at the gateway's
    /// address alone, for a program may ask all servers at once and take what it hears first (musl's);
    /// of a network without names, where that says.
    #[must_use]
    pub fn result(&self, join: &Join, mac: &str) -> String {
        let subnets = join.attach.addresses.iter().map(|own| {
            let mut one = json!({ "ipnet": own.to_string() });
            if let Some(gateway) = join.network.gateway_of(own.ip) {
                one["gateway"] = json!(gateway.to_string());
            }
            one
        });
        let subnets: Vec<_> = subnets.collect();
        let gateways = join.network.pools.iter().filter_map(|pool| pool.gateway);
        let ours = gateways.map(|own| own.ip).filter(|own| own.is_ipv4() && join.network.names);
        let others = self.0.network.network_dns_servers.iter().flatten().copied();
        let mut servers: Vec<_> = ours.take(1).collect();
        if servers.is_empty() {
            servers.extend(others);
        }
        let servers: Vec<_> = servers.iter().map(IpAddr::to_string).collect();
        let interface = json!({ "mac_address": mac, "subnets": subnets });
        json!({
            "dns_search_domains": [],
            "dns_server_ips": servers,
            "interfaces": { (join.interface.as_str()): interface },
        })
        .to_string()
    }
}

/// Whether text can be the name of an interface (`IFNAMSIZ` of linux/if.h).
fn interface(name: &str) -> Result<&str> {
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    match (1..=15).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(odd) {
        true => Ok(name),
        false => Err(Refusal(format!("{name:?} is no name of an interface"))),
    }
}

//! ADD and CHECK: from what the runtime and the plugin for addresses say to a place for a container,
//! and back to what the runtime is told.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use topology::{Address, Protocol, Subnet};
use wire::MacAddr;

use super::conf::{Dns, Port, Runtime};
use super::{Call, Failure, code};
use crate::network::Pool;
use crate::plugin::{Expected, Join, Rate, is_name};
use crate::{Attach, Network, Options, PortAsk, Route};

/// What ADD has for a result, whichever plugin's.
#[derive(Clone, Debug, Default, Deserialize)]
struct Told {
    #[serde(default)]
    interfaces: Option<Vec<Interface>>,
    #[serde(default)]
    ips: Option<Vec<Ip>>,
    #[serde(default)]
    routes: Option<Vec<Way>>,
    #[serde(default)]
    dns: Option<Dns>,
}

#[derive(Clone, Debug, Deserialize)]
struct Interface {
    name: String,
    #[serde(default)]
    mac: Option<String>,
    #[serde(default)]
    sandbox: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Ip {
    address: String,
    #[serde(default)]
    gateway: Option<String>,
    #[serde(default)]
    interface: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
struct Way {
    dst: String,
    #[serde(default)]
    gw: Option<String>,
    #[serde(default)]
    priority: Option<u32>,
    #[serde(default)]
    table: Option<u32>,
    #[serde(default)]
    scope: Option<u8>,
    #[serde(default)]
    mtu: Option<u32>,
    #[serde(default)]
    advmss: Option<u32>,
}

fn bad(why: impl Into<String>) -> Failure {
    Failure::new(code::CONFIG, why)
}

impl Told {
    fn read(value: &Value, whose: &str) -> Result<Self, Failure> {
        Self::deserialize(value).map_err(|why| bad(format!("{whose} is not understood: {why}")))
    }
}

impl Way {
    /// The route, by the gateway of its family where none is named.
    fn route(&self, gateways: &[IpAddr]) -> Result<Route, Failure> {
        let to: Option<Subnet> = self.dst.parse().ok().and_then(Address::subnet);
        let to = to.ok_or_else(|| bad(format!("{:?} is no place for a route", self.dst)))?;
        let via = match self.gw.as_deref() {
            None | Some("") => gateways.iter().copied().find(|own| own.is_ipv4() == to.is_ipv4()),
            Some(text) => Some(ip(text)?),
        };
        let Self { priority, table, scope, mtu, advmss, .. } = *self;
        Ok(Route { to, via, metric: priority, table, scope, mtu, advmss })
    }
}

fn ip(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| bad(format!("{text:?} is no address")))
}

/// An address with the length of its prefix.
fn address(text: &str) -> Result<(Address, Subnet), Failure> {
    let address: Option<Address> = text.parse().ok();
    let whole = address.and_then(|address| Some((address, address.subnet()?)));
    whole.ok_or_else(|| bad(format!("{text:?} is no address with the length of its prefix")))
}

impl Port {
    fn ask(&self) -> Result<PortAsk, Failure> {
        let number = |port: i64| u16::try_from(port).ok().filter(|port| *port != 0);
        let port = number(self.container_port);
        let port = port.ok_or_else(|| bad(format!("{} is no port", self.container_port)))?;
        let protocol = match self.protocol.to_ascii_lowercase().as_str() {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => {
                let why = format!("port {port}: TCP and UDP can be published, and not {other:?}");
                return Err(bad(why));
            }
        };
        let first = match self.host_port {
            0 => None,
            said => Some(number(said).ok_or_else(|| bad(format!("{said} is no port")))?),
        };
        let host = Some(self.host.as_str()).filter(|text| !text.is_empty());
        let host = host.map(ip).transpose()?;
        Ok(PortAsk { protocol, port, host, first, last: first })
    }
}

impl Call {
    /// What addresses the container has, as the runtime says itself, by the capability or by CNI_ARGS (IP=,
    /// with commas between several): for a configuration without a plugin for them.
    #[must_use]
    pub fn own_addresses(&self) -> Value {
        let said = self.runtime.ips.iter().flatten().map(String::as_str);
        let mut ips: Vec<_> = said.collect();
        if ips.is_empty() {
            ips.extend(self.argument("IP").into_iter().flat_map(|list| list.split(',')));
        }
        json!({ "ips": ips.iter().map(|ip| json!({ "address": ip })).collect::<Vec<_>>() })
    }

    /// ADD, for `serve`: with what the plugin for addresses has told.
    ///
    /// # Errors
    /// [`Failure`] for what cannot be meant.
    pub fn join(&self, told: &Value) -> Result<Join, Failure> {
        if self.conf.before.is_some() {
            let why = "uswitch makes interfaces: it stands first in a list of plugins, and there is a \
                       result before it";
            return Err(bad(why));
        }
        let told = Told::read(told, "what the plugin for addresses has told")?;
        let (mut addresses, mut pools, mut gateways) = (Vec::new(), Vec::<Pool>::new(), Vec::new());
        for one in told.ips.iter().flatten() {
            let (own, subnet) = address(&one.address)?;
            let gateway = match one.gateway.as_deref() {
                // As the reference plugins choose it.
                None | Some("") => subnet.first_host(),
                Some(text) => ip(text)?,
            };
            if own.ip == gateway || !subnet.contains(gateway) {
                return Err(bad(format!(
                    "address {own} with the gateway {gateway}: it is to be another of the same subnet"
                )));
            }
            addresses.push(own);
            gateways.push(gateway);
            let pool = Pool { subnet, gateway: Some(subnet.at(gateway)) };
            if !pools.iter().any(|known| known.subnet == subnet) {
                pools.push(pool);
            }
        }
        if addresses.is_empty() {
            return Err(bad(
                "nobody gives the container an address: `ipam` names a plugin that does",
            ));
        }
        let routes = told.routes.iter().flatten().map(|way| way.route(&gateways));
        let options = self.conf.options();
        let options = options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let network = Network {
            id: self.network(),
            pools,
            internal: self.conf.internal,
            names: true,
            passing: true,
            options: Options::read(options)?.of_plugin()?,
        };
        network.to_topology()?;
        let runtime = &self.runtime;
        let asked = runtime.bandwidth.unwrap_or_default();
        let ports = runtime.ports.iter().flatten().map(Port::ask);
        let mac = self.mac(runtime)?;
        mac.map_or(Ok(()), |mac| network.takes(mac))?;
        let attach = Attach {
            network: self.network(),
            endpoint: self.endpoint(),
            mac,
            addresses,
            ports: ports.collect::<Result<_, _>>()?,
            names: self.names(runtime),
            servers: Vec::new(),
        };
        Ok(Join {
            network,
            called: self.conf.name.clone(),
            attach,
            container: self.container.clone(),
            sandbox: self.netns.clone(),
            interface: self.interface.clone(),
            routes: routes.collect::<Result<_, _>>()?,
            binds: false,
            outside: false,
            received: rate("ingress", asked.ingress_rate, asked.ingress_burst)?,
            sent: rate("egress", asked.egress_rate, asked.egress_burst)?,
        })
    }

    fn argument(&self, key: &str) -> Option<&str> {
        let found = self.args.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The hardware address that was asked for.
    fn mac(&self, runtime: &Runtime) -> Result<Option<MacAddr>, Failure> {
        let asked = runtime.mac.as_deref().filter(|text| !text.is_empty());
        let Some(text) = asked.or_else(|| self.argument("MAC")) else { return Ok(None) };
        let mac: MacAddr =
            text.parse().map_err(|_| bad(format!("{text:?} is no hardware address")))?;
        if mac.0[0] & 1 != 0 || mac == MacAddr::ZERO {
            return Err(bad(format!("{text}: a container's hardware address is of one host")));
        }
        Ok(Some(mac))
    }

    /// What the container is called: by its engine's name first, where that is told.
    fn names(&self, runtime: &Runtime) -> Vec<String> {
        let own = self.argument("K8S_POD_NAME").map(str::to_owned);
        let aliases = runtime.aliases.as_ref().and_then(|all| all.get(&self.conf.name));
        let mut names: Vec<String> = Vec::new();
        for name in own.into_iter().chain(aliases.into_iter().flatten().cloned()) {
            if is_name(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What the runtime is told of ADD: what the plugin for addresses has told, with the interface.
    #[must_use]
    pub fn result(&self, join: &Join, mac: &str, told: &Value) -> Value {
        let old = matches!(self.version.as_str(), "0.3.1" | "0.4.0");
        let ips = join.attach.addresses.iter().map(|own| {
            let mut one = json!({ "interface": 0, "address": own.to_string() });
            if let Some(gateway) = join.network.gateway_of(own.ip) {
                one["gateway"] = json!(gateway.to_string());
            }
            if old {
                one["version"] = json!(if own.ip.is_ipv4() { "4" } else { "6" });
            }
            one
        });
        let interface = json!({
            "name": join.interface, "mac": mac, "sandbox": join.sandbox,
        });
        let routes = told.get("routes").filter(|routes| routes.is_array()).cloned();
        json!({
            "cniVersion": self.version,
            "interfaces": [interface],
            "ips": ips.collect::<Vec<_>>(),
            "routes": routes.unwrap_or_else(|| json!([])),
            "dns": self.dns(join, told),
        })
    }

    /// Where the container asks for names: as the runtime says, or the configuration, or the plugin for
    /// addresses; else our resolver, at the gateway's address.
    fn dns(&self, join: &Join, told: &Value) -> Value {
        let told = Told::deserialize(told).ok().and_then(|told| told.dns).unwrap_or_default();
        let said = self.runtime.dns.clone().unwrap_or_default();
        let said = said.or(self.conf.dns.clone().unwrap_or_default()).or(told);
        let gateways = join.network.pools.iter().filter_map(|pool| pool.gateway);
        let ours = gateways.map(|gateway| gateway.ip).find(IpAddr::is_ipv4);
        let ours =
            Dns { nameservers: ours.iter().map(ToString::to_string).collect(), ..Dns::default() };
        serde_json::to_value(said.or(ours)).unwrap_or_else(|_| json!({}))
    }

    /// CHECK, for `serve`: what the runtime was told of ADD.
    ///
    /// # Errors
    /// [`Failure`] where it does not say that, or nothing of this interface.
    pub fn expected(&self) -> Result<Expected, Failure> {
        let before = self.conf.before.as_ref();
        let before = before.ok_or_else(|| bad("CHECK comes with the result of ADD: prevResult"))?;
        let told = Told::read(before, "prevResult")?;
        let interfaces = told.interfaces.unwrap_or_default();
        let here = |one: &&Interface| {
            one.name == self.interface && one.sandbox.as_deref() == Some(self.netns.as_str())
        };
        let own = interfaces.iter().find(here).ok_or_else(|| {
            bad(format!("prevResult has no interface {} in {}", self.interface, self.netns))
        })?;
        let place = interfaces.iter().position(|one| here(&one));
        let (mut addresses, mut gateways) = (Vec::new(), Vec::new());
        for one in told.ips.iter().flatten().filter(|one| one.interface == place) {
            addresses.push(address(&one.address)?.0);
            let gateway = one.gateway.as_deref().filter(|text| !text.is_empty());
            gateways.extend(gateway.map(ip).transpose()?);
        }
        let routes = told.routes.iter().flatten().map(|way| way.route(&gateways));
        Ok(Expected {
            endpoint: self.endpoint(),
            interface: self.interface.clone(),
            mac: own.mac.clone().filter(|mac| !mac.is_empty()),
            addresses,
            routes: routes.collect::<Result<_, _>>()?,
        })
    }
}

/// One of the rates of the capability `bandwidth`, where there is one; as the reference plugin has it.
fn rate(which: &str, rate: Option<u64>, burst: Option<u64>) -> Result<Option<Rate>, Failure> {
    /// Bits of the largest burst that the kernel counts.
    const MOST: u64 = (u32::MAX as u64) * 8;
    match (rate.unwrap_or(0), burst.unwrap_or(0)) {
        (0, 0) => Ok(None),
        (0, _) => Err(bad(format!("bandwidth: {which}Burst is set, and {which}Rate is not"))),
        (_, 0) => Err(bad(format!("bandwidth: {which}Rate is set, and {which}Burst is not"))),
        (_, burst @ MOST..) => {
            Err(bad(format!("bandwidth: {which}Burst={burst} is more than 4 GB, in bits")))
        }
        (rate, burst) => Ok(Some(Rate { rate, burst })),
    }
}

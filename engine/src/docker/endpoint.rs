//! CreateEndpoint, Join, and what ProgramExternalConnectivity says: a container's place in a network. The container's name is in no call.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use topology::{Address, Protocol};

use super::{Joined, Published, is_id, read};
use crate::attach::hardware;
use crate::network::of_network;
use crate::{Attach, PortAsk, Refusal};

/// Where the ports to publish stand, in the words of `libnetwork/netlabel`.
const PORT_MAP: &str = "com.docker.network.portmap";
/// Numbers of protocols (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The call.
#[derive(Debug, Deserialize)]
pub(super) struct Create {
    #[serde(rename = "NetworkID")]
    network: String,
    #[serde(rename = "EndpointID")]
    endpoint: String,
    #[serde(rename = "Interface", default)]
    interface: Option<Interface>,
    #[serde(rename = "Options", default)]
    options: Option<Options>,
}

/// What is said beside of a place, by names of `libnetwork/netlabel`.
type Options = BTreeMap<String, Value>;

#[derive(Debug, Default, Deserialize)]
struct Interface {
    #[serde(rename = "Address", default)]
    ipv4: String,
    #[serde(rename = "AddressIPv6", default)]
    ipv6: String,
    #[serde(rename = "MacAddress", default)]
    mac: String,
}

/// A port to publish.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    proto: u8,
    port: u16,
    #[serde(rename = "HostIP", default)]
    host: String,
    #[serde(default)]
    host_port: u16,
    #[serde(default)]
    host_port_end: u16,
}

impl Binding {
    fn ask(self) -> Result<PortAsk, Refusal> {
        let Self { proto, port, host, host_port, host_port_end } = self;
        let protocol = match proto {
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            other => {
                return Err(Refusal(format!(
                    "port {port}: TCP and UDP can be published, and not protocol {other}"
                )));
            }
        };
        let host = match host.as_str() {
            "" => None,
            text => {
                let address: Option<IpAddr> = text.parse().ok();
                Some(address.ok_or_else(|| {
                    Refusal(format!("port {port}: {text:?} is no address of the host"))
                })?)
            }
        };
        let first = Some(host_port).filter(|port| *port != 0);
        let last = first.map(|first| host_port_end.max(first));
        Ok(PortAsk { protocol, port, host, first, last })
    }
}

/// The ports to publish; None where nothing is said of them.
fn ports(options: Option<&Options>) -> Result<Option<Vec<PortAsk>>, Refusal> {
    let Some(map) = options.and_then(|options| options.get(PORT_MAP)) else { return Ok(None) };
    let bindings: Option<Vec<Binding>> = Deserialize::deserialize(map)
        .map_err(|why| Refusal(format!("the ports to publish are not understood: {why}")))?;
    bindings.unwrap_or_default().into_iter().map(Binding::ask).collect::<Result<_, _>>().map(Some)
}

/// The ports of ProgramExternalConnectivity. dockerd leaves them out of CreateEndpoint where a network of
/// another driver has the container's at that time.
pub(super) fn programmed(body: &[u8]) -> Result<Option<Vec<PortAsk>>, Refusal> {
    #[derive(Deserialize)]
    struct Program {
        #[serde(rename = "Options", default)]
        options: Option<Options>,
    }
    ports(read::<Program>(body)?.options.as_ref())
}

impl Create {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        read(body)
    }

    /// Whether dockerd has chosen the hardware address.
    pub(super) fn has_mac(&self) -> bool {
        self.interface.as_ref().is_some_and(|own| !own.mac.is_empty())
    }

    pub(super) fn into_attach(self) -> Result<Attach, Refusal> {
        let Self { network, endpoint, interface, options } = self;
        is_id(&network)?;
        is_id(&endpoint)?;
        let Interface { ipv4, ipv6, mac } = interface.unwrap_or_default();
        let mac = match mac.as_str() {
            "" => None,
            text => Some(hardware(text)?),
        };
        let address = |text: String| -> Result<Address, Refusal> {
            text.parse().map_err(|_| Refusal(format!("{text:?} is no address for a container")))
        };
        let all = [ipv4, ipv6].into_iter().filter(|text| !text.is_empty());
        let addresses = all.map(address).collect::<Result<_, _>>()?;
        of_network("docker", options.iter().flatten().map(|(key, _)| key))?;
        let ports = ports(options.as_ref())?.unwrap_or_default();
        Ok(Attach {
            network,
            endpoint,
            mac,
            addresses,
            ports,
            names: Vec::new(),
            servers: Vec::new(),
        })
    }
}

/// What EndpointOperInfo is told: the ports as they are. Docker shows none of it (it looks for a type of its
/// own there), and others may.
pub(super) fn settled(ports: &[Published]) -> Value {
    let told = ports.iter().map(|own| {
        let proto = if own.protocol == Protocol::Udp { UDP } else { TCP };
        let host = own.host.map(|host| host.to_string()).unwrap_or_default();
        json!({ "Proto": proto, "IP": own.inside.ip().to_string(), "Port": own.inside.port(),
            "HostIP": host, "HostPort": own.port, "HostPortEnd": own.port })
    });
    let told: Vec<Value> = told.collect();
    if told.is_empty() { json!({}) } else { json!({ (PORT_MAP): told }) }
}

/// The answer to Join. Without a gateway dockerd would lead the container out by a bridge of its own,
/// unless that is forbidden.
pub(super) fn joined(joined: &Joined) -> Value {
    let Joined { interface, gateway, gateway6 } = joined;
    let mut answer = json!({ "InterfaceName": { "SrcName": interface, "DstPrefix": "eth" } });
    if let Some(gateway) = gateway {
        answer["Gateway"] = json!(gateway.to_string());
    }
    if let Some(gateway) = gateway6 {
        answer["GatewayIPv6"] = json!(gateway.to_string());
    }
    if gateway.is_none() {
        answer["DisableGatewayService"] = json!(true);
    }
    answer
}

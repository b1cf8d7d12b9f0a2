//! Docker's remote network driver (moby, `libnetwork/docs/remote.md`): the calls by which dockerd asks
//! for networks and for containers' places in them, and the answers.
//!
//! Each call is a POST with a JSON body, to a path that names it; an error is `{"Err": text}`, which
//! Docker's user reads behind `remote:`. What dockerd says beside what is read here is passed over, for
//! every version adds to it. As recorded of Docker 20.10, 26.1 and 28.5 (`tests.rs`).

mod endpoint;
mod network;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Attach, Network, PortAsk, Refusal};

/// Where a container's link is, and what its way out is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The interface that dockerd is to fetch from its own namespace.
    pub interface: String,
    /// The gateway's address of IPv4; None where there is no way out, not even by Docker's own bridge.
    pub gateway: Option<std::net::Ipv4Addr>,
    /// The gateway's address of IPv6.
    pub gateway6: Option<std::net::Ipv6Addr>,
}

/// A published port, as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// TCP or UDP.
    pub protocol: topology::Protocol,
    /// Where it leads.
    pub inside: std::net::SocketAddr,
    /// The host's address; None for all of them.
    pub host: Option<std::net::IpAddr>,
    /// The host's port.
    pub port: u16,
}

/// Who does what dockerd asks. Each call may come again, after either side was killed.
pub trait Driver {
    /// Makes a network; one that is there is replaced.
    ///
    /// # Errors
    /// [`Refusal`], and so of all the others.
    fn create_network(&self, network: Network) -> Result<(), Refusal>;
    /// Ends one; one that is not there is no error.
    fn delete_network(&self, network: &str) -> Result<(), Refusal>;
    /// Notes a place in a network, and says its hardware address.
    fn create_endpoint(&self, attach: Attach) -> Result<wire::MacAddr, Refusal>;
    /// Forgets it.
    fn delete_endpoint(&self, endpoint: &str) -> Result<(), Refusal>;
    /// Makes the link, for the container whose namespace is found there.
    fn join(&self, endpoint: &str, sandbox: &str) -> Result<Joined, Refusal>;
    /// The container lets go of it.
    fn leave(&self, endpoint: &str) -> Result<(), Refusal>;
    /// The place is the container's way out: these ports are published, or those that it was noted with
    /// where nothing is said.
    fn publish(&self, endpoint: &str, ports: Option<Vec<PortAsk>>) -> Result<(), Refusal>;
    /// It is so no longer.
    fn withdraw(&self, endpoint: &str) -> Result<(), Refusal>;
    /// Something about a place has changed, and dockerd knows of it by now. Says which ports lead there.
    fn settled(&self, endpoint: &str) -> Vec<Published>;
}

/// Digits of Docker's numbers, and then some.
const LONGEST: usize = 128;

/// The numbers that most calls are about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ids {
    #[serde(rename = "NetworkID", default)]
    network: String,
    #[serde(rename = "EndpointID", default)]
    endpoint: String,
    #[serde(default)]
    sandbox_key: String,
}

/// Answers the call to `path` with this body: JSON, whatever was asked.
#[must_use]
pub fn answer(driver: &dyn Driver, path: &str, body: &[u8]) -> String {
    let answer = call(driver, path, body).unwrap_or_else(|Refusal(why)| json!({ "Err": why }));
    answer.to_string()
}

fn call(driver: &dyn Driver, path: &str, body: &[u8]) -> Result<Value, Refusal> {
    let done = |outcome: Result<(), Refusal>| outcome.map(|()| json!({}));
    match path {
        "/Plugin.Activate" => return Ok(json!({ "Implements": ["NetworkDriver"] })),
        "/NetworkDriver.GetCapabilities" => {
            return Ok(json!({ "Scope": "local", "ConnectivityScope": "local" }));
        }
        // What a server that was killed has read of a call, dockerd does not say again.
        "/NetworkDriver.CreateNetwork"
        | "/NetworkDriver.CreateEndpoint"
        | "/NetworkDriver.Join"
        | "/NetworkDriver.ProgramExternalConnectivity"
            if body.is_empty() =>
        {
            return Err(Refusal::new(
                "uswitch serve ended while dockerd asked it, and dockerd repeats such a call without \
                 its contents: start the container, or make the network, again",
            ));
        }
        "/NetworkDriver.CreateNetwork" => {
            return done(driver.create_network(network::Create::read(body)?.into_network()?));
        }
        "/NetworkDriver.CreateEndpoint" => {
            let create = endpoint::Create::read(body)?;
            let chosen = create.has_mac();
            let mac = driver.create_endpoint(create.into_attach()?)?;
            // What dockerd has said itself is not to be said again.
            let own = if chosen { json!({}) } else { json!({ "MacAddress": mac.to_string() }) };
            return Ok(json!({ "Interface": own }));
        }
        _ => {}
    }
    let name = path.strip_prefix("/NetworkDriver.");
    let name = name.ok_or_else(|| Refusal(format!("uswitch does not know the call {path}")))?;
    let Ids { network, endpoint, sandbox_key } = read(body)?;
    // Of a call that dockerd repeats without its contents both are empty, and nothing is meant.
    for id in [&network, &endpoint].into_iter().filter(|id| !id.is_empty()) {
        is_id(id)?;
    }
    match name {
        "DeleteNetwork" => done(driver.delete_network(&network)),
        "DeleteEndpoint" => done(driver.delete_endpoint(&endpoint)),
        "Join" => driver.join(&endpoint, &sandbox_key).map(|joined| endpoint::joined(&joined)),
        "Leave" => done(driver.leave(&endpoint)),
        "ProgramExternalConnectivity" => {
            done(driver.publish(&endpoint, endpoint::programmed(body)?))
        }
        "RevokeExternalConnectivity" => done(driver.withdraw(&endpoint)),
        "EndpointOperInfo" => Ok(json!({ "Value": endpoint::settled(&driver.settled(&endpoint)) })),
        // Of other hosts, which this driver does not span.
        "DiscoverNew" | "DiscoverDelete" => Ok(json!({})),
        _ => Err(Refusal(format!("uswitch does not know the call {path}"))),
    }
}

/// Numbers of networks and endpoints are hexadecimal, and become names of files and interfaces.
fn is_id(text: &str) -> Result<(), Refusal> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain && (1..=LONGEST).contains(&text.len()) {
        Ok(())
    } else {
        Err(Refusal(format!("{text:?} is no number of Docker's")))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|why| Refusal(format!("dockerd's call is not understood: {why}")))
}

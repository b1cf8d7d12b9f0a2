//! What Docker calls containers: no call of its driver's says it, so it is asked of Docker's own API,
//! after the calls have been answered, for dockerd may hold locks during one. Where it does not answer
//! (no socket, no such network) the numbers stay.
//!
//! A container is in the API's list a moment after it is in the network, so a network is asked about
//! again for a while.
//!
//! Docker may have removed a network while nobody served, and tells nobody later: one that was taken on
//! from the disk is looked for too, and goes where Docker does not know it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use engine::docker::Driver;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use control::Calls;

use crate::daemon::{Daemon, port_of};

/// How long to wait before each look, and how long for an answer.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(2),
    Duration::from_secs(8),
];
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer: a network of a thousand containers has some 300 KB.
const LONGEST: usize = 8 << 20;

/// A network, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(default)]
    name: String,
    #[serde(default)]
    containers: Option<HashMap<String, Container>>,
}

#[derive(Debug, Deserialize)]
struct Container {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint: String,
}

/// Asks for the names of whatever comes in by `asked`, until that ends.
pub(crate) async fn keep(
    daemon: Arc<Daemon>,
    calls: Arc<Calls>,
    docker: PathBuf,
    mut asked: UnboundedReceiver<String>,
) {
    while let Some(first) = asked.recv().await {
        let mut networks = vec![first];
        for look in LOOKS {
            tokio::time::sleep(look).await;
            while let Ok(more) = asked.try_recv() {
                networks.push(more);
            }
            networks.extend(daemon.doubted().iter().cloned());
            networks.sort_unstable();
            networks.dedup();
            let mut left = Vec::new();
            for network in networks {
                if !name(&daemon, &calls, &docker, &network).await {
                    left.push(network);
                }
            }
            networks = left;
            if networks.is_empty() {
                break;
            }
        }
    }
}

/// Asks for the names of a network and its containers; whether all have their names now.
async fn name(daemon: &Arc<Daemon>, calls: &Calls, docker: &Path, network: &str) -> bool {
    if !daemon.is_unnamed(network) && !daemon.doubted().contains(network) {
        return true;
    }
    match tokio::time::timeout(PATIENCE, inspect(docker, network)).await {
        // What follows takes the lab's lock and the disk's time, so that it is a call among those of
        // engines: others are heard meanwhile.
        Ok(Ok(found)) => {
            let (daemon, network) = (Arc::clone(daemon), network.to_owned());
            let done = calls.run(move || match found {
                Some(inspected) => {
                    daemon.doubted().remove(&network);
                    daemon.called(&network, inspected);
                    !daemon.is_unnamed(&network)
                }
                // One that is being made is not known to Docker either.
                None => daemon.unknown(&network),
            });
            done.await.unwrap_or(false)
        }
        Ok(Err(error)) => {
            tracing::debug!("network {network}: Docker says no names: {error}");
            false
        }
        Err(_) => false,
    }
}

impl Daemon {
    /// Names are asked for by whoever hears there, beginning with those of all networks there are.
    pub(crate) fn name_by(&self, asker: UnboundedSender<String>) {
        for network in self.tables().networks.keys() {
            let _ = asker.send(network.clone());
        }
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = Some(asker);
    }

    pub(crate) fn ask_for_names(&self, network: &str) {
        if let Some(asker) = &*self.asker.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = asker.send(network.into());
        }
    }

    /// Networks taken on from the disk that Docker has not been heard of yet.
    pub(crate) fn doubted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Docker knows of no such network: one of before has gone. Whether that was one.
    fn unknown(&self, network: &str) -> bool {
        let used = {
            let tables = self.tables();
            let mut places = tables.places.values();
            places.any(|place| place.attach.network == network && place.sandbox.is_some())
        };
        if used || !self.doubted().remove(network) {
            return false;
        }
        match self.delete_network(network) {
            Ok(()) => tracing::info!("network {network}: Docker has removed it meanwhile"),
            Err(why) => tracing::error!("network {network}, which Docker has removed: {why}"),
        }
        true
    }

    /// Whether a network, or a container in it, is called by its number yet.
    fn is_unnamed(&self, network: &str) -> bool {
        let tables = self.tables();
        let Some((kept, _)) = tables.networks.get(network) else { return false };
        let mut places = tables.places.values().filter(|place| place.attach.network == network);
        kept.name.is_none() || places.any(|place| place.sandbox.is_some() && place.name.is_none())
    }

    /// This is what Docker calls a network and its containers. A name that verbs would take for
    /// something else, or that another has, is not used.
    fn called(&self, network: &str, inspected: Inspected) {
        let Inspected { name, containers } = inspected;
        self.call_network(network, &name);
        for Container { name, endpoint } in containers.into_iter().flat_map(HashMap::into_values) {
            if !self.tables().places.contains_key(&endpoint) {
                continue;
            }
            let port = port_of(&endpoint);
            let name = match self.lab.rename_guest(&port, &name) {
                Ok(_) => name,
                Err(why @ lab::Error::Claimed(_)) => {
                    let known = self.lab.node_at(&port).unwrap_or_default();
                    tracing::warn!("container {name} is {known} here and on other hosts: {why}");
                    known
                }
                // It is asked for again with the next change.
                Err(why) => {
                    tracing::warn!("container {name} is not known by its name: {why}");
                    continue;
                }
            };
            if let Err(why) = self.change(&endpoint, |place| place.name = Some(name)) {
                tracing::warn!("endpoint {endpoint}: {why}");
            }
        }
    }

    fn call_network(&self, network: &str, name: &str) {
        let _names = self.naming.write().unwrap_or_else(PoisonError::into_inner);
        let writer = self.store.writer();
        let Some((mut kept, before)) = self.tables().networks.get(network).cloned() else { return };
        if kept.name.as_deref() == Some(name) {
            return;
        }
        // What was asked for by an option goes before what Docker says.
        let wanted = kept.network.options.name.as_deref().unwrap_or(name);
        let called = if self.lab.rename_network(&before, wanted) { wanted } else { &before };
        let called = called.to_owned();
        kept.name = Some(name.to_owned());
        if let Err(error) = writer.keep_network(&kept) {
            tracing::warn!("{error}");
        }
        self.tables().networks.insert(network.to_owned(), (kept, called));
    }
}

/// Whether it is Docker that knows of no such network, and not whatever else listens at its socket.
fn is_dockers(headers: &HeaderMap, body: &[u8], network: &str) -> bool {
    #[derive(Deserialize)]
    struct Why {
        message: String,
    }
    let server = headers.get("server").and_then(|server| server.to_str().ok());
    server.is_some_and(|server| server.starts_with("Docker/"))
        && serde_json::from_slice(body).is_ok_and(|why: Why| why.message.contains(network))
}

async fn inspect(
    docker: &Path,
    network: &str,
) -> Result<Option<Inspected>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(docker).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = Request::get(format!("/networks/{network}"))
        .header("host", "docker")
        .body(Empty::<Bytes>::new())?;
    let asking = async {
        let answer = sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
        match parts.status {
            StatusCode::OK => Ok(Some(serde_json::from_slice(&body)?)),
            StatusCode::NOT_FOUND if is_dockers(&parts.headers, &body, network) => Ok(None),
            status => Err(status.to_string().into()),
        }
    };
    tokio::select! {
        answer = asking => answer,
        ended = connection => Err(match ended {
            Ok(()) => "the connection ended".into(),
            Err(error) => error.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_network_is_no_more_is_dockers_to_say() {
        let says = |server: Option<&'static str>, body: &str| {
            let headers = server.map(|server| ("server".parse().unwrap(), server.parse().unwrap()));
            is_dockers(&headers.into_iter().collect(), body.as_bytes(), "d4dc")
        };
        let docker = Some("Docker/26.1.5+dfsg1 (linux)");
        assert!(says(docker, r#"{"message":"network d4dc not found"}"#));
        for (server, body) in [
            (docker, r#"{"message":"page not found"}"#),
            (docker, "<html>no such vhost</html>"),
            (None, r#"{"message":"network d4dc not found"}"#),
            (Some("Libpod/5.4.2 (linux)"), r#"{"message":"unable to find network d4dc"}"#),
        ] {
            assert!(!says(server, body), "{server:?} {body}");
        }
    }
}

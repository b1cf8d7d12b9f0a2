//! What Docker calls containers: no call of its driver's says it, so it is asked of Docker's own API, beside
//! the calls, none of which waits for it: dockerd may hold locks during one. Where it does not answer (no
//! socket, no such network) the numbers stay.
//!
//! A container is in the API's list once it has a place, before it joins, and before anything runs in it: so
//! it is asked for at once. It may not be there yet all the same, and its interface is named later, so a
//! network is asked about again for a while.
//!
//! What Docker renames is heard of by its events, from the next call of dockerd's on until it ends: where
//! it does not run, nobody is to start it. What dockerd calls interfaces is in no answer: they are looked at
//! in the containers.
//!
//! Docker may have removed a network while nobody served, and tells nobody later: one that was taken on
//! from the disk is looked for too, and goes where Docker does not know it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use control::Calls;

use crate::daemon::Daemon;

/// How long to wait before each further look, from the last call on, and how long for an answer.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(400),
    Duration::from_secs(2),
    Duration::from_secs(8),
];
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer: a network of a thousand containers has some 300 KB.
const LONGEST: usize = 8 << 20;
/// `{"type":["container"],"event":["rename"]}`, as a URL has it.
const RENAMED: &str = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22rename%22%5D%7D";

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A network, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) containers: Option<HashMap<String, Container>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Container {
    #[serde(rename = "Name")]
    pub(crate) name: String,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint: String,
}

/// Asks for the names of whatever comes in by `asked`, until that ends, and hears what is renamed.
pub(crate) async fn keep(
    daemon: Arc<Daemon>,
    calls: Arc<Calls>,
    docker: PathBuf,
    asked: UnboundedReceiver<String>,
) {
    let (docker, called) = (Docker { daemon, calls, socket: docker }, Notify::new());
    tokio::select! {
        // It waits before anybody is told.
        biased;
        () = docker.follow(&called) => {}
        () = docker.ask(asked, &called) => {}
    }
}

/// Docker's own API, and who hears what it says.
struct Docker {
    daemon: Arc<Daemon>,
    calls: Arc<Calls>,
    socket: PathBuf,
}

impl Docker {
    async fn ask(&self, mut asked: UnboundedReceiver<String>, called: &Notify) {
        while let Some(first) = asked.recv().await {
            let mut networks = vec![first];
            let mut pauses = PAUSES.iter();
            loop {
                while let Ok(more) = asked.try_recv() {
                    networks.push(more);
                }
                if !self.daemon.of_docker().is_empty() {
                    called.notify_waiters();
                }
                networks.extend(self.daemon.doubted().iter().cloned());
                networks.sort_unstable();
                networks.dedup();
                let mut left = Vec::new();
                for network in networks {
                    if !self.name(&network).await {
                        left.push(network);
                    }
                }
                networks = left;
                let Some(pause) = pauses.next().filter(|_| !networks.is_empty()) else { break };
                match tokio::time::timeout(*pause, asked.recv()).await {
                    Ok(Some(more)) => {
                        networks.push(more);
                        pauses = PAUSES.iter();
                    }
                    Ok(None) => return,
                    Err(_) => {}
                }
            }
        }
    }

    /// Asks for the names of a network and its containers; whether all have their names now.
    async fn name(&self, network: &str) -> bool {
        if !self.daemon.is_seen(network) {
            let (daemon, own) = (Arc::clone(&self.daemon), network.to_owned());
            let looked = self.calls.run(move || daemon.look_inside(&own));
            let _ = looked.await;
        }
        let is_known = !self.daemon.is_unnamed(network) && !self.daemon.doubted().contains(network);
        (is_known || self.inspect(network).await) && self.daemon.is_seen(network)
    }

    /// The same, whether they have names already or not.
    async fn inspect(&self, network: &str) -> bool {
        match tokio::time::timeout(PATIENCE, inspect(&self.socket, network)).await {
            // What follows takes the lab's lock and the disk's time, so that it is a call among those of
            // engines: others are heard meanwhile.
            Ok(Ok(found)) => {
                let (daemon, network) = (Arc::clone(&self.daemon), network.to_owned());
                let done = self.calls.run(move || match found {
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

    /// Hears what is renamed, each time from a call on.
    async fn follow(&self, called: &Notify) {
        loop {
            called.notified().await;
            if let Err(error) = self.hear().await {
                tracing::debug!("Docker does not tell what it renames: {error}");
            }
        }
    }

    /// Hears what is renamed until Docker ends; first whatever was while nobody heard.
    async fn hear(&self) -> Result<(), Trouble> {
        let (mut sender, connection) =
            handshake(TokioIo::new(UnixStream::connect(&self.socket).await?)).await?;
        let request = get(&format!("/events?filters={RENAMED}"))?;
        let hearing = async {
            let mut answer = sender.send_request(request).await?;
            if answer.status() != StatusCode::OK || !by_docker(answer.headers()) {
                return Err(answer.status().to_string().into());
            }
            loop {
                for network in self.daemon.of_docker() {
                    self.inspect(&network).await;
                }
                match answer.body_mut().frame().await {
                    Some(said) => drop(said?),
                    None => return Ok(()),
                }
            }
        };
        tokio::select! {
            heard = hearing => heard,
            ended = connection => ended.map_err(Into::into),
        }
    }
}

/// Whether it is Docker that answers, and not whatever else listens at its socket.
fn by_docker(headers: &HeaderMap) -> bool {
    let server = headers.get("server").and_then(|server| server.to_str().ok());
    server.is_some_and(|server| server.starts_with("Docker/"))
}

/// Whether it is Docker that knows of no such network.
fn is_dockers(headers: &HeaderMap, body: &[u8], network: &str) -> bool {
    #[derive(Deserialize)]
    struct Why {
        message: String,
    }
    by_docker(headers)
        && serde_json::from_slice(body).is_ok_and(|why: Why| why.message.contains(network))
}

fn get(path: &str) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    Request::get(path).header("host", "docker").body(Empty::new())
}

async fn inspect(docker: &Path, network: &str) -> Result<Option<Inspected>, Trouble> {
    let stream = UnixStream::connect(docker).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = get(&format!("/networks/{network}"))?;
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

//! What Docker calls containers: no call of its driver's says it, so it is asked of Docker's own API,
//! after the calls have been answered, for dockerd may hold locks during one. Where it does not answer
//! (no socket, no such network) the numbers stay.
//!
//! A container is in the API's list a moment after it is in the network, so a network is asked about
//! again for a while.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::sync::mpsc::UnboundedReceiver;

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
            networks.sort_unstable();
            networks.dedup();
            let mut left = Vec::new();
            for network in networks {
                if !name(&daemon, &docker, &network).await {
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

/// Names the containers of a network; whether all have their names now.
async fn name(daemon: &Daemon, docker: &Path, network: &str) -> bool {
    let inspected = match tokio::time::timeout(PATIENCE, inspect(docker, network)).await {
        Ok(Ok(inspected)) => inspected,
        Ok(Err(error)) => {
            tracing::debug!("network {network}: Docker says no names: {error}");
            return false;
        }
        Err(_) => return false,
    };
    let named: HashMap<String, String> = inspected
        .containers
        .into_iter()
        .flatten()
        .map(|(_, container)| (container.endpoint, container.name))
        .collect();
    daemon.unnamed(network).into_iter().all(|endpoint| {
        let Some(name) = named.get(&endpoint) else { return false };
        let port = port_of(&endpoint);
        // What a verb would take for something else is called a little differently.
        daemon.lab.name_guest(&port, name) || daemon.lab.name_guest(&port, &format!("{name}-c"))
    })
}

async fn inspect(
    docker: &Path,
    network: &str,
) -> Result<Inspected, Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(docker).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = Request::get(format!("/networks/{network}"))
        .header("host", "docker")
        .body(Empty::<Bytes>::new())?;
    let asking = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.status().to_string().into());
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    };
    tokio::select! {
        answer = asking => answer,
        ended = connection => Err(match ended {
            Ok(()) => "the connection ended".into(),
            Err(error) => error.into(),
        }),
    }
}

//! The typed client, for the command: blocking calls, each with its time.
//!
//! One connection a request: on a Unix socket that costs some tens of microseconds, and nothing
//! is left open while a person thinks. Errors are lines for people, with the mend.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::api::{
    AddNode, Counters, Event, ExplainAsk, FastFlow, FdbEntry, FlushFdb, FlushNat, Flushed, Name,
    Neighbour, Node, PAGE_MAX, Page, Port, Problem, Protocol, Publish, Published, Route, Session,
    Spec, Topology, Version, Walk,
};
use crate::server::FLOW_ID;

mod settings;

/// Longer than the server takes to give up on the lab.
const PATIENCE: Duration = Duration::from_secs(40);
/// An event stream that says nothing for this long is dead: the server's heartbeat is 10 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer, or of a line of events.
const ANSWER: usize = 16 * 1024 * 1024;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no lab is running at {}", .0.display())]
    NoLab(PathBuf),
    /// The socket is another's.
    #[error("{} is another user's: nothing was said to it", .0.display())]
    Denied(PathBuf),
    /// The lab said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The lab's line.
        message: String,
    },
    /// It has ended, while it was listened to.
    #[error("the lab at {} has ended", .0.display())]
    Ended(PathBuf),
    /// What answers is not a lab, or one in trouble.
    #[error("the lab at {} does not answer as it should: {why}", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A running lab, from outside.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Runtime,
}

impl Client {
    /// A client of the lab whose socket is `path`. Nothing is sent yet.
    pub fn new(path: &Path) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| ClientError::Broken { path: path.into(), why: error.to_string() })?;
        Ok(Self { path: path.into(), runtime })
    }

    /// Who answers.
    pub fn version(&self) -> Result<Version, ClientError> {
        self.get("/v1/version")
    }

    /// The lab as its file says it.
    pub fn spec(&self) -> Result<Spec, ClientError> {
        self.get("/v1/spec")
    }

    /// What the lab is made of.
    pub fn topology(&self) -> Result<Topology, ClientError> {
        self.get("/v1/topology")
    }

    /// All ports.
    pub fn ports(&self) -> Result<Vec<Port>, ClientError> {
        self.all("/v1/ports?")
    }

    /// All addresses of the switch.
    pub fn fdb(&self) -> Result<Vec<FdbEntry>, ClientError> {
        self.all("/v1/fdb?")
    }

    /// A page of the switch's addresses, from `cursor` on.
    pub fn fdb_page(&self, cursor: u64, limit: usize) -> Result<Page<FdbEntry>, ClientError> {
        self.get(&format!("/v1/fdb?cursor={cursor}&limit={limit}"))
    }

    /// All flows that the kernel forwards by.
    pub fn fast_flows(&self) -> Result<Vec<FastFlow>, ClientError> {
        self.all("/v1/fast-path/flows?")
    }

    /// All neighbours of the gateway.
    pub fn neighbours(&self) -> Result<Vec<Neighbour>, ClientError> {
        self.all("/v1/neigh?")
    }

    /// A page of NAT sessions, from `cursor` on.
    pub fn sessions(&self, cursor: u64, limit: usize) -> Result<Page<Session>, ClientError> {
        self.get(&format!("/v1/nat?cursor={cursor}&limit={limit}"))
    }

    /// The gateway's routes.
    pub fn routes(&self) -> Result<Vec<Route>, ClientError> {
        self.get("/v1/routes")
    }

    /// All names.
    pub fn names(&self) -> Result<Vec<Name>, ClientError> {
        self.all("/v1/names?")
    }

    /// All that is counted.
    pub fn counters(&self) -> Result<Counters, ClientError> {
        self.get("/v1/counters")
    }

    /// The published ports.
    pub fn published(&self) -> Result<Vec<Published>, ClientError> {
        self.get("/v1/published")
    }

    /// Publishes a port.
    pub fn publish(&self, ask: &Publish) -> Result<Published, ClientError> {
        self.json(Method::POST, "/v1/published", ask)
    }

    /// Withdraws a published port.
    pub fn unpublish(&self, protocol: Protocol, port: u16) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("/v1/published/{protocol}/{port}"), None).map(drop)
    }

    /// Plugs a node in.
    pub fn add_node(&self, ask: &AddNode) -> Result<Node, ClientError> {
        self.json(Method::POST, "/v1/nodes", ask)
    }

    /// Takes a node out.
    pub fn remove_node(&self, name: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("/v1/nodes/{}", escape(name)), None).map(drop)
    }

    /// Forgets the NAT's sessions.
    pub fn flush_nat(&self, ask: &FlushNat) -> Result<Flushed, ClientError> {
        self.json(Method::POST, "/v1/nat/flush", ask)
    }

    /// Forgets learned addresses.
    pub fn flush_fdb(&self, ask: &FlushFdb) -> Result<Flushed, ClientError> {
        self.json(Method::POST, "/v1/fdb/flush", ask)
    }

    /// The counters as OpenMetrics text.
    pub fn metrics(&self) -> Result<String, ClientError> {
        let bytes = self.send(Method::GET, "/v1/metrics", None)?;
        String::from_utf8(bytes.into()).map_err(|error| self.broken(&error))
    }

    /// What happens from now on.
    pub fn events(&self) -> Result<EventStream<'_>, ClientError> {
        let ask = async {
            let answer = self.request(Method::GET, "/v1/events", None).await?;
            if answer.status().is_success() {
                return Ok(answer.into_body());
            }
            let status = answer.status();
            let bytes = self.whole(answer).await?;
            Err(self.refused(status, &bytes))
        };
        let body = self.in_time(ask)?;
        Ok(EventStream { client: self, body, rest: Vec::new() })
    }

    /// The walk an imagined packet would take.
    pub fn explain(&self, ask: &ExplainAsk) -> Result<Walk, ClientError> {
        self.json(Method::POST, "/v1/explain", ask)
    }

    /// Ends a capture or a trace, from another client than the one that reads it.
    pub fn end_flow(&self, id: u64) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("/v1/flows/{id}"), None).map(drop)
    }

    /// A stream of bytes, and the number it can be ended by.
    pub(crate) fn open(
        &self,
        target: &str,
        ask: &impl Serialize,
    ) -> Result<(u64, Incoming), ClientError> {
        let body = serde_json::to_vec(ask).map_err(|error| self.broken(&error))?;
        self.in_time(async {
            let answer = self.request(Method::POST, target, Some(body)).await?;
            let status = answer.status();
            if !status.is_success() {
                let bytes = self.whole(answer).await?;
                return Err(self.refused(status, &bytes));
            }
            let id = answer.headers().get(FLOW_ID).and_then(|id| id.to_str().ok()?.parse().ok());
            Ok((id.ok_or_else(|| self.broken(&"a flow without a number"))?, answer.into_body()))
        })
    }

    /// Why a stream broke off that the lab was to end.
    pub(crate) fn cut(&self) -> ClientError {
        match self.version() {
            Err(ClientError::NoLab(path)) => ClientError::Ended(path),
            _ => self.broken(&"it has cut a stream off that was not read for too long"),
        }
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, ClientError> {
        let bytes = self.send(Method::GET, target, None)?;
        serde_json::from_slice(&bytes).map_err(|error| self.broken(&error))
    }

    fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(&error))?;
        let bytes = self.send(method, target, Some(body))?;
        serde_json::from_slice(&bytes).map_err(|error| self.broken(&error))
    }

    /// Every page of a list. `target` ends where the cursor goes.
    fn all<T: DeserializeOwned>(&self, target: &str) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut cursor = 0;
        loop {
            let page: Page<T> = self.get(&format!("{target}cursor={cursor}&limit={PAGE_MAX}"))?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = next,
                None => return Ok(items),
            }
        }
    }

    fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Bytes, ClientError> {
        self.in_time(async {
            let answer = self.request(method, target, body).await?;
            let status = answer.status();
            let bytes = self.whole(answer).await?;
            if status.is_success() { Ok(bytes) } else { Err(self.refused(status, &bytes)) }
        })
    }

    fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, work).await })
            .unwrap_or_else(|_| Err(self.broken(&"it takes too long")))
    }

    async fn request(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoLab(self.path.clone())
            }
            io::ErrorKind::PermissionDenied => ClientError::Denied(self.path.clone()),
            _ => self.broken(&error),
        })?;
        // Nothing is said to a process that is not this user's.
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == nix::unistd::geteuid().as_raw() => {}
            Ok(_) => return Err(ClientError::Denied(self.path.clone())),
            Err(error) => return Err(self.broken(&error)),
        }
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(&error))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(hyper::header::HOST, "uswitch")
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| self.broken(&error))?;
        sender.send_request(request).await.map_err(|error| self.broken(&error))
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| self.broken(&error))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => ClientError::Refused { status: status.as_u16(), message: problem.error },
            Err(_) => self.broken(&status),
        }
    }

    pub(crate) fn broken(&self, why: &impl ToString) -> ClientError {
        ClientError::Broken { path: self.path.clone(), why: why.to_string() }
    }
}

/// A name as one segment of a path.
fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes().fold(String::new(), |mut path, byte| {
        if plain(byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    })
}

/// Events, one after the other; ends when the lab does.
#[derive(Debug)]
pub struct EventStream<'a> {
    client: &'a Client,
    body: Incoming,
    rest: Vec<u8>,
}

impl Iterator for EventStream<'_> {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if line.len() > 1 {
                    let event = serde_json::from_slice(&line);
                    return Some(event.map_err(|error| self.client.broken(&error)));
                }
            }
            if self.rest.len() > ANSWER {
                return Some(Err(self.client.broken(&"a line without end")));
            }
            let body = Pin::new(&mut self.body);
            let frame = self
                .client
                .runtime
                .block_on(async { tokio::time::timeout(SILENCE, body.get_mut().frame()).await });
            match frame {
                Err(_) => return Some(Err(self.client.broken(&"it has fallen silent"))),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return None,
                Ok(Some(Ok(frame))) => {
                    self.rest.extend(frame.into_data().unwrap_or_default());
                }
            }
        }
    }
}

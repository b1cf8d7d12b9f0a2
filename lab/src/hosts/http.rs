//! Requests to etcd's JSON gateway: one connection each, half a second for an answer, the next member
//! where one does not give it. Numbers of 64 bits are strings there, keys and values base64. Where etcd
//! asks who somebody is, a token is fetched first, and again when it has run out.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::access::Access;
use super::lines::Lines;
use super::tls::was_closed;

/// For a member to answer in.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// For any of them, also while they choose a leader.
pub(super) const ALL: Duration = Duration::from_millis(2500);
/// For a token: etcd makes it slow to try passwords (bcrypt).
const SIGN_IN: Duration = Duration::from_secs(1);
/// Without a word of a member's kernel, until it is asked for one, and again; three times in all.
const ALIVE: Duration = Duration::from_secs(1);
/// For a connection to say why it has failed, once it has.
const REASON: Duration = Duration::from_millis(50);
/// Bytes of an answer, or of a line of one.
pub(super) const ANSWER: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// No member can give one now.
    #[error("{0}")]
    Silent(String),
    /// It does not let this host in, or this host does not take it for what it says it is.
    #[error("{0}")]
    Shut(String),
    /// etcd says no, by its number (google.rpc.Code).
    #[error("etcd says: {1}")]
    Refused(i64, String),
}

impl Failed {
    /// What etcd calls a thing that is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(5, _))
    }

    /// The line for whoever asked.
    pub(super) fn to_error(&self, network: &str, what: &str) -> crate::Error {
        let (network, what, why) = (network.to_owned(), what.to_owned(), self.to_string());
        match self {
            Self::Shut(_) => crate::Error::NotLetIn { network, what, why },
            Self::Refused(..) => crate::Error::NotTaken { network, what, why },
            Self::Silent(_) => crate::Error::Registry { network, what, why },
        }
    }
}

/// The members, and the one that is asked first.
#[derive(Clone, Debug)]
pub(super) struct Members {
    all: Vec<SocketAddr>,
    at: usize,
    access: Arc<Access>,
}

impl Members {
    pub(super) fn new(all: Vec<SocketAddr>, access: Arc<Access>) -> Self {
        Self { all, at: 0, access }
    }

    /// The one that answered last.
    pub(super) fn current(&self) -> SocketAddr {
        self.all.get(self.at).copied().unwrap_or_else(|| ([127, 0, 0, 1], 2379).into())
    }

    /// Asks the next one from now on.
    pub(super) fn pass_on(&mut self) {
        self.at = (self.at + 1) % self.all.len().max(1);
    }

    /// Asks one after the other, for as long as `patience` but each of them once at least.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<T, Failed> {
        let until = Instant::now() + patience;
        let (mut silent, mut shut): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for round in 0.. {
            let (member, began) = (self.current(), Instant::now());
            let (list, why) =
                match self.of_current(|shown| once(self.door(), path, body, shown)).await {
                    Err(Failed::Silent(why)) => (&mut silent, why),
                    Err(Failed::Shut(why)) => (&mut shut, why),
                    said => return said,
                };
            let line = format!("{member}: {why}");
            if !list.contains(&line) {
                list.push(line);
            }
            self.pass_on();
            let all_asked = round + 1 >= self.all.len();
            if all_asked && (Instant::now() >= until || silent.is_empty()) {
                break;
            }
            if (round + 1) % self.all.len().max(1) == 0 && began.elapsed() < PATIENCE / 2 {
                // All said no at once, while they choose a leader perhaps.
                tokio::time::sleep(PATIENCE / 2).await;
            }
        }
        let first = |lines: &[String]| {
            lines.iter().take(self.all.len().min(3)).cloned().collect::<Vec<_>>().join("; ")
        };
        Err(if shut.is_empty() {
            Failed::Silent(first(&silent))
        } else {
            Failed::Shut(first(&shut))
        })
    }

    /// Begins an answer that goes on, from the member that answers now.
    pub(super) async fn stream(&self, path: &str, body: &Value) -> Result<Lines, Failed> {
        let begin = |shown| async {
            let (answer, connection) = send(self.door(), path, body, shown).await?;
            if !answer.status().is_success() {
                return Err(refused(answer).await);
            }
            Ok(Lines::of(answer.into_body(), connection))
        };
        self.of_current(begin).await
    }

    fn door(&self) -> Door<'_> {
        Door { member: self.current(), place: self.at, access: &self.access }
    }

    /// What was said within an answer: whether a token has run out by it.
    pub(super) fn hear(&self, failed: &Failed) {
        let _ = self.access.is_stale(failed);
    }

    /// Asks the member that is asked now, with a token where one is needed.
    async fn of_current<T, F>(&self, ask: impl Fn(Option<String>) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let silent = |_| Failed::Silent("no answer".into());
        let access = &*self.access;
        let mut said = Ok(None);
        // Once more with a new token, where the old one has run out.
        for _ in 0..2 {
            if let Err(failed) = self.sign_in().await {
                return Err(self.shut_out(failed));
            }
            said = timeout(PATIENCE, ask(access.shown()))
                .await
                .unwrap_or_else(|e| Err(silent(e)))
                .map(Some);
            if !said.as_ref().is_err_and(|failed| access.is_stale(failed)) {
                break;
            }
        }
        match said {
            Ok(Some(said)) => Ok(said),
            Ok(None) => Err(Failed::Silent("no answer".into())),
            Err(failed) => Err(self.shut_out(access.told(failed))),
        }
    }

    /// Where this host is not let in, or is hung up on, what it shows may have been renewed meanwhile.
    fn shut_out(&self, failed: Failed) -> Failed {
        if let Failed::Shut(_) | Failed::Silent(_) = &failed {
            self.access.read_again();
        }
        failed
    }

    /// Asks for a token, where one is wanted.
    async fn sign_in(&self) -> Result<(), Failed> {
        #[derive(serde::Deserialize)]
        struct Answer {
            #[serde(default)]
            token: String,
        }
        let Some((user, password)) = self.access.signs_in() else { return Ok(()) };
        let asked = json!({ "name": user, "password": password });
        let asked = once::<Answer>(self.door(), "/v3/auth/authenticate", &asked, None);
        match timeout(SIGN_IN, asked).await {
            Ok(Ok(Answer { token })) if !token.is_empty() => self.access.has(Some(token)),
            Ok(Ok(_)) => return Err(Failed::Shut(format!("no token for user {user}"))),
            Ok(Err(Failed::Refused(_, words))) if words.contains("not enabled") => {
                self.access.has(None);
            }
            Ok(Err(Failed::Refused(_, words))) => {
                return Err(Failed::Shut(format!("user {user}: {words}")));
            }
            Ok(Err(failed)) => return Err(failed),
            Err(_) => return Err(Failed::Silent("no answer".into())),
        }
        Ok(())
    }
}

/// A member, and how it is spoken with.
#[derive(Clone, Copy)]
struct Door<'a> {
    member: SocketAddr,
    /// In the list.
    place: usize,
    access: &'a Access,
}

async fn once<T: DeserializeOwned>(
    door: Door<'_>,
    path: &str,
    body: &Value,
    shown: Option<String>,
) -> Result<T, Failed> {
    let (answer, _connection) = send(door, path, body, shown).await?;
    if !answer.status().is_success() {
        return Err(refused(answer).await);
    }
    let bytes = whole(answer).await?;
    serde_json::from_slice(&bytes).map_err(|error| silent(&error))
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, Failed> {
    let body = Limited::new(answer.into_body(), ANSWER).collect().await;
    Ok(body.map_err(|error| Failed::Silent(error.to_string()))?.to_bytes())
}

/// Why an answer is none.
async fn refused(answer: Response<Incoming>) -> Failed {
    let status = answer.status();
    match whole(answer).await {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(said) => refusal(&said),
            // Go's servers say so, where they are asked without TLS.
            Err(_) if bytes.windows(6).any(|some| some == b"HTTPS ") => {
                Failed::Shut("it speaks TLS: etcds:// is for that, not etcd://".into())
            }
            Err(_) => Failed::Silent(status.to_string()),
        },
        Err(failed) => failed,
    }
}

/// What etcd says no by: at the top of an answer, or in `error` in a line of one that goes on.
pub(super) fn refusal(said: &Value) -> Failed {
    let code = said["code"].as_i64().or_else(|| said["grpc_code"].as_i64()).unwrap_or(2);
    let words = said["message"].as_str().or_else(|| said["error"].as_str()).unwrap_or("no");
    let words = words.strip_prefix("etcdserver: ").unwrap_or(words).to_owned();
    match code {
        // Deadline exceeded, unavailable: no leader, no quorum. Unknown: a member that is ending.
        2 | 4 | 14 => Failed::Silent(words),
        _ => Failed::Refused(code, words),
    }
}

/// A connection to a member; dropped, it is closed, whatever the member owes.
pub(super) struct Connection(JoinHandle<hyper::Result<()>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What requests are sent by.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn send(
    door: Door<'_>,
    path: &str,
    body: &Value,
    shown: Option<String>,
) -> Result<(Response<Incoming>, Connection), Failed> {
    let Door { member, place, access } = door;
    let stream = TcpStream::connect(member).await.map_err(|error| silent(&error))?;
    // A watch waits for as long as nothing happens, and is to end where the way to the member has.
    let alive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE).with_retries(2);
    SockRef::from(&stream).set_tcp_keepalive(&alive).map_err(|error| silent(&error))?;
    let stream: Box<dyn Stream> = match &access.tls {
        Some(tls) => Box::new(tls.shake(stream, (member, place)).await?),
        None => Box::new(stream),
    };
    let begun = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = begun.map_err(|error| silent(&error))?;
    let mut connection = Connection(tokio::spawn(connection));
    let mut request = Request::post(path)
        .header(hyper::header::HOST, member.to_string())
        .header(hyper::header::CONTENT_TYPE, "application/json");
    if let Some(token) = shown {
        request = request.header(hyper::header::AUTHORIZATION, token);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string())));
    let request = request.map_err(|error| silent(&error))?;
    let error = match sender.send_request(request).await {
        Ok(answer) => return Ok((answer, connection)),
        Err(error) => error,
    };
    // Whichever of the two has failed first knows why.
    let told = timeout(REASON, &mut connection.0).await;
    let error = match told {
        Ok(Ok(Err(of_connection))) if error.is_canceled() => of_connection,
        _ => error,
    };
    Err(match &access.tls {
        Some(tls) => tls.told(&error),
        None if was_closed(&error) => {
            Failed::Silent("it hangs up: where it speaks TLS, etcds:// is for that".into())
        }
        None => silent(&error),
    })
}

/// What an error says, with its causes.
pub(super) fn silent(error: &(dyn Error + 'static)) -> Failed {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !said.contains(&words) {
            said = format!("{said}: {words}");
        }
        next = cause.source();
    }
    Failed::Silent(said)
}

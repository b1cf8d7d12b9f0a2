//! Requests to etcd's JSON gateway: one connection each, half a second for an answer, the next member
//! where one does not give it. Numbers of 64 bits are strings there, keys and values base64.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// For a member to answer in.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// For any of them, also while they choose a leader.
pub(super) const ALL: Duration = Duration::from_millis(2500);
/// Bytes of an answer, or of a line of one.
pub(super) const ANSWER: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// No member can give one now.
    #[error("{0}")]
    Silent(String),
    /// etcd says no, by its number (google.rpc.Code).
    #[error("etcd says: {1}")]
    Refused(i64, String),
}

impl Failed {
    /// What etcd calls a thing that is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(5, _))
    }
}

/// The members, and the one that is asked first.
#[derive(Clone, Debug)]
pub(super) struct Members {
    all: Vec<SocketAddr>,
    at: usize,
}

impl Members {
    pub(super) fn new(all: Vec<SocketAddr>) -> Self {
        Self { all, at: 0 }
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
        let mut silent: Vec<String> = Vec::new();
        for round in 0.. {
            let member = self.current();
            let began = Instant::now();
            let failed = match timeout(PATIENCE, once(member, path, body)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Failed::Silent(why))) => why,
                Ok(Err(refused)) => return Err(refused),
                Err(_) => "no answer".into(),
            };
            let line = format!("{member}: {failed}");
            if !silent.contains(&line) {
                silent.push(line);
            }
            self.pass_on();
            if round + 1 >= self.all.len() && Instant::now() >= until {
                break;
            }
            if (round + 1) % self.all.len().max(1) == 0 && began.elapsed() < PATIENCE / 2 {
                // All said no at once, while they choose a leader perhaps.
                tokio::time::sleep(PATIENCE / 2).await;
            }
        }
        let first = self.all.len().min(3);
        Err(Failed::Silent(silent.iter().take(first).cloned().collect::<Vec<_>>().join("; ")))
    }

    /// Begins an answer that goes on, from the member that answers now.
    pub(super) async fn stream(&self, path: &str, body: &Value) -> Result<Lines, Failed> {
        let answer = timeout(PATIENCE, send(self.current(), path, body)).await;
        let answer = answer.map_err(|_| Failed::Silent("no answer".into()))??;
        let (answer, connection) = answer;
        if !answer.status().is_success() {
            return Err(Failed::Silent(answer.status().to_string()));
        }
        Ok(Lines { body: answer.into_body(), rest: Rest::default(), _connection: connection })
    }
}

async fn once<T: DeserializeOwned>(
    member: SocketAddr,
    path: &str,
    body: &Value,
) -> Result<T, Failed> {
    let (answer, _connection) = send(member, path, body).await?;
    let good = answer.status().is_success();
    let bytes =
        Limited::new(answer.into_body(), ANSWER).collect().await.map_err(silent)?.to_bytes();
    if !good {
        return Err(refusal(&serde_json::from_slice(&bytes).unwrap_or_default()));
    }
    serde_json::from_slice(&bytes).map_err(silent)
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
struct Connection(tokio::task::AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn send(
    member: SocketAddr,
    path: &str,
    body: &Value,
) -> Result<(Response<Incoming>, Connection), Failed> {
    let stream = TcpStream::connect(member).await.map_err(silent)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(silent)?;
    let connection = Connection(tokio::spawn(connection).abort_handle());
    let request = Request::post(path)
        .header(hyper::header::HOST, member.to_string())
        .header(hyper::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(silent)?;
    let answer = sender.send_request(request).await.map_err(silent)?;
    Ok((answer, connection))
}

fn silent(error: impl std::fmt::Display) -> Failed {
    Failed::Silent(error.to_string())
}

/// An answer that goes on: objects of JSON, a line each. Dropped, it ends.
pub(super) struct Lines {
    body: Incoming,
    rest: Rest,
    _connection: Connection,
}

/// What has come of an answer and is no whole line yet.
#[derive(Debug, Default)]
pub(super) struct Rest {
    bytes: Vec<u8>,
    /// Where the next line begins.
    from: usize,
    /// As far as there is no end of it.
    looked: usize,
}

impl Rest {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.from > 0 {
            self.bytes.drain(..self.from);
            (self.looked, self.from) = (self.looked - self.from, 0);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line that is whole.
    pub(super) fn line(&mut self) -> Option<&[u8]> {
        loop {
            let new = &self.bytes[self.looked..];
            let Some(end) = new.iter().position(|byte| *byte == b'\n') else {
                self.looked = self.bytes.len();
                return None;
            };
            let (from, end) = (self.from, self.looked + end);
            (self.from, self.looked) = (end + 1, end + 1);
            if from < end {
                return Some(&self.bytes[from..end]);
            }
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.from
    }
}

impl Lines {
    /// The next one, whenever it comes; what has come of it is kept where nobody waits any longer.
    pub(super) async fn next(&mut self) -> Result<Value, Failed> {
        loop {
            if let Some(line) = self.rest.line() {
                return serde_json::from_slice(line).map_err(silent);
            }
            if self.rest.len() > ANSWER {
                return Err(Failed::Silent("a line without end".into()));
            }
            match self.body.frame().await {
                None => return Err(Failed::Silent("it has ended".into())),
                Some(frame) => {
                    self.rest.add(&frame.map_err(silent)?.into_data().unwrap_or_default());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = b"{\"a\":1}\n\n{\"b\":2}\n{\"c\"";
        for size in 1..text.len() {
            let mut rest = Rest::default();
            let mut lines = Vec::new();
            for piece in text.chunks(size) {
                rest.add(piece);
                while let Some(line) = rest.line() {
                    lines.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            assert_eq!(lines, ["{\"a\":1}", "{\"b\":2}"], "{size}");
            assert_eq!(rest.len(), 4);
        }
    }
}

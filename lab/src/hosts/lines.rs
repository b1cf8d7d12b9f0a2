//! Answers that go on, as a watch's do: objects of JSON, a line each, however they are cut on the way.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::http::{ANSWER, Connection, Failed, silent};

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
    pub(super) fn of(body: Incoming, connection: Connection) -> Self {
        Self { body, rest: Rest::default(), _connection: connection }
    }

    /// The next one, whenever it comes; what has come of it is kept where nobody waits any longer.
    pub(super) async fn next(&mut self) -> Result<Value, Failed> {
        loop {
            if let Some(line) = self.rest.line() {
                return serde_json::from_slice(line).map_err(|error| silent(&error));
            }
            if self.rest.len() > ANSWER {
                return Err(Failed::Silent("a line without end".into()));
            }
            match self.body.frame().await {
                None => return Err(Failed::Silent("it has ended".into())),
                Some(frame) => {
                    let frame = frame.map_err(|error| silent(&error))?;
                    self.rest.add(&frame.into_data().unwrap_or_default());
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

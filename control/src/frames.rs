//! The client's side of captures and traces: bytes or lines, for as long as they come.
//!
//! Nothing is read ahead: whoever does not read makes the lab lose frames, which it counts. The
//! stream ends when the lab ends it, after [`Client::end_flow`] or after the frames asked for.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};

use crate::api::{CaptureAsk, TraceAsk, TraceLine};
use crate::client::{Client, ClientError};

/// Bytes of a line of a trace.
const LINE: usize = 1024 * 1024;

/// A pcapng stream.
#[derive(Debug)]
pub struct ByteStream<'a> {
    client: &'a Client,
    id: u64,
    body: Incoming,
}

/// A trace.
#[derive(Debug)]
pub struct Lines<'a> {
    bytes: ByteStream<'a>,
    rest: Vec<u8>,
}

impl Client {
    /// Frames from now on, as pcapng.
    pub fn capture(&self, ask: &CaptureAsk) -> Result<ByteStream<'_>, ClientError> {
        let (id, body) = self.open("/v1/capture", ask)?;
        Ok(ByteStream { client: self, id, body })
    }

    /// The walks of frames from now on.
    pub fn trace(&self, ask: &TraceAsk) -> Result<Lines<'_>, ClientError> {
        let (id, body) = self.open("/v1/trace", ask)?;
        Ok(Lines { bytes: ByteStream { client: self, id, body }, rest: Vec::new() })
    }
}

impl ByteStream<'_> {
    /// The number it can be ended by.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Iterator for ByteStream<'_> {
    type Item = Result<Bytes, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let frame = self.client.wait(self.body.frame())?;
            match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(_) => continue,
                },
                // How it broke off says little: whether the lab is still there says why.
                Err(_) => return Some(Err(self.client.cut())),
            }
        }
    }
}

impl Lines<'_> {
    /// The number it can be ended by.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.bytes.id
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<TraceLine, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = serde_json::from_slice(&line);
                return Some(line.map_err(|error| self.bytes.client.broken(&error)));
            }
            if self.rest.len() > LINE {
                return Some(Err(self.bytes.client.broken(&"a line without end")));
            }
            match self.bytes.next()? {
                Ok(bytes) => self.rest.extend_from_slice(&bytes),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

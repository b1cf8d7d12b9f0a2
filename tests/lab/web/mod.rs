//! `uswitch web`: the page's server under requests written by hand, and the page in a browser.
//!
//! | module | what it shows |
//! |---|---|
//! | `guard` | who is answered, and what every answer carries |
//! | `stream` | snapshots and differences, walks, captures; the lab away and back |
//! | `crowd` | more pages than places, browsers that never read |
//! | `browser` | the page in Debian's Chromium, by `tests/web/page.py` |

mod browser;
mod crowd;
mod guard;
mod stream;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::door::PATIENCE;
use crate::lab;
use crate::support::{Process, Sandbox};

/// A page that is served.
struct Served {
    process: Process,
    /// Where, as `127.0.0.1:PORT`.
    address: String,
    token: String,
}

/// Serves the page of the lab that runs.
#[track_caller]
fn served(sandbox: &Sandbox) -> Served {
    let mut process = sandbox.start(&["web", "-j"]);
    process.wait_for("}\n");
    let told: Value = serde_json::from_str(&process.out()).unwrap();
    let (address, url) = (told["address"].as_str().unwrap(), told["url"].as_str().unwrap());
    let token = url.strip_prefix(&format!("http://{address}/#")).unwrap().to_owned();
    Served { address: address.to_owned(), token, process }
}

/// An answer, whole.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// The value of a header; the header must be there once.
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found: Vec<_> = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).collect();
        let [(_, value)] = found[..] else { panic!("{name} in {}", self.head) };
        value
    }

    fn has(&self, name: &str) -> bool {
        self.head.to_ascii_lowercase().contains(&format!("\n{name}:"))
    }

    /// The line a refusal says.
    #[track_caller]
    fn error(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["error"].as_str().unwrap().to_owned()
    }
}

impl Served {
    /// Sends `request` as it is, and reads all that comes back.
    #[track_caller]
    fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap();
        let mut body = bytes.split_off(end + 4);
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = whole(&body);
        }
        Answer { status, head, body }
    }

    /// Asks as a browser that has the whole address would.
    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        self.raw(&self.request(path, "connection: close\r\n"))
    }

    fn request(&self, path: &str, more: &str) -> String {
        let Self { address, token, .. } = self;
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nx-uswitch-token: {token}\r\n{more}\r\n")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Opens a stream and reads nothing of it.
    fn open(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(self.request(path, "").as_bytes()).unwrap();
        stream
    }

    /// Opens the page's stream.
    fn events(&self, query: &str) -> Events {
        Events { stream: self.open(&format!("/events{query}")), text: String::new() }
    }
}

/// A chunked body put together; one that is cut off ends where it was.
fn whole(mut chunked: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunked.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&chunked[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let rest = &chunked[end + 2..];
        if size == 0 || rest.len() < size {
            break;
        }
        body.extend_from_slice(&rest[..size]);
        chunked = &rest[(size + 2).min(rest.len())..];
    }
    body
}

/// The page's stream, read as events.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    /// The next event: its kind and its data.
    #[track_caller]
    fn next(&mut self) -> (String, Value) {
        loop {
            // Chunk sizes stand between the events, on lines of their own.
            if let Some(from) = self.text.find("event: ")
                && let Some(length) = self.text[from..].find("\n\n")
            {
                let event = self.text[from..from + length].to_owned();
                self.text.drain(..from + length);
                let (kind, data) = event["event: ".len()..].split_once("\ndata: ").unwrap();
                return (kind.to_owned(), serde_json::from_str(data).unwrap());
            }
            let mut buffer = [0; 16 * 1024];
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the stream has ended: {}", self.text);
            self.text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    /// Waits for an event that `wanted` accepts.
    #[track_caller]
    fn comes(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        loop {
            let (kind, data) = self.next();
            if wanted(&kind, &data) {
                return data;
            }
        }
    }

    /// Waits until `key` is told, in a snapshot or a change, with a value that `wanted` accepts. Gives
    /// all that is told with it.
    #[track_caller]
    fn tells(&mut self, key: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (kind, data) = self.next();
            let told = if kind == "change" { data["set"].clone() } else { data };
            if !told[key].is_null() && wanted(&told[key]) {
                return told;
            }
        }
    }
}

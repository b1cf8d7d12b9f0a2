//! What dockerd says to a network plugin, at its socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Where dockerd looks for it.
const SOCKET: &str = "/run/docker/plugins/uswitch.sock";

/// A call of the network driver's; the head of the answer, and what it says.
#[track_caller]
pub(crate) fn call_plugin(name: &str, body: &str) -> [String; 2] {
    let mut stream = UnixStream::connect(SOCKET).unwrap();
    let length = body.len();
    let request = format!(
        "POST /NetworkDriver.{name} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    [head, body].map(str::to_owned)
}

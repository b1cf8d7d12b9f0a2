//! Asking others: which server when, which response is one. The thread that has the sockets gives
//! this what came and the time, and does what it is told.
//!
//! A query goes to the servers in their order, each asked once more when all have been silent; a
//! server that refuses or fails makes way for the next at once. What was sent before is still
//! listened for. A truncated response is asked for again by TCP. After five seconds nobody has
//! answered. A response counts if it comes from the socket it was asked by (connected, on a port of
//! the kernel's choice), has the identifier drawn for it, and asks the same (RFC 5452).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wire::Timestamp;

use crate::reply::question;
use crate::resolver::HEADER;
use crate::server::{PORT, Request, Response, Ticket};

/// How long a server may take in each round, before the next is asked too.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// How long all of them may.
const ALL: Duration = Duration::from_secs(5);

/// A socket of the thread's; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket(pub u64);

/// What the thread is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a datagram socket, connect it to this server, send this.
    Datagram(Socket, SocketAddr, Vec<u8>),
    /// Open a stream to this server, send this with its length before it, read one message.
    Stream(Socket, SocketAddr, Vec<u8>),
    /// Close a socket.
    Close(Socket),
}

/// A request that has come to its end.
pub type Finished = Response;

#[derive(Debug)]
struct Try {
    socket: Socket,
    id: u16,
    server: IpAddr,
    stream: bool,
}

#[derive(Debug)]
struct Asked {
    query: Vec<u8>,
    servers: Vec<IpAddr>,
    tries: Vec<Try>,
    /// Tries so far: the place in `servers`, round after round.
    turn: usize,
    next: Timestamp,
    end: Timestamp,
    /// A refusal or a failure, for want of better.
    poor: Option<Vec<u8>>,
}

/// What is being asked.
#[derive(Debug, Default)]
pub struct Exchange {
    asked: HashMap<Ticket, Asked>,
    sockets: HashMap<Socket, Ticket>,
    next: u64,
    /// What is to be done, and what is done.
    pub actions: Vec<Action>,
    /// Requests that have come to their end.
    pub finished: Vec<Finished>,
}

impl Exchange {
    /// Begins to ask the request's servers, or these where it names none. `draw` makes identifiers that others cannot guess.
    pub fn ask(
        &mut self,
        request: Request,
        servers: &[IpAddr],
        draw: &mut dyn FnMut() -> u16,
        now: Timestamp,
    ) {
        let Request { ticket, query, servers: own } = request;
        let servers = if own.is_empty() { servers.to_vec() } else { own };
        if question(&query).is_none() || servers.is_empty() {
            self.finished.push(Response { ticket, message: None });
            return;
        }
        let (tries, end) = (Vec::new(), now + ALL);
        let asked = Asked { query, servers, tries, turn: 0, next: now, end, poor: None };
        self.asked.insert(ticket, asked);
        self.turn(ticket, draw, now);
    }

    /// Requests that are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// A whole message came from a socket.
    pub fn received(
        &mut self,
        socket: Socket,
        message: Vec<u8>,
        draw: &mut dyn FnMut() -> u16,
        now: Timestamp,
    ) {
        let Some(ticket) = self.sockets.get(&socket).copied() else { return };
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        let Some(of) = asked.tries.iter().find(|of| of.socket == socket) else { return };
        if !answers(&message, of.id, &asked.query) {
            // Somebody else's, or forged: the right one may still come.
            return;
        }
        let (server, stream) = (of.server, of.stream);
        let (truncated, code) = (message[2] & 2 != 0, message[3] & 0xf);
        if truncated && !stream {
            // Once, however often it says so.
            if !asked.tries.iter().any(|of| of.stream && of.server == server) {
                self.send(ticket, server, true, draw);
            }
            return;
        }
        // NOERROR and NXDOMAIN are answers; all else may be that server's alone.
        if code == 0 || code == 3 {
            let message = with_question(message, &asked.query);
            self.finish(ticket, Some(message));
        } else {
            asked.poor = Some(with_question(message, &asked.query));
            self.failed(socket, draw, now);
        }
    }

    /// Nothing more will come from a socket: refused, unreachable, ended.
    pub fn failed(&mut self, socket: Socket, draw: &mut dyn FnMut() -> u16, now: Timestamp) {
        let Some(ticket) = self.sockets.remove(&socket) else { return };
        self.actions.push(Action::Close(socket));
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        asked.tries.retain(|of| of.socket != socket);
        // No need to wait for others when each has spoken once.
        if asked.turn >= asked.servers.len() && asked.tries.is_empty() && asked.poor.is_some() {
            let poor = asked.poor.take();
            return self.finish(ticket, poor);
        }
        if asked.tries.is_empty() {
            self.turn(ticket, draw, now);
        }
    }

    /// Does what is due; says when it next wants to be called.
    pub fn tick(&mut self, draw: &mut dyn FnMut() -> u16, now: Timestamp) -> Option<Timestamp> {
        let due: Vec<_> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.next <= now)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in due {
            self.turn(ticket, draw, now);
        }
        self.asked.values().map(|asked| asked.next).min()
    }

    /// The next server's turn, or the end.
    fn turn(&mut self, ticket: Ticket, draw: &mut dyn FnMut() -> u16, now: Timestamp) {
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        let count = asked.servers.len();
        let patience = PATIENCE.get(asked.turn / count).copied();
        let Some(patience) = patience.filter(|_| now < asked.end) else {
            // All have had their turns; the last may still answer.
            if now < asked.end && !asked.tries.is_empty() {
                asked.next = asked.end;
                return;
            }
            let poor = asked.poor.take();
            return self.finish(ticket, poor);
        };
        let server = asked.servers[asked.turn % count];
        asked.turn += 1;
        asked.next = (now + patience).min(asked.end);
        self.send(ticket, server, false, draw);
    }

    fn send(
        &mut self,
        ticket: Ticket,
        server: IpAddr,
        stream: bool,
        draw: &mut dyn FnMut() -> u16,
    ) {
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        let socket = Socket(self.next);
        self.next += 1;
        let id = draw();
        let mut query = asked.query.clone();
        query[..2].copy_from_slice(&id.to_be_bytes());
        asked.tries.push(Try { socket, id, server, stream });
        self.sockets.insert(socket, ticket);
        let address = SocketAddr::new(server, PORT);
        self.actions.push(match stream {
            true => Action::Stream(socket, address, query),
            false => Action::Datagram(socket, address, query),
        });
    }

    fn finish(&mut self, ticket: Ticket, message: Option<Vec<u8>>) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        for of in asked.tries {
            self.sockets.remove(&of.socket);
            self.actions.push(Action::Close(of.socket));
        }
        self.finished.push(Response { ticket, message });
    }
}

/// Whether a message is a response to a query that was sent under `id`.
fn answers(message: &[u8], id: u16, query: &[u8]) -> bool {
    let Some(head) = message.get(..HEADER) else { return false };
    let same = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
    head[..2] == id.to_be_bytes()
        // A response to a query of the same kind, with one question.
        && head[2] & 0xf8 == 0x80
        && head[4..6] == [0, 1]
        && matches!((question(message), question(query)), (Some(a), Some(b)) if same(a, b))
}

/// The message with the letters of the question as they were asked.
fn with_question(mut message: Vec<u8>, query: &[u8]) -> Vec<u8> {
    if let Some(asked) = question(query)
        && let Some(place) = message.get_mut(HEADER..HEADER + asked.len())
    {
        place.copy_from_slice(asked);
    }
    message
}

#[cfg(test)]
mod tests;

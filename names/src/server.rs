//! The resolver as packets meet it: datagrams and streams in, packets out, and what others are
//! asked in between.
//!
//! Generic over the way back to who asked (`W`), which the gateway knows and nobody here looks
//! into. At most 128 queries wait for others; where one more comes, whoever has most of them loses
//! the oldest, which is told SERVFAIL. A datagram that is sent again while its query waits is
//! not asked again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use wire::Timestamp;
use wire::ipv4::protocol;

use crate::books::{Books, Counters, Outcome, Question};
use crate::datagram::{self, HEADERS};
use crate::reply::Echo;
use crate::resolver::{Answer, Forward, Over, Resolver};
use crate::stream::{Id, Streams};
use crate::zone::NetworkId;

/// The port names are asked at.
pub const PORT: u16 = 53;
/// Queries that wait for others.
const MOST: usize = 128;
/// Whoever asks others answers before that, with a failure if need be.
const LATEST: Duration = Duration::from_secs(15);

/// The way back to who asked.
pub trait Way: Copy + PartialEq {
    /// Who it is, by number: where room is short, whoever takes most gives way; and he is in the networks
    /// that [`crate::Zone::set_asker`] says.
    fn payer(&self) -> u64;
}

/// Which query a response belongs to; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A query for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub ticket: Ticket,
    /// The message; its identifier is to be chosen.
    pub query: Vec<u8>,
    /// Who is to be asked; empty for whom all ask.
    pub servers: Vec<IpAddr>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its number.
    pub ticket: Ticket,
    /// The message; None where nobody answered.
    pub message: Option<Vec<u8>>,
}

/// Whoever asks others, somewhere else: neither call waits.
pub trait Upstream: Send {
    /// Hands a request over; false where there is no room for it.
    fn ask(&mut self, request: Request) -> bool;
    /// Fetches a response that has come.
    fn take(&mut self) -> Option<Response>;
}

/// Who asks: in which network, by which address.
type Client = (NetworkId, Ipv4Addr);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Datagram { from: SocketAddrV4, to: SocketAddrV4 },
    Stream(Id),
}

#[derive(Debug)]
struct Waiting<W> {
    way: W,
    asker: Asker,
    echo: Echo,
    query: Vec<u8>,
    until: Timestamp,
}

/// The server of a lab.
pub struct Server<W> {
    resolver: Resolver,
    /// By the way, and who asks.
    streams: Streams<(W, Client)>,
    upstream: Option<Box<dyn Upstream>>,
    waiting: HashMap<Ticket, Waiting<W>>,
    next: u64,
    books: Books<W>,
}

impl<W> std::fmt::Debug for Server<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("counters", &self.books.counters).finish_non_exhaustive()
    }
}

impl<W: Way> Server<W> {
    /// A server that answers by `resolver` and asks others by `upstream`. `seed` makes its sequence
    /// numbers unpredictable to others.
    #[must_use]
    pub fn new(resolver: Resolver, upstream: Option<Box<dyn Upstream>>, seed: u64) -> Self {
        Self {
            resolver,
            streams: Streams::new(seed),
            upstream,
            waiting: HashMap::new(),
            next: 0,
            books: Books::new(),
        }
    }

    /// The resolver.
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The resolver, whose names are to be changed.
    pub fn resolver_mut(&mut self) -> &mut Resolver {
        &mut self.resolver
    }

    /// From now on `upstream` asks others.
    pub fn set_upstream(&mut self, upstream: Box<dyn Upstream>) {
        self.upstream = Some(upstream);
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (streams, gave_way) = (self.streams.opened, self.streams.gave_way);
        Counters { streams, gave_way, ..self.books.counters }
    }

    /// From now on queries are kept for [`Server::questions`], or are not.
    pub fn keep_questions(&mut self, keep: bool) {
        self.books.keep(keep);
    }

    /// The queries since the last call, while they are kept.
    pub fn questions(&mut self) -> impl Iterator<Item = Question<W>> + '_ {
        self.books.take()
    }

    /// Connections there are, and queries that wait for others.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        (self.streams.len(), self.waiting.len())
    }

    /// A whole IPv4 packet (its checksums complete) to a gateway's address and [`PORT`], which came
    /// by `way` from a network whose packets have at most `mtu` bytes.
    pub fn packet(
        &mut self,
        (way, from, mtu): (W, NetworkId, usize),
        packet: &[u8],
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) -> Outcome {
        if packet.get(9) == Some(&protocol::TCP) {
            let mut back = |(way, _): (W, Client), packet: &[u8]| send(way, packet);
            let own = packet.get(12..16).and_then(|own| <[u8; 4]>::try_from(own).ok());
            let client = (from, own.map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from));
            self.streams.segment((way, client), packet, &mut back, now);
            self.serve_streams(send, now);
            return Outcome::Segment;
        }
        let Some(datagram) = datagram::read(packet) else {
            self.books.enter(way, &[], Outcome::Malformed);
            return Outcome::Malformed;
        };
        let (client, server) = (datagram.from, datagram.to);
        let over = Over::Udp(mtu.saturating_sub(HEADERS));
        let view = self.resolver.zone().view(from, way.payer());
        let outcome = match self.resolver.ask(datagram.message, &view, over) {
            Answer::Nothing => Outcome::Malformed,
            Answer::Reply(message, said) => {
                post(way, (server, client), &message, send);
                said.into()
            }
            Answer::Forward(forward) => {
                let asker = Asker::Datagram { from: client, to: server };
                let again = |waiting: &Waiting<W>| {
                    (waiting.way, waiting.asker) == (way, asker) && waiting.query == forward.query
                };
                if let Some(known) = self.waiting.values_mut().find(|waiting| again(waiting)) {
                    // Its identifier may be another by now: the newest is answered.
                    known.echo = forward.echo;
                    Outcome::Repeated
                } else if let Err(echo) =
                    self.pass_on((way, asker), (from, *client.ip()), forward, send, now)
                {
                    post(way, (server, client), &echo.failure(), send);
                    Outcome::Crowded
                } else {
                    Outcome::Forwarded
                }
            }
        };
        self.books.enter(way, datagram.message, outcome);
        outcome
    }

    fn serve_streams(
        &mut self,
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) -> Option<Timestamp> {
        while let Some((id, (way, client), query)) = self.streams.query(now) {
            let view = self.resolver.zone().view(client.0, way.payer());
            let outcome = match self.resolver.ask(&query, &view, Over::Tcp) {
                Answer::Nothing => Outcome::Malformed,
                Answer::Reply(message, said) => {
                    self.streams.answer(id, &message, false, now);
                    said.into()
                }
                Answer::Forward(forward) => {
                    self.streams.wait(id);
                    let asker = (way, Asker::Stream(id));
                    match self.pass_on(asker, client, forward, send, now) {
                        Ok(()) => Outcome::Forwarded,
                        Err(echo) => {
                            self.streams.answer(id, &echo.failure(), true, now);
                            Outcome::Crowded
                        }
                    }
                }
            };
            self.books.enter(way, &query, outcome);
        }
        let mut back = |(way, _): (W, Client), packet: &[u8]| send(way, packet);
        self.streams.run(None, &mut back, now)
    }

    /// Hands a query to those who ask others; its echo back where that cannot be.
    fn pass_on(
        &mut self,
        (way, asker): (W, Asker),
        (network, own): Client,
        Forward { query, echo }: Forward,
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) -> Result<(), Echo> {
        if self.waiting.len() >= MOST && !self.make_room(way, send, now) {
            return Err(echo);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let zone = self.resolver.zone();
        let out = zone.way_out(&zone.view(network, way.payer())).unwrap_or(network);
        let servers = zone.servers((network, own.into()), out).to_vec();
        let request = Request { ticket, query: query.clone(), servers };
        if !self.upstream.as_mut().is_some_and(|upstream| upstream.ask(request)) {
            return Err(echo);
        }
        self.waiting.insert(ticket, Waiting { way, asker, echo, query, until: now + LATEST });
        Ok(())
    }

    /// Fails the oldest query of who has most of them, where that is more than the newcomer would
    /// have; false where it is not.
    fn make_room(&mut self, way: W, send: &mut dyn FnMut(W, &[u8]), now: Timestamp) -> bool {
        let mut shares: HashMap<u64, (usize, Ticket)> = HashMap::new();
        for (ticket, waiting) in &self.waiting {
            let (count, oldest) = shares.entry(waiting.way.payer()).or_insert((0, *ticket));
            *count += 1;
            *oldest = (*oldest).min(*ticket);
        }
        let own = shares.get(&way.payer()).map_or(0, |(count, _)| *count);
        let Some((most, ticket)) = shares.into_values().max() else { return false };
        if most <= own + 1 {
            return false;
        }
        if let Some(waiting) = self.waiting.remove(&ticket) {
            self.deliver(waiting, None, send, now);
        }
        true
    }

    /// Does what is due, and delivers the responses that have come; says when it next wants to be
    /// called.
    pub fn tick(&mut self, send: &mut dyn FnMut(W, &[u8]), now: Timestamp) -> Option<Timestamp> {
        while let Some(Response { ticket, message }) =
            self.upstream.as_mut().and_then(|upstream| upstream.take())
        {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                self.deliver(waiting, message, send, now);
            }
        }
        let late: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, w)| w.until <= now)
            .map(|(ticket, _)| *ticket)
            .collect();
        for waiting in
            late.iter().filter_map(|ticket| self.waiting.remove(ticket)).collect::<Vec<_>>()
        {
            self.deliver(waiting, None, send, now);
        }
        let streams = self.serve_streams(send, now);
        let waiting = self.waiting.values().map(|waiting| waiting.until).min();
        streams.into_iter().chain(waiting).min()
    }

    fn deliver(
        &mut self,
        waiting: Waiting<W>,
        message: Option<Vec<u8>>,
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) {
        if message.is_none() {
            self.books.enter(waiting.way, &waiting.query, Outcome::Failed);
        }
        let echo = waiting.echo;
        let reply = message.map_or_else(|| echo.failure(), |message| echo.fit(message));
        match waiting.asker {
            Asker::Datagram { from, to } => post(waiting.way, (to, from), &reply, send),
            Asker::Stream(id) => self.streams.answer(id, &reply, true, now),
        }
    }
}

fn post<W>(
    way: W,
    (from, to): (SocketAddrV4, SocketAddrV4),
    message: &[u8],
    send: &mut dyn FnMut(W, &[u8]),
) {
    if let Some(packet) = datagram::write(from, to, message) {
        send(way, &packet);
    }
}

impl<W: Way> Way for (W, Client) {
    fn payer(&self) -> u64 {
        self.0.payer()
    }
}

#[cfg(any(test, fuzzing))]
impl Way for u8 {
    fn payer(&self) -> u64 {
        u64::from(*self)
    }
}

#[cfg(test)]
mod tests;
